"""A run -> why: attributions of chosen risks, complete or flagged, what changed lately, what drives the cohort.

  clinical-lstm explain run=NAME
  clinical-lstm explain run=last explainer.tolerance=0.005 explanation.per_reason=5 explanation.hours_back=6
  clinical-lstm explain run=last explainer=expected_gradients
  clinical-lstm explain run=last explainer=gates        what an LSTM let in, kept and forgot; attention: where it looked

Needs `evaluate` (it chooses the stays from the predictions). Writes attributions, the changes of the last hours, trust
checks, cohort tables and the data of the stays shown; explainer=gates and attention add their readings of these.
"""

from __future__ import annotations

import sys

from omegaconf import DictConfig

from clinical_lstm import explanation
from clinical_lstm.artifacts import Run, digest, write_table
from clinical_lstm.inference import ready_threads
from pipelines import explaining, places, stage
from pipelines.explaining import Bench
from pipelines.judging import cohort_behind
from pipelines.tracking import Tracker

KEYS = ["run", "cohort", "explainer", "explanation", "evaluation", "seed", "tracking"]
FILES = [
    "explained.parquet",
    "attributions.parquet",
    "changed.parquet",
    "changes.parquet",
    "importance.parquet",
    "drivers.parquet",
    "contrasts.parquet",
    "dose.parquet",
    "directions.parquet",
    "checks.json",
    "explained_stays.parquet",
    "explained_observations.parquet",
    "explained_episodes.parquet",
]
READERS = ["gates", "attention"]


def main(config: DictConfig) -> Run:
    """Explain chosen predictions of a run."""
    ready_threads(config.runtime.threads)
    run = places.existing_run(config)
    manifest = run.verify()
    run.require("evaluate", f"clinical-lstm evaluate run={run.name}")
    explainer, settings = places.plain(config.explainer), places.plain(config.explanation)
    if explainer["name"] in READERS:
        return _read(config, run)
    evaluated = (run.marker("evaluate") or {}).get("outputs")
    key = digest([evaluated, explainer, settings, places.plain(config.evaluation), config.seed])
    if run.is_done("explain", key):
        print(f"explain: {run.path} is up to date")
        return run
    bench = Bench.of(run, cohort_behind(config, manifest))
    built = bench.explainer(explainer)
    chosen = explaining.chosen(run, settings, config.evaluation.split, config.seed)
    print(f"explain: {chosen.unique(explanation.KEY).height} predictions", flush=True)
    explained, attributions = explaining.write_attributions(bench, chosen, built)
    explaining.write_changes(bench, chosen, settings["hours_back"])
    checks, said = explaining.write_checks(bench, (explained, attributions), built, config.seed)
    explaining.write_drivers(bench, config, (attributions, explained, chosen))
    explaining.write_shown(bench, explained)
    run.mark("explain", key, FILES, hours_back=settings["hours_back"])
    Tracker(places.plain(config.tracking), config.paths.artifacts, run).publish()
    print("\n".join(f"explain: {line}" for line in said))
    gap = "" if checks["max_gap"] is None else f", largest completeness gap {checks['max_gap']:.4f} logit"
    print(
        f"explain: {checks['n_explained']} of {checks['n']} explained{gap}; next: clinical-lstm report run={run.name}"
    )
    return run


def _read(config: DictConfig, run: Run) -> Run:
    """Read gates or attention at the predictions that are shown singly."""
    run.require("explain", f"clinical-lstm explain run={run.name}")
    spec = places.plain(config.explainer)
    bench = Bench.of(run, cohort_behind(config, run.verify()))
    shown = run.table("explained.parquet").filter(explaining.SINGLY)
    found = explanation.readings(bench.explainer(spec), *bench.asked, shown, bench.predictor.lookback_hours)
    for name, table in found.items():
        write_table(run.path / f"{name}.parquet", table)
    done = digest([(run.marker("explain") or {}).get("outputs"), spec])
    run.mark(spec["name"], done, [f"{name}.parquet" for name in found])
    print(f"explain: read {spec['name']} of {shown.height} predictions; next: clinical-lstm report run={run.name}")
    return run


if __name__ == "__main__":
    sys.exit(stage.launch("explain", sys.argv[1:]))
