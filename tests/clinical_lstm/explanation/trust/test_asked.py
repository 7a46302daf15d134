"""Whose share is what is carried on, and which predictions the checks look at."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explanation import keys, trust
from clinical_lstm.explanation.trust.asked import by_observation

TARGET = ("sepsis", 6.0)


def test_observations_own_what_is_carried_on_from_them() -> None:
    mask = torch.tensor([0.0, 1, 0, 0, 1])[None, :, None]
    zeros = torch.zeros(1, 5, 1)
    batch = Batch(zeros, mask, zeros, torch.arange(5.0)[None], torch.zeros(1, 0), torch.tensor([5]))
    shares = np.array([16.0, 1, 2, 4, 8])[None, :, None]
    nothing, rest = np.zeros_like(shares), [np.zeros(1)] * 5
    found = Explanation(shares, shares / 64, nothing, np.zeros((1, 0)), *rest)
    owned = by_observation(found, trust.Asked(batch, torch.tensor([4]), torch.tensor([0])))
    assert owned[0, :, 0].tolist() == [0, 7 * 65 / 64, 0, 0, 8 * 65 / 64]


def test_sample_takes_one_prediction_of_a_stay_from_the_cohort_sample() -> None:
    rows = [(f"s{k % 5}", float(k), *TARGET, "cohort_sample" if k < 20 else "typical", 0.5) for k in range(40)]
    table = pl.DataFrame(rows, schema=keys.CHOSEN, orient="row")
    drawn = trust.sample(table, 4, seed=0)
    assert drawn["stay_id"].n_unique() == drawn.height == 4
    assert set(drawn["reason"]) == {"cohort_sample"}
    assert trust.sample(table.reverse(), 4, seed=0).equals(drawn)
    assert trust.sample(table.tail(20), 99, seed=0).height == 5
