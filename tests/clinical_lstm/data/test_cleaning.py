"""Each rule refuses the row made for it and no other; what goes in comes out, kept or refused."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm import schemas
from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.sources.base import Extract, stays_table

NAN, INF = float("nan"), float("inf")
COLUMNS = ["stay_id", "hours", "variable", "value"]
ONE_PER_RULE = [
    (("a", 1.0, "ph_of_the_moon", 7.4), "unknown_variable"),
    (("a", 1.0, "age_years", 60.0), "unknown_variable"),
    (("z", 1.0, "ph", 7.4), "unknown_stay"),
    (("a", 1.0, "ph", NAN), "not_finite"),
    (("a", 1.0, "ph", INF), "not_finite"),
    (("a", 1.0, "ph", None), "not_finite"),
    (("a", NAN, "ph", 7.4), "not_finite"),
    (("a", None, "ph", 7.4), "not_finite"),
    (("a", 1.0, "ph", 6.4999), "implausible"),
    (("a", 1.0, "ph", 8.0001), "implausible"),
    (("a", -0.001, "ph", 7.4), "before_admission"),
    (("a", 10.001, "ph", 7.4), "after_discharge"),
    # the first rule that applies
    (("z", 1.0, "ph_of_the_moon", 7.4), "unknown_variable"),
    (("z", 1.0, "ph", NAN), "unknown_stay"),
    (("a", NAN, "ph", 99.0), "not_finite"),
    (("a", -1.0, "ph", 99.0), "implausible"),
]
Row = tuple[str, float | None, str, float | None]


def _extract(rows: list[Row], rejects: list[tuple[object, ...]] | None = None) -> Extract:
    stays = pl.DataFrame(
        {"stay_id": ["b", "a"], "patient_id": ["q", "p"], "site": "A", "start_hours": 0.0, "length_hours": 10.0}
    )
    types = schemas.empty(schemas.Observations).schema
    return Extract(
        stays_table(stays),
        pl.DataFrame(rows, schema=types, orient="row"),
        schemas.empty(schemas.Episodes),
        pl.DataFrame(rejects or [], schema=schemas.empty(schemas.Rejects).schema, orient="row"),
    )


@pytest.mark.parametrize(("row", "rule"), ONE_PER_RULE)
def test_rule_refuses_its_row_and_keeps_it_with_its_name(row: Row, rule: str) -> None:
    kept, refused = clean(_extract([("a", 1.0, "lactate", 2.0), row]))
    assert kept.rows() == [("a", 1.0, "lactate", 2.0)]
    assert refused["rule"].to_list() == [rule]
    assert [str(x) for x in refused.select(COLUMNS).row(0)] == [str(x) for x in row]


@pytest.mark.parametrize(
    "row", [("a", 0.0, "ph", 6.5), ("a", 10.0, "ph", 8.0), ("a", 5.0, "troponin_i", 0.0), ("b", 5.0, "spo2", 100.0)]
)
def test_bounds_are_inclusive(row: Row) -> None:
    kept, refused = clean(_extract([row]))
    assert kept.rows() == [row]
    assert refused.is_empty()


def test_last_of_duplicates_is_kept() -> None:
    rows: list[Row] = [("a", 1.0, "ph", 7.1), ("a", 1.0, "ph", 7.2), ("a", 2.0, "ph", 7.2), ("a", 1.0, "ph", 7.3)]
    kept, refused = clean(_extract([*rows, ("a", 1.0, "ph", 99.0)]))
    assert kept.rows() == [("a", 1.0, "ph", 7.3), ("a", 2.0, "ph", 7.2)]
    assert refused.select("value", "rule").rows() == [(7.1, "duplicate"), (7.2, "duplicate"), (99.0, "implausible")]


CELLS = st.tuples(
    st.sampled_from(["a", "b", "z"]),
    st.sampled_from([-1.0, 0.0, 2.0, 10.0, 11.0, NAN, None]),
    st.sampled_from(["ph", "heart_rate", "age_years", "?"]),
    st.sampled_from([-1.0, 0.0, 7.4, 7.5, 80.0, INF, NAN, None]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CELLS, max_size=25))
def test_nothing_is_lost_and_what_is_kept_keeps_the_contract(rows: list[Row]) -> None:
    before = [("a", None, "ph", None, "sentinel")]
    kept, refused = clean(_extract(rows, before))
    assert kept.height + refused.height == len(rows) + len(before)
    schemas.check(schemas.Observations, kept, "kept")
    schemas.check(schemas.Rejects, refused, "refused")
    order = {"heart_rate": 0, "ph": 1}
    keys = [(stay, hours, order.get(variable, -1)) for stay, hours, variable, _ in kept.rows()]
    assert keys == sorted(keys)
    again, nothing = clean(_extract(kept.rows()))
    assert again.equals(kept)
    assert nothing.is_empty()


def test_implausible_static_values_become_unknown() -> None:
    stays = _extract([]).stays.with_columns(
        pl.Series("age_years", [121.0, 120.0]), pl.Series("height_cm", [99.9, 100.0]), pl.Series("male", [NAN, 1.0])
    )
    cleaned = clean_stays(stays)
    assert cleaned["stay_id"].to_list() == ["a", "b"]
    assert cleaned.select("age_years", "height_cm", "male").rows() == [(120.0, 100.0, 1.0), (None, None, None)]
    schemas.check(schemas.Stays, cleaned, "stays")
