"""Stated episodes are picked by name."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm import plugins, schemas
from clinical_lstm.complications.base import stated

GIVEN = pl.DataFrame(
    [("a", "death", 9.0, 9.0), ("a", "sepsis_label", 3.0, 6.0), ("b", "death", 2.0, 2.0), ("b", "planted", 1.0, 2.0)],
    schema=schemas.empty(schemas.Episodes).schema,
    orient="row",
)


def test_only_the_named_complication_is_kept_in_order() -> None:
    assert stated(GIVEN, "death").rows() == [("a", "death", 9.0, 9.0), ("b", "death", 2.0, 2.0)]
    assert stated(GIVEN, "shock").is_empty()


@pytest.mark.parametrize("name", plugins.names("complications"))
def test_every_complication_keeps_the_contract_on_nothing(name: str) -> None:
    stays, observations = schemas.empty(schemas.Stays), schemas.empty(schemas.Observations)
    found = plugins.build(
        "complications", {"name": name}, stays=stays, observations=observations, given=schemas.empty(schemas.Episodes)
    )
    assert schemas.check(schemas.Episodes, found, name).is_empty()


@pytest.mark.parametrize("name", plugins.names("complications"))
def test_episodes_bear_the_name_of_their_complication(name: str) -> None:
    stays, observations = schemas.empty(schemas.Stays), schemas.empty(schemas.Observations)
    found = plugins.build("complications", {"name": name}, stays=stays, observations=observations, given=GIVEN)
    assert set(found["complication"]) <= {name}
