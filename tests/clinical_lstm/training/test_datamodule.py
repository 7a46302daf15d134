from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from clinical_lstm.artifacts import Cohort
from clinical_lstm.inference import ROWS
from clinical_lstm.lookback import sequences
from clinical_lstm.training import datamodule
from clinical_lstm.training.data import TrainingData, training_data
from clinical_lstm.training.datamodule import DataModule, draws

STAYS = np.arange(100, 203)
LENGTHS = np.random.default_rng(0).integers(1, 60, 300)


@pytest.fixture(scope="module")
def data(tiny_cohort: Cohort) -> TrainingData:
    torch.set_num_threads(1)
    return training_data(tiny_cohort, "class")[0]


def flat(epoch: list[list[np.ndarray]]) -> list[int]:
    return [int(stay) for draw in epoch for group in draw for stay in group]


def test_an_epoch_is_a_partition_of_the_stays() -> None:
    epoch = draws(STAYS, LENGTHS, size=16, groups=4, seed=1, epoch=0)
    assert sorted(flat(epoch)) == STAYS.tolist()
    assert [sum(map(len, draw)) for draw in epoch] == [16] * 6 + [7]


def test_a_draw_is_cut_into_groups_by_length() -> None:
    for draw in draws(STAYS, LENGTHS, size=16, groups=4, seed=1, epoch=0)[:-1]:
        assert [len(group) for group in draw] == [4] * 4
        ordered = LENGTHS[np.concatenate(draw)]
        assert (np.diff(ordered) >= 0).all()
    assert len(draws(STAYS[:3], LENGTHS, size=16, groups=4, seed=1, epoch=0)[0]) == 3


def test_draws_depend_on_seed_and_epoch_alone() -> None:
    first = draws(STAYS, LENGTHS, 16, 4, seed=1, epoch=3)
    np.random.seed(0)
    again = draws(STAYS, LENGTHS, 16, 4, seed=1, epoch=3)
    assert all(np.array_equal(a, b) for x, y in zip(first, again) for a, b in zip(x, y))
    assert flat(draws(STAYS, LENGTHS, 16, 4, seed=1, epoch=4)) != flat(first)
    assert flat(draws(STAYS, LENGTHS, 16, 4, seed=2, epoch=3)) != flat(first)


def test_draws_are_random_not_sorted() -> None:
    """Every stay falls into every draw equally often, so that short and long stays share their gradient steps."""
    place = np.zeros((len(STAYS), 7))
    for epoch in range(400):
        for number, draw in enumerate(draws(STAYS, LENGTHS, 16, 4, seed=5, epoch=epoch)):
            place[np.concatenate(draw) - STAYS[0], number] += 1
    share = place / 400
    expected = np.array([16] * 6 + [7]) / len(STAYS)
    assert np.abs(share - expected).max() < 5 * np.sqrt(0.16 * 0.84 / 400)


def test_groups_hold_targets_and_weights_of_their_steps(data: TrainingData) -> None:
    module = DataModule(data, batch_size=16, groups=2, seed=1)
    drawn = draws(data.train, data.tensors.lengths, 16, 2, seed=1, epoch=0)[0]
    for stays, group in zip(drawn, module.assemble(drawn), strict=True):
        assert group.batch.values.shape[1] == data.tensors.lengths[stays].max() == group.target.shape[1]
        for row, stay in enumerate(stays):
            begin, end = data.tensors.step_offsets[stay : stay + 2]
            assert np.array_equal(group.target[row, : end - begin], data.target[begin:end])
            assert np.array_equal(group.weight[row, : end - begin], data.weight[begin:end])
            assert not group.weight[row, end - begin :].any()


def test_the_loader_yields_the_draws_of_the_epoch_in_order(data: TrainingData) -> None:
    loader = DataModule(data, batch_size=20, groups=3, seed=4).train_dataloader()
    expected = draws(data.train, data.tensors.lengths, 20, 3, seed=4, epoch=0)
    found = list(loader)
    assert len(found) == len(expected) == len(loader)
    for groups, drawn in zip(found, expected):
        assert [group.batch.lengths.tolist() for group in groups] == [
            data.tensors.lengths[stays].tolist() for stays in drawn
        ]


def test_a_fault_while_assembling_reaches_the_caller(data: TrainingData) -> None:
    module = DataModule(data, batch_size=20, groups=3, seed=4)
    module.data = TrainingData(**{**vars(data), "target": data.target[:5]})
    with pytest.raises(IndexError):
        list(module.train_dataloader())


def test_validation_covers_the_val_stays_in_canonical_batches(data: TrainingData) -> None:
    module = DataModule(data, batch_size=16, groups=2, seed=1)
    items = list(module.val_dataloader())
    assert sorted(int(s) for stays, _ in items for s in stays) == data.val.tolist()
    assert {len(batch.lengths) for _, batch in items} == {ROWS}
    again = list(module.val_dataloader())
    assert all(one[1].values is other[1].values for one, other in zip(items, again)), "made once"


def test_a_large_validation_split_is_assembled_anew_to_the_same_bits(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = list(DataModule(data, batch_size=16, groups=2, seed=1).val_dataloader())
    monkeypatch.setattr(datamodule, "KEPT_BYTES", 0)
    module = DataModule(data, batch_size=16, groups=2, seed=1)
    for epoch in (list(module.val_dataloader()), list(module.val_dataloader())):
        assert len(epoch) == len(kept)
        for (stays, batch), (expected, whole) in zip(epoch, kept):
            assert np.array_equal(stays, expected)
            assert all(torch.equal(one, other) for one, other in zip(batch, whole))
            assert batch.values is not whole.values


def test_a_draw_with_a_lookback_holds_the_windows_of_its_stays(data: TrainingData) -> None:
    seen = sequences(data.tensors, 5.0, data.label[:, 0] >= 0)
    short = replace(data, seen=seen)
    [first, *_] = draws(data.train, seen.lengths, 16, 2, seed=1, epoch=0, of=seen.of)
    stays = np.concatenate(draws(data.train, data.tensors.lengths, 16, 2, seed=1, epoch=0)[0])
    assert sorted(np.concatenate(first)) == sorted(seen.of(stays)), "the same random stays"
    at = seen.answered(np.concatenate(first))[2]
    weight, labelled = 0.0, 0
    for group in DataModule(short, batch_size=16, groups=2, seed=1).assemble(first):
        last = torch.arange(group.batch.values.shape[1]) == group.batch.lengths[:, None] - 1
        assert not group.weight[~last].any() and not group.target[~last].any()
        assert group.batch.lengths.max() <= 5
        weight, labelled = weight + float(group.weight.sum()), labelled + int(last.sum())
    assert (
        labelled
        == len(at)
        == (data.label[np.isin(data.tensors.place(np.arange(len(data.label)))[0], stays)] >= 0).sum()
    )
    assert weight == pytest.approx(float(data.weight[at].sum()), rel=1e-5)
