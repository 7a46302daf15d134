"""Whether the explanations may be believed: a badge for each check, and what hiding measurements does to the logit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt

from clinical_lstm.reporting import theme, words
from clinical_lstm.reporting.figures import Spec, finished
from clinical_lstm.reporting.names import said

Checks = Mapping[str, Any]
# Every run of `explain` makes these checks; one that is not recorded was not run.
NAMES = {
    "completeness": "The parts add up",
    "randomisation": "Depends on what was learned",
    "deletion_insertion": "The first named moves the risk first",
    "stability": "Noise changes little",
    "agreement": "Hiding a variable agrees",
    "unused": "The unmeasured counts nothing",
}
EXTRA = {"recovery": "Planted causes are found"}  # only where the truth is known
PASSED, FAILED, OPEN, NOT_RUN = ("✓", "passed"), ("✗", "not passed"), ("–", "not judged"), ("–", "not run")
HEIGHT = 170
CURVES = {"hide": "Share of the measurements hidden", "show": "Share of the measurements shown"}
ORDERS = ["By their contribution", "At random"]


@dataclass(frozen=True)
class Badge:
    """A check as the page shows it: what it asks, how it ended (a sign and a word), what was found, by which rule."""

    name: str
    sign: str
    word: str
    finding: str
    rule: str

    @property
    def look(self) -> str:
        """The class of its style."""
        return self.word.replace(" ", "-")


def badges(checks: Checks | None) -> list[Badge]:
    """Return a badge for every check; none for a run that was explained before there were checks.

    >>> one = {"passed": True, "rule": "none", "finding": "Of 9 variables none has one."}
    >>> found = badges({"trust": {"unused": one}})
    >>> [(badge.sign, badge.word, badge.finding) for badge in found if badge.name.startswith(("The un", "Noise"))]
    [('–', 'not run', ''), ('✓', 'passed', 'Of 9 variables none has one.')]
    """
    trust = (checks or {}).get("trust")
    if not trust:
        return []
    known = NAMES | EXTRA
    shown = [*NAMES, *sorted(set(trust) - set(NAMES))]
    return [_badge(known.get(name) or words.plain(name), trust.get(name)) for name in shown]


def _badge(name: str, found: Mapping[str, Any] | None) -> Badge:
    if found is None:
        return Badge(name, *NOT_RUN, "", "")
    sign, word = {True: PASSED, False: FAILED}.get(found.get("passed"), OPEN)  # type: ignore[arg-type]
    return Badge(name, sign, word, said(found.get("finding", "")), _rule(found.get("rule", "")))


def _rule(rule: str) -> str:
    """Return a rule with the signs of print.

    >>> _rule("cosine >= 0.9, within +-0.5")
    'cosine ≥ 0.9, within ±0.5'
    """
    for written, printed in ((">=", "≥"), ("<=", "≤"), ("+-", "±")):
        rule = rule.replace(written, printed)
    return said(rule)


def verdict(found: list[Badge]) -> str:
    """Return how many checks passed, and which did not, in one sentence; empty without checks.

    >>> verdict([Badge("A", "✓", "passed", "", ""), Badge("B", "✗", "not passed", "", "")])
    '1 of 2 checks passed; not passed: B.'
    """
    if not found:
        return ""
    parts = [f"{sum(badge.word == 'passed' for badge in found)} of {len(found)} checks passed"]
    for word in ("not passed", "not judged", "not run"):
        names = [badge.name for badge in found if badge.word == word]
        parts += [f"{word}: {words.listed(names)}"] if names else []
    return "; ".join(parts) + "."


def curves(checks: Checks | None) -> dict[str, Spec]:
    """Return the charts of the mean logit while measurements are hidden and shown; empty where they were not tried."""
    found = ((checks or {}).get("trust") or {}).get("deletion_insertion") or {}
    lines = [list(found.get(name) or []) for name in ("shares", "deletion", "insertion", "random_deletion")]
    if any(not line or None in line for line in lines):
        return {}
    shares, hidden, shown, chance = lines
    pairs = {"hide": (hidden, chance), "show": (shown, chance[::-1])}
    levels = [*hidden, *shown, *chance]
    return {kind: _curve(kind, shares, pair, (min(levels), max(levels))) for kind, pair in pairs.items()}


def legend() -> list[dict[str, str]]:
    """Return the lines of the charts as a legend has them."""
    return theme.legend(ORDERS)


def _curve(kind: str, shares: list[float], pair: tuple[list[float], list[float]], span: tuple[float, float]) -> Spec:
    rows = [
        {"o": order, "q": share, "y": round(level, 3)}
        for order, line in zip(ORDERS, pair)
        for share, level in zip(shares, line)
    ]
    looks = [theme.series(index) for index in range(len(ORDERS))]
    colours = alt.Scale(domain=ORDERS, range=[colour for colour, _ in looks])
    dashes = alt.Scale(domain=ORDERS, range=[dash for _, dash in looks])
    up = alt.Scale(domain=list(span), nice=True, zero=False)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("q:Q", title=CURVES[kind], axis=alt.Axis(format="~%", tickCount=5, grid=False)),
        y=alt.Y("y:Q", title="Change of the logit", scale=up, axis=alt.Axis(tickCount=4)),
        color=alt.Color("o:N", legend=None, scale=colours),
    )
    tips = [
        alt.Tooltip("o:N", title="Order"),
        alt.Tooltip("q:Q", title=CURVES[kind], format="~%"),
        alt.Tooltip("y:Q", title="Mean change of the logit"),
    ]
    line = base.mark_line(strokeWidth=2).encode(strokeDash=alt.StrokeDash("o:N", legend=None, scale=dashes))
    return finished(alt.layer(line, base.mark_circle(size=22, opacity=1).encode(tooltip=tips)), HEIGHT)
