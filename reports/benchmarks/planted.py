"""Do explainers find what made the risk? Precision at k where the truth is planted.

    python reports/benchmarks/planted.py [stays=8000] [epochs=5] [hidden=24] [predictions=40] [seeds=5]

Synthetic stays: a hidden deterioration shifts 4 of 12 variables, and 3 to 6 hours later the hazard of an onset. So the
risk at t over the next 3 hours was made in (t - 6, t - 3], and seen in those 4 variables. Per seed (stays, weights and
predictions) one LSTM, and its highest risks on test, each of another stay. Prints a Markdown table: means over seeds
with their 95 % t-interval; `trust.recovery` says what the columns mean.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
import yaml
from machine import describe
from scipy.stats import t as student
from work import options

from clinical_lstm import plugins
from clinical_lstm.artifacts import Cohort
from clinical_lstm.batch import assemble
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.explainers.base import Explainer, Informed
from clinical_lstm.explanation import trust
from clinical_lstm.inference import Predictor
from clinical_lstm.metrics.discrimination import auroc
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.training.data import TrainingData, training_data
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.train import train
from pipelines.stage import CONF

DEFAULTS = {"stays": 8000, "epochs": 5, "hidden": 24, "predictions": 40, "seeds": 5}
EFFECTS = {"heart_rate": 2.0, "map": -2.0, "respiratory_rate": 1.5, "lactate": 2.0}
NOISE = ["temperature", "spo2", "potassium", "sodium", "glucose", "ph", "creatinine", "platelets"]
LEAD, HORIZON = 6, 3
SPLIT = {"fractions": {"train": 0.6, "val": 0.1, "calib": 0.1, "test": 0.2}}
CONTESTANTS: list[dict[str, Any]] = [
    {"name": "integrated_gradients"},
    {"name": "integrated_gradients", "baseline": "median"},
    {"name": "integrated_gradients", "baseline": "earlier", "hours_back": 6.0},
    {"name": "expected_gradients"},
    {"name": "occlusion", "window_hours": 1.0, "stride_hours": 1.0},
    {"name": "occlusion"},
    {"name": "feature_ablation"},
]


class Work(NamedTuple):
    """A trained model and the predictions to explain."""

    predictor: Predictor
    data: TrainingData
    train: np.ndarray  # positions of the train stays
    batches: list[trust.Asked]
    areas: tuple[float, float]  # AUROC on test of the risk, and of the true risk


def main(*given: str) -> None:
    """Measure and print."""
    option = options(given, DEFAULTS)
    torch.set_num_threads(1)
    rows: dict[str, list[dict[str, float]]] = {}
    areas = []
    for seed in range(1, option["seeds"] + 1):
        with tempfile.TemporaryDirectory() as folder:
            work = planted(option, seed, Path(folder))
        areas.append(work.areas)
        for spec in CONTESTANTS:
            label = ", ".join(str(value) for value in spec.values())
            rows.setdefault(label, []).append(measured(spec, work))
    own, best = (statistics.mean(column) for column in zip(*areas))
    print(f"{describe()}; " + ", ".join(f"{key} {value}" for key, value in option.items()))
    print(f"AUROC on test {own:.3f}, of the true risk {best:.3f}\n")
    print("| explainer | planted first | of the top 4 variables | of the top k observations | ms per prediction |")
    print("|---|---|---|---|---|")
    for label, runs in rows.items():
        columns = [_interval([run[name] for run in runs]) for name in ("first", "variables", "cells")]
        print(f"| {label} | {' | '.join(columns)} | {statistics.median(1000 * run['seconds'] for run in runs):.0f} |")
    chance = next(iter(rows.values()))
    luck = [_interval([run[f"{name}_chance"] for run in chance]) for name in ("variables", "cells")]
    print(f"| random order | {luck[0]} | {luck[0]} | {luck[1]} | |")


def planted(option: dict[str, int], seed: int, folder: Path) -> Work:
    """Return the LSTM of one seed and its highest risks."""
    source = Synthetic(
        stays=option["stays"],
        mean_hours=24.0,
        rate_per_hour=2.0,
        seed=seed,
        variables=[*EFFECTS, *NOISE],
        effects=EFFECTS,
        missing={"vital": 0.1, "lab": 0.3},
        lead_hours=LEAD,
        horizon_hours=HORIZON,
        onset_per_hour=0.003,
        memory_hours=3.0,
    )
    spec = yaml.safe_load((CONF / "task" / "planted_12h.yaml").read_text(encoding="utf-8"))
    task = Task.of(spec | {"horizons_hours": [float(HORIZON)]})
    cohort = prepare(source, task, SPLIT, folder / "cohort", "key", {}, say=lambda line: None)
    settings = TrainerSettings(epochs=option["epochs"], learning_rate=0.01, batch_size=64)
    model = {"name": "lstm", "hidden": option["hidden"], "dropout": 0.1}
    run = train(cohort, model, settings, seed, folder / "run", "key", say=lambda line: None)
    return asked(cohort, Predictor.load(run), source.truth(), option["predictions"])


def asked(cohort: Cohort, predictor: Predictor, truth: pl.DataFrame, n: int) -> Work:
    """Return the `n` highest risks on test, each of another stay."""
    (data, splits), stays = training_data(cohort, "uniform"), cohort.table("stays.parquet")["stay_id"]
    stay, hours = np.repeat(np.arange(len(splits)), data.tensors.lengths), data.tensors.hours
    risk = predictor.risks(data.tensors, np.flatnonzero(splits == "test"))[:, 0]  # NaN elsewhere
    rows = pl.DataFrame({"stay_id": stays.gather(stay), "hours": hours, "risk": risk, "label": data.label[:, 0]})
    rows = rows.filter(pl.col("risk").is_not_nan(), pl.col("label") >= 0, pl.col("hours") >= LEAD)
    judged = rows.join(truth, on=["stay_id", "hours"], how="left", maintain_order="left")
    label = judged["label"].to_numpy()
    areas = auroc(label, judged["risk"].to_numpy()), auroc(label, judged["true_risk"].to_numpy())
    highest = rows.sort(-pl.col("risk"), "stay_id", "hours").unique("stay_id", keep="first", maintain_order=True)
    (complication, horizon), *_ = predictor.targets
    named = {"complication": complication, "horizon_hours": horizon, "reason": "highest_risk"}
    chosen = highest.head(n).with_columns(**{name: pl.lit(value) for name, value in named.items()})
    where = {stay_id: k for k, stay_id in enumerate(stays)}
    _, batches = trust.ask(predictor.model, data.tensors, predictor.scaler, where, predictor.targets, chosen)
    return Work(predictor, data, np.flatnonzero(splits == "train"), batches, areas)


def measured(spec: dict[str, Any], work: Work) -> dict[str, float]:
    """Return the numbers of `trust.recovery` for one explainer, and its seconds per prediction."""
    explainer: Explainer = plugins.build("explainers", spec)
    predictor, stays = work.predictor, work.train
    if isinstance(explainer, Informed):
        show = lambda rows: assemble(work.data.tensors, stays[rows], predictor.scaler).tensors()  # noqa: E731
        explainer.inform(None, len(stays), show)
    begin = time.perf_counter()
    found = [explainer(predictor.model, *asked) for asked in work.batches]
    seconds = (time.perf_counter() - begin) / sum(len(asked.step) for asked in work.batches)
    back = (float(LEAD - HORIZON), float(LEAD))
    return trust.recovery(work.batches, found, predictor.scaler.variables, list(EFFECTS), back) | {"seconds": seconds}


def _interval(values: list[float]) -> str:
    """Return the mean and its 95 % t-interval."""
    mean = statistics.mean(values)
    if len(values) < 2 or max(values) == min(values):
        return f"{mean:.2f}"
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.2f} ({mean - half:.2f} to {mean + half:.2f})"


if __name__ == "__main__":
    main(*sys.argv[1:])
