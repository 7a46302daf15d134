"""The chart of a stay: one time axis, one zoom, and exactly the measurements and attributions of its card."""

from __future__ import annotations

import dataclasses
import warnings
from math import fsum
from typing import Any

import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting.contents import read
from clinical_lstm.reporting.stays import Card, Lane, cards
from clinical_lstm.reporting.timelines import timeline


@pytest.fixture(scope="module")
def card(run: Run) -> Card:
    return cards(read(run))[0]


@pytest.fixture(scope="module")
def spec(card: Card) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return timeline(card)


def test_one_time_axis_and_one_zoom(card: Card, spec: dict[str, Any]) -> None:
    assert len(spec["vconcat"]) == 1 + len(card.lanes) + 1
    assert spec["resolve"]["scale"]["x"] == "shared"
    (zoom,) = spec["params"]
    assert zoom["bind"] == "scales"
    assert zoom["select"]["encodings"] == ["x"]
    named = [layer["name"] for view in spec["vconcat"] for layer in view["layer"] if "name" in layer]
    assert zoom["views"] == named
    assert len(set(named)) == len(spec["vconcat"])


def test_lanes_draw_every_observed_point_and_no_other(card: Card, spec: dict[str, Any]) -> None:
    for lane, view in zip(card.lanes, spec["vconcat"][1:]):
        line = next(layer for layer in view["layer"] if layer.get("name", "").startswith("lane"))
        drawn = spec["datasets"][line["data"]["name"]]
        assert [(row["h"], row["v"]) for row in drawn] == lane.points
        assert [row["s"] for row in drawn] == [int(hours <= card.now) for hours, _ in lane.points]


def test_cells_carry_their_channels(card: Card, spec: dict[str, Any]) -> None:
    heat = spec["vconcat"][-1]["layer"][0]
    drawn = spec["datasets"][heat["data"]["name"]]
    assert len(drawn) == len(card.cells)
    for row, (cell, shares) in zip(drawn, card.cells.items()):
        assert row["e"] - row["h"] == card.step
        assert row["e"] == cell[1]
        assert row["a"] == pytest.approx(fsum(shares.values()), rel=6e-3)
        assert row["d"] == ("raises" if row["a"] > 0 else "lowers")
        assert row["cv"] == pytest.approx(shares["value"], rel=6e-3)


def test_threshold_and_onset_are_drawn_only_where_they_are(card: Card, spec: dict[str, Any]) -> None:
    bare = timeline(dataclasses.replace(card, threshold=None, onsets=[]))
    assert len(spec["vconcat"][0]["layer"]) == len(bare["vconcat"][0]["layer"]) + 3
    texts = {row.get("t") for rows in spec["datasets"].values() for row in rows}
    assert texts == {None, "explained", "onset"}


def test_a_stay_without_measurements_or_cells_is_still_a_chart(card: Card) -> None:
    alone = timeline(dataclasses.replace(card, lanes=[], cells={}, measured={}, rows=[]))
    assert len(alone["vconcat"]) == 1
    constant = timeline(dataclasses.replace(card, lanes=[Lane("marker_x", [(1.0, 0.0), (2.0, 0.0)])]))
    low, high = constant["vconcat"][1]["layer"][-1]["encoding"]["y"]["scale"]["domain"]
    assert low < 0 < high
