"""A small cohort of random attributions, two targets, patients with several stays, samples that overlap."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from clinical_lstm.explanation.evidence import Evidence, evidence
from clinical_lstm.explanation.keys import BEFORE_ONSET, KEY, OUTCOMES, SAMPLED

VARIABLES = {"lactate": "value", "heart_rate": "value", "home_made": "value", "age_years": "static"}
REASONS = ["typical", SAMPLED, BEFORE_ONSET, *(f"{name}_sample" for name in OUTCOMES)]


class Tables(NamedTuple):
    """What the summaries of a cohort are made of."""

    attributions: pl.DataFrame
    explained: pl.DataFrame
    chosen: pl.DataFrame
    predictions: pl.DataFrame
    stays: pl.DataFrame

    def evidence(self, least_patients: int = 3, replicates: int = 20, seed: int = 5) -> list[Evidence]:
        """Return what they rest on."""
        return evidence(*self, least_patients=least_patients, replicates=replicates, seed=seed)


def _attributions(keys: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    rows = []
    for key in keys.rows():
        for variable, main in VARIABLES.items():
            channels = [main] if main == "static" else ["value", "mask", "delta"]
            for channel in channels:
                steps = [key[1]] if main == "static" else range(1, int(key[1]) + 1)
                drawn = ((float(hour), generator.normal(scale=0.2)) for hour in steps)
                rows += [(*key, hour, variable, channel, a) for hour, a in drawn if abs(a) > 0.1]
    names = [*KEY, "input_hours", "variable", "channel", "attribution"]
    channel = {"channel": pl.Enum(["value", "mask", "delta", "static"])}
    return pl.DataFrame(rows, schema=names, orient="row", schema_overrides=channel)


@pytest.fixture(scope="session")
def tables() -> Tables:
    """Forty stays of thirty patients; every prediction has up to three reasons, a tenth is not explained."""
    generator = np.random.default_rng(3)
    stays = pl.DataFrame(
        {
            "stay_id": [f"s{i:02}" for i in range(40)],
            "patient_id": [f"p{i % 30:02}" for i in range(40)],
            "age_years": [None if i % 9 == 0 else 20.0 + 2 * i for i in range(40)],
            "male": [None if i % 11 == 0 else float(i % 3 == 0) for i in range(40)],
        }
    )
    onset = {f"s{i:02}": float(generator.integers(4, 60)) if i % 2 else None for i in range(40)}
    keys: list[dict[str, Any]] = [
        {"stay_id": stay, "hours": float(hour), "complication": "sepsis", "horizon_hours": horizon}
        for stay in stays["stay_id"]
        for horizon in (6.0, 12.0)
        for hour in sorted(generator.choice(np.arange(1, 9), size=2, replace=False))
    ]
    table = pl.DataFrame(keys)
    predictions = table.join(stays.select("stay_id", "patient_id"), on="stay_id", maintain_order="left").with_columns(
        onset_hours=pl.col("stay_id").replace_strict(onset, return_dtype=pl.Float64)
    )
    reasons = [(*key, reason) for key in table.rows() for reason in generator.choice(REASONS, 3)]
    chosen = pl.DataFrame(reasons, schema=[*KEY, "reason"], orient="row").unique(maintain_order=True)
    explained = chosen.unique(KEY, keep="first", maintain_order=True)
    explained = explained.with_columns(explained=pl.Series(generator.random(explained.height) > 0.1))
    return Tables(_attributions(table, generator), explained, chosen, predictions, stays.drop("patient_id"))


@pytest.fixture(scope="session")
def entries(tables: Tables) -> list[Evidence]:
    """What the tables rest on, with 20 replicates."""
    return tables.evidence()
