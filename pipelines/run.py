"""All stages in a row: prepare, train, evaluate, explain, report; each does nothing when it is up to date.

clinical-lstm run experiment=demo
clinical-lstm run experiment=sepsis_2019 source.root=FOLDER
"""

from __future__ import annotations

import sys

from omegaconf import DictConfig

from pipelines import evaluate, explain, prepare, report, stage, train

KEYS = [
    "source",
    "complication",
    "task",
    "split",
    "model",
    "trainer",
    "baseline",
    "explainer",
    "tracking",
    "evaluation",
    "alarm",
    "blend",
    "explanation",
    "report",
    "card",
    "cohort",
    "run",
    "seed",
    "resume",
]


def main(config: DictConfig) -> None:
    """Run every stage with one configuration."""
    prepare.main(config)
    config.run = train.main(config).name
    evaluate.main(config)
    explain.main(config)
    page = report.main(config)
    print(f"run: report {page.resolve()}")
    print("run: MLflow UI with: clinical-lstm ui" if config.tracking.name != "none" else "run: tracking is off")


if __name__ == "__main__":
    sys.exit(stage.launch("run", sys.argv[1:]))
