"""Trees find what a line cannot, use what is unknown, and stop by the validation rows they were given."""

from __future__ import annotations

import numpy as np

from clinical_lstm.baselines.gradient_boosting import GradientBoosting


def _interaction(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, 3)).astype(np.float32)
    truth = np.where(rows[:, 0] * rows[:, 1] > 0, 0.6, 0.05)
    return rows, (random.random(n) < truth).astype(int)


def test_an_interaction_is_found() -> None:
    rows, label = _interaction(20_000)
    logits = (
        GradientBoosting(features_per_split=1.0)
        .fit(rows, label, validation=_interaction(5000, seed=1))
        .logits(np.array([[1, 1, 0], [-1, -1, 0], [1, -1, 0], [-1, 1, 0]], np.float32))
    )
    assert (logits[:2] > 0).all()
    assert (logits[2:] < -2).all()


def test_an_unknown_value_is_information() -> None:
    rows, _ = _interaction(5000)
    rows[::2, 0] = np.nan
    label = (np.arange(5000) % 2 == 0) & (np.arange(5000) % 3 > 0)
    logits = GradientBoosting().fit(rows, label.astype(int)).logits(rows)
    assert logits[::2].mean() > 0 > logits[1::2].max()


def test_a_column_without_any_value_changes_nothing() -> None:
    rows, label = _interaction(5000)
    empty = np.insert(rows, 1, np.nan, axis=1)
    held, label_held = _interaction(2000, seed=1)
    one = GradientBoosting().fit(rows, label, validation=(held, label_held))
    other = GradientBoosting().fit(empty, label, validation=(np.insert(held, 1, 7.0, axis=1), label_held))
    assert np.array_equal(one.logits(held), other.logits(np.insert(held, 1, -3.0, axis=1)))


def test_noise_stops_boosting_early_and_signal_does_not() -> None:
    random = np.random.default_rng(0)
    noise, coin = random.normal(size=(4000, 5)), random.integers(0, 2, 4000)
    early = GradientBoosting().fit(noise[:2000], coin[:2000], validation=(noise[2000:], coin[2000:]))
    rows, label = _interaction(20_000)
    late = GradientBoosting().fit(rows, label, validation=_interaction(5000, seed=1))
    assert early.model.n_iter_ < 30 < late.model.n_iter_


def test_validation_and_seed_change_the_fit_but_a_seed_repeats_it() -> None:
    rows, label = _interaction(5000)
    held = _interaction(1000, seed=1)
    one, two, other = (GradientBoosting().fit(rows, label, validation=held, seed=s).logits(rows) for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_the_observation_process_can_be_left_out() -> None:
    assert GradientBoosting().features == "window"
    assert GradientBoosting(observation_process=False).features == "window_values"
