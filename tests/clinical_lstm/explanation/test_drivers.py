"""Drivers recomputed with loops; parts of the cohort and of the tables change nothing but their own rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.explanation.drivers import drivers, importance
from clinical_lstm.explanation.evidence import Evidence
from clinical_lstm.explanation.keys import KEY, TARGET
from clinical_lstm.variables import vocabulary

FIGURES = ["mean_abs", "low", "high", "mean_signed", "signed_low", "signed_high", "share", "share_low", "share_high"]


def _cells(tables: Any) -> dict[tuple, dict[tuple[str, str], float]]:
    """Return prediction -> (variable, channel) -> sum over time."""
    found: dict[tuple, dict[tuple[str, str], float]] = {}
    for row in tables.attributions.to_dicts():
        own = found.setdefault(tuple(row[name] for name in KEY), {})
        cell = (row["variable"], row["channel"])
        own[cell] = own.get(cell, 0.0) + row["attribution"]
    return found


def _belongs(row: dict[str, Any], variable: str, channel: str) -> bool:
    system = vocabulary()[variable].system if variable in vocabulary() else "other"
    named = {"all": "all", "system": system, "variable": variable}[row["kind"]] == row["group"]
    return named and row["channel"] in ("all", channel)


def test_every_figure_recomputed_with_loops(tables: Any, entries: list[Evidence]) -> None:
    found, cells = drivers(entries), _cells(tables)
    parts = {(entry.target, p.dimension, p.level): (entry, p.rows) for entry in entries for p in entry.parts}
    assert {(row[:2], *row[2:]) for row in found.select(*TARGET, "dimension", "level").rows()} == set(parts)
    chosen = [found.row(i, named=True) for i in range(0, found.height, 7)]
    for row in chosen:
        entry, rows = parts[(row["complication"], row["horizon_hours"]), row["dimension"], row["level"]]
        own = [cells.get(entry.found.keys.row(n), {}) for n in rows]
        a = [[x for cell, x in each.items() if _belongs(row, *cell)] for each in own]
        size, net = np.array([sum(map(abs, x)) for x in a]), np.array([sum(x) for x in a])
        whole = np.array([sum(map(abs, each.values())) for each in own])
        assert row["n_predictions"] == len(rows)
        if row["n_patients"] < 3:
            assert [row[name] for name in FIGURES] == [None] * 9
            continue
        with np.errstate(invalid="ignore"):
            drawn = [(entry.counts[entry.patient[rows], r]) for r in range(20)]
            values = [(size.mean(), net.mean(), size.sum() / whole.sum())]
            values += [((size @ w) / w.sum(), (net @ w) / w.sum(), (size @ w) / (whole @ w)) for w in drawn]
        expected = []
        for value, *replicates in zip(*values):
            expected += [value, *np.quantile([x for x in replicates if np.isfinite(x)], [0.025, 0.975])]
        assert [row[name] for name in FIGURES] == pytest.approx(expected, abs=1e-7)


def test_shares_add_up_and_sizes_are_those_of_importance(tables: Any, entries: list[Evidence]) -> None:
    found = drivers(entries).filter(pl.col("share").is_not_null())
    part = [*TARGET, "dimension", "level"]
    for rows in (
        found.filter(pl.col("kind") == "variable", pl.col("channel") == "all"),
        found.filter(pl.col("kind") == "system", pl.col("channel") == "all"),
        found.filter(pl.col("kind") == "all", pl.col("channel") != "all"),
    ):
        sums = rows.group_by(part).agg(pl.col("share", "mean_signed").sum(), n=pl.len())
        assert sums.height > 10
        assert np.allclose(sums["share"], 1)
    shown = tables.chosen.filter(pl.col("reason") == "cohort_sample").select(KEY)
    sampled = tables.explained.join(shown, on=KEY, how="semi").with_columns(reason=pl.lit("cohort_sample"))
    weights = importance(tables.attributions, sampled).rename({"variable": "group"})
    own = found.filter(pl.col("dimension") == "all", pl.col("kind") == "variable", pl.col("channel") != "all")
    both = weights.join(own.with_columns(pl.col("channel").cast(pl.String)), on=[*TARGET, "group", "channel"])
    assert both.height == weights.height == own.height > 10
    assert both["mean_abs"].equals(both["mean_abs_right"].rename("mean_abs"))
    assert both["mean_signed"].equals(both["mean_signed_right"].rename("mean_signed"))


def test_same_bits_in_any_order_of_rows(tables: Any, entries: list[Evidence]) -> None:
    turned = type(tables)(*(table.reverse() for table in tables))
    assert drivers(turned.evidence()).equals(drivers(entries))


def test_what_is_not_explained_changes_nothing(tables: Any, entries: list[Evidence]) -> None:
    hidden = tables.explained.filter(~pl.col("explained")).select(KEY).with_columns(hidden=True)
    assert hidden.height > 3
    loud = tables.attributions.join(hidden, on=KEY, how="left", maintain_order="left").with_columns(
        attribution=pl.when("hidden").then(1e3).otherwise("attribution")
    )
    assert (loud["attribution"] == 1e3).any()
    assert drivers(tables._replace(attributions=loud.drop("hidden")).evidence()).equals(drivers(entries))


def test_one_target_among_several(tables: Any, entries: list[Evidence]) -> None:
    only = pl.col("horizon_hours") == 12.0
    alone = tables._replace(explained=tables.explained.filter(only), chosen=tables.chosen.filter(only))
    found, both = drivers(alone.evidence()), drivers(entries).filter(only)
    point = [name for name in found.columns if "low" not in name and "high" not in name]
    assert found.select(point).equals(both.select(point))
    assert found["horizon_hours"].unique().to_list() == [12.0]


def test_too_few_patients_have_counts_only(tables: Any) -> None:
    found = drivers(tables.evidence(least_patients=8))
    few = found.filter(pl.col("n_patients") < 8)
    assert few.height > 0
    assert few.select(pl.col(FIGURES).is_null().all()).row(0) == (True,) * 9
    assert found.filter(pl.col("n_patients") >= 8).select(pl.col(FIGURES).is_not_null().all()).row(0) == (True,) * 9


def test_no_replicates_leave_the_values(tables: Any) -> None:
    found = drivers(tables.evidence(replicates=0)).filter(pl.col("n_patients") >= 3)
    assert found["mean_abs"].null_count() == found["share"].null_count() == 0
    assert found["low"].null_count() == found["signed_high"].null_count() == found.height


def test_nothing_explained_gives_an_empty_table() -> None:
    assert drivers([]).equals(schemas.empty(schemas.Drivers))


def test_predictions_that_used_nothing_have_no_drivers(tables: Any) -> None:
    assert drivers(tables._replace(attributions=tables.attributions.clear()).evidence()).height == 0
