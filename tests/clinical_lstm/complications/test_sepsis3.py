"""Sepsis-3 on worked vignettes, with every edge met exactly; what is refused; what costs nothing."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.complications import sepsis3 as module
from clinical_lstm.complications.sepsis3 import sepsis3
from clinical_lstm.errors import InputError

GIVEN = schemas.empty(schemas.Episodes)


def test_vignette(worked_vignette: Any) -> None:
    assert worked_vignette.found() == worked_vignette.found_alone() == worked_vignette.episodes


def observed(*rows: tuple[str, float, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schemas.empty(schemas.Observations).schema, orient="row")


def stays(*ids: str, length: float = 60.0) -> pl.DataFrame:
    return pl.DataFrame({"stay_id": ids, "length_hours": length})


def suspected(stay: str, antibiotic: float, culture: float) -> pl.DataFrame:
    """Return a stay whose platelets fall to 3 points at hour 20, with an antibiotic and a culture."""
    falling = (stay, 0.5, "platelets", 200.0), (stay, 20.0, "platelets", 20.0)
    return observed(*falling, (stay, antibiotic, "antibiotic", 1.0), (stay, culture, "culture", 1.0))


def test_windows_are_those_of_decimals() -> None:
    """32.2 - 8.2 is more than 24 in binary."""
    assert 32.2 - 8.2 > 24
    for culture, expected in ((32.2, [20.0]), (32.21, [])):
        assert sepsis3(stays("a"), suspected("a", 8.2, culture), GIVEN)["onset_hours"].to_list() == expected


def test_only_suspected_stays_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[list[str]] = []
    original = module.sofa

    def watched(few: pl.DataFrame, observations: pl.DataFrame, **windows: Any) -> pl.DataFrame:
        scored.append(few["stay_id"].to_list())
        assert set(observations["stay_id"]) == set(scored[-1])
        return original(few, observations, **windows)

    monkeypatch.setattr(module, "sofa", watched)
    alone = pl.concat([suspected("b", 1.0, 30.0), suspected("c", 1.0, 2.0).filter(pl.col("variable") != "culture")])
    assert sepsis3(stays("a", "b", "c"), pl.concat([suspected("a", 25.0, 26.0), alone]), GIVEN).height == 1
    assert scored == [["a"]]
    assert sepsis3(stays("a", "b", "c"), alone, GIVEN).is_empty()
    assert scored == [["a"]]


def test_stays_without_a_whole_hour_or_not_asked_for_have_none() -> None:
    early = observed(("a", 0.1, "antibiotic", 1.0), ("a", 0.2, "culture", 1.0), ("a", 0.3, "platelets", 10.0))
    assert sepsis3(stays("a", length=0.5), early, GIVEN, baseline="zero").is_empty()
    assert sepsis3(stays("a", length=1.0), early, GIVEN, baseline="zero").rows() == [("a", "sepsis3", 1.0, 1.0)]
    assert sepsis3(stays("b"), early, GIVEN, baseline="zero").is_empty()


def test_many_doses_are_one_sepsis() -> None:
    doses = observed(*(("a", float(hour), "antibiotic", 1.0) for hour in range(0, 56, 2)))
    found = sepsis3(stays("a"), pl.concat([doses, suspected("a", 1.0, 20.0)]).sort("hours"), GIVEN)
    assert found.rows() == [("a", "sepsis3", 20.0, 60.0)]


def test_windows_may_be_endless() -> None:
    endless = dict.fromkeys(["culture_within_hours", "before_hours", "after_hours"], float("inf"))
    assert sepsis3(stays("a"), suspected("a", 1.0, 55.0), GIVEN, **endless)["onset_hours"].to_list() == [20.0]
    assert sepsis3(stays("a"), suspected("a", 54.0, 55.0), GIVEN, **endless)["onset_hours"].to_list() == [20.0]


@pytest.mark.parametrize("wrong", [
    {"baseline": "zeroo"}, {"onset": "sofa"}, {"rise_points": -1}, {"before_hours": float("nan")},
    {"antibiotic_within_hours": "72"}, {"carry_hours": 1.5},
])  # fmt: skip
def test_what_cannot_be_is_refused_even_without_stays(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        sepsis3(schemas.empty(schemas.Stays), schemas.empty(schemas.Observations), GIVEN, **wrong)
