"""A run -> one self-contained HTML page: numbers beside the baselines, cohort, drivers, explained stays.

  clinical-lstm report run=NAME
  clinical-lstm report run=last report.identifiers=true      stay ids instead of pseudonyms

Needs `evaluate`; shows explanations when `explain` has run. Writes reports/NAME/index.html.
"""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import DictConfig

from clinical_lstm.reporting import write_figures, write_page
from pipelines import places, stage
from pipelines.tracking import Tracker

KEYS = ["run", "report", "tracking"]


def main(config: DictConfig) -> Path:
    """Write the page of a run."""
    run = places.existing_run(config)
    run.verify()
    run.require("evaluate", f"clinical-lstm evaluate run={run.name}")
    folder = Path(config.paths.reports) / run.name
    print(f"report: drawing {folder / 'index.html'}", flush=True)
    page = write_page(run, folder / "index.html", identifiers=config.report.identifiers)
    write_figures(run, folder / "figures")
    Tracker(places.plain(config.tracking), config.paths.artifacts, run).publish(folder)
    print(f"report: wrote {page} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser")
    return page


if __name__ == "__main__":
    sys.exit(stage.launch("report", sys.argv[1:]))
