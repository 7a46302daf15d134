"""Each sentence follows its rule: decided by the side of an interval, and nothing is claimed of what is not known."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.evaluation import Protocol, evaluate
from clinical_lstm.evaluation.summary import FEW_EVENTS, Summary, summarise

TARGET = ("sepsis", 6.0)
SHARED = {"complication": "sepsis", "horizon_hours": 6.0, "n_rows": 900, "n_stays": 90, "n_positives": 50}
CLAIMS = [
    "better",
    "worse",
    "not to be told apart",
    "too ",
    "No miscalibration",
    "Alarms find",
    "Lowest",
    "hold",
    "Only",
]
Known = dict[tuple[str, str, str] | tuple[str, str] | str, tuple[float | None, ...]]


def scores(known: Known) -> pl.DataFrame:
    """Return `schemas.Scores` of (predictor, subset, metric), (predictor, metric) or metric: (value, low, high)."""
    lines = []
    for key, value in known.items():
        parts = (key,) if isinstance(key, str) else key
        predictor, subset, metric = {1: ("model", "all"), 2: (parts[0], "all"), 3: parts[:2]}[len(parts)] + parts[-1:]
        number, low, high = (*value, None, None)[:3]
        named = {"predictor": predictor, "subset": subset, "metric": metric}
        lines.append(SHARED | named | {"value": number, "low": low, "high": high})
    table = pl.DataFrame(lines, schema=schemas.empty(schemas.Scores).schema, orient="row")
    return schemas.check(schemas.Scores, table, "the scores")


def gaps(*rows: tuple[str, str, float | None, float, float]) -> pl.DataFrame:
    """Return `schemas.Gaps` of (level, metric, value, simultaneous low, simultaneous high) to site A."""
    lines = [
        SHARED
        | {"predictor": "model", "dimension": "site", "level": level, "reference": "A", "comparisons": 3}
        | {"metric": metric, "value": value, "low": value, "high": value}  # alone each would leave out 0
        | {"simultaneous_low": low, "simultaneous_high": high}
        for level, metric, value, low, high in rows
    ]
    table = pl.DataFrame(lines, schema=schemas.empty(schemas.Gaps).schema, orient="row")
    return schemas.check(schemas.Gaps, table, "the gaps")


def said(known: Known, *unequal: Any) -> Summary:
    return summarise(scores(known), gaps(*unequal), TARGET)


def rivals(**intervals: tuple[float, float]) -> Known:
    return {(f"model - {name}", "auroc"): (sum(ends) / 2, *ends) for name, ends in intervals.items()}


def test_what_ranks_better_is_decided_by_the_interval_beside_0() -> None:
    found = said(rivals(above=(0.01, 0.05), below=(-0.05, -0.01), around=(-0.01, 0.02), edge=(0.0, 0.04))).ranking
    [better] = [s for s in found if "better than" in s]
    [worse] = [s for s in found if "worse than" in s]
    [apart] = [s for s in found if "told apart" in s]
    assert "above" in better and "+0.030 (+0.010 to +0.050)" in better
    assert "below" in worse and "around" in apart and "edge" in apart
    assert not any(name in better for name in ("below", "around", "edge"))
    assert any("4 comparisons" in s for s in found)
    assert not any("comparisons" in s for s in said(rivals(above=(0.01, 0.05))).ranking), "one is no multiple testing"


def calibrated(slope: tuple[float, float], shift: tuple[float, float], ici: float | None = None) -> str:
    known: Known = {
        "calibration_slope": (sum(slope) / 2, *slope),
        "calibration_in_the_large": (sum(shift) / 2, *shift),
        "ici": (ici,),
    }
    return " ".join(said(known).calibration)


def test_how_risks_are_wrong_is_decided_by_slope_and_shift() -> None:
    right, wide = (0.9, 1.1), (-0.1, 0.1)
    assert "No miscalibration" in calibrated(right, wide)
    for shift, word in {(0.05, 0.2): "too low", (-0.2, -0.05): "too high"}.items():
        text = calibrated(right, shift)
        assert word in text and "No miscalibration" not in text and "extreme" not in text
    for slope, word in {(0.6, 0.9): "too extreme", (1.1, 1.4): "not extreme enough"}.items():
        text = calibrated(slope, wide)
        assert word in text and "No miscalibration" not in text
        assert "too low" not in text and "too high" not in text
    both = calibrated((0.6, 0.9), (0.05, 0.2), 0.0213)
    assert "too low" in both and "too extreme" in both and "2.13%" in both


def test_alarms_are_told_with_what_they_cost() -> None:
    known: Known = {
        "event_recall": (0.55, 0.5, 0.6),
        "false_alarms_per_patient_day": (0.48, 0.4, 0.5),
        "alarm_precision": (0.05, 0.04, 0.06),
        "lead_time_median": (3.0, 2.0, 4.0),
    }
    text = " ".join(said(known).alarms)
    for part in (
        "55% of the events (50% to 60%)",
        "3.0 h before",
        "0.48 false alarms per patient-day",
        "one alarm in 20",
    ):
        assert part in text
    silent = said(known | {"alarm_precision": (None,), "lead_time_median": (None,), "event_recall": (0.0, 0.0, 0.0)})
    assert "0% of the events" in " ".join(silent.alarms)
    assert "one alarm in" not in " ".join(silent.alarms) and "h before" not in " ".join(silent.alarms)


def test_only_gaps_whose_simultaneous_interval_leaves_out_0_hold() -> None:
    rows = [
        ("B", "auroc", -0.1, -0.2, -0.01),
        ("C", "auroc", -0.2, -0.5, 0.1),
        ("D", "event_recall", 0.3, 0.1, 0.5),
        ("E", "lead_time_median", 1.0, -1.0, 3.0),
        ("F", "auroc", None, None, None),
    ]
    lowest, *rest = said({}, *rows).subgroups
    assert "site C" in lowest and "-0.200" in lowest and "A" in lowest
    held = " ".join(rest)
    assert "site B" in held and "site D" in held and "event_recall" in held
    assert not any(f"site {level}" in held for level in "CEF")
    quiet = " ".join(said({}, rows[1], rows[3]).subgroups)
    assert "none" in quiet or " 0 hold" in quiet
    assert said({}, rows[4]).subgroups == []


def test_limits_are_told_where_they_are_reached() -> None:
    assert "Only 99 events" in " ".join(said({"events": (99.0,)}).limits)
    assert said({"events": (float(FEW_EVENTS),)}).limits == []
    clock = "time since admission"
    assert clock in " ".join(said(rivals(elapsed_time=(-0.01, 0.1))).limits)
    assert clock not in " ".join(said(rivals(elapsed_time=(0.01, 0.1), sofa=(-0.1, 0.1))).limits)
    ranked = " ".join(said(rivals(sofa=(-0.1, -0.05), trees=(-0.1, 0.1))).limits)
    assert "ranks better: sofa" in ranked and "trees" not in ranked


def test_detection_is_told_from_prediction() -> None:
    def limits(early: float | None, low: float | None = 0.75) -> str:
        return " ".join(said({"auroc": (0.8, low, 0.85), ("model", "pre_onset", "auroc"): (early,)}).limits)

    assert "Before the onset AUROC is 0.740 where it is 0.800" in limits(0.74)
    assert limits(0.76) == limits(None) == limits(0.74, None) == ""


def test_nothing_known_is_nothing_claimed() -> None:
    names = ("calibration_slope", "calibration_in_the_large", "event_recall", "auroc", "events", "ici")
    undefined: Known = dict.fromkeys(names, (None,))
    bare: Known = {"calibration_slope": (1.3,), "calibration_in_the_large": (0.4,), ("model - trees", "auroc"): (0.2,)}
    for known in ({}, undefined, bare, undefined | {("model - trees", "auroc"): (None,)}):
        found = said(known)
        text = " ".join(sentence for part in found for sentence in part)
        assert not [claim for claim in CLAIMS if claim in text]
        assert (found.ranking, found.subgroups, found.limits) == ([], [], [])


def test_only_the_predictor_and_the_target_that_are_asked_for_count() -> None:
    other = scores(rivals(trees=(0.1, 0.2)) | {"events": (10.0,)})
    elsewhere = other.with_columns(complication=pl.lit("death"))
    assert summarise(elsewhere, gaps(), TARGET) == summarise(scores({}), gaps(), TARGET)
    renamed = other.with_columns(pl.col("predictor").str.replace("model", "gru"))
    assert summarise(renamed, gaps(), TARGET, "gru") == summarise(other, gaps(), TARGET)
    foreign = gaps(("B", "auroc", -0.1, -0.2, -0.01)).with_columns(predictor=pl.lit("gru"))
    assert summarise(other, foreign, TARGET).subgroups == []


@pytest.mark.parametrize("replicates", [0, 40])
def test_an_evaluation_can_be_summed_up(ward: Any, judge: Any, replicates: int) -> None:
    one, other = ward(patients=200, male_logit=2.0), ward(patients=200, noise=5.0)
    judged = {"model": judge(one.predictions), "elapsed_time": judge(other.predictions)}
    found = evaluate(judged, one.stays, Protocol(replicates=replicates, subgroups=["sex"], least_patients=5))
    text = summarise(found.scores, found.gaps, TARGET)
    assert all(
        isinstance(sentence, str) and "None" not in sentence and "nan" not in sentence for p in text for sentence in p
    )
    if replicates:
        assert "better than elapsed_time" in " ".join(text.ranking)
        assert "sex male" in " ".join(text.subgroups)
    else:
        assert text.ranking == []
