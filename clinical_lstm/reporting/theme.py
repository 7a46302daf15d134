"""Colours and type of the page and its charts: one palette for light and dark, safe for colour-blind readers.

Charts name colours as CSS variables, so one SVG follows the reader's light or dark setting and the printer.
`printed` puts the light values in their place where no CSS exists (PNG).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"

# name: (light, dark). Series and channels follow Okabe and Ito (2008), darkened or lightened to 3:1 on the paper.
PALETTE = {
    "paper": ("#fcfcfa", "#14171b"),
    "card": ("#ffffff", "#1b1f25"),
    "ink": ("#1a1f26", "#e8eaed"),
    "quiet": ("#59626d", "#a3abb5"),
    "line": ("#e2e4e7", "#333a43"),
    "accent": ("#0a5a9c", "#7ab8f0"),
    "band": ("#dcebdd", "#23382a"),
    "warn": ("#a63c00", "#ff9d66"),
    "raise": ("#c44e0a", "#f2843c"),
    "lower": ("#1a6fb5", "#5aaaf0"),
    "series1": ("#0a5a9c", "#6db4f2"),
    "series2": ("#b86a00", "#f0a53c"),
    "series3": ("#0b7a5c", "#3cc79e"),
    "series4": ("#b0447f", "#e88abf"),
    "series5": ("#6b5bb5", "#aa9cf0"),
    "series6": ("#59626d", "#a3abb5"),
    "value": ("#0a5a9c", "#6db4f2"),
    "missingness": ("#d98200", "#f0a53c"),
    "staleness": ("#b0447f", "#e88abf"),
    "static": ("#8a929c", "#7d8691"),
}
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 1], [1, 3]]
SERIES = 6


def colour(name: str) -> str:
    """Return the CSS reference of a palette colour.

    >>> colour("ink")
    'var(--ink)'
    """
    PALETTE[name]
    return f"var(--{name})"


def series(index: int) -> tuple[str, list[int]]:
    """Return colour and dash pattern of the index-th predictor; both repeat after six."""
    return colour(f"series{index % SERIES + 1}"), DASHES[index % SERIES]


def legend(names: Sequence[str]) -> list[dict[str, str]]:
    """Return the lines of charts as a legend beside them has them: name, colour, dashes.

    >>> legend(["Model", "Other"])[1]
    {'name': 'Other', 'colour': 'var(--series2)', 'dash': '6 3'}
    """
    looks = [series(index) for index in range(len(names))]
    return [
        {"name": name, "colour": colour, "dash": " ".join(map(str, dash)) if dash[1] else ""}
        for name, (colour, dash) in zip(names, looks)
    ]


def variables(dark: bool) -> str:
    """Return the palette as CSS declarations."""
    return " ".join(f"--{name}: {pair[int(dark)]};" for name, pair in PALETTE.items())


def printed(content: Any) -> Any:
    """Return a chart specification with the light colours in the place of the CSS variables.

    >>> printed({"fill": ["var(--ink)"]})
    {'fill': ['#1a1f26']}
    """
    if isinstance(content, dict):
        return {key: printed(value) for key, value in content.items()}
    if isinstance(content, list):
        return [printed(value) for value in content]
    if isinstance(content, str):
        return re.sub(r"var\(--(\w+)\)", lambda found: PALETTE[cast("str", found[1])][0], content)
    return content


def config() -> dict[str, Any]:
    """Return the Vega-Lite configuration shared by all charts."""
    ink, quiet, line = colour("ink"), colour("quiet"), colour("line")
    text = {"labelFont": FONT, "titleFont": FONT, "labelFontSize": 11, "titleFontSize": 11.5, "titleFontWeight": 400}
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **text,
            "labelColor": quiet,
            "titleColor": quiet,
            "titlePadding": 8,
            "gridColor": line,
            "domainColor": line,
            "tickColor": line,
            "labelPadding": 5,
            "tickSize": 4,
        },
        "legend": {**text, "labelColor": ink, "titleColor": quiet, "symbolStrokeWidth": 2, "labelLimit": 220},
        "title": {"color": ink, "font": FONT, "fontSize": 12, "fontWeight": 600, "anchor": "start", "offset": 6},
        "text": {"fill": ink, "font": FONT, "fontSize": 11},
    }
