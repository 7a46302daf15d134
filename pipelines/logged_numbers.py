"""The figures of a run as MLflow metrics: scores of the model and its rivals, checks of the explanations."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, Any

import polars as pl

from clinical_lstm.artifacts import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

COMPARED = ["auroc", "auprc", "brier", "utility_cinc2019", "utility_pre_onset", "event_recall"]


def log_scores(client: MlflowClient, run_id: str, run: Run) -> None:
    """Log the scores of the model, and beside them what it is compared on with the baselines; all is in the report."""
    from mlflow.entities import Metric

    if run.marker("evaluate") is None:
        return
    shown = (pl.col("predictor") == "model") | ((pl.col("subset") == "all") & pl.col("metric").is_in(COMPARED))
    scores = run.table("scores.parquet").filter(pl.col("value").is_not_null() & shown)
    several = scores.select("complication", "horizon_hours").n_unique() > 1
    now, metrics = int(time.time() * 1000), []
    for row in scores.iter_rows(named=True):
        target = f"{row['complication']}_{row['horizon_hours']:g}h/" if several else ""
        subset = "" if row["subset"] == "all" else "/" + row["subset"].replace("=", "_")
        name = accepted(f"test/{target}{row['predictor'].replace(' ', '')}{subset}/{row['metric']}")
        name = name.replace("test/model/", "test/")
        bounds = [("_low", row["low"]), ("_high", row["high"])] if not subset else []
        values = [(name + ending, value) for ending, value in [("", row["value"]), *bounds]]
        metrics += [Metric(key, value, now, 0) for key, value in values if value is not None]
    for begin in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[begin : begin + 1000])


def log_checks(client: MlflowClient, run_id: str, run: Run) -> None:
    """Log how far the explanations may be trusted: every number of checks.json."""
    from mlflow.entities import Metric

    if run.marker("explain") is None:
        return
    found, now = flatten(run.json("checks.json")), int(time.time() * 1000)
    numbers = {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}
    metrics = [Metric(f"explain/{name}", value, now, 0) for name, value in numbers.items() if math.isfinite(value)]
    client.log_batch(run_id, metrics=metrics[:1000])


def accepted(name: str) -> str:
    """Return a name with what MLflow refuses in the name of a metric written otherwise; ages, units and sites hold it.

    >>> accepted("test/age_<45/auroc"), accepted("test/age_80+/auroc"), accepted("test/site_St. Mary's (1)/auroc")
    ('test/age_below_45/auroc', 'test/age_80_and_above/auroc', 'test/site_St. Mary_s _1_/auroc')
    """
    name = name.replace("<", "below_").replace(">=", "from_").replace(">", "above_").replace("+", "_and_above")
    return re.sub(r"[^\w\-.:/ ]", "_", name)


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested dictionaries by their dotted names.

    >>> flatten({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    if isinstance(node, dict):
        return {name: leaf for key, value in node.items() for name, leaf in flatten(value, f"{prefix}{key}.").items()}
    return {prefix.rstrip("."): node}
