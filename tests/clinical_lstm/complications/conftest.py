"""Worked vignettes: `<name>_vignettes.csv` (the measurements) and `<name>_expected.csv` (the episodes, and why)."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from clinical_lstm import plugins, schemas
from clinical_lstm.sources.base import stays_table
from clinical_lstm.variables import static_names

HERE = Path(__file__).parent


class Vignette(NamedTuple):
    """One scenario of a complication: what was measured, and the episodes (onset, end) in hours that follow."""

    complication: str
    scenario: str
    arguments: dict[str, Any]
    episodes: list[tuple[float, float]]

    def found(self) -> list[tuple[float, float]]:
        """Return the episodes that the complication finds; the scenarios of the file are stays of one frame."""
        stays, observations = measurements(self.complication)
        return self.episodes_in(stays, observations)

    def found_alone(self) -> list[tuple[float, float]]:
        """Return the episodes that it finds when the scenario is the only stay."""
        own = pl.col("stay_id") == self.scenario
        stays, observations = measurements(self.complication)
        return self.episodes_in(stays.filter(own), observations.filter(own))

    def episodes_in(self, stays: pl.DataFrame, observations: pl.DataFrame) -> list[tuple[float, float]]:
        spec = {"name": self.complication, **self.arguments}
        given = schemas.empty(schemas.Episodes)
        found = plugins.build("complications", spec, stays=stays, observations=observations, given=given)
        schemas.check(schemas.Episodes, found, self.complication)
        return found.filter(pl.col("stay_id") == self.scenario).select("onset_hours", "end_hours").rows()


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def measurements(complication: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the stays and observations of all scenarios of a complication, in the order of the file."""
    read = pl.read_csv(HERE / f"{complication}_vignettes.csv", schema_overrides={"value": pl.Float64}).select(
        pl.col("scenario").alias("stay_id"), pl.col("hours").cast(pl.Float64), "variable", "value"
    )
    static = pl.col("variable").is_in(static_names())
    stays = read.select("stay_id").unique(maintain_order=True)
    for (name,), known in read.filter(static).group_by("variable"):
        stays = stays.join(known.select("stay_id", pl.col("value").alias(str(name))), on="stay_id", how="left")
    spans = {"start_hours": pl.lit(0.0), "length_hours": pl.lit(500.0), "patient_id": "stay_id", "site": pl.lit("x")}
    return stays_table(stays.with_columns(**spans)), read.filter(~static)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for a `worked_vignette` each scenario of the complication that its file is named by."""
    if "worked_vignette" in metafunc.fixturenames:
        name = Path(str(metafunc.module.__file__)).stem.removeprefix("test_")
        found = [
            Vignette(
                name,
                row["scenario"],
                {key: json.loads(value) for key, value in (pair.split("=") for pair in row["arguments"].split())},
                [(float(a), float(b)) for a, b in (e.split(" to ") for e in row["episodes"].split("; ") if e)],
            )
            for row in rows(f"{name}_expected.csv")
        ]
        metafunc.parametrize("worked_vignette", found, ids=[one.scenario for one in found])
