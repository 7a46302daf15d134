"""A run -> why: integrated gradients of chosen risks, with a completeness guarantee, and what drives the cohort.

  clinical-lstm explain run=NAME
  clinical-lstm explain run=last explainer.tolerance=0.005 explanation.per_reason=5

Needs `evaluate` (it chooses the stays from the predictions). Writes attributions, checks and the explained stays' data.
"""

from __future__ import annotations

import sys

import polars as pl
from omegaconf import DictConfig

from clinical_lstm import explanation, plugins
from clinical_lstm.artifacts import Cohort, Run, digest, write_json, write_table
from clinical_lstm.batch import Ragged
from clinical_lstm.inference import Predictor, ready_threads
from clinical_lstm.training.baseline import thresholds_of
from pipelines import places, stage
from pipelines.evaluate import cohort_behind
from pipelines.tracking import Tracker

KEYS = ["run", "cohort", "explainer", "explanation", "evaluation", "seed", "tracking"]
FILES = [
    "explained.parquet",
    "attributions.parquet",
    "importance.parquet",
    "checks.json",
    "explained_stays.parquet",
    "explained_observations.parquet",
    "explained_episodes.parquet",
]


def main(config: DictConfig) -> Run:
    """Explain chosen predictions of a run."""
    ready_threads(config.runtime.threads)
    run = places.existing_run(config)
    manifest = run.verify()
    run.require("evaluate", f"clinical-lstm evaluate run={run.name}")
    explainer, settings = places.plain(config.explainer), places.plain(config.explanation)
    evaluated = (run.marker("evaluate") or {}).get("outputs")
    key = digest([evaluated, explainer, settings, config.evaluation.split, config.seed])
    if run.is_done("explain", key):
        print(f"explain: {run.path} is up to date")
        return run
    cohort = cohort_behind(config, manifest)
    stays = cohort.table("stays.parquet")
    chosen = _choose(run, settings, config.evaluation.split, config.seed)
    print(f"explain: {chosen.height} predictions")
    predictor = Predictor.load(run)
    explained, attributions = explanation.explain(
        predictor.model,
        Ragged.load(cohort.path / "tensors"),
        predictor.scaler,
        {stay: index for index, stay in enumerate(stays["stay_id"])},
        predictor.targets,
        chosen,
        plugins.build("explainers", explainer),
        lookback_hours=predictor.lookback_hours,
    )
    write_table(run.path / "explained.parquet", explained)
    write_table(run.path / "attributions.parquet", attributions)
    write_table(run.path / "importance.parquet", explanation.importance(attributions, explained))
    checks = explanation.checks(explained, explainer["tolerance"])
    write_json(run.path / "checks.json", checks)
    _write_stays(run, cohort, stays, explained)
    run.mark("explain", key, FILES)
    Tracker(places.plain(config.tracking), config.paths.artifacts, run).publish()
    gap = "" if checks["max_gap"] is None else f", largest completeness gap {checks['max_gap']:.4f} logit"
    print(
        f"explain: {checks['n_explained']} of {checks['n']} explained{gap}; next: clinical-lstm report run={run.name}"
    )
    return run


def _choose(run: Run, settings: dict, split: str, seed: int) -> pl.DataFrame:
    """Return the predictions to explain: per target those shown singly, then the sample behind the importance."""
    predictions = run.table("predictions.parquet").filter(pl.col("split") == split)
    chosen = []
    for (complication, horizon), threshold in thresholds_of(run.path).items():
        own = predictions.filter(pl.col("complication") == complication, pl.col("horizon_hours") == horizon)
        shown = explanation.choose(own, threshold, settings["per_reason"])
        rest = own.join(shown.select("stay_id"), on="stay_id", how="anti", maintain_order="left")
        chosen += [shown, explanation.sample_for_importance(rest, settings["cohort_sample"], seed)]
    return pl.concat(chosen)


def _write_stays(run: Run, cohort: Cohort, stays: pl.DataFrame, explained: pl.DataFrame) -> None:
    """Copy what the report shows of the explained stays, so that the run stays enough by itself."""
    shown = explained.filter(pl.col("reason") != "cohort_sample").select("stay_id").unique()
    tables = {"stays": stays, "observations": cohort.table("observations"), "episodes": cohort.table("episodes")}
    for name, table in tables.items():
        own = table.join(shown, on="stay_id", how="semi", maintain_order="left")
        write_table(run.path / f"explained_{name}.parquet", own)


if __name__ == "__main__":
    sys.exit(stage.launch("explain", sys.argv[1:]))
