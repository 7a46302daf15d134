"""Badges say how each check ended in words, and the curves start where they must."""

from __future__ import annotations

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import trust


def test_every_check_has_a_badge_with_a_sign_and_a_word(judged_run: Run) -> None:
    found = {badge.name: badge for badge in trust.badges(judged_run.json("checks.json"))}
    assert {name: (badge.sign, badge.word) for name, badge in found.items()} == {
        trust.NAMES["completeness"]: ("✓", "passed"),
        trust.NAMES["randomisation"]: ("✗", "not passed"),
        trust.NAMES["deletion_insertion"]: ("✓", "passed"),
        trust.NAMES["stability"]: ("–", "not judged"),
        trust.NAMES["agreement"]: ("✓", "passed"),
        trust.NAMES["unused"]: ("–", "not run"),
    }
    assert found[trust.NAMES["agreement"]].finding == "It is 0.84 (−0.81 to 0.91)."
    assert found[trust.NAMES["randomisation"]].rule == "rank correlation ≤ 0.9"
    assert found[trust.NAMES["randomisation"]].look == "not-passed"


def test_a_check_that_the_page_does_not_know_is_shown_too() -> None:
    one = {"passed": True, "rule": "", "finding": "Fine."}
    names = [badge.name for badge in trust.badges({"trust": {"recovery": one, "my_own_check": one}})]
    assert names == [*trust.NAMES.values(), "My own check", "Planted causes are found"]


def test_an_old_run_has_no_badges_and_no_curves(run: Run) -> None:
    checks = run.json("checks.json")
    assert trust.badges(checks) == []
    assert trust.verdict([]) == ""
    assert trust.curves(checks) == trust.curves(None) == trust.curves({"trust": {}}) == {}


def test_random_showing_is_random_hiding_read_backwards(judged_run: Run) -> None:
    charts = trust.curves(judged_run.json("checks.json"))
    lines = {
        (kind, order): [row["y"] for row in spec["data"]["values"] if row["o"] == order]
        for kind, spec in charts.items()
        for order in trust.ORDERS
    }
    assert lines["hide", "By their contribution"] == [0.0, -1.2, 0.3]
    assert lines["show", "By their contribution"] == [0.3, 1.8, 0.0]
    assert lines["show", "At random"] == lines["hide", "At random"][::-1] == [0.3, 0.1, 0.0]
    scales = [spec["layer"][0]["encoding"]["y"]["scale"]["domain"] for spec in charts.values()]
    assert scales == [[-1.2, 1.8]] * 2


def test_curves_that_are_not_defined_are_not_drawn(judged_run: Run) -> None:
    found = judged_run.json("checks.json")["trust"]["deletion_insertion"]
    assert trust.curves({"trust": {"deletion_insertion": found | {"deletion": [0.0, None, 1.0]}}}) == {}
