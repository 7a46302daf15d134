"""Sums over time are the attributions' own, exact in any order, and add up over groups."""

from __future__ import annotations

from math import fsum
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.explanation.contributions import contributions, grouped
from clinical_lstm.explanation.keys import KEY
from clinical_lstm.schemas import CHANNELS
from clinical_lstm.variables import vocabulary


def test_every_cell_is_the_sum_of_its_attributions(tables: Any) -> None:
    found = contributions(tables.attributions, tables.explained)
    assert found.keys.rows() == sorted(tables.explained.filter("explained").select(KEY).rows())
    assert found.variables == ["age_years", "heart_rate", "home_made", "lactate"]
    expected = np.zeros((found.keys.height, 4, 4))
    at = {key: n for n, key in enumerate(found.keys.rows())}
    for row in tables.attributions.to_dicts():
        key = tuple(row[name] for name in KEY)
        if key in at:
            expected[at[key], found.variables.index(row["variable"]), CHANNELS.index(row["channel"])] += row[
                "attribution"
            ]
    np.testing.assert_allclose(found.cells, expected, atol=1e-8)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["lactate", "ph"]), st.floats(-50, 50)), max_size=40
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_no_order_of_rows_changes_a_bit(cells: list[tuple[str, str, float]], random: Any) -> None:
    def made(rows: list[tuple[str, str, float]]) -> np.ndarray:
        table = pl.DataFrame(
            rows, schema={"stay_id": pl.String, "variable": pl.String, "attribution": pl.Float64}, orient="row"
        )
        table = table.with_columns(
            hours=pl.lit(1.0), complication=pl.lit("x"), horizon_hours=pl.lit(6.0), channel=pl.lit("mask")
        )
        explained = pl.DataFrame({"stay_id": ["b", "a"], "hours": 1.0, "complication": "x", "horizon_hours": 6.0})
        return contributions(table, explained.with_columns(explained=True)).cells

    once, shuffled = made(cells), random.sample(cells, len(cells))
    assert once.tobytes() == made(shuffled).tobytes()
    assert once.sum() == pytest.approx(fsum(a for _, _, a in cells), abs=1e-9 * (len(cells) + 1))


def test_groups_add_up_to_everything_and_none_is_empty(tables: Any) -> None:
    found = contributions(tables.attributions, tables.explained)
    groups, net, size = grouped(found)
    assert groups[0] == ("all", "all", "all")
    assert len(set(groups)) == len(groups)
    assert (size > 0).any(axis=0).all()
    assert net[:, 0].tolist() == found.cells.sum(axis=(1, 2)).tolist()
    for kind in ("system", "variable"):
        for channel in ("all", *CHANNELS):
            own = [g for g, group in enumerate(groups) if (group.kind, group.channel) == (kind, channel)]
            whole = groups.index(("all", "all", channel))  # type: ignore[arg-type]
            assert net[:, own].sum(axis=1).tolist() == net[:, whole].tolist(), "exact sums: no tolerance"
            assert size[:, own].sum(axis=1).tolist() == size[:, whole].tolist()
    systems = {group.name for group in groups if group.kind == "system"}
    assert systems == {vocabulary()[name].system for name in ("age_years", "heart_rate", "lactate")} | {"other"}


def test_nothing_explained_gives_no_group(tables: Any) -> None:
    found = contributions(tables.attributions.clear(), tables.explained.clear())
    assert found.cells.shape == (0, 0, 4)
    groups, net, size = grouped(found)
    assert groups == []
    assert net.shape == size.shape == (0, 0)
    silent = contributions(tables.attributions.clear(), tables.explained)
    assert grouped(silent)[0] == [], "predictions that used nothing"
