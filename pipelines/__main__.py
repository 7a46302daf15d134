"""The command line: `clinical-lstm STAGE key=value ...`; a stage is imported only when it runs."""

from __future__ import annotations

import sys

from clinical_lstm.errors import closest
from pipelines import stage

EXAMPLES = """Examples:
  clinical-lstm run experiment=demo
  clinical-lstm prepare source=physionet2019 source.root=FOLDER_OR_ARCHIVE task=sepsis_6h
  clinical-lstm train cohort=NAME model=lstm model.hidden=128 seed=1
  clinical-lstm train -m cohort=NAME seed=1,2,3
  clinical-lstm evaluate run=last
  clinical-lstm predict run=last source=physionet2019 source.root=NEW_DATA out=predictions.parquet
  clinical-lstm STAGE --help
  eval "$(clinical-lstm completion bash)"      # completion of stages, groups and options; zsh: completion zsh"""


def main() -> None:
    """Dispatch to a stage and exit with its status."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(overview())
        sys.exit(0)
    name, *rest = arguments
    if name == "--version":
        import clinical_lstm

        print(clinical_lstm.__version__)
        sys.exit(0)
    if name == "completion":
        from pipelines.completion import script

        sys.exit(script(rest))
    if name not in stage.STAGES:
        print(f"clinical-lstm: there is no stage {name!r}: {closest(name, stage.STAGES)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(stage.launch(name, rest))


def overview() -> str:
    """Return the help page: stages, groups, examples."""
    lines = ["clinical-lstm: early warning from clinical time series", "", "Stages:"]
    lines += [f"  {name:13} {stage.summary(name)}" for name in stage.STAGES]
    lines += ["", "Groups:"] + [f"  {group:11} {', '.join(names)}" for group, names in stage.groups().items()]
    return "\n".join([*lines, "", EXAMPLES])


if __name__ == "__main__":
    main()
