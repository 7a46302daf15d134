"""A difference is paired: same rows, same replicates; anything else is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import Evaluated, Protocol, evaluate
from clinical_lstm.evaluation.differences import require_same_rows
from clinical_lstm.evaluation.measures import COMPARED, Measures
from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.evaluation.rows import scored
from clinical_lstm.metrics.alarms import Policy
from clinical_lstm.metrics.bootstrap import draws
from clinical_lstm.metrics.delong import paired_test

OPERATION = Operation(0.15, Policy(0.2, silence_hours=4.0))
PROTOCOL = Protocol(replicates=150, seed=2, utility=True)


@pytest.fixture(scope="module")
def found(ward: Any, judge: Any) -> Evaluated:
    """Three predictors side by side: the true risks, the same blurred, the same blurred a little."""
    tables = {name: ward(noise=noise).predictions for name, noise in {"model": 0.0, "trees": 1.0, "near": 0.1}.items()}
    return evaluate({name: judge(table) for name, table in tables.items()}, ward().stays, PROTOCOL)


@pytest.mark.parametrize("subset", ["all", "pre_onset"])
def test_a_difference_is_that_of_values_and_of_replicates(
    found: Evaluated, lines: Any, ward: Any, rows_in: Any, subset: str
) -> None:
    own = lines(found.scores, "model - trees", subset)
    assert set(own) == {*COMPARED, "auroc_delong"} if subset == "all" else set(COMPARED)
    one, two = lines(found.scores, "model", subset), lines(found.scores, "trees", subset)
    counts = np.concatenate(draws(90, 150, seed=2), axis=1).astype(float)
    drawn = []
    for noise in (0.0, 1.0):
        rows = rows_in(ward(noise=noise))
        part = rows if subset == "all" else rows.where(~rows.after_onset)
        drawn.append(Measures(part, OPERATION, True, compared=True)(counts))
    for metric in COMPARED:
        assert own[metric]["value"] == one[metric]["value"] - two[metric]["value"]
        expected = np.quantile(drawn[0][metric] - drawn[1][metric], [0.025, 0.975])
        assert (own[metric]["low"], own[metric]["high"]) == tuple(expected)
        assert own[metric]["n_positives"] == one[metric]["n_positives"]
    assert own["auroc"]["low"] > 0, "the true risks rank better than blurred ones"


def test_the_first_predictor_is_compared_with_each_other_one(found: Evaluated) -> None:
    names = ["model", "model - near", "model - trees", "near", "trees"]
    assert found.scores["predictor"].unique().sort().to_list() == names
    assert set(found.scores.filter(pl.col("predictor").str.contains(" - "))["subset"]) == {"all", "pre_onset"}


def test_the_paired_interval_is_narrower_than_the_unpaired_one(found: Evaluated, lines: Any) -> None:
    def width(predictor: str, metric: str) -> float:
        row = lines(found.scores, predictor)[metric]
        return row["high"] - row["low"]

    for metric in ("auroc", "brier", "utility_cinc2019"):
        for other, factor in {"near": 0.3, "trees": 0.9}.items():
            unpaired = np.hypot(width("model", metric), width(other, metric))
            assert width(f"model - {other}", metric) < factor * unpaired


def test_delong_agrees_with_the_bootstrap(found: Evaluated, lines: Any, ward: Any, rows_in: Any) -> None:
    own = lines(found.scores, "model - trees")
    delong, drawn = own["auroc_delong"], own["auroc"]
    assert delong["value"] == pytest.approx(drawn["value"], abs=1e-12)
    rows, other = rows_in(ward()), rows_in(ward(noise=1.0))
    test = paired_test(rows.label, rows.risk, other.risk, rows.patient)
    assert delong["high"] - delong["low"] == pytest.approx(2 * 1.96 * test.standard_error, rel=1e-4)
    assert delong["high"] - delong["low"] == pytest.approx(drawn["high"] - drawn["low"], rel=0.25)


def test_a_predictor_against_itself_is_exactly_zero(ward: Any, judge: Any) -> None:
    one = ward()
    judged = {"model": judge(one.predictions), "copy": judge(one.predictions.reverse())}
    own = evaluate(judged, one.stays, PROTOCOL).scores.filter(pl.col("predictor") == "model - copy")
    assert own.height == 2 * len(COMPARED) + 1
    assert own.select(pl.col("value", "low", "high").abs().max()).row(0) == (0, 0, 0)
    assert own.select(pl.col("value", "low", "high").null_count()).row(0) == (0, 0, 0)


def test_one_class_has_no_difference_but_counts(ward: Any, judge: Any, lines: Any) -> None:
    tables = [ward(noise=noise).predictions.filter("at_risk", ~pl.col("after_onset")) for noise in (0.0, 1.0)]
    flat = [judge(table.with_columns(label=pl.lit(0, pl.Int8))) for table in tables]
    own = lines(evaluate({"model": flat[0], "trees": flat[1]}, ward().stays, PROTOCOL).scores, "model - trees")
    for metric in ("auroc", "auprc", "event_recall", "auroc_delong"):
        assert (own[metric]["value"], own[metric]["low"], own[metric]["n_positives"]) == (None, None, 0)
    assert own["brier"]["low"] <= own["brier"]["value"] <= own["brier"]["high"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.slice(1), r"1 scored rows of model are absent from trees, e.g. \('sepsis', 6.0, 's000', 1.0\)"),
        (
            lambda t: pl.concat([t, t.head(2).with_columns(hours=pl.lit(0.5) - pl.col("hours"))]),
            "2 scored rows of trees",
        ),
        (
            lambda t: t.with_columns(label=(1 - pl.col("label")).cast(pl.Int8)),
            r"rows of model and trees differ in .*label",
        ),
        (
            lambda t: t.with_columns(site=pl.lit("elsewhere")),
            "rows of model and trees differ in patient, site or label",
        ),
        (lambda t: t.with_columns(patient_id=pl.lit("x") + "patient_id"), "rows of model and trees differ in patient"),
        (
            lambda t: t.with_columns(patient_id=pl.lit("p") + pl.col("stay_id")),
            "rows of model and trees differ in patient",
        ),
        (lambda t: t.with_columns(after_onset=pl.lit(False)), "rows of model and trees differ"),
        (lambda t: t.with_columns(horizon_hours=pl.lit(12.0)), r"(\d+) scored rows of model are absent"),
    ],
)
def test_other_rows_are_refused(
    ward: Any, judge: Any, spoil: Callable[[pl.DataFrame], pl.DataFrame], message: str
) -> None:
    table = ward().predictions.filter("at_risk")
    judged = {"model": judge(table), "trees": judge(spoil(table))}
    judged["trees"] = judged["trees"]._replace(operation=dict.fromkeys((("sepsis", 6.0), ("sepsis", 12.0)), OPERATION))
    with pytest.raises(InputError, match=message):
        evaluate(judged, ward().stays, PROTOCOL)


def test_how_many_rows_differ_is_told(ward: Any) -> None:
    table = ward().predictions
    one = scored(table, "test", "model")
    require_same_rows(one, scored(table.reverse(), "test", "trees"), ("model", "trees"))
    flip = pl.when(pl.col("stay_id").is_in(["s003", "s004"])).then(1 - pl.col("label")).otherwise("label").cast(pl.Int8)
    other = scored(table.filter("at_risk").with_columns(label=flip), "test", "trees")
    wrong = one.filter(pl.col("stay_id").is_in(["s003", "s004"])).height
    with pytest.raises(InputError, match=rf"{wrong} rows of model and trees differ.*'s003'"):
        require_same_rows(one, other, ("model", "trees"))


def test_codes_that_would_not_be_paired_are_refused(ward: Any) -> None:
    """Patients who are never at risk count in the draws: without them the same number is another patient."""
    table = ward(hours=6, censored=True).predictions
    short = pl.col("stay_id").is_in(["s000", "s090"])
    never = table.with_columns(at_risk=pl.col("at_risk") & ~short, label=pl.when(~short).then("label").otherwise(0))
    one = scored(never, "test", "model")
    two = scored(never.filter("at_risk"), "test", "trees")
    with pytest.raises(InputError, match=f"{one.height} rows of model and trees differ in patient"):
        require_same_rows(one, two, ("model", "trees"))
