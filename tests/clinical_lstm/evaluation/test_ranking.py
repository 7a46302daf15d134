"""The ranking: means over seeds, paired differences as `paired_difference` gives them, simultaneous intervals."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import evaluate, paired_difference
from clinical_lstm.evaluation.ranking import Sample, rank, sample, simultaneous_widths
from clinical_lstm.evaluation.rows import scored

TARGET = ("sepsis", 6.0)
LIMIT = {TARGET: 0.2}
KEY = (*TARGET, "auroc")


def _predictions(noise: float, seed: int = 0, patients: int = 80) -> pl.DataFrame:
    """Return the same patients and outcomes always; `noise` spoils the risks, `seed` draws it."""
    random = np.random.default_rng(0)
    n, patient = patients * 6, np.repeat(np.arange(patients), 6)
    z = random.normal(-1.5, 1, patients)[patient] + random.normal(0, 0.7, n)
    label = (random.random(n) < 1 / (1 + np.exp(-z))).astype(np.int8)
    risk = 1 / (1 + np.exp(-(z + noise * np.random.default_rng(seed).normal(size=n))))
    table = pl.DataFrame(
        {
            "stay_id": [f"s{i:03d}" for i in patient],
            "patient_id": [f"p{i:03d}" for i in patient],
            "site": ["A"] * n,
            "split": ["test"] * n,
            "hours": np.tile(np.arange(1.0, 7.0), patients),
            "complication": ["sepsis"] * n,
            "horizon_hours": [6.0] * n,
            "risk": risk,
            "label": label,
            "at_risk": [True] * n,
            "after_onset": [False] * n,
        }
    )
    return table.cast({"split": schemas.Predictions.split.dtype})


def _sample(noise: float, seed: int = 0) -> Sample:
    rows = scored(_predictions(noise, seed), "test", "it")
    return sample(rows, "it", LIMIT, replicates=60, seed=3, utility=True)


def _row(table: pl.DataFrame, predictor: str, metric: str) -> dict[str, float]:
    return table.filter(pl.col("predictor") == predictor, pl.col("metric") == metric).row(0, named=True)


def test_with_one_seed_values_and_differences_are_those_of_the_other_functions() -> None:
    table = rank({"lstm": [_sample(0.1)], "gru": [_sample(1.0)]}, "lstm")
    common = {"replicates": 60, "seed": 3, "utility": True}
    alone, _ = evaluate(_predictions(1.0), "gru", LIMIT, **common)  # type: ignore[arg-type]
    paired = paired_difference(_predictions(1.0), _predictions(0.1), ("gru", "lstm"), (LIMIT, LIMIT), **common)  # type: ignore[arg-type]
    for metric in ("auroc", "auprc", "utility_cinc2019", "utility_pre_onset"):
        found = _row(table, "gru", metric)
        for scores, names in (
            (alone, ("value", "low", "high")),
            (paired, ("difference", "difference_low", "difference_high")),
        ):
            other = scores.filter(pl.col("metric") == metric, pl.col("subset") == "all").row(0, named=True)
            assert [found[name] for name in names] == [other[name] for name in ("value", "low", "high")]
        assert found["n_stays"] == 80 and found["comparisons"] == 1 and found["seed_sd"] is None
    assert _row(table, "lstm", "auroc")["rank"] == 1 and _row(table, "gru", "auroc")["rank"] == 2
    assert _row(table, "lstm", "auroc")["difference"] is None


def test_seeds_are_averaged_within_each_replicate() -> None:
    seeds = [_sample(1.0, seed) for seed in (1, 2, 3)]
    found = _row(rank({"lstm": [_sample(0.1)], "gru": seeds}, "lstm"), "gru", "auroc")
    values = [one.values[KEY] for one in seeds]
    assert found["value"] == pytest.approx(np.mean(values), abs=1e-15)
    assert found["seed_sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-15)
    mean = np.mean([one.replicates[KEY] for one in seeds], axis=0)
    assert (found["low"], found["high"]) == tuple(np.quantile(mean, [0.025, 0.975]))
    assert found["seeds"] == 3


def test_simultaneous_intervals_hold_all_differences_at_once() -> None:
    random = np.random.default_rng(0)
    scale = np.geomspace(0.01, 1.0, 20)
    replicates = random.normal(size=(20, 4000)) * scale[:, None]
    many = simultaneous_widths(np.zeros(20), replicates)
    assert (np.abs(replicates) <= many[:, None]).all(axis=0).mean() == pytest.approx(0.95, abs=0.001)
    assert many / scale == pytest.approx(3.02, rel=0.05)  # Phi^-1(1 - (1 - .95 ** (1 / 20)) / 2): 20 independent ones
    assert simultaneous_widths(np.zeros(1), replicates[:1]) / scale[0] == pytest.approx(1.96, rel=0.05)
    same = simultaneous_widths(np.zeros(2), np.repeat(replicates[:1], 2, axis=0))  # twice the same costs nothing
    assert same / scale[0] == pytest.approx(1.96, rel=0.05)


def test_undefined_and_unvarying_replicates() -> None:
    drawn = np.array([[0.1, np.nan, np.nan], [0.2, np.nan, np.nan]])
    assert np.isnan(simultaneous_widths(np.zeros(2), drawn)).all()
    assert simultaneous_widths(np.zeros(1), np.zeros((1, 5))).tolist() == [0.0]
    same = rank({"lstm": [_sample(0.5)], "copy": [_sample(0.5)]}, "lstm").filter(pl.col("predictor") == "copy")
    assert same.select(pl.col("^(difference|simultaneous).*$").abs().max()).row(0) == (0, 0, 0, 0, 0)
    assert set(same["rank"]) == {1}


def test_an_unknown_reference_and_a_missing_threshold_are_refused() -> None:
    with pytest.raises(InputError, match="'lstm' is not compared; there are: gru"):
        rank({"gru": [_sample(0.5)]}, "lstm")
    with pytest.raises(InputError, match="it has no alarm threshold"):
        sample(scored(_predictions(0.1), "test", "it"), "it", {}, 1, 0, False)
