from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from clinical_lstm.batch import Batch, Scaler
from clinical_lstm.errors import InputError
from clinical_lstm.models.inputs import Inputs, make_inputs

BATCH = Batch(
    values=torch.tensor([[[0.5, -1.0], [0.5, 2.0]]]),
    mask=torch.tensor([[[1.0, 1.0], [0.0, 1.0]]]),
    delta=torch.tensor([[[0.0, 0.5], [1.0, 0.0]]]),
    hours=torch.tensor([[1.0, 48.0]]),
    static=torch.tensor([[0.3]]),
    lengths=torch.tensor([2]),
)
NAMES = {"variables": ["heart_rate", "sbp"], "statics": ["age_years"], "step_hours": 1.0}


def test_features_are_what_the_equation_says() -> None:
    found = Inputs(2, 1)(BATCH)
    quarter = [math.log1p(x) / 4 for x in (1.0, 48.0)]
    first = [0.5, -1.0, 1.0, 1.0, 0.0, math.log1p(0.5) / 4, 0.3, quarter[0]]
    second = [0.5, 2.0, 0.0, 1.0, math.log1p(1.0) / 4, 0.0, 0.3, quarter[1]]
    assert torch.allclose(found, torch.tensor([[first, second]]))
    assert 0.9 < quarter[1] < 1.1


@pytest.mark.parametrize(("left_out", "columns"), [("mask", [2, 3]), ("delta", [4, 5]), ("hours", [7])])
def test_a_channel_can_be_left_out(left_out: str, columns: list[int]) -> None:
    inputs = Inputs(2, 1, **{left_out: False})
    found = inputs(BATCH)
    kept = [column for column in range(8) if column not in columns]
    assert torch.equal(found, Inputs(2, 1)(BATCH)[..., kept])
    assert inputs.width == found.shape[2] == len(kept)


def test_without_the_observation_process_values_hours_and_statics_are_left() -> None:
    inputs = Inputs(2, 1, decay=True, observation_process=False)
    assert torch.equal(inputs(BATCH), Inputs(2, 1)(BATCH)[..., [0, 1, 6, 7]])
    assert inputs.width == 4
    seen = inputs.visible(BATCH)
    assert torch.equal(seen.mask, torch.ones_like(BATCH.mask))
    assert torch.equal(seen.delta, torch.zeros_like(BATCH.delta))
    assert all(torch.equal(one, other) for one, other in zip(seen[3:], BATCH[3:]))
    assert Inputs(2, 1).visible(BATCH) is BATCH


def test_nothing_is_learnt_here() -> None:
    assert not list(Inputs(2, 1).parameters())
    assert not Inputs(2, 1).state_dict()


def test_static_variables_are_in_every_step_or_not() -> None:
    whole = Inputs(2, 1)(BATCH)
    for static in ("state", "none"):
        inputs = Inputs(2, 1, static=static)
        assert torch.equal(inputs(BATCH), whole[..., [0, 1, 2, 3, 4, 5, 7]])
        assert inputs.width == 7


@pytest.mark.parametrize("encoding", ["flat", "piecewise", "embedding"])
@pytest.mark.parametrize("left_out", [{}, {"mask": False}, {"delta": False, "hours": False, "static": "none"}])
def test_the_width_is_that_of_the_features(encoding: str, left_out: dict[str, bool | str]) -> None:
    inputs = Inputs(2, 1, encoding, **left_out, decay=True)
    assert inputs(BATCH).shape == (1, 2, inputs.width)


def test_decay_stands_in_front_of_any_encoding() -> None:
    for encoding in ("flat", "piecewise"):
        plain, faded = (Inputs(2, 1, encoding, decay=decay) for decay in (False, True))
        by_hand = BATCH._replace(values=faded.decay(BATCH))
        assert torch.equal(faded(BATCH), plain(by_hand))
        assert not torch.equal(faded(BATCH), plain(BATCH))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"encodng": "flat"}, "did you mean 'encoding'"),
        ({"encoding": "flatt"}, "did you mean 'flat'"),
        ({"static": "sate"}, "did you mean 'state'"),
        ({"bins": 8}, "takes no 'bins' with encoding=flat"),
        ({"encoding": "piecewise", "bins": 0}, "at least 1"),
        ({"encoding": "piecewise", "bins": 2.5}, "type of its default 8"),
        ({"encoding": "embedding", "heads": True}, "type of its default 4"),
        ({"observation_process": 0}, "type of its default True"),
        ({"decay": "yes"}, "type of its default False"),
        ({"variable_dropout": 1.0}, "below 1"),
        ({"noise": -0.1}, "at least 0"),
        ({"noise": float("nan")}, "at least 0"),
        ({"engineered": ["windows"]}, r"model\.inputs\.engineered needs the names of the variables"),
        ({"engineered": ["windws"], "vocabulary": NAMES}, "did you mean 'windows'"),
        ({"engineered": "windows", "vocabulary": NAMES}, "must be a list of names"),
        ({"engineered_bins": 0}, "at least 1"),
    ],
)
def test_wrong_settings_are_refused(spec: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_inputs(2, 1, spec)


# --- with engineered blocks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [1, 4])
def test_blocks_stand_behind_the_other_features(bins: int) -> None:
    plain = Inputs(2, 1)
    inputs = Inputs(2, 1, engineered=["windows", "ratios"], engineered_bins=bins, vocabulary=NAMES)
    assert inputs.width == plain.width + bins * (8 * 2 + 2) == inputs(BATCH).shape[2]
    assert torch.equal(inputs(BATCH)[..., : plain.width], plain(BATCH))
    assert not list(inputs.parameters()), "nothing of it is trained"


def test_columns_are_standardised_and_binned_by_what_they_were_shown() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(40, 9, 2, generator=draw)
    ones = torch.ones_like(values)
    batch = Batch(values, ones, 0 * ones, ones.cumsum(1)[..., 0], torch.zeros(40, 1), torch.full((40,), 9))
    scaler = Scaler(["heart_rate", "sbp"], ["age_years"], np.zeros(3, bool), np.full(3, 80.0), np.full(3, 20.0))
    flat, binned = (Inputs(2, 1, engineered=["windows"], engineered_bins=bins, vocabulary=NAMES) for bins in (1, 4))
    for inputs in (flat, binned):
        inputs.learn_engineered(scaler, [batch])
    found = flat(batch)[..., -16:].flatten(0, 1)
    assert torch.allclose(found.mean(dim=0), torch.zeros(16), atol=0.05)
    assert torch.allclose(found.std(dim=0), torch.ones(16), atol=0.05)
    assert flat.engineered is not None and flat.engineered.location.tolist() == [80.0] * 3
    assert binned.bins is not None
    edges = np.quantile(found.numpy(), [0, 0.25, 0.5, 0.75, 1], axis=0).T
    np.testing.assert_allclose(binned.bins.edges, edges, atol=1e-4)
    assert torch.equal(binned(batch)[..., -64:], binned.bins([flat(batch)[..., -16:]]))


def test_on_the_way_memory_goes_from_step_to_step() -> None:
    inputs = Inputs(2, 1, engineered=["windows", "counts"], vocabulary=NAMES)
    whole, memory, found = inputs(BATCH), inputs.initial(BATCH.static), []
    for t in range(2):
        step, memory = inputs.proceed(Batch(*(part[:, t : t + 1] for part in BATCH[:4]), *BATCH[4:]), memory)
        found.append(step)
    assert torch.allclose(torch.cat(found, dim=1), whole)
    assert Inputs(2, 1).initial(BATCH.static) is None
