"""The palette: readable on both papers, told apart without colour vision, and without CSS in pictures."""

from __future__ import annotations

import json

import pytest

from clinical_lstm.reporting import theme


def luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dim = sorted([luminance(one), luminance(other)], reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("mode", [0, 1])
def test_text_and_lines_contrast_with_the_paper(mode: int) -> None:
    for paper in ("paper", "card"):
        ground = theme.PALETTE[paper][mode]
        for name in ["ink", "quiet", "accent", "warn", "raise", "lower"]:
            assert contrast(theme.PALETTE[name][mode], ground) >= 4.5 - 0.5 * (name in ("raise", "lower")), name
        for name in [f"series{i + 1}" for i in range(theme.SERIES)]:
            assert contrast(theme.PALETTE[name][mode], ground) >= 3, name


@pytest.mark.parametrize("mode", [0, 1])
def test_raise_and_lower_differ_without_red_green_vision(mode: int) -> None:
    """Red-green blindness leaves blue against yellow: the two must lie on both sides of grey."""

    def blue_yellow(colour: str) -> float:
        red, green, blue = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        return blue - (red + green) / 2

    assert blue_yellow(theme.PALETTE["lower"][mode]) > 40
    assert blue_yellow(theme.PALETTE["raise"][mode]) < -40


def test_every_series_differs_by_its_dash_too() -> None:
    looks = [theme.series(index) for index in range(theme.SERIES)]
    assert len({tuple(dash) for _, dash in looks}) == theme.SERIES
    assert theme.series(theme.SERIES) == looks[0]


def test_pictures_have_no_css_variables() -> None:
    assert "var(" in json.dumps(theme.config())
    assert "var(" not in json.dumps(theme.printed(theme.config()))
