"""Every named rule of a contract refuses the row that breaks exactly it, and says so in words."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.variables import static_names

VALID: dict[str, dict[str, Any]] = {
    "Stays": {"stay_id": "a", "patient_id": "p", "site": "A", "start_hours": 1.0, "length_hours": 9.0}
    | dict.fromkeys(static_names(), 1.0),
    "Observations": {"stay_id": "a", "hours": 1.0, "variable": "ph", "value": 7.4},
    "Rejects": {"stay_id": "a", "hours": 1.0, "variable": "ph", "value": 74.0, "rule": "implausible"},
    "Episodes": {"stay_id": "a", "complication": "death", "onset_hours": 5.0, "end_hours": 5.0},
    "Labels": {
        "stay_id": "a",
        "hours": 1.0,
        "complication": "death",
        "horizon_hours": 6.0,
        "label": 1,
        "at_risk": True,
        "after_onset": False,
    },
    "ScalerTable": {"variable": "ph", "static": False, "log": False, "location": 7.4, "scale": 0.1},
}
BROKEN = [  # schema, what to change, what the message must name
    ("Stays", {"stay_id": ""}, r"stay_id\|min_length"),
    ("Stays", {"length_hours": 1.0}, "record_has_a_span"),
    ("Stays", {"start_hours": -1.0}, r"start_hours\|min"),
    ("Stays", {"length_hours": float("inf")}, r"length_hours\|inf"),
    ("Stays", {"site": None}, r"site\|nullability"),
    ("Stays", {"age_years": float("nan")}, r"age_years\|nan"),
    ("Observations", {"value": float("inf")}, r"value\|inf"),
    ("Observations", {"value": float("nan")}, r"value\|nan"),
    ("Observations", {"hours": None}, r"hours\|nullability"),
    ("Rejects", {"rule": None}, r"rule\|nullability"),
    ("Episodes", {"end_hours": 4.9}, "ends_after_onset"),
    ("Labels", {"at_risk": False}, "positive_is_at_risk"),
    ("Labels", {"label": 2}, r"label\|max"),
    ("ScalerTable", {"scale": 0.0}, r"scale\|min_exclusive"),
]


def _table(name: str, **change: Any) -> pl.DataFrame:
    return pl.DataFrame([VALID[name] | change], schema=schemas.empty(getattr(schemas, name)).schema)


@pytest.mark.parametrize("name", list(VALID))
def test_valid_table_passes_without_its_foreign_columns(name: str) -> None:
    table = _table(name)
    checked = schemas.check(getattr(schemas, name), table.with_columns(pl.lit(1).alias("foreign")), "it")
    assert_frame_equal(checked, table)


@pytest.mark.parametrize(("name", "change", "rule"), BROKEN, ids=[f"{name}-{rule}" for name, _, rule in BROKEN])
def test_broken_rule_is_named_with_its_rows(name: str, change: dict[str, Any], rule: str) -> None:
    with pytest.raises(InputError, match=rf"it breaks its contract {name}: {rule} \(1 rows\); first: \[.*; make it"):
        schemas.check(getattr(schemas, name), _table(name, **change), "it", advice="make it")


@pytest.mark.parametrize("name", ["Stays", "Observations", "Episodes", "Labels", "ScalerTable"])
def test_repeated_key_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"primary_key \(2 rows\)"):
        schemas.check(getattr(schemas, name), pl.concat([_table(name)] * 2), "it")


def test_missing_column_and_wrong_type_are_told() -> None:
    table = _table("Observations")
    with pytest.raises(InputError, match=r"it lacks the column\(s\) hours, value; run prepare"):
        schemas.check(schemas.Observations, table.drop("hours", "value"), "it", advice="run prepare")
    with pytest.raises(InputError, match=r"it breaks its contract Observations: .*hours"):
        schemas.check(schemas.Observations, table.with_columns(hours=pl.lit("one")), "it")


@pytest.mark.parametrize("risk", [0.0, 1.0, float("nan"), None])
def test_risk_lies_strictly_inside_the_unit_interval(risk: float | None) -> None:
    row = VALID["Labels"] | {"patient_id": "p", "site": "A", "split": "new", "risk": 0.5, "label": None}
    types = schemas.empty(schemas.Predictions).schema
    schemas.check(schemas.Predictions, pl.DataFrame([row], schema=types), "it")
    with pytest.raises(InputError, match="risk"):
        schemas.check(schemas.Predictions, pl.DataFrame([row | {"risk": risk}], schema=types), "it")


def test_split_stays_are_stays_with_a_known_split() -> None:
    assert schemas.SplitStays.column_names() == [*schemas.Stays.column_names(), "split"]
    assert schemas.empty(schemas.SplitStays).schema["split"] == pl.Enum(schemas.SPLITS)


def test_empty_table_keeps_its_contract() -> None:
    empty = schemas.empty(schemas.Episodes)
    assert empty.height == 0
    assert schemas.check(schemas.Episodes, empty, "it").columns == schemas.Episodes.column_names()
