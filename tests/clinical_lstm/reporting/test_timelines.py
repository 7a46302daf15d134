"""The chart of a stay: one time axis, one zoom, and exactly the measurements and attributions of its card."""

from __future__ import annotations

import dataclasses
import warnings
from math import fsum
from typing import Any

import altair as alt
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.metrics.alarms import Policy
from clinical_lstm.reporting.contents import read
from clinical_lstm.reporting.ringing import Ringing
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
    zoom, hover = spec["params"]
    assert zoom["bind"] == "scales"
    assert zoom["select"]["encodings"] == ["x"]
    named = [[layer["name"] for layer in view["layer"] if "name" in layer] for view in spec["vconcat"]]
    for param in (zoom, hover):
        assert [len(set(param["views"]) & set(names)) for names in named] == [1] * len(named)


def test_the_chart_keeps_to_the_grammar(spec: dict[str, Any]) -> None:
    """The page builds it unchecked, for speed."""
    assert alt.VConcatChart.from_dict(spec).to_dict(validate=True)["params"] == spec["params"]


def test_every_view_draws_the_hour_that_is_pointed_at(spec: dict[str, Any]) -> None:
    hours = {row["t"] for rows in spec["datasets"].values() for row in rows if isinstance(row.get("t"), float)}
    for view in spec["vconcat"]:
        (line,) = [layer for layer in view["layer"] if layer.get("transform")]
        assert line["transform"] == [{"filter": {"param": "hover", "empty": False}}]
        assert {row["h"] for row in spec["datasets"][line["data"]["name"]]} == hours


def test_alarms_are_triangles_in_shaded_silence(card: Card) -> None:
    ringing = Ringing(Policy(0.05, 6.0), [(44.0, 0.06), (50.0, 0.09)], [(44.0, 56.0), (58.0, 99.0), (200.0, 206.0)])
    spec = timeline(dataclasses.replace(card, ringing=ringing))
    layers = spec["vconcat"][0]["layer"]
    (alarms,) = [layer for layer in layers if layer["mark"].get("shape")]
    assert alarms["mark"]["shape"] == "triangle-up"
    assert [(row["h"], row["r"]) for row in spec["datasets"][alarms["data"]["name"]]] == ringing.alarms
    (shades,) = [layer for layer in layers if layer["mark"]["type"] == "rect" and layer["mark"]["opacity"] == 0.16]
    spans = [(row["h"], row["e"]) for row in spec["datasets"][shades["data"]["name"]]]
    assert spans == [(44.0, 56.0), (58.0, card.end)]
    levels = [layer for layer in layers if layer["mark"]["type"] == "rule" and "y" in layer["encoding"]]
    assert [spec["datasets"][layer["data"]["name"]] for layer in levels] == [[{"r": card.threshold}], [{"r": 0.05}]]
    assert levels[0]["mark"]["strokeDash"] != levels[1]["mark"]["strokeDash"]
    quiet = timeline(dataclasses.replace(card, ringing=Ringing(Policy(1.0), [], [])))
    assert len(quiet["vconcat"][0]["layer"]) == len(layers) - 3


def test_a_page_of_its_own_has_taller_views(card: Card, spec: dict[str, Any]) -> None:
    tall = timeline(dataclasses.replace(card, height=1.5))
    assert [view["height"] for view in tall["vconcat"][:2]] == [195, 66]
    assert [view["height"] for view in spec["vconcat"][:2]] == [130, 44]


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
    assert {text for text in texts if isinstance(text, str)} == {"explained", "onset"}


def test_a_stay_without_measurements_or_cells_is_still_a_chart(card: Card) -> None:
    alone = timeline(dataclasses.replace(card, lanes=[], cells={}, measured={}, rows=[]))
    assert len(alone["vconcat"]) == 1
    constant = timeline(dataclasses.replace(card, lanes=[Lane("marker_x", [(1.0, 0.0), (2.0, 0.0)])]))
    low, high = constant["vconcat"][1]["layer"][-1]["encoding"]["y"]["scale"]["domain"]
    assert low < 0 < high
