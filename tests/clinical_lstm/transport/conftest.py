"""Predictions for a target site whose truth is planted: what the model says there is off by a known line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas

Planted = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def planted() -> Planted:
    """Return what makes predictions: the true logit is `intercept` + `slope` times the logit that the model gives."""

    def make(
        patients: int, intercept: float = 0.0, slope: float = 1.0, steps: int = 6, base: float = -2.0, seed: int = 0
    ) -> pl.DataFrame:
        draw = np.random.default_rng(seed)
        patient = np.repeat(np.arange(patients), steps)
        logit = base + draw.standard_normal(patients)[patient] + 0.5 * draw.standard_normal(len(patient))
        true = 1 / (1 + np.exp(-(intercept + slope * logit)))
        names = [f"p{i:05d}" for i in patient]
        table = pl.DataFrame(
            {
                "stay_id": [f"{name}-1" for name in names],
                "patient_id": names,
                "hours": np.tile(np.arange(1.0, steps + 1), patients),
                "risk": 1 / (1 + np.exp(-logit)),
                "label": (draw.random(len(patient)) < true).astype(np.int8),
            }
        ).with_columns(
            site=pl.lit("B"),
            split=pl.lit("test"),
            complication=pl.lit("sepsis"),
            horizon_hours=pl.lit(6.0),
            at_risk=True,
            after_onset=False,
        )
        contract = schemas.empty(schemas.Predictions).schema
        unknown = [pl.lit(None).alias(name) for name in contract if name not in table.columns]
        return table.with_columns(unknown).select(list(contract)).cast(dict(contract))

    return make
