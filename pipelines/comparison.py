"""What a comparison leaves behind: its table, its JSON, its runs in MLflow, and what the terminal shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Directory, Run, atomic_file, write_json, write_table
from clinical_lstm.data.task import within
from clinical_lstm.evaluation.ranking import Samples, rank
from clinical_lstm.inference import Predictor
from clinical_lstm.streaming import Ward, obstacle
from clinical_lstm.streaming.latency import step_seconds

FILES = ["comparison.parquet", "comparison.csv", "comparison.json"]
SHOWN = ["auroc", "auprc", "utility_cinc2019"]
STEPS = 200  # of the latency
Judged = dict[str, list[tuple[str, Samples]]]  # predictor -> (directory, sample) of every seed


def write(place: Directory, cohort: Cohort, judged: Judged, runs: dict[str, list[Run]], split: str) -> None:
    """Write the table of `schemas.Comparison` (Parquet, CSV), and with what each single run reached as JSON."""
    reference = "lstm" if "lstm" in runs else next(iter(runs))
    ranking = rank({name: [found for _, found in own] for name, own in judged.items()}, reference)
    columns = schemas.empty(schemas.Comparison).schema
    kinds = {name: kind for name, kind in columns.items() if name not in ranking.columns}
    costs = pl.DataFrame([cost(name, runs.get(name, [])) for name in judged], {"predictor": pl.String, **kinds})
    table = ranking.join(costs, on="predictor", how="left", maintain_order="left").select(list(columns))
    schemas.check(schemas.Comparison, table, "the comparison")
    write_table(place.path / FILES[0], table)
    with atomic_file(place.path / FILES[1]) as partial:
        table.write_csv(partial)
    single = [_single(name, name in runs, *one) for name, own in judged.items() for one in own]
    facts = {"cohort": cohort.name, "split": split, "reference": reference, "runs": single}
    write_json(place.path / FILES[2], facts | {"table": table.to_dicts()})


def cost(name: str, runs: list[Run]) -> dict[str, Any]:
    """Return what a model costs: weights, training wall time per epoch (median of its runs), latency of one step.

    The latency is the median of 200 steps for one patient on one thread, from measurements to risks and alarms; None
    for what cannot be streamed.
    """
    if not runs:
        return {"predictor": name, "model": False}
    timings = [run.json("timing.json") for run in runs if (run.path / "timing.json").is_file()]
    predictor = Predictor.load(runs[0])
    steps = None if obstacle(predictor) else step_seconds(Ward.load(runs[0]), steps=STEPS).sum(axis=1)
    return {
        "predictor": name,
        "model": True,
        "causal": predictor.model.causal,
        "parameters": runs[0].json("manifest.json")["parameters"],
        "epoch_seconds": float(np.median([t["train_seconds"] / t["epochs"] for t in timings])) if timings else None,
        "step_milliseconds": None if steps is None else 1e3 * float(np.median(steps)),
    }


def tracked(place: Directory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what MLflow is told: the parameters of the comparison, and its runs with name, parameters and metrics."""
    facts = place.json(FILES[2])
    several = len({(row["complication"], row["horizon_hours"]) for row in facts["table"]}) > 1
    children = []
    for run in facts["runs"]:
        metrics = {}
        for row in run["values"]:
            target = f"{row['complication']}_{row['horizon_hours']:g}h/" if several else ""
            metrics[f"{facts['split']}/{target}{row['metric']}"] = row["value"]
        params = {"predictor": run["predictor"], "run": run["name"]}
        children.append({"name": run["name"], "params": params, "metrics": metrics})
    return {key: facts[key] for key in ("cohort", "split", "reference")}, children


def show(facts: dict[str, Any], table: pl.DataFrame) -> None:
    """Print a table per target and metric, best first, and one of what the models cost."""
    for (complication, horizon, metric), own in table.group_by(
        "complication", "horizon_hours", "metric", maintain_order=True
    ):
        if metric in SHOWN:
            print(_heading(facts, str(complication), float(str(horizon)), str(metric), own.row(0, named=True)))
            for row in own.sort("rank", nulls_last=True, maintain_order=True).iter_rows(named=True):
                print(_line(row))
    families = table.select("complication", "horizon_hours", "metric").n_unique()
    print(
        f"\n+- sd: over seeds. Intervals: 95 %, patients resampled. *: apart from {facts['reference']} by the interval "
        f"that holds for all\n{table['comparisons'][0]} differences of a table at once; there are {families} tables "
        "(target x metric) in comparison.csv, not corrected for."
    )
    costs = table.filter("model").unique("predictor", maintain_order=True)
    print(f"\n{'':24}{'parameters':>12}{'s / epoch':>12}{'ms / step':>12}  causal")
    for row in costs.iter_rows(named=True):
        numbers = f"{_number(row['epoch_seconds'], 2):>12}{_number(row['step_milliseconds'], 3):>12}"
        print(f"{row['predictor']:24}{row['parameters']:12,}{numbers}  {'yes' if row['causal'] else 'no'}")
    print("s / epoch: wall time of the training / epochs. ms / step: one patient, raw values to risks, one thread.\n")


def _single(name: str, model: bool, directory: str, found: Samples) -> dict[str, Any]:
    """Return what one run reached, undefined values as null."""
    values = [
        {"complication": c, "horizon_hours": h, "metric": metric, "value": value if math.isfinite(value) else None}
        for (c, h), sample in found.items()
        for metric, value in sample.values.items()
    ]
    return {"predictor": name, "model": model, "name": directory, "values": values}


def _heading(facts: dict[str, Any], complication: str, horizon: float, metric: str, row: dict[str, Any]) -> str:
    prevalence = row["n_positives"] / max(row["n_rows"], 1)
    what = f"{complication} {within(horizon)}, {facts['split']} split: {row['n_stays']:,} stays, {row['n_rows']:,} rows"
    against = f"difference from {facts['reference']}"
    return f"\n{what}, prevalence {prevalence:.2%}\n{metric:24}{'seeds':>5}  {'value':24}{'+- sd':8}{against}"


def _line(row: dict[str, Any]) -> str:
    if row["value"] is None:
        return f"{row['predictor']:24}{row['seeds']:5}  undefined"
    value = f"{row['value']:.3f}{_interval(row['low'], row['high'], '.3f')}"
    change = f"{row['difference']:+.3f}" if row["difference"] is not None else "reference"
    bounds = _interval(row["difference_low"], row["difference_high"], "+.3f")
    apart = row["simultaneous_low"] is not None and (row["simultaneous_low"] > 0 or row["simultaneous_high"] < 0)
    return (
        f"{row['predictor']:24}{row['seeds']:5}  {value:24}{_number(row['seed_sd'], 3):8}{change}{bounds}{' *' * apart}"
    )


def _interval(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f" ({low:{form}} to {high:{form}})"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
