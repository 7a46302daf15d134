"""`evaluate` states every metric with its interval and counts, whatever the order of rows, and refuses bad input."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import evaluate
from clinical_lstm.metrics import discrimination

SEPSIS, DEATH = ("sepsis", 6.0), ("death", 24.0)
THRESHOLD = {SEPSIS: 0.2, DEATH: 0.3}


def predictions(patients: int = 80, seed: int = 0, targets: tuple[tuple[str, float], ...] = (SEPSIS,)) -> pl.DataFrame:
    """Return risks of 12 hourly rows per patient that are true by construction; a third of the patients at site B."""
    random = np.random.default_rng(seed)
    parts = []
    for complication, horizon in targets:
        n = patients * 12
        patient = np.repeat(np.arange(patients), 12)
        risk = 1 / (1 + np.exp(-(random.normal(-1.5, 1, patients)[patient] + random.normal(0, 0.5, n))))
        parts.append(
            pl.DataFrame(
                {
                    "stay_id": [f"s{i:03d}" for i in patient],
                    "patient_id": [f"p{i:03d}" for i in patient],
                    "site": ["B" if i % 3 == 0 else "A" for i in patient],
                    "split": ["test"] * n,
                    "hours": np.tile(np.arange(1.0, 13.0), patients),
                    "complication": [complication] * n,
                    "horizon_hours": [horizon] * n,
                    "risk": risk,
                    "label": (random.random(n) < risk).astype(np.int8),
                    "at_risk": random.random(n) < 2,
                    "after_onset": np.tile(np.arange(12) == 11, patients),
                }
            )
        )
    return pl.concat(parts).cast({"split": schemas.Predictions.split.dtype})


def _value(scores: pl.DataFrame, subset: str, metric: str, column: str = "value") -> float:
    return scores.filter(pl.col("subset") == subset, pl.col("metric") == metric)[column].item()


def test_every_metric_on_every_subset() -> None:
    table = predictions(targets=(SEPSIS, DEATH))
    scores, curves = evaluate(table, "model", THRESHOLD, replicates=30, utility=True)
    schemas.check(schemas.Scores, scores, "scores")
    schemas.check(schemas.Curves, curves, "curves")
    assert set(scores["subset"]) == {"all", "pre_onset", "site=A", "site=B"}
    assert len(scores) == 2 * 4 * 15
    assert set(scores["predictor"]) == {"model"}
    assert scores.filter(pl.col("value").is_null() | ~pl.col("value").is_between("low", "high")).height < 8
    assert set(curves["complication"]) == {"sepsis", "death"}


def test_values_and_counts_are_those_of_the_rows() -> None:
    table = predictions().with_columns(at_risk=pl.col("hours") > 1, label=pl.col("label").replace({9: 0}))
    table = table.with_columns(label=pl.when(pl.col("at_risk")).then("label").otherwise(0))
    scores, _ = evaluate(table, "model", THRESHOLD, replicates=5)
    kept = table.filter(pl.col("at_risk"))
    early, b = kept.filter(~pl.col("after_onset")), kept.filter(pl.col("site") == "B")
    for subset, part in (("all", kept), ("pre_onset", early), ("site=B", b)):
        expected = discrimination.auroc(part["label"].to_numpy(), part["risk"].to_numpy())
        assert _value(scores, subset, "auroc") == pytest.approx(expected, abs=1e-12)
        assert _value(scores, subset, "prevalence") == pytest.approx(part["label"].mean())
        assert _value(scores, subset, "auroc", "n_rows") == len(part)
        assert _value(scores, subset, "auroc", "n_stays") == part["stay_id"].n_unique()
        assert _value(scores, subset, "auroc", "n_positives") == part["label"].sum()
    assert "utility_cinc2019" not in set(scores["metric"])


def test_the_order_of_rows_changes_no_bit() -> None:
    table = predictions()
    one = evaluate(table, "model", THRESHOLD, replicates=20, utility=True)
    two = evaluate(table.sample(fraction=1, shuffle=True, seed=1), "model", THRESHOLD, replicates=20, utility=True)
    assert one[0].equals(two[0])
    assert one[1].equals(two[1])
    other, _ = evaluate(table, "model", THRESHOLD, replicates=20, seed=1, utility=True)
    assert not one[0]["low"].equals(other["low"])


def test_intervals_are_wider_when_rows_of_a_patient_agree() -> None:
    table = predictions()
    alone = table.with_columns(patient_id=pl.col("stay_id") + pl.col("hours").cast(pl.String))
    width = []
    for rows in (table, alone):
        scores, _ = evaluate(rows, "model", THRESHOLD, replicates=200)
        width.append(_value(scores, "all", "alarm_rate", "high") - _value(scores, "all", "alarm_rate", "low"))
    assert width[0] > 1.5 * width[1], "12 alike rows of a patient are not 12 independent ones"


def test_a_single_site_repeats_the_numbers_of_all() -> None:
    table = predictions().with_columns(site=pl.lit("A"))
    scores, _ = evaluate(table, "model", THRESHOLD, replicates=10)
    drop = ["subset"]
    all_rows = scores.filter(pl.col("subset") == "all").drop(drop)
    assert all_rows.equals(scores.filter(pl.col("subset") == "site=A").drop(drop))


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_gives_null_scores_with_counts(label: int) -> None:
    table = predictions().with_columns(label=pl.lit(label, pl.Int8))
    scores, curves = evaluate(table, "model", THRESHOLD, replicates=5, utility=True)
    assert _value(scores, "all", "auroc") is None
    assert _value(scores, "all", "auroc", "low") is None
    assert _value(scores, "all", "auroc", "n_positives") == label * 960
    assert _value(scores, "all", "brier") is not None
    assert "roc" not in set(curves["curve"])


def test_no_replicates_give_values_without_intervals() -> None:
    scores, _ = evaluate(predictions(), "model", THRESHOLD, replicates=0)
    assert scores["low"].null_count() == len(scores)
    assert _value(scores, "all", "auroc") > 0.5


def test_faults_are_told() -> None:
    with pytest.raises(InputError, match=r"no alarm threshold.*death"):
        evaluate(predictions(targets=(DEATH,)), "model", {SEPSIS: 0.2}, replicates=1)
    with pytest.raises(InputError, match=r"no alarm threshold.*sepsis"):
        evaluate(predictions(), "model", {SEPSIS: float("nan")}, replicates=1)
    with pytest.raises(InputError, match=r"split 'val'.*test: 960"):
        evaluate(predictions(), "model", THRESHOLD, split="val")
    with pytest.raises(InputError, match=r"predictions of model.*risk"):
        evaluate(predictions().with_columns(risk=pl.lit(1.0)), "model", THRESHOLD)
