"""A difference is paired: same rows, same replicates; anything else is refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import evaluate, paired_difference

TARGET = ("sepsis", 6.0)
LIMITS = ({TARGET: 0.2}, {TARGET: 0.2})
NAMES = ("model", "trees")


def _predictions(noise: float = 0.0, patients: int = 100) -> pl.DataFrame:
    """Return the same patients and outcomes at every `noise`; only the risks get worse with it."""
    random = np.random.default_rng(0)
    n, patient = patients * 10, np.repeat(np.arange(patients), 10)
    z = random.normal(-1.5, 1, patients)[patient] + random.normal(0, 0.7, n)
    label = (random.random(n) < 1 / (1 + np.exp(-z))).astype(np.int8)
    risk = 1 / (1 + np.exp(-(z + noise * random.normal(size=n))))
    table = pl.DataFrame(
        {
            "stay_id": [f"s{i:03d}" for i in patient],
            "patient_id": [f"p{i:03d}" for i in patient],
            "site": ["AB"[i % 2] for i in patient],
            "split": ["test"] * n,
            "hours": np.tile(np.arange(1.0, 11.0), patients),
            "complication": ["sepsis"] * n,
            "horizon_hours": [6.0] * n,
            "risk": risk,
            "label": label,
            "at_risk": [True] * n,
            "after_onset": np.tile(np.arange(10) == 9, patients),
        }
    )
    return table.cast({"split": schemas.Predictions.split.dtype})


def _line(scores: pl.DataFrame, metric: str, subset: str = "all") -> dict[str, float]:
    return scores.filter(pl.col("metric") == metric, pl.col("subset") == subset).to_dicts()[0]


def test_difference_is_the_difference_of_the_scores_with_a_narrower_interval() -> None:
    model, trees = _predictions(), _predictions(noise=1.0)
    scores = paired_difference(model, trees, NAMES, LIMITS, replicates=100, utility=True)
    assert set(scores["predictor"]) == {"model - trees"}
    assert set(scores["metric"]) == {"auroc", "auprc", "utility_cinc2019", "utility_pre_onset"}
    one, _ = evaluate(model, "model", LIMITS[0], replicates=100, utility=True)
    two, _ = evaluate(trees, "trees", LIMITS[1], replicates=100, utility=True)
    for subset in ("all", "pre_onset", "site=A", "site=B"):
        for metric in ("auroc", "auprc", "utility_cinc2019"):
            found, a, b = (_line(table, metric, subset) for table in (scores, one, two))
            assert found["value"] == pytest.approx(a["value"] - b["value"], abs=1e-12)
            assert found["n_positives"] == a["n_positives"]
    found, a, b = (_line(table, "auroc") for table in (scores, one, two))
    assert found["low"] > 0
    unpaired = np.hypot(a["high"] - a["low"], b["high"] - b["low"])
    assert found["high"] - found["low"] < unpaired


def test_a_predictor_against_itself_is_exactly_zero() -> None:
    model = _predictions()
    scores = paired_difference(model, model.reverse(), NAMES, LIMITS, replicates=20, utility=True)
    defined = scores.drop_nulls()
    assert len(defined) == len(scores)
    assert defined.select(pl.col("value", "low", "high").abs().max()).row(0) == (0, 0, 0)


def test_other_rows_or_labels_are_refused() -> None:
    model = _predictions()
    for one, two, alone in ((model, model.slice(1), "model"), (model.slice(1), model, "trees")):
        with pytest.raises(InputError, match=rf"1 scored rows of {alone} are absent"):
            paired_difference(one, two, NAMES, LIMITS, replicates=1)
    flipped = model.with_columns(label=(1 - pl.col("label")).cast(pl.Int8))
    with pytest.raises(InputError, match="1000 rows of model and trees differ"):
        paired_difference(model, flipped, NAMES, LIMITS, replicates=1)
    with pytest.raises(InputError, match="trees has no alarm threshold"):
        paired_difference(model, model, NAMES, (LIMITS[0], {}), replicates=1)
