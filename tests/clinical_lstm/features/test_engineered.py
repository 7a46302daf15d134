"""All blocks together: causal, the same as a stream, standardised on train rows, and told what cannot be computed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from clinical_lstm import plugins
from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.features import Engineered, Vocabulary, grid_hours
from clinical_lstm.features.engineered import REACH, resolved

BLOCKS = plugins.names("features")
SUMMED = "from_own_mean"  # the one column of a running sum, whose order depends on the chunks


def part_of(batch: Batch, begin: int, end: int) -> Batch:
    return Batch(
        *(part[:, begin:end] for part in batch[:4]), batch.static, (batch.lengths - begin).clamp(0, end - begin)
    )


def test_the_blocks_are_those_that_the_configuration_names() -> None:
    assert BLOCKS == ["changes", "counts", "ratios", "severity", "windows"]


# --- the same in any company ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_hours", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("size", [1, 7, 30])
def test_chunk_after_chunk_is_the_whole(size: int, step_hours: float, make_chart: Callable[..., Any]) -> None:
    chart = make_chart(lengths=[60, 60, 60], step_hours=step_hours)
    made, batch = chart.engineered(*BLOCKS), chart.batch()
    whole, _ = made.plain(batch)
    memory, found = made.initial(batch.static), []
    for begin in range(0, 60, size):
        part = part_of(batch, begin, begin + size)
        found.append(made.plain(part, memory)[0])
        again = made(part, memory)
        assert torch.equal(again[0], made.standardised(found[-1]))
        memory = again[1]
    one = torch.cat(found, dim=1)
    for place, feature in enumerate(made.features):
        if SUMMED in feature.name:
            torch.testing.assert_close(one[..., place], whole[..., place], atol=1e-5, rtol=1e-5)
        else:
            assert torch.equal(one[..., place], whole[..., place]), feature.name


@pytest.mark.parametrize("t", [0, 1, 9, 25])
def test_what_comes_after_a_step_changes_no_bit_of_it(t: int, make_chart: Callable[..., Any]) -> None:
    chart = make_chart(lengths=[40, 40, 40])
    made, batch = chart.engineered(*BLOCKS), chart.batch()
    draw = torch.Generator().manual_seed(t)
    after = (torch.arange(40) > t)[None, :, None]
    mask = (torch.rand(batch.mask.shape, generator=draw) < 0.5).float()
    other = batch._replace(
        values=torch.where(after, torch.randn(batch.values.shape, generator=draw), batch.values),
        mask=torch.where(after, mask, batch.mask),
        delta=torch.where(after, 3 + mask, batch.delta),
    )
    one, changed = (made.plain(each)[0] for each in (batch, other))
    assert torch.equal(one[:, : t + 1], changed[:, : t + 1])
    assert torch.equal(one[:, : t + 1], made.plain(part_of(batch, 0, t + 1))[0]), "a prefix"
    moved = (one[:, t + 1 :] != changed[:, t + 1 :]).any(dim=1).any(dim=0)
    still = {feature.name for feature, moves in zip(made.features, moved.tolist()) if not moves}
    assert not {name for name in still if not name.startswith(("sofa:", "news:"))}, "the future moved what lies in it"


def test_the_future_has_no_gradient(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(lengths=[30, 30])
    batch = chart.batch()
    leaves = [part.clone().requires_grad_() for part in batch[:4]]
    found = chart.engineered(*BLOCKS).plain(Batch(*leaves, *batch[4:]))[0]
    for step in (0, 12, 28):
        for gradient in torch.autograd.grad(found[:, step].sum(), leaves, retain_graph=True, allow_unused=True):
            assert gradient is None or (gradient.isfinite().all() and not gradient[:, step + 1 :].any())


def test_batch_mates_and_padding_are_irrelevant(make_chart: Callable[..., Any]) -> None:
    chart = make_chart()
    made, batch = chart.engineered(*BLOCKS), chart.batch()
    whole = made.plain(batch)[0]
    for b, stay in enumerate(chart.dense):
        alone = part_of(Batch(*(part[b : b + 1] for part in batch)), 0, len(stay))
        assert torch.equal(made.plain(alone)[0][0], whole[b, : len(stay)])


@pytest.mark.parametrize("start", ["nothing", "earlier"])
def test_the_path_of_an_explanation_has_no_jump(start: str, make_chart: Callable[..., Any]) -> None:
    """Where a path leaves its start, masks turn from 0 to a hair above it."""
    from clinical_lstm.explainers.hiding import unobserve

    chart = make_chart(lengths=[30, 30, 30])
    batch = chart.batch()
    recent = (batch.hours > (24.0 if start == "earlier" else 0.0))[:, :, None].expand_as(batch.mask)
    before = unobserve(batch, recent)
    made = chart.engineered(*BLOCKS)

    def at(a: float) -> torch.Tensor:
        parts = [one + a * (other - one) for one, other in zip(before[:3], batch[:3])]
        return made.plain(batch._replace(values=parts[0], mask=parts[1], delta=parts[2]))[0]

    torch.testing.assert_close(at(0.0), at(1e-5), atol=2e-3, rtol=1e-4)
    torch.testing.assert_close(at(1.0), at(1 - 1e-5), atol=2e-3, rtol=1e-4)
    assert (at(1.0) - at(0.0)).abs().max() > 1


# --- as rows of a table, and standardised -----------------------------------------------------------------------------


def test_a_table_has_nan_where_a_source_was_not_yet_measured(make_chart: Callable[..., Any]) -> None:
    chart = make_chart()
    made = chart.engineered(*BLOCKS)
    found, plain = made.matrix(chart.arrays()), made.plain(chart.batch())[0].numpy()
    assert any(len(feature.sources) == 3 for feature in made.features)
    for b, t in chart.steps():
        for place, feature in enumerate(made.features):
            if all(chart.when(b, t, name) for name in feature.sources):
                assert found[b, t, place] == plain[b, t, place]
            else:
                assert np.isnan(found[b, t, place]), feature.name
    assert np.isnan(found).mean() > 0.05


def test_without_the_observation_process_a_table_knows_values_alone(make_chart: Callable[..., Any]) -> None:
    chart = make_chart()
    arrays = chart.arrays()
    draw = np.random.default_rng(0)
    mask = (draw.random(arrays.mask.shape) < 0.5).astype(np.float32)
    other = arrays._replace(mask=mask, delta=7 * mask)
    for blocks in ([name] for name in BLOCKS if name != "counts"):
        made = chart.engineered(*blocks, observation_process=False)
        found = made.matrix(arrays)
        assert np.isfinite(found).all()
        assert np.array_equal(found, made.matrix(other))
    assert not np.array_equal(*(chart.engineered("windows").matrix(each) for each in (arrays, other)), equal_nan=True)


def test_columns_are_standardised_on_the_steps_they_were_shown(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(lengths=[40, 3, 1, 28])
    made, batch = chart.engineered(*BLOCKS), chart.batch()
    rows = made.learn([batch, part_of(batch, 0, 5)])
    plain = made.plain(batch)[0]
    own = torch.cat([plain[b, : len(stay)] for b, stay in enumerate(chart.dense)])
    assert torch.equal(rows[: len(own)], own), "steps behind the end of a stay are none"
    assert len(rows) == 40 + 3 + 1 + 28 + 5 + 3 + 1 + 5
    np.testing.assert_allclose(made.mean, rows.double().mean(dim=0), atol=1e-5)
    spread = rows.double().numpy().std(axis=0)
    np.testing.assert_allclose(made.deviation, np.where(spread > 1e-6, spread, 1), rtol=1e-5)
    found, _ = made(batch, made.initial(batch.static))
    assert found.abs().max() <= REACH
    expected = ((plain - made.mean) / made.deviation).clamp(-4, 4)
    torch.testing.assert_close(found, expected)


# --- what cannot be computed ------------------------------------------------------------------------------------------

HERE = Vocabulary(("heart_rate", "lactate"), ("male",), 1.0)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([], "engineered=[] names no block; there are changes, counts, ratios, severity, windows"),
        (["windws"], "there is no features/windws: did you mean 'windows'"),
        ("windows", "engineered=windows must be a list of names, of changes, counts"),
        ([1], "engineered=[1] must be a list of names"),
        (["counts", "windows", "counts"], "engineered=['counts', 'windows', 'counts'] names counts twice"),
        (["course"], "there is no features/course"),
    ],
)
def test_blocks_that_are_none_are_told(blocks: Any, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        Engineered(blocks, HERE)


def test_blocks_of_which_nothing_is_measured_are_told() -> None:
    with pytest.raises(
        InputError, match=r"engineered=\['ratios'\]: nothing that these blocks compute from is measured"
    ):
        Engineered(["ratios"], Vocabulary(("lactate",), (), 1.0))


def test_a_grid_is_found_and_event_times_are_refused() -> None:
    assert grid_hours(np.array([3.0, 4.0, 5.0, 1.0, 2.0])) == 1.0
    assert grid_hours(np.array([2.0, 4.0, 2.0, 14.0, 16.0])) == 2.0, "between stays the clock may jump"
    assert grid_hours(np.array([1.0, 1.0, 1.0])) == 1.0
    fine = np.arange(1, 500) * (5 / 60)
    assert grid_hours(fine) == pytest.approx(5 / 60)
    draw = np.random.default_rng(0)
    for hours in (np.cumsum(draw.exponential(1.0, 200)), np.cumsum(draw.integers(1, 90, 200)) / 60):
        with pytest.raises(InputError, match=r"in steps of a grid: give the task a width, task\.step_hours=1"):
            grid_hours(hours)
    nearly = np.arange(1.0, 300.0)
    nearly[7::9] += 0.21
    with pytest.raises(InputError, match="steps of a grid"):
        grid_hours(nearly)


MANIFEST = {"variables": ["heart_rate"], "statics": ["male"], "task": {"step_hours": 2.0}}


def test_a_specification_gets_the_names_that_its_blocks_need() -> None:
    spec = {"name": "lstm", "inputs": {"engineered": ["windows"], "mask": False}}
    expected = {"variables": ["heart_rate"], "statics": ["male"], "step_hours": 2.0}
    assert resolved(spec, MANIFEST)["inputs"] == {**spec["inputs"], "vocabulary": expected}
    assert resolved({"name": "ensemble", "members": [spec, {"name": "gru"}]}, MANIFEST)["members"] == [
        resolved(spec, MANIFEST),
        {"name": "gru"},
    ]
    for plain in ({"name": "lstm"}, {"name": "lstm", "inputs": {"engineered": []}}):
        assert resolved(plain, MANIFEST) == plain
    assert "vocabulary" not in spec["inputs"], "what was given stays as it was"


def test_native_event_times_are_refused() -> None:
    spec = {"name": "lstm", "inputs": {"engineered": ["windows"]}}
    with pytest.raises(InputError, match=r"this cohort has native event times: prepare it with task\.step_hours=1"):
        resolved(spec, {**MANIFEST, "task": {"step_hours": None}})
