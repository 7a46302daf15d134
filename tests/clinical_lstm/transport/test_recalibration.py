"""The curve finds what was planted, and no used patient ever judges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.batch import Ragged
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor
from clinical_lstm.metrics.rules import RULES
from clinical_lstm.transport import recalibration
from clinical_lstm.transport.recalibration import parted, rows_of, sizes
from clinical_lstm.transport.refit import Rows

Planted = Callable[..., pl.DataFrame]
TARGET = {"complication": "sepsis", "horizon_hours": 6.0}


def operating(threshold: float = 0.2, rule: str = "youden") -> list[dict[str, Any]]:
    return [TARGET | {"threshold": threshold, "rule": rule, "chosen_on": "val"}]


def value(table: pl.DataFrame, patients: int, method: str, metric: str) -> float:
    return table.filter(patients=patients, method=method, metric=metric)["value"].item()


def test_the_planted_line_is_found_and_repaired(planted: Planted) -> None:
    """True logit = -0.8 + 0.6 logit: shifting repairs the mean, shifting and bending repairs all."""
    table = recalibration(planted(4000, -0.8, 0.6), operating(), repeats=6)
    for k in (0, 1600):
        assert value(table, k, "as_is", "calibration_slope") == pytest.approx(0.6, abs=0.05)
        assert value(table, k, "as_is", "calibration_intercept") == pytest.approx(-0.8, abs=0.1)
    assert value(table, 1600, "intercept", "calibration_in_the_large") == pytest.approx(0, abs=0.05)
    assert value(table, 1600, "intercept", "calibration_slope") == pytest.approx(0.6, abs=0.05)
    assert value(table, 1600, "intercept_and_slope", "calibration_slope") == pytest.approx(1, abs=0.1)
    assert value(table, 1600, "intercept_and_slope", "calibration_intercept") == pytest.approx(0, abs=0.2)
    error = [value(table, 1600, method, "ece_equal_mass") for method in ("as_is", "intercept", "intercept_and_slope")]
    assert error[0] > error[1] > 2 * error[2]
    brier = [value(table, 1600, method, "brier") for method in ("as_is", "intercept", "intercept_and_slope")]
    assert brier == sorted(brier, reverse=True)
    reached = [value(table, 1600, method, "youden_index") for method in ("as_is", "threshold", "oracle")]
    assert reached[0] < reached[1] <= reached[2]
    wide, narrow = (table.filter(patients=k, method="intercept", metric="brier") for k in (25, 1600))
    assert (wide["high"] - wide["low"]).item() > (narrow["high"] - narrow["low"]).item()


def test_sizes_end_at_half_of_the_patients_and_every_draw_is_counted(planted: Planted) -> None:
    table = recalibration(planted(230, base=-4.0), operating(), repeats=3)
    assert table["patients"].unique().sort().to_list() == sizes(230) == [0, 25, 50, 100]
    assert table.filter(patients=0)["method"].cast(pl.String).unique().sort().to_list() == ["as_is", "oracle"]
    assert table.filter(patients=0)["repeats"].unique().to_list() == [1]
    assert table.filter(patients=0)["low"].null_count() == table.filter(patients=0).height
    later = table.filter(pl.col("patients") > 0)
    assert later["repeats"].unique().to_list() == [3]
    assert (later["judged_patients"] == 230 - later["patients"]).all()
    assert later.filter(pl.col("method").is_in(["as_is", "oracle"]))["fallbacks"].sum() == 0
    few = later.filter(patients=25, method="intercept_and_slope")
    assert 0 < few["events"][0] < 10
    assert few["fallbacks"][0] > 0
    known = later.drop_nulls("value")
    assert ((known["low"] <= known["value"]) & (known["value"] <= known["high"])).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 5), st.integers(0, 5), st.randoms(use_true_random=False))
def test_used_and_judged_are_disjoint_and_labels_do_not_choose(
    patients: int, k: int, repeat: int, seed: int, random: Any
) -> None:
    patient = np.array([p for p in range(patients) for _ in range(1 + p % 3)])
    noise = np.random.default_rng(seed).random((3, len(patient)))
    rows = Rows(patient, (noise[0] < 0.3).astype(np.int8), np.sort(noise[1]), noise[2])
    used, judged = parted(rows, k, repeat, seed)
    assert set(used.patient).isdisjoint(judged.patient)
    assert set(used.patient) | set(judged.patient) == set(patient)
    assert len(set(used.patient)) == min(k, patients)
    assert len(used.label) + len(judged.label) == len(patient)
    label, mine = rows.label.copy(), np.isin(patient, used.patient)
    shuffled = label[mine].tolist()
    random.shuffle(shuffled)
    label[mine] = shuffled
    again_used, again_judged = parted(rows._replace(label=label), k, repeat, seed)
    assert all(np.array_equal(one, other) for one, other in zip(again_judged, judged))
    assert np.array_equal(again_used.risk, used.risk)
    more, _ = parted(rows, k + 1, repeat, seed)
    assert set(more.patient) >= set(used.patient), "more patients are the same ones and others"


def junk_labels(table: pl.DataFrame, of: pl.Expr, seed: int) -> pl.DataFrame:
    """Return the table with the labels of some rows turned at random."""
    coin = pl.Series(np.random.default_rng(seed).random(table.height) < 0.5)
    turned = pl.when(of & coin).then(1 - pl.col("label")).otherwise("label")
    return table.with_columns(turned.cast(pl.Int8).alias("label"))


@pytest.mark.parametrize("rule", RULES)
def test_labels_of_used_patients_never_judge(planted: Planted, rule: str) -> None:
    """Whatever the labels of the used patients are, the model as it is scores the same bits on the others."""
    table = planted(60)
    rows = rows_of(table, ("sepsis", 6.0))
    names = np.array(sorted(table["patient_id"].unique()))
    for seed in range(5):
        used = pl.col("patient_id").is_in(names[np.unique(parted(rows, 25, 0, seed)[0].patient)].tolist())
        found = [
            recalibration(each, operating(rule=rule), repeats=1, seed=seed).filter(patients=25)
            for each in (table, junk_labels(table, used, seed), junk_labels(table, ~used, seed))
        ]
        judged = [one.filter(pl.col("method").is_in(["as_is", "oracle"])).drop("events") for one in found]
        assert judged[1].equals(judged[0]), "labels of used patients reach the judged rows"
        assert not judged[2].equals(judged[0]), "labels of judged patients change nothing"
        assert not found[1].equals(found[0]), "labels of used patients teach nothing"


def test_row_order_is_irrelevant_and_a_seed_fixes_every_bit(planted: Planted) -> None:
    table = planted(120)
    once = recalibration(table, operating(), repeats=2)
    assert once.equals(recalibration(table.sample(fraction=1, shuffle=True, seed=3), operating(), repeats=2))
    other = recalibration(table, operating(), repeats=2, seed=1)
    assert not once.equals(other)
    assert once.filter(patients=0).equals(other.filter(patients=0))


def test_rows_not_at_risk_or_without_a_label_do_not_count(planted: Planted) -> None:
    table = planted(60)
    spoiled = planted(80).filter(pl.col("patient_id") >= "p00060")
    half = pl.int_range(pl.len()) % 2 == 0
    spoiled = spoiled.with_columns(at_risk=half, label=pl.when(half).then(None).otherwise("label").cast(pl.Int8))
    both = pl.concat([table, spoiled.with_columns(label=pl.when("at_risk").then("label"))])
    assert recalibration(both, operating(), repeats=2).equals(recalibration(table, operating(), repeats=2))


@pytest.mark.parametrize(
    ("spoil", "thresholds", "repeats", "message"),
    [
        (lambda t: t, [], 2, "no threshold of sepsis 6 h; there are: none"),
        (lambda t: t, [TARGET | {"horizon_hours": 12.0}], 2, "no threshold of sepsis 6 h; there are: sepsis 12 h"),
        (lambda t: t, operating(rule="yuden"), 2, "did you mean 'youden'"),
        (lambda t: t, operating(), 0, "repeats must be at least 1, not 0"),
        (lambda t: t.with_columns(at_risk=False), operating(), 2, "none of the 360 predictions .* is at risk"),
        (lambda t: t.drop("risk"), operating(), 2, "predictions for the target site lacks the column.*risk"),
    ],
)
def test_faults_are_told(planted: Planted, spoil: Any, thresholds: list[Any], repeats: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        recalibration(spoil(planted(60)), thresholds, repeats)


def test_few_patients_give_the_model_as_it_is(planted: Planted) -> None:
    table = recalibration(planted(49), operating())
    assert table["patients"].unique().to_list() == [0]
    assert table["method"].cast(pl.String).unique().sort().to_list() == ["as_is", "oracle"]


def test_a_real_run_on_the_other_hospital(tiny_cohort: Cohort, tiny_run: Run) -> None:
    """The 80 patients of hospital B: sizes 0 and 25, both of one target, with the challenge utility."""
    labels, stays = tiny_cohort.table("labels"), tiny_cohort.table("stays.parquet")
    asked = tiny_cohort.array("asked.npy")
    risks = Predictor.load(tiny_run).risks(Ragged.load(tiny_cohort.path / "tensors"), asked=asked)[asked]
    table = labels.with_columns(risk=pl.Series(risks.reshape(-1))).join(
        stays.select("stay_id", "patient_id", "site", "split"), on="stay_id", how="inner"
    )
    contract = schemas.empty(schemas.Predictions).schema
    predictions = table.filter(site="B").select(list(contract)).cast(dict(contract))
    found = recalibration(predictions, tiny_run.json("thresholds.json"), repeats=4)
    schemas.check(schemas.Recalibration, found, "the recalibration")
    assert found["patients"].unique().sort().to_list() == [0, 25]
    known = predictions.filter(pl.col("at_risk"), pl.col("label").is_not_null())
    assert found.filter(patients=0)["judged_patients"].unique().to_list() == [known["patient_id"].n_unique()]
    rule = tiny_run.json("thresholds.json")[0]["rule"]
    metric = "utility_cinc2019" if rule == "cinc2019" else "youden_index"
    assert value(found, 0, "oracle", metric) >= value(found, 0, "as_is", metric)
    target = (predictions["complication"][0], predictions["horizon_hours"][0])
    risk = rows_of(known, target).risk
    assert (np.diff(risk) >= 0).all()
