"""Metrics, subsets and the predictors drawn, as they are called on the page."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import polars as pl

from clinical_lstm.reporting import words

DRAWN = 3  # baselines in a chart: more lines than four cannot be told apart


class Metric(NamedTuple):
    """How a metric is shown.

    Attributes:
        hint: what it says. digits: after the point. main: in the table that is open. falls: lower is better.

    """

    name: str
    group: str
    hint: str
    digits: int = 3
    main: bool = True
    falls: bool = False


RANKS, RISKS, ALARMS = "Discrimination", "Calibration", "Alarms under the policy"
ROWS, WAITS, UTILITY, OTHER = "Decisions at the threshold", "Time to event", "Utility", "Other"
# The page lists metrics in this order, unknown ones last.
METRICS = {
    "auroc": Metric("AUROC", RANKS, "chance that a positive ranks above a negative; 0.5 is a coin"),
    "auroc_delong": Metric("AUROC, DeLong interval", RANKS, "the same value; its interval is computed, not drawn"),
    "auroc_partial": Metric(
        "Partial AUROC", RANKS, "at few false positives only, scaled so that 0.5 is a coin", main=False
    ),
    "auprc": Metric("AUPRC", RANKS, "mean precision over all sensitivities; the prevalence is a coin"),
    "prevalence": Metric("Prevalence", RANKS, "share of positive predictions"),
    "calibration_slope": Metric("Calibration slope", RISKS, "1 is right; below 1 the risks are too extreme"),
    "calibration_intercept": Metric(
        "Calibration intercept", RISKS, "0 is right, read together with the slope", main=False
    ),
    "calibration_in_the_large": Metric("Calibration in the large", RISKS, "0 is right; below 0 the risks are too high"),
    "ici": Metric("Calibration error (ICI)", RISKS, "mean |risk − smoothed observed share|", 4, falls=True),
    "e50": Metric("Calibration error, median (E50)", RISKS, "half of the risks are off by less", 4, falls=True),
    "e90": Metric("Calibration error, 90th (E90)", RISKS, "nine in ten risks are off by less", 4, falls=True),
    "emax": Metric("Calibration error, largest", RISKS, "the risk that is off most", 4, main=False, falls=True),
    "ece_equal_mass": Metric(
        "Calibration error, bins (ECE)", RISKS, "mean |risk − observed share| over bins of equal size", 4, falls=True
    ),
    "ece_equal_width": Metric(
        "Calibration error, equal width", RISKS, "the same over bins of equal width", 4, main=False, falls=True
    ),
    "brier": Metric("Brier score", RISKS, "mean squared error of the risk; lower is better", 4, falls=True),
    "brier_skill": Metric("Brier skill", RISKS, "share of the error of always saying the prevalence that is gone"),
    "brier_reliability": Metric("Brier, reliability", RISKS, "part that miscalibration adds", 5, False, True),
    "brier_resolution": Metric("Brier, resolution", RISKS, "part that telling patients apart removes", 5, False),
    "brier_uncertainty": Metric("Brier, uncertainty", RISKS, "that of always saying the prevalence", 5, False),
    "brier_within_bin": Metric("Brier, within bins", RISKS, "what the three parts leave over", 5, False),
    "sensitivity": Metric("Sensitivity", ROWS, "share of positive predictions at or above the threshold"),
    "specificity": Metric("Specificity", ROWS, "share of negative predictions below the threshold"),
    "ppv": Metric("Positive predictive value", ROWS, "share of positives among those above the threshold"),
    "min_se_ppv": Metric("Smaller of the two", ROWS, "sensitivity or predictive value, whichever is lower", main=False),
    "npv": Metric("Negative predictive value", ROWS, "share of negatives among those below it", main=False),
    "alarm_rate": Metric("Rate above the threshold", ROWS, "share of all predictions"),
    "net_benefit": Metric(
        "Net benefit", ROWS, "true positives per prediction, less the false ones at the threshold's odds", 4
    ),
    "net_benefit_treat_all": Metric("Net benefit of all", ROWS, "of calling every prediction positive", 4, False),
    "youden_index": Metric("Youden index", ROWS, "sensitivity + specificity − 1", main=False),
    "event_recall": Metric("Event recall", ALARMS, "share of events with an alarm in time"),
    "alarm_precision": Metric("Alarm precision", ALARMS, "share of alarms with an event in the horizon"),
    "false_alarms_per_patient_day": Metric(
        "False alarms per patient-day", ALARMS, "what a ward hears for nothing", falls=True
    ),
    "alarms_per_patient_day": Metric("Alarms per patient-day", ALARMS, "true and false", main=False),
    "false_alarms_per_true_alarm": Metric("False alarms per true one", ALARMS, "", 1, False, True),
    "lead_time_median": Metric("Lead time, median (h)", ALARMS, "from the first true alarm to the onset", 1),
    "lead_time_q25": Metric("Lead time, lower quartile (h)", ALARMS, "a quarter of the found events have less", 1),
    "lead_time_q75": Metric("Lead time, upper quartile (h)", ALARMS, "a quarter of the found events have more", 1),
    **{
        f"lead_over_{hours}h": Metric(f"Found over {hours} h ahead", ALARMS, "share of all events")
        for hours in (1, 2, 4, 6)
    },
    "event_auprc": Metric("Event-level AUPRC", ALARMS, "alarm precision over all event recalls"),
    "events": Metric("Events", ALARMS, "that an alarm could have announced", 0),
    "concordance": Metric(
        "Concordance (Uno)", WAITS, "chance that the earlier onset has the higher risk, censored rows included"
    ),
    "brier_censored": Metric(
        "Brier score, censored", WAITS, "with the rows that leave before the horizon ends", 4, falls=True
    ),
    "brier_censored_scaled": Metric("Brier skill, censored", WAITS, "beside always saying the share", main=False),
    "utility_cinc2019": Metric("Utility (CinC 2019)", UTILITY, "official; 1 is the best possible, 0 never alarming"),
    "utility_pre_onset": Metric("Utility before onset", UTILITY, "the same without predictions after onset"),
}
SUBSETS = {"all": "All predictions", "pre_onset": "Before onset only"}


def metric(name: str) -> Metric:
    """Return how a metric is shown, also one that the page does not know.

    >>> metric("auroc").group, metric("my_score").name, metric("my_score").group
    ('Discrimination', 'My score', 'Other')
    """
    return METRICS.get(name) or Metric(words.plain(name), OTHER, "", main=False)


def metric_name(name: str) -> str:
    """Return a metric as named on the page.

    >>> metric_name("auroc"), metric_name("lead_time_hours")
    ('AUROC', 'Lead time hours')
    """
    return metric(name).name


def inline(name: str) -> str:
    """Return a metric, or any name of the code, as it stands inside a sentence.

    >>> inline("auroc"), inline("event_recall"), inline("gradient_boosting")
    ('AUROC', 'event recall', 'gradient boosting')
    """
    text = metric_name(name)
    return text if text.split(" ")[0] in words.ACRONYMS.values() or text[:2].isupper() else text[:1].lower() + text[1:]


def ordered(metrics: set[str]) -> list[str]:
    """Return metrics in the order of the page.

    >>> ordered({"my_score", "brier", "auroc"})
    ['auroc', 'brier', 'my_score']
    """
    known = list(METRICS)
    return sorted(metrics, key=lambda name: (known.index(name) if name in known else len(known), name))


def subset_name(subset: str) -> str:
    """Return a subset of predictions in words.

    >>> subset_name("pre_onset"), subset_name("site=A")
    ('Before onset only', 'Site A')
    """
    return SUBSETS.get(subset, words.plain(subset.replace("=", " ")))


def said(sentence: str) -> str:
    """Return a sentence of `summary.json` with names as the page has them, true minus signs and percentages.

    >>> print(said("By AUROC better than elapsed_time (-0.1)."), said("sex male: event_recall +0.2, auroc 5%."))
    By AUROC better than elapsed time (−0.1). sex male: event recall +0.2, AUROC 5\N{NO-BREAK SPACE}%.
    """

    single = "|".join(["auroc", "auprc", "brier", *words.ACRONYMS])
    text = re.sub(rf"\b[a-z]\w*_\w+\b|\b(?:{single})\b", lambda found: inline(found[0]), words.clean(sentence))
    text = re.sub(r"(?<=\d)%", "\N{NO-BREAK SPACE}%", text)
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


def order(predictors: list[str]) -> list[str]:
    """Return the predictors with the model first and the differences left out.

    >>> order(["gradient_boosting", "model - gradient_boosting", "model"])
    ['model', 'gradient_boosting']
    """
    single = sorted({name for name in predictors if " - " not in name})
    return sorted(single, key=lambda name: (name != "model", name))


def drawn(scores: pl.DataFrame) -> list[str]:
    """Return the predictors of the charts: the model and the three baselines of highest mean AUROC over the targets."""
    own = scores.filter(pl.col("subset") == "all", pl.col("metric") == "auroc", pl.col("value").is_not_null())
    values: dict[str, list[float]] = {}
    for name, value in own.sort("predictor", "complication", "horizon_hours").select("predictor", "value").rows():
        values.setdefault(name, []).append(value)
    every = order(scores["predictor"].to_list())
    rivals = [name for name in every if name != "model"]
    rivals.sort(key=lambda name: (-round(_mean(values.get(name)), 9), name))
    return [name for name in every if name == "model"] + rivals[:DRAWN]


def _mean(values: Any) -> float:
    return sum(values) / len(values) if values else 0.0
