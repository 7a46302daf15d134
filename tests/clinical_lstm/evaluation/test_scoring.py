"""`evaluate` states every metric with its interval and counts, whatever the order of rows, and refuses bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import Evaluated, Protocol, evaluate
from clinical_lstm.evaluation.measures import ERRORS, Measures
from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.metrics import discrimination
from clinical_lstm.metrics.alarms import Policy
from clinical_lstm.metrics.bootstrap import draws, error_interval, interval

SEPSIS, DEATH = ("sepsis", 6.0), ("death", 24.0)
OPERATION = Operation(0.15, Policy(0.2, silence_hours=4.0))
ONE_CLASS = ["auroc", "auroc_partial", "calibration_slope", "calibration_in_the_large", "ici", "emax"]


def test_every_metric_on_every_subset(ward: Any, judge: Any) -> None:
    one, other = ward(targets=(SEPSIS, DEATH)), ward(targets=(SEPSIS, DEATH), noise=1.0)
    protocol = Protocol(replicates=30, utility=True, subgroups=["site", "sex", "hours"])
    judged = {"model": judge(one.predictions), "trees": judge(other.predictions)}
    found = evaluate(judged, one.stays, protocol)
    for table, schema in zip(found, (schemas.Scores, schemas.Curves, schemas.Gaps)):
        schemas.check(schema, table, "what was found")
        assert set(table["complication"]) == {"sepsis", "death"}
    subsets = found.scores.group_by("predictor").agg(pl.col("subset").unique().sort()).sort("predictor").rows()
    levels = ["hours=0-6 h", "hours=12-24 h", "hours=6-12 h", "sex=female", "sex=male", "site=A", "site=B"]
    plain = ["all", "pre_onset"]
    assert subsets == [
        ("model", ["all", *levels[:3], "pre_onset", *levels[3:]]),
        ("model - trees", plain),
        ("trees", plain),
    ]
    counted = found.scores.filter(pl.col("predictor") == "model").group_by("subset", "complication").len()
    in_hours = pl.col("subset").str.starts_with("hours")
    assert set(counted.filter(pl.col("subset") != "all", ~in_hours)["len"]) == {42}
    assert set(counted.filter(in_hours)["len"]) == {42 - 14}, "parts of stays have no alarms"
    assert set(counted.filter(pl.col("subset") == "all")["len"]) == {45}, "and three of time to event"
    plain_ones = found.scores.filter(~pl.col("metric").is_in(["lead_time_q25", "lead_time_median", "lead_time_q75"]))
    outside = plain_ones.drop_nulls().filter(~pl.col("value").is_between("low", "high"))
    assert outside.height < plain_ones.height / 100
    assert set(found.curves["predictor"]) == {"model", "trees"}


def test_values_and_counts_are_those_of_the_rows(ward: Any, judge: Any, lines: Any) -> None:
    one = ward()
    found = evaluate({"model": judge(one.predictions)}, one.stays, Protocol(replicates=5)).scores
    kept = one.predictions.filter("at_risk")
    early, b = kept.filter(~pl.col("after_onset")), kept.filter(pl.col("site") == "B")
    for subset, part in (("all", kept), ("pre_onset", early), ("site=B", b)):
        own = lines(found, subset=subset)
        expected = discrimination.auroc(part["label"].to_numpy(), part["risk"].to_numpy())
        assert own["auroc"]["value"] == pytest.approx(expected, abs=1e-12)
        assert own["prevalence"]["value"] == pytest.approx(part["label"].mean())
        for metric in ("auroc", "events", "brier_reliability"):
            assert own[metric]["n_rows"] == part.height
            assert own[metric]["n_stays"] == part["stay_id"].n_unique()
            assert own[metric]["n_positives"] == part["label"].sum()
    assert not any(name.startswith("utility") for name in lines(found))


def test_intervals_are_those_of_the_replicates(ward: Any, judge: Any, lines: Any, rows_in: Any) -> None:
    one = ward()
    protocol = Protocol(replicates=70, seed=4)
    found = lines(evaluate({"model": judge(one.predictions)}, one.stays, protocol).scores, subset="site=B")
    rows = rows_in(one)
    measures = Measures(rows.where(rows.site == "B"), OPERATION, False)
    counts = np.concatenate(draws(90, 70, seed=4), axis=1).astype(float)
    for name, drawn in measures(counts).items():
        value = found[name]["value"]
        expected = error_interval(drawn, value) if name in ERRORS else interval(drawn)
        assert (found[name]["low"], found[name]["high"]) == expected, "draws are of all patients"


def test_the_order_of_rows_changes_no_bit(ward: Any, judge: Any) -> None:
    one, other = ward(), ward(noise=1.0)
    protocol = Protocol(replicates=70, utility=True, subgroups=["site", "age", "hours"])

    def found(order: int, seed: int = 0) -> Evaluated:
        tables = (one.predictions, other.predictions, one.stays)
        shuffled = (
            [t.sample(fraction=1, shuffle=True, seed=order + k) for k, t in enumerate(tables)] if order else tables
        )
        judged = {"model": judge(shuffled[0]), "trees": judge(shuffled[1])}
        return evaluate(judged, shuffled[2], Protocol(**vars(protocol) | {"seed": seed}))

    first, again, shuffled, other_seed = found(0), found(0), found(7), found(0, seed=1)
    for a, b, c in zip(first, again, shuffled):
        assert a.equals(b)
        assert a.equals(c)
    assert first.curves.drop("low", "high").equals(other_seed.curves.drop("low", "high"))
    assert not first.curves["low"].equals(other_seed.curves["low"])
    assert first.scores["value"].equals(other_seed.scores["value"])
    assert not first.scores["low"].equals(other_seed.scores["low"])
    assert not first.gaps["simultaneous_low"].equals(other_seed.gaps["simultaneous_low"])


def test_intervals_are_wider_when_rows_of_a_patient_agree(ward: Any, judge: Any, lines: Any) -> None:
    one = ward()
    alone = one.predictions.with_columns(patient_id=pl.col("stay_id") + pl.col("hours").cast(pl.String))
    alone = alone.with_columns(stay_id=pl.col("patient_id"))
    width = []
    for table in (one.predictions, alone):
        row = lines(evaluate({"model": judge(table)}, one.stays, Protocol(replicates=100)).scores)["alarm_rate"]
        width.append(row["high"] - row["low"])
    assert width[0] > 1.5 * width[1], "18 alike rows of a patient are not 18 independent ones"


def test_a_single_site_repeats_the_numbers_of_all(ward: Any, judge: Any, lines: Any) -> None:
    one = ward()
    table = one.predictions.with_columns(site=pl.lit("A"))
    found = evaluate({"model": judge(table)}, one.stays, Protocol(replicates=10)).scores
    whole, site = lines(found), lines(found, subset="site=A")
    assert len(site) == 40
    for name, row in site.items():
        assert row == whole[name] | {"subset": "site=A"}


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_gives_null_scores_with_counts(ward: Any, judge: Any, lines: Any, label: int) -> None:
    one = ward()
    table = one.predictions.filter("at_risk").with_columns(label=pl.lit(label, pl.Int8))
    found = evaluate({"model": judge(table)}, one.stays, Protocol(replicates=5, utility=True))
    own = lines(found.scores)
    for name in ONE_CLASS:
        assert (own[name]["value"], own[name]["low"], own[name]["high"]) == (None, None, None)
    assert own["auroc"]["n_positives"] == label * table.height
    assert own["brier"]["low"] is not None
    assert not {"roc", "smooth"} & set(found.curves["curve"].cast(pl.String))
    assert found.gaps["value"].is_null().all(), "each site lacks patients with an event, or without"


def test_reliability_is_drawn_for_every_subgroup_that_has_values(ward: Any, judge: Any) -> None:
    one, other = ward(), ward(noise=1.0)
    judged = {"model": judge(one.predictions), "trees": judge(other.predictions)}
    found = evaluate(judged, one.stays, Protocol(replicates=10, subgroups=["site", "age"], least_patients=9))
    drawn = found.curves.filter(pl.col("subset") != "all")
    known = found.scores.filter(pl.col("subset").str.contains("="), metric="ici").drop_nulls("value")
    assert set(drawn["subset"]) == set(known["subset"]) != set()
    assert set(drawn["curve"].cast(pl.String)) == {"calibration"} and set(drawn["predictor"]) == {"model"}
    for subset, rows in known.select("subset", "n_rows").rows():
        assert drawn.filter(subset=subset)["n"].sum() == rows


def test_small_subgroups_get_counts_and_no_values(ward: Any, judge: Any, lines: Any) -> None:
    one = ward()
    struck = one.predictions.filter("at_risk", label=1)["stay_id"].unique().sort().to_list()
    spared = [name for name in one.stays["stay_id"] if name not in struck]
    site = dict.fromkeys([*struck[:2], spared[0]], "three") | dict.fromkeys(spared[1:12], "spared")
    table = one.predictions.with_columns(site=pl.col("stay_id").replace_strict(site, default="rest"))
    table = table.with_columns(patient_id=pl.col("stay_id"))
    found = evaluate({"model": judge(table)}, one.stays, Protocol(replicates=20, least_patients=10))
    for level, stays in {"three": 3, "spared": 11}.items():
        own = lines(found.scores, subset=f"site={level}")
        assert {(row["value"], row["low"], row["high"]) for row in own.values()} == {(None, None, None)}
        part = table.filter("at_risk", site=level)
        assert {(row["n_rows"], row["n_stays"]) for row in own.values()} == {(part.height, stays)}
        gap = lines(found.gaps, subset=None, level=level)
        assert {row["value"] for row in gap.values()} == {None}
        assert {row["n_stays"] for row in gap.values()} == {stays}
    fewer = evaluate({"model": judge(table)}, one.stays, Protocol(replicates=20, least_patients=1))
    assert lines(fewer.scores, subset="site=three")["auroc"]["value"] is not None
    assert lines(fewer.scores, subset="site=spared")["auroc"]["value"] is None, "no event, no AUROC"
    assert lines(fewer.scores, subset="all") == lines(found.scores, subset="all")


def test_ties_everywhere(ward: Any, judge: Any, lines: Any) -> None:
    one = ward()
    flat = one.predictions.with_columns(risk=pl.lit(0.2))
    own = lines(evaluate({"model": judge(flat)}, one.stays, Protocol(replicates=20)).scores)
    assert (own["auroc"]["value"], own["auroc"]["low"], own["auroc"]["high"]) == (0.5, 0.5, 0.5)
    assert own["auprc"]["value"] == pytest.approx(own["prevalence"]["value"])
    assert own["calibration_slope"]["value"] is None, "one risk has no line"
    assert own["concordance"]["value"] == 0.5
    assert own["event_recall"]["value"] == 1.0


def test_risks_at_the_edges_of_0_and_1(ward: Any, judge: Any, lines: Any) -> None:
    one = ward()
    edge = pl.when(pl.col("hours") % 3 == 0).then(1e-12).when(pl.col("hours") % 3 == 1).then(1 - 1e-12)
    table = one.predictions.with_columns(risk=edge.otherwise("risk"))
    found = evaluate({"model": judge(table)}, one.stays, Protocol(replicates=20))
    assert all(row["value"] is not None for row in lines(found.scores).values())
    assert found.curves.select(pl.col("x", "y").is_finite().all()).row(0) == (True, True)


def test_no_replicates_give_values_without_intervals(ward: Any, judge: Any) -> None:
    one, other = ward(), ward(noise=1.0)
    judged = {"model": judge(one.predictions), "trees": judge(other.predictions)}
    some, none = (evaluate(judged, one.stays, Protocol(replicates=n, subgroups=["site", "sex"])) for n in (10, 0))
    assert none.scores["value"].equals(some.scores["value"])
    bare = none.scores.filter(pl.col("metric") != "auroc_delong")
    assert bare["low"].null_count() == bare["high"].null_count() == bare.height
    assert none.gaps["value"].equals(some.gaps["value"])
    assert none.gaps.select(pl.col("^(simultaneous_)?(low|high)$").null_count()).row(0) == (none.gaps.height,) * 4
    whole = some.curves.filter(subset="all").drop("low", "high")
    assert none.curves.filter(subset="all").drop("low", "high").equals(whole)
    assert none.curves["low"].null_count() == none.curves.height


def test_a_split_without_rows_before_onset(ward: Any, judge: Any, lines: Any) -> None:
    one = ward()
    late = one.predictions.filter("after_onset")
    found = evaluate({"model": judge(late)}, one.stays, Protocol(replicates=5)).scores
    assert lines(found)["brier"]["n_rows"] == late.height
    early = lines(found, subset="pre_onset")
    assert {row["n_rows"] for row in early.values()} == {0}
    assert {row["value"] for name, row in early.items() if name != "events"} == {None}


def test_patients_without_a_row_at_risk_may_be_absent_from_one_table(ward: Any, judge: Any, lines: Any) -> None:
    """A tool need not predict rows that are not scored; patients must be paired all the same."""
    one, other = ward(hours=8, censored=True), ward(hours=8, censored=True, noise=1.0)
    short = pl.col("stay_id").is_in(["s001", "s005", "s040"]) & ~pl.col("after_onset")
    whole, blurred = (
        w.predictions.with_columns(
            at_risk=pl.col("at_risk") & ~short, label=pl.when(short).then(0).otherwise("label").cast(pl.Int8)
        )
        for w in (one, other)
    )
    protocol = Protocol(replicates=10, subgroups=["site"])
    expected = evaluate({"model": judge(whole), "trees": judge(blurred)}, one.stays, protocol)
    bare = blurred.filter("at_risk")
    assert bare["patient_id"].n_unique() < whole["patient_id"].n_unique()
    waiting = ["brier_censored", "brier_censored_scaled", "concordance"]
    for judged in ({"model": judge(whole), "trees": judge(bare)}, {"trees": judge(bare), "model": judge(whole)}):
        found = evaluate(judged, one.stays, protocol).scores
        for predictor in ("model", "trees"):
            own, same = (lines(t.filter(~pl.col("metric").is_in(waiting)), predictor) for t in (found, expected.scores))
            assert own == same


def test_faults_are_told(ward: Any, judge: Any) -> None:
    one, two = ward(), ward(targets=(SEPSIS, DEATH))
    with pytest.raises(InputError, match=r"model has no alarm threshold for \[\('death', 24.0\)\]"):
        evaluate({"model": judge(two.predictions)._replace(operation={SEPSIS: OPERATION})}, two.stays, Protocol())
    with pytest.raises(InputError, match=r"model has no alarm threshold.*sepsis"):
        evaluate({"model": judge(one.predictions, OPERATION._replace(threshold=np.nan))}, one.stays, Protocol())
    with pytest.raises(InputError, match=r"the predictions of model has no row at risk.*'val'.*test: \d+"):
        evaluate({"model": judge(one.predictions)}, one.stays, Protocol(split="val"))
    with pytest.raises(InputError, match=r"the predictions of trees lacks the column.*risk"):
        evaluate({"model": judge(one.predictions), "trees": judge(one.predictions.drop("risk"))}, one.stays, Protocol())
    with pytest.raises(InputError, match=r"\d+ scored rows of model are absent from trees"):
        evaluate({"model": judge(two.predictions), "trees": judge(one.predictions)}, one.stays, Protocol())
