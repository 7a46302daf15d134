"""Names: every metric of the evaluation has one, in words of the page, and the charts draw the strongest baselines."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.evaluation.measures import COMPARED, ERRORS
from clinical_lstm.evaluation.waiting import METRICS as WAITING
from clinical_lstm.reporting import names


def test_every_metric_of_the_evaluation_is_known(judged_run: Run) -> None:
    found = set(judged_run.table("scores.parquet")["metric"])
    assert found | set(COMPARED) | set(ERRORS) | set(WAITING) <= set(names.METRICS)


def test_names_are_different_and_groups_hang_together() -> None:
    shown = [known.name for known in names.METRICS.values()]
    assert len(set(shown)) == len(shown)
    groups = [known.group for known in names.METRICS.values()]
    starts = [group for index, group in enumerate(groups) if index == 0 or groups[index - 1] != group]
    assert len(starts) == len(set(starts))


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("Alarms find 55% of the events (50% to 59%).", "Alarms find 55 % of the events (50 % to 59 %)."),
        ("hours 48-96 h: auroc -0.064 (-0.116 to -0.009)", "hours 48-96 h: AUROC −0.064 (−0.116 to −0.009)"),
        ("worse than news2 and elapsed_time", "worse than NEWS2 and elapsed time"),
        ("false_alarms_per_patient_day: site B", "false alarms per patient-day: site B"),
        ("no\u2028break", "no break"),
    ],
)
def test_sentences_are_those_of_the_summary_in_the_names_of_the_page(sentence: str, shown: str) -> None:
    assert names.said(sentence).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_the_strongest_baselines_are_drawn_behind_the_model(judged_run: Run) -> None:
    scores = judged_run.table("scores.parquet")
    drawn = names.drawn(scores)
    assert drawn[0] == "model"
    own = scores.filter(
        pl.col("subset") == "all", pl.col("metric") == "auroc", ~pl.col("predictor").str.contains(" - ")
    )
    means = dict(own.group_by("predictor").agg(pl.col("value").mean()).rows())
    means.pop("model")
    assert drawn[1:] == sorted(means, key=lambda name: -means[name])[: names.DRAWN]
    assert names.drawn(scores.sample(fraction=1.0, shuffle=True, seed=1)) == drawn
