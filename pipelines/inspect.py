"""Raw files -> a report of what they hold and what looks wrong with them; nothing is built.

clinical-lstm inspect source=physionet2012 source.root=FOLDER_OR_ARCHIVE
clinical-lstm inspect source=table source.root=FOLDER source.mapping=names.yaml
clinical-lstm inspect source=yaib source.root=FOLDER out=variables.csv      # the table of variables as a file
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from omegaconf import DictConfig

from clinical_lstm import plugins
from clinical_lstm.artifacts import atomic_file
from clinical_lstm.data.inspection import Inspection, inspect
from clinical_lstm.data.inspection.summary import summary
from clinical_lstm.errors import InputError
from pipelines import places, stage

KEYS = ["source", "out"]


def main(config: DictConfig) -> Inspection:
    """Inspect the source that `config` names and print the report."""
    out = Path(config.out) if config.out else None
    if out is not None and out.suffix != ".csv":
        raise InputError(f"out={out}: the table of variables is written as .csv")
    source = plugins.build("sources", places.plain(config.source))
    inspection = inspect(source, say=lambda line: print(line, file=sys.stderr))
    print("\n".join(summary(inspection, source.title)))
    if out is not None:
        with atomic_file(out) as partial:
            inspection.variables.write_csv(partial)
        print(f"\ninspect: wrote {out}")
    print(f"\ninspect: next: clinical-lstm prepare {_same_source()} task=... (tasks: clinical-lstm prepare --help)")
    return inspection


def _same_source() -> str:
    """Return the overrides that name this source, as the shell takes them."""
    from hydra.core.hydra_config import HydraConfig

    given = [override.lstrip("+") for override in HydraConfig.get().overrides.task]
    return " ".join(shlex.quote(override) for override in given if override.startswith("source"))


if __name__ == "__main__":
    sys.exit(stage.launch("inspect", sys.argv[1:]))
