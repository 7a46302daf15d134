"""Read everything a page shows from a run directory, and refuse what is missing or breaks its contract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run
from clinical_lstm.errors import InputError


@dataclass(frozen=True)
class Summaries:
    """What `explain` found over the cohort; None where the run was explained before there was such a table.

    Attributes:
        half_lives: of the memory of an LSTM, of what `explain` wrote with explainer=gates.

    """

    drivers: pl.DataFrame | None
    contrasts: pl.DataFrame | None
    dose: pl.DataFrame | None
    directions: pl.DataFrame | None
    half_lives: pl.DataFrame | None


@dataclass(frozen=True)
class Explanations:
    """What `explain` wrote: explained predictions (without the cohort sample), their attributions and raw data."""

    explained: pl.DataFrame
    attributions: pl.DataFrame
    summaries: Summaries
    checks: dict[str, Any]
    observations: pl.DataFrame
    episodes: pl.DataFrame
    stays: pl.DataFrame
    predictions: pl.DataFrame


@dataclass(frozen=True)
class Contents:
    """All that one page shows; what `explain`, `compare` and `transport` write is None before they have run.

    Attributes:
        summary: of each target the sentences by what they are about (`evaluation.summary`).
        alarms: the policy of each target. transport, recalibration, shift: how the model does at another place.

    """

    name: str
    manifest: dict[str, Any]
    cohort: dict[str, Any]
    calibrator: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
    history: list[dict[str, float | None]]
    scores: pl.DataFrame
    curves: pl.DataFrame
    gaps: pl.DataFrame
    summary: dict[tuple[str, float], dict[str, list[str]]]
    alarms: list[dict[str, Any]]
    split: str | None
    explanations: Explanations | None = None
    comparison: pl.DataFrame | None = None
    transport: dict[str, Any] | None = None
    recalibration: pl.DataFrame | None = None
    shift: pl.DataFrame | None = None

    @property
    def targets(self) -> list[tuple[str, float]]:
        """The (complication, horizon in hours) pairs, in the model's order."""
        return [(str(complication), float(horizon)) for complication, horizon in self.manifest["targets"]]

    def threshold(self, target: tuple[str, float]) -> float | None:
        """Return the alarm threshold of a target, or None when the run has none."""
        rows = [row for row in self.thresholds if (row["complication"], float(row["horizon_hours"])) == target]
        return float(rows[0]["threshold"]) if rows and rows[0]["threshold"] is not None else None


def read(run: Run) -> Contents:
    """Return the contents of a run; raises InputError naming the command that makes a missing file."""
    for name, stage in [
        ("manifest.json", "train"),
        ("cohort.json", "train"),
        ("scores.parquet", "evaluate"),
        ("curves.parquet", "evaluate"),
        ("gaps.parquet", "evaluate"),
        ("summary.json", "evaluate"),
    ]:
        _require(run, name, stage)
    return Contents(
        name=run.name,
        manifest=run.json("manifest.json"),
        cohort=run.json("cohort.json"),
        calibrator=run.json("calibrator.json") if _has(run, "calibrator.json") else [],
        thresholds=run.json("thresholds.json") if _has(run, "thresholds.json") else [],
        history=pl.read_csv(run.path / "history.csv").to_dicts() if _has(run, "history.csv") else [],
        scores=_table(run, "scores.parquet", schemas.Scores, "evaluate"),
        curves=_table(run, "curves.parquet", schemas.Curves, "evaluate"),
        gaps=_table(run, "gaps.parquet", schemas.Gaps, "evaluate"),
        summary={(one["complication"], float(one["horizon_hours"])): one for one in run.json("summary.json")},
        alarms=run.json("alarms.json") if _has(run, "alarms.json") else [],
        split=(run.marker("evaluate") or {}).get("split"),
        explanations=_explanations(run) if _has(run, "explained.parquet") else None,
        comparison=_comparison(run),
        transport=run.json("transport.json") if _has(run, "transport.json") else None,
        recalibration=_optional(run, "recalibration.parquet", schemas.Recalibration, "transport"),
        shift=_optional(run, "domain_shift.parquet", schemas.DomainShift, "transport"),
    )


def _optional(run: Run, name: str, schema: Any, stage: str) -> pl.DataFrame | None:
    """Return a table of a stage, or None where the stage has not written it."""
    return _table(run, name, schema, stage) if _has(run, name) else None


def _summaries(run: Run) -> Summaries:
    return Summaries(
        drivers=_optional(run, "drivers.parquet", schemas.Drivers, "explain"),
        contrasts=_optional(run, "contrasts.parquet", schemas.Contrasts, "explain"),
        dose=_optional(run, "dose.parquet", schemas.Dose, "explain"),
        directions=_optional(run, "directions.parquet", schemas.Directions, "explain"),
        half_lives=_optional(run, "half_lives.parquet", schemas.HalfLives, "explain"),
    )


def _comparison(run: Run) -> pl.DataFrame | None:
    if not _has(run, "comparison.parquet"):
        return None
    path = run.path / "comparison.parquet"
    return schemas.check(schemas.Comparison, pl.read_parquet(path), str(path), "make it with: clinical-lstm compare")


def _explanations(run: Run) -> Explanations:
    explained = _table(run, "explained.parquet", schemas.Explained, "explain")
    shown = explained.filter(pl.col("reason").str.ends_with("_sample").not_())
    key = ["stay_id", "hours", "complication", "horizon_hours"]
    stays = shown["stay_id"].unique().sort().implode()
    _require(run, "predictions.parquet", "evaluate")
    attributions = _scan(run.path / "attributions.parquet", run, "explain").filter(pl.col("stay_id").is_in(stays))
    predictions = _scan(run.path / "predictions.parquet", run, "evaluate").filter(pl.col("stay_id").is_in(stays))
    _require(run, "checks.json", "explain")
    return Explanations(
        explained=shown,
        attributions=schemas.check(
            schemas.Attributions,
            attributions.collect().join(shown.select(key), on=key, how="semi").sort(*key, "input_hours", "variable"),
            str(run.path / "attributions.parquet"),
            _advice(run, "explain"),
        ),
        summaries=_summaries(run),
        checks=run.json("checks.json"),
        observations=_table(run, "explained_observations.parquet", schemas.Observations, "explain"),
        episodes=_table(run, "explained_episodes.parquet", schemas.Episodes, "explain"),
        stays=_table(run, "explained_stays.parquet", None, "explain"),
        predictions=schemas.check(
            schemas.Predictions,
            predictions.collect().sort("stay_id", "complication", "horizon_hours", "hours"),
            str(run.path / "predictions.parquet"),
            _advice(run, "evaluate"),
        ),
    )


def _has(run: Run, name: str) -> bool:
    return (run.path / name).exists()


def _advice(run: Run, stage: str) -> str:
    return "make it with: clinical-lstm " + ("train cohort=..." if stage == "train" else f"{stage} run={run.name}")


def _require(run: Run, name: str, stage: str) -> None:
    if not _has(run, name):
        raise InputError(f"{run.path / name} is missing; {_advice(run, stage)}")


def _table(run: Run, name: str, schema: Any, stage: str) -> pl.DataFrame:
    _require(run, name, stage)
    table = run.table(name)
    return table if schema is None else schemas.check(schema, table, str(run.path / name), _advice(run, stage))


def _scan(path: Path, run: Run, stage: str) -> pl.LazyFrame:
    _require(run, path.name, stage)
    return pl.scan_parquet(sorted(path.glob("*.parquet")) if path.is_dir() else path)
