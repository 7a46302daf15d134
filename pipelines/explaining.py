"""What `explain` writes: attributions, what changed lately, what counts over the cohort, what the page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from omegaconf import DictConfig

from clinical_lstm import explanation, plugins
from clinical_lstm.artifacts import Cohort, Run, write_json, write_table
from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.explainers.base import Informed, Named
from clinical_lstm.inference import Predictor
from clinical_lstm.lookback import sequences
from clinical_lstm.training.baseline import thresholds_of

if TYPE_CHECKING:
    from clinical_lstm.models.base import SequenceModel

CHANGES = "integrated_gradients"  # how the changes of the last hours are explained, whatever explains the risks
SINGLY = pl.col("reason").str.ends_with("_sample").not_()
Asked = tuple["SequenceModel", Ragged, Scaler, dict[str, int], list[tuple[str, float]]]


class Bench(NamedTuple):
    """A run with the cohort behind it, ready to be asked."""

    run: Run
    cohort: Cohort
    stays: pl.DataFrame
    predictor: Predictor
    tensors: Ragged

    @staticmethod
    def of(run: Run, cohort: Cohort) -> Bench:
        """Load what explanations need."""
        tensors = Ragged.load(cohort.path / "tensors")
        return Bench(run, cohort, cohort.table("stays.parquet"), Predictor.load(run), tensors)

    @property
    def asked(self) -> Asked:
        """Model, tensors, scaler, place of every stay, targets: the first arguments of `explanation.explain`."""
        places = {stay: place for place, stay in enumerate(self.stays["stay_id"])}
        return self.predictor.model, self.tensors, self.predictor.scaler, places, self.predictor.targets

    def explainer(self, spec: dict[str, Any]) -> Any:
        """Return the plug-in of a specification, told where it works if it asks."""
        built = plugins.build("explainers", spec)
        if isinstance(built, Named):
            built.name([*self.predictor.scaler.variables, *self.predictor.scaler.statics])
        if isinstance(built, Informed):
            train = np.flatnonzero((self.stays["split"] == "train").to_numpy())
            whole, scaler = sequences(self.tensors, None), self.predictor.scaler

            def show(chosen: np.ndarray) -> Batch:
                return assemble(whole, train[chosen], scaler).tensors()

            built.inform(self.predictor.lookback_hours, len(train), show)
        return built


def chosen(run: Run, settings: dict[str, Any], split: str, seed: int) -> pl.DataFrame:
    """Return the predictions to explain: per target those shown singly, then the samples behind the cohort's tables."""
    predictions = run.table("predictions.parquet").filter(pl.col("split") == split)
    found = []
    for (complication, horizon), threshold in thresholds_of(run.path).items():
        own = predictions.filter(pl.col("complication") == complication, pl.col("horizon_hours") == horizon)
        shown = explanation.choose(own, threshold, settings["per_reason"])
        rest = own.join(shown.select("stay_id"), on="stay_id", how="anti", maintain_order="left")
        found += [shown, explanation.sample_for_importance(rest, settings["cohort_sample"], seed)]
        found.append(explanation.sample_by_outcome(own, threshold, settings["cohort_sample"], seed))
        found.append(explanation.sample_before_onset(own, settings["cohort_sample"], seed))
    return pl.concat(found)


def write_attributions(bench: Bench, asked: pl.DataFrame, explainer: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Write and return what was explained and its attributions."""
    explained, attributions = explanation.explain(*bench.asked, asked, explainer, bench.predictor.lookback_hours)
    write_table(bench.run.path / "explained.parquet", explained)
    write_table(bench.run.path / "attributions.parquet", attributions)
    write_table(bench.run.path / "importance.parquet", explanation.importance(attributions, explained))
    return explained, attributions


def write_checks(
    bench: Bench, tables: tuple[pl.DataFrame, pl.DataFrame], explainer: Any, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """Write and return how far the explanations may be trusted, and say it in sentences."""
    trust = explanation.examine(*bench.asked, *tables, explainer, bench.predictor.lookback_hours, seed)
    checks = explanation.checks(tables[0], explainer.tolerance, trust)
    write_json(bench.run.path / "checks.json", checks)
    return checks, explanation.told(trust)


def write_changes(bench: Bench, asked: pl.DataFrame, hours_back: float) -> None:
    """Write what the measurements of the last hours did to the risks that are shown singly."""
    spec = {"name": CHANGES, "baseline": "earlier", "hours_back": hours_back}
    shown = asked.filter(SINGLY)
    found = explanation.explain(*bench.asked, shown, bench.explainer(spec), bench.predictor.lookback_hours)
    for name, table in zip(("changed", "changes"), found, strict=True):
        write_table(bench.run.path / f"{name}.parquet", table)


def write_drivers(bench: Bench, config: DictConfig, tables: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]) -> None:
    """Write what counts over the cohort: how much, in whom it differs, and at which values."""
    settings = config.evaluation
    entries = explanation.evidence(
        *tables,
        bench.run.table("predictions.parquet"),
        bench.stays,
        least_patients=settings.least_patients,
        replicates=settings.replicates,
        seed=config.seed,
    )
    write_table(bench.run.path / "drivers.parquet", explanation.drivers(entries))
    write_table(bench.run.path / "contrasts.parquet", explanation.contrasts(entries))
    observations = bench.cohort.table("observations")
    found = explanation.dose(entries, tables[0], observations, bench.stays, bench.predictor.lookback_hours)
    for name, table in zip(("dose", "directions"), found, strict=True):
        write_table(bench.run.path / f"{name}.parquet", table)


def write_shown(bench: Bench, explained: pl.DataFrame) -> None:
    """Copy what the report shows of the explained stays, so that the run stays enough by itself."""
    shown = explained.filter(SINGLY).select("stay_id").unique()
    tables = {name: bench.cohort.table(name) for name in ("observations", "episodes")}
    for name, table in {"stays": bench.stays, **tables}.items():
        own = table.join(shown, on="stay_id", how="semi", maintain_order="left")
        write_table(bench.run.path / f"explained_{name}.parquet", own)
