"""Wards whose risks are true by construction: onsets from known hazards, labels and follow-up as in `data.labels`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.evaluation import Judged
from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.evaluation.rows import Rows, rows_of, scored
from clinical_lstm.metrics.alarms import Policy

SEPSIS, DEATH = ("sepsis", 6.0), ("death", 24.0)
AFTER = 3.0  # hours after the onset that still are rows, as in the challenge of 2019; 0: none
OPERATION = Operation(0.15, Policy(0.2, silence_hours=4.0))


class Ward(NamedTuple):
    """`schemas.Predictions` of hourly rows, and the stays' static variables."""

    predictions: pl.DataFrame
    stays: pl.DataFrame


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def make_ward(
    patients: int = 90,
    hours: int = 18,
    seed: int = 0,
    targets: tuple[tuple[str, float], ...] = (SEPSIS,),
    split: str = "test",
    noise: float = 0.0,
    male_logit: float = 0.0,
    digits: int | None = None,
    censored: bool = False,
    after: float = AFTER,
) -> Ward:
    """Return a ward; equal but for the risks whatever `noise`, `male_logit` and `digits` are.

    A stay is followed for 6 h more than its rows, or (`censored`) ends with them: then its last rows wait in vain.
    Every eighth patient has two stays. Risks are the true ones, on the logit scale shifted by `male_logit` for men and
    blurred by `noise`, and rounded to `digits`.
    """
    random, blur = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    owner = np.r_[np.arange(patients), np.arange(0, patients, 8)]
    facts = {
        "patient_id": [f"p{i:03d}" for i in owner],
        "site": np.where(owner % 3 == 0, "B", "A"),
        "male": (owner % 2).astype(float),
        "age_years": np.round(random.uniform(20, 95, patients), 0)[owner],
    }
    stays = pl.DataFrame({"stay_id": [f"s{i:03d}" for i in range(len(owner))], **facts})
    burden = random.normal(0, 1.2, patients)[owner]
    parts = []
    for complication, horizon in targets:
        step, reach = np.arange(1.0, hours + 1), int(horizon)
        wave = random.normal(0, 0.8, (len(owner), hours + reach))
        hazard = sigmoid(-4.5 + burden[:, None] + np.cumsum(wave, axis=1) / 4)  # [s]: of the hour (s, s + 1]
        struck = random.random(hazard.shape) < hazard
        onset = np.where(struck.any(axis=1), struck.argmax(axis=1) + 0.5, np.nan)
        free = np.cumsum(np.log1p(-hazard), axis=1)
        ahead = free[:, reach:] - free[:, :-reach]  # [t - 1]: log P(no onset in (t, t + horizon])
        logit = np.log(np.expm1(-ahead)) + male_logit * facts["male"][:, None]
        risk = sigmoid(logit + noise * blur.normal(size=logit.shape))
        stay, column = np.repeat(np.arange(len(owner)), hours), np.tile(np.arange(hours), len(owner))
        end = hours if censored else hours + horizon
        onset = np.where(onset <= end, onset, np.nan)[stay]
        now = step[column]
        before, after = ~(onset <= now), (onset <= now) & (now <= onset + after)
        label = (before & (onset <= now + horizon)) | after
        known = after | (before & (label | (now + horizon <= end)))
        shown = risk[stay, column]
        shown = shown if digits is None else np.clip(shown.round(digits), 10.0**-digits, 1 - 10.0**-digits)
        table = pl.DataFrame(
            {
                "stay_id": stays["stay_id"].gather(stay),
                "patient_id": stays["patient_id"].gather(stay),
                "site": stays["site"].gather(stay),
                "split": pl.Series([split]).new_from_index(0, len(stay)),
                "hours": now,
                "complication": [complication] * len(stay),
                "horizon_hours": [horizon] * len(stay),
                "risk": shown,
                "label": (label & known).astype(np.int8),
                "at_risk": known,
                "after_onset": after,
                "onset_hours": pl.Series(np.where(before | after, onset, np.nan)).fill_nan(None),
                "follow_up_hours": pl.Series(np.where(before, float(end), np.nan)).fill_nan(None),
            }
        )
        parts.append(table.cast({"split": schemas.Predictions.split.dtype}))
    return Ward(pl.concat(parts), stays)


@pytest.fixture(scope="session")
def ward() -> Callable[..., Ward]:
    """The maker of wards."""
    return make_ward


@pytest.fixture(scope="session")
def rows_in() -> Callable[..., Rows]:
    """The rows of sepsis in a ward."""
    return lambda one: rows_of(scored(one.predictions, "test", "the ward"), SEPSIS)


@pytest.fixture(scope="session")
def judge() -> Callable[..., Judged]:
    """A table as it is judged: every target operated alike."""
    return lambda table, operation=OPERATION: Judged(table, {SEPSIS: operation, DEATH: operation})


@pytest.fixture(scope="session")
def lines() -> Callable[..., dict[str, dict]]:
    """The rows of a table of scores or gaps by metric, of one predictor and subset (or of whatever is asked)."""

    def of(table: pl.DataFrame, predictor: str = "model", subset: str | None = "all", **asked: str) -> dict[str, dict]:
        named = {"predictor": predictor, **asked} | ({"subset": subset} if subset else {})
        chosen = table.filter(*(pl.col(name) == value for name, value in named.items()))
        return {row["metric"]: row for row in chosen.iter_rows(named=True)}

    return of
