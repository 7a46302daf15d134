"""Advice for mistyped names."""

from __future__ import annotations

from clinical_lstm.errors import closest


def test_near_name_is_proposed_and_all_are_listed() -> None:
    assert closest("lstn", ["lstm", "gru"]) == "did you mean 'lstm'? There are: gru, lstm"


def test_far_name_gets_the_list_only() -> None:
    assert closest("zzz", ["lstm", "gru"]) == "there are: gru, lstm"


def test_empty_list_is_said() -> None:
    assert closest("lstm", []) == "there are: none"


def test_of_thousands_a_few_are_listed() -> None:
    told = closest("x", [f"p{n:04d}" for n in range(4000)])
    assert told.startswith("there are: p0000, p0001, ")
    assert told.endswith("p0009, ... (4,000 in all)")
