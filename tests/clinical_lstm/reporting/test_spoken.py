"""The chart in words: every number of it that a reader would look for."""

from __future__ import annotations

import dataclasses

import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.metrics.alarms import Policy
from clinical_lstm.reporting.contents import read
from clinical_lstm.reporting.ringing import Ringing
from clinical_lstm.reporting.spoken import spoken
from clinical_lstm.reporting.stays import Card, cards


@pytest.fixture(scope="module")
def card(run: Run) -> Card:
    return cards(read(run))[0]


def said(card: Card) -> str:
    return spoken(card).replace("\N{NO-BREAK SPACE}", " ")


def test_the_course_the_levels_and_the_rest(card: Card) -> None:
    text = said(dataclasses.replace(card, risks=[(1.0, 0.01), (2.0, 0.3), (3.0, 0.2)], risk=0.3, now=2.0))
    assert text.startswith(
        "Stay 1: the risk of sepsis within 6 h from 1 h to 3 h after admission, lowest 1 % at 1 h, highest 30 % "
        "at 2 h; 30 % at 2 h, the explained time. Threshold 8 %. The run has no alarm policy. Onset at 52 h. "
        "Below, the "
    )
    assert text.endswith("a table of them follows.")


def test_alarms_are_named_up_to_six(card: Card) -> None:
    rang = [(float(hour), 0.5) for hour in range(1, 9)]
    few, many, none = (
        said(dataclasses.replace(card, ringing=Ringing(Policy(0.4), alarms, []))) for alarms in (rang[:2], rang, [])
    )
    assert "The alarm policy rings from 40 %. 2 alarms at 1 h and 2 h." in few
    assert "8 alarms at 1 h, 2 h, 3 h, 4 h, 5 h, 6 h and 2 more." in many
    assert "No alarm." in none


def test_what_is_not_there_is_not_spoken_of(card: Card) -> None:
    text = said(dataclasses.replace(card, risks=[], onsets=[], lanes=[], cells={}, threshold=None))
    assert text == "Stay 1: no course of the risk of sepsis within 6 h. The run has no alarm policy. No onset."
