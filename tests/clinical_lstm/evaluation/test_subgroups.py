"""Every row is in the level that its stay, or its hour, says; what is not known is in none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import Protocol
from clinical_lstm.evaluation.rows import Rows
from clinical_lstm.evaluation.subgroups import KNOWN, parts, require_dimensions

HOURS = np.array([1.0, 6.0, 6.5, 12.0, 24.0, 25.0])


@pytest.fixture(scope="module")
def rows(ward: Any, rows_in: Any) -> Rows:
    """Six stays of one row each."""
    own = rows_in(ward(patients=30))
    six = own.where(own.hours == 1.0).where(np.arange(len(own.hours[own.hours == 1.0])) < 6)
    site = np.array(["B", "A", "A", "A", "B", "C"], object)
    return replace(six, hours=HOURS, site=site, after_onset=np.arange(6) == 5)


def levels(rows: Rows, dimension: str, **static: list[float | None]) -> dict[str, list[int]]:
    """Return the rows of each level of a dimension; `static`: the variables of the six stays."""
    stays = pl.DataFrame({"stay_id": rows.stay_id, **static}).sample(fraction=1, shuffle=True, seed=1)
    found = {part.name: np.flatnonzero(part.mask).tolist() for part in parts(rows, stays, [dimension])}
    assert found.pop("all") == list(range(6))
    assert found.pop("pre_onset") == [0, 1, 2, 3, 4]
    return {name.removeprefix(f"{dimension}="): own for name, own in found.items()}


def test_sites_are_in_the_order_of_their_names(rows: Rows) -> None:
    found = levels(rows, "site")
    assert list(found.items()) == [("A", [1, 2, 3]), ("B", [0, 4]), ("C", [5])]


def test_an_age_on_the_edge_is_in_the_band_above(rows: Rows) -> None:
    found = levels(rows, "age", age_years=[65.0, 64.9, 45.0, 80.0, 18.0, None])
    assert list(found.items()) == [("<45", [4]), ("45-64", [1, 2]), ("65-79", [0]), ("80+", [3])]


def test_the_row_at_hour_24_ends_the_first_day(rows: Rows) -> None:
    assert levels(rows, "hours") == {"0-6 h": [0, 1], "6-12 h": [2, 3], "12-24 h": [4], "24-48 h": [5]}


def test_sex_and_units_of_which_nothing_is_known_have_no_level(rows: Rows) -> None:
    assert levels(rows, "sex", male=[1.0, 0.0, None, 1.0, 0.0, 0.0]) == {"female": [1, 4, 5], "male": [0, 3]}
    units = {"icu_medical": [1.0, 1.0, 0.0, None, 0.0, 0.0], "icu_surgical": [0.0, 0.0, 1.0, None, 0.0, 0.0]}
    assert levels(rows, "unit", **units) == {"medical": [0, 1], "surgical": [2]}
    assert levels(rows, "icu_medical", **units) == {"no": [2, 4, 5], "yes": [0, 1]}
    for dimension in ("sex", "age", "unit", "weight_kg"):
        assert levels(rows, dimension) == {}, "a cohort without the variable"
    assert levels(rows, "sex", male=[None] * 6) == {}
    assert levels(rows, "weight_kg", weight_kg=[None] * 6) == {}


def test_a_number_is_cut_at_the_thirds_of_its_stays(rows: Rows) -> None:
    found = levels(rows, "weight_kg", weight_kg=[50.0, 60.0, 70.0, 80.0, 90.0, None])
    assert found == {"<60 kg": [0], "60-70 kg": [1], "70+ kg": [2, 3, 4]}
    assert levels(rows, "height_cm", height_cm=[170.0] * 6) == {"170+ cm": [0, 1, 2, 3, 4, 5]}


def test_thirds_are_of_stays_not_of_rows(ward: Any, rows_in: Any) -> None:
    """A stay of many rows must not move the edge."""
    own = rows_in(ward(patients=30))
    weight = dict(zip(sorted(set(own.stay_id)), np.linspace(50, 120, len(set(own.stay_id)))))
    heavy = own.where((own.hours == 1) | (own.stay == own.stay.max()))
    stays = pl.DataFrame({"stay_id": list(weight), "weight_kg": list(weight.values())})
    names = [[part.name for part in parts(one, stays, ["weight_kg"])] for one in (own.where(own.hours == 1), heavy)]
    assert names[0] == names[1]
    sizes = [part.mask.sum() for part in parts(own.where(own.hours == 1), stays, ["weight_kg"])][2:]
    assert max(sizes) - min(sizes) <= 2


def test_a_stay_that_the_table_lacks_is_in_no_level(rows: Rows) -> None:
    stays = pl.DataFrame({"stay_id": rows.stay_id[:3], "male": [0.0, 1.0, 1.0]})
    found = {part.name: part.mask.tolist() for part in parts(rows, stays, ["sex"])}
    assert found["sex=female"] == [True, False, False, False, False, False]
    assert found["sex=male"] == [False, True, True, False, False, False]


def test_unknown_dimensions_are_refused_with_those_that_there_are() -> None:
    require_dimensions([*KNOWN, "weight_kg"])
    require_dimensions([])
    with pytest.raises(InputError, match=r"no 'sez': did you mean '?sex"):
        require_dimensions(["site", "sez"])
    with pytest.raises(
        InputError, match=r"no 'colour': there are: age, age_years, .*hours, .*sex, site, unit, weight_kg"
    ):
        Protocol(subgroups=["colour"])
    with pytest.raises(InputError, match="stands twice in site, age, site"):
        Protocol(subgroups=["site", "age", "site"])
