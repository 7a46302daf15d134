"""What the numbers of a run say in a few sentences: how good, how calibrated, how loud, for whom worst, and limits.

Every sentence is decided by intervals, not by impressions; the rule stands beside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

FEW_EVENTS = 100  # fewer stays with an event: intervals are wide, whatever the numbers (Riley et al., 2021)
Row = dict[str, Any]


class Summary(NamedTuple):
    """Sentences on one target, by what they are about; a list is empty where nothing is known."""

    ranking: list[str]
    calibration: list[str]
    alarms: list[str]
    subgroups: list[str]
    limits: list[str]


def summarise(scores: pl.DataFrame, gaps: pl.DataFrame, target: tuple[str, float], predictor: str = "model") -> Summary:
    """Return the sentences on a predictor for one target from `schemas.Scores` and `schemas.Gaps`."""
    own = scores.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])
    found = {(row["predictor"], row["subset"], row["metric"]): row for row in own.iter_rows(named=True)}
    unequal = gaps.filter(
        pl.col("complication") == target[0],
        pl.col("horizon_hours") == target[1],
        pl.col("predictor") == predictor,
        pl.col("value").is_not_null(),
    )
    rivals = sorted(name.removeprefix(f"{predictor} - ") for name in own["predictor"].unique() if " - " in name)
    return Summary(
        ranking=_ranking(found, predictor, rivals),
        calibration=_calibration(found, predictor),
        alarms=_alarms(found, predictor),
        subgroups=_subgroups(unequal),
        limits=_limits(found, predictor, rivals),
    )


def _ranking(found: dict[tuple[str, str, str], Row], predictor: str, rivals: list[str]) -> list[str]:
    """Say what is better, worse or not to be told apart: a paired interval of AUROC beside 0."""
    said: dict[str, list[str]] = {"better than": [], "worse than": [], "not to be told apart from": []}
    for name in rivals:
        row = found.get((f"{predictor} - {name}", "all", "auroc"))
        if row and row["low"] is not None:
            verdict = "better than" if row["low"] > 0 else "worse than" if row["high"] < 0 else None
            said[verdict or "not to be told apart from"].append(f"{name} ({_signed(row)})")
    sentences = [f"By AUROC {verdict} {', '.join(names)}." for verdict, names in said.items() if names]
    if len(rivals) > 1 and sentences:
        sentences.append(f"{len(rivals)} comparisons, each at 95 %: one in twenty is apart by chance alone.")
    return sentences


def _calibration(found: dict[tuple[str, str, str], Row], predictor: str) -> list[str]:
    """Say how risks are wrong: the intervals of slope (1 is right) and of calibration in the large (0 is right)."""
    slope, shift = (found.get((predictor, "all", name)) for name in ("calibration_slope", "calibration_in_the_large"))
    if not slope or not shift or slope["low"] is None or shift["low"] is None:
        return ["Calibration cannot be judged: no interval of its slope is known."]
    sentences = []
    if shift["low"] > 0 or shift["high"] < 0:
        word = "low" if shift["low"] > 0 else "high"
        sentences.append(f"Risks are too {word} on average: calibration in the large {_signed(shift)}.")
    if slope["low"] > 1 or slope["high"] < 1:
        word = "too extreme" if slope["high"] < 1 else "not extreme enough"
        sentences.append(f"Risks are {word}: calibration slope {_plain(slope)}.")
    if not sentences:
        sentences.append(f"No miscalibration shows: slope {_plain(slope)}, in the large {_signed(shift)}.")
    error = found.get((predictor, "all", "ici"))
    if error and error["value"] is not None:
        sentences.append(f"A risk is off by {error['value']:.2%} on average (ICI).")
    return sentences


def _alarms(found: dict[tuple[str, str, str], Row], predictor: str) -> list[str]:
    """Say what a ward would hear at the chosen policy."""
    names = ["event_recall", "false_alarms_per_patient_day", "alarm_precision", "lead_time_median"]
    recall, burden, precision, lead = (found.get((predictor, "all", name)) for name in names)
    if not recall or recall["value"] is None or not burden or burden["value"] is None:
        return ["Alarms cannot be judged: no event is known."]
    heard = f"Alarms find {recall['value']:.0%} of the events{_range(recall, '.0%')}"
    if lead and lead["value"] is not None:
        heard += f", the median one {lead['value']:.1f} h before the onset"
    noise = f"{burden['value']:.2f} false alarms per patient-day{_range(burden, '.2f')}"
    if precision and precision["value"]:
        noise += f", one alarm in {1 / precision['value']:.0f} is true"
    return [f"{heard}, at {noise}."]


def _subgroups(unequal: pl.DataFrame) -> list[str]:
    """Name the worst subgroup by AUROC, and every gap whose simultaneous interval leaves out 0."""
    ranked = unequal.filter(pl.col("metric") == "auroc").sort("value")
    sentences = []
    for row in ranked.head(1).iter_rows(named=True):
        name = f"{row['dimension']} {row['level']}"
        sentences.append(
            f"Lowest AUROC against the largest subgroup: {name} ({_signed(row)} to {row['reference']}), of "
            f"{ranked.height} compared."
        )
    apart = unequal.filter((pl.col("simultaneous_low") > 0) | (pl.col("simultaneous_high") < 0))
    if unequal.height:
        sentences.append(
            f"Of {unequal.height} gaps between subgroups {apart.height} hold after correction for their number"
            + (":" if apart.height else ".")
        )
    for (metric,), own in apart.group_by("metric", maintain_order=True):
        listed = [f"{row['dimension']} {row['level']} {row['value']:+.3f}" for row in own.iter_rows(named=True)]
        sentences.append(f"{metric}: {', '.join(listed)}.")
    return sentences


def _limits(found: dict[tuple[str, str, str], Row], predictor: str, rivals: list[str]) -> list[str]:
    """Say what these numbers do not show."""
    sentences = []
    events = found.get((predictor, "all", "events"))
    if events and events["value"] is not None and events["value"] < FEW_EVENTS:
        sentences.append(f"Only {events['value']:.0f} events are behind all this: intervals are wide.")
    every, early = (found.get((predictor, subset, "auroc")) for subset in ("all", "pre_onset"))
    if every and early and None not in (every["low"], early["value"]) and early["value"] < every["low"]:
        sentences.append(
            f"Before the onset AUROC is {early['value']:.3f} where it is {every['value']:.3f} with the rows after it: "
            "part of the ranking detects rather than predicts."
        )
    clock = found.get((f"{predictor} - elapsed_time", "all", "auroc"))
    if clock and clock["low"] is not None and clock["low"] <= 0:
        sentences.append("It is not better than the time since admission alone.")
    stronger = [
        name
        for name in rivals
        if (row := found.get((f"{predictor} - {name}", "all", "auroc"))) and row["high"] is not None and row["high"] < 0
    ]
    if stronger and predictor == "model":  # its rivals are the baselines
        sentences.append(f"A simpler predictor ranks better: {', '.join(stronger)}.")
    return sentences


def _signed(row: Row) -> str:
    return f"{row['value']:+.3f}{_range(row, '+.3f')}"


def _plain(row: Row) -> str:
    return f"{row['value']:.2f}{_range(row, '.2f')}"


def _range(row: Row, form: str) -> str:
    return "" if row["low"] is None or row["high"] is None else f" ({row['low']:{form}} to {row['high']:{form}})"
