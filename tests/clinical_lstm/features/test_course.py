"""What blocks see of a stay: units, windows, memory; no jump where a measurement comes or goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.features import Course, Memory, Vocabulary
from clinical_lstm.features.course import LEAST, initial, over

FIELDS = ("number", "total", "lowest", "highest", "first", "change")


def course_of(chart: Any, batch: Batch | None = None, before: Memory | None = None) -> Course:
    return chart.engineered("windows").plain(chart.batch() if batch is None else batch, before)[1]


def test_values_return_to_their_units(chart: Any) -> None:
    course = course_of(chart)
    assert chart.scaler.log.sum() > 5
    for name in chart.variables:
        found = course.native(name)
        for b, t in chart.steps():
            assert found[b, t].item() == pytest.approx(max(chart.last(b, t, name), LEAST), rel=1e-4)
    assert course.static("age_years")[:, 0].tolist() == pytest.approx([70, 62, 33, 81])  # unknown: the train median


def test_a_large_value_of_a_plain_variable_has_a_slope(make_chart: Callable[..., Any]) -> None:
    """e^120 is more than 32 bits hold; the way back of a logarithm is not taken where none was."""
    chart = make_chart(["sbp", "lactate"], [3])
    batch = chart.batch()
    values = torch.full_like(batch.values, 6.0).requires_grad_()
    course = course_of(chart, batch._replace(values=values))
    [slope] = torch.autograd.grad(course.native("sbp").sum() + course.native("lactate").sum(), values)
    assert slope[..., 0].unique().tolist() == [22.0]
    assert slope.isfinite().all()


def test_what_is_remembered_is_what_a_loop_finds(chart: Any) -> None:
    course = course_of(chart)
    for place, name in enumerate(chart.variables):
        for b, t in chart.steps():
            seen = chart.measured(b, t, name)
            found = [getattr(course, field)[b, t, place].item() for field in FIELDS]
            change = seen[-1] - seen[-2] if len(seen) > 1 else 0.0
            summary = [len(seen), sum(seen), min(seen), max(seen), seen[0], change] if seen else []
            # `first` is to be used of a variable that was seen alone, like `long`
            assert bool(course.seen[b, t, place]) == bool(seen)
            expected = summary or [0, 0, np.inf, -np.inf, found[4], 0]
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_before_its_first_measurement_a_variable_has_that_value_and_in_plain_the_median(chart: Any) -> None:
    course, past = course_of(chart), max(1, chart.vocabulary.steps(24.0) - 1)
    for place, name in enumerate(chart.variables):
        for b, t in chart.steps():
            if when := chart.when(b, t, name):
                expected = [chart.z(b, max(s, when[0]), name) for s in range(t - past, t + 1)]
                found = course.long[b, t : t + past + 1, place]
                np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
            expected = [
                chart.z(b, s, name) if s >= 0 and chart.when(b, s, name) else 0.0 for s in range(t - past, t + 1)
            ]
            np.testing.assert_allclose(course.plain[b, t : t + past + 1, place], expected, rtol=1e-4, atol=1e-4)


def test_chunks_of_a_stay_remember_what_the_whole_does(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(lengths=[40, 40, 40])
    batch = chart.batch()
    whole = course_of(chart, batch)
    for sizes in ([40], [13, 1, 20, 6], [1] * 40):
        memory, begin = None, 0
        for size in sizes:
            part = Batch(*(each[:, begin : begin + size] for each in batch[:4]), *batch[4:])
            course = course_of(chart, part, memory)
            for field in FIELDS:
                one, other = getattr(course, field), getattr(whole, field)[:, begin : begin + size]
                seen = whole.seen[:, begin : begin + size]
                if field == "total":  # sums in another order
                    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
                else:
                    assert torch.equal(one[seen], other[seen]), field
            memory, begin = course.after(), begin + size
        last = whole.after()
        for field, one, other in zip(Memory._fields, memory or (), last):
            if field == "total":
                torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
            else:
                assert torch.equal(one.nan_to_num(9e9), other.nan_to_num(9e9)), field
        assert last.values.shape == (3, 23, len(chart.variables))


def test_a_change_is_linear_in_the_mask(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["lactate", "sodium"], [30, 30])
    draw, batch = np.random.default_rng(2), chart.batch()
    mask = torch.tensor(draw.choice([0.0, 0.0, 0.25, 0.5, 1.0], batch.mask.shape).astype(np.float32))
    found = chart.engineered("changes").plain(batch._replace(mask=mask))[1].change
    values, seen, change = batch.values, torch.zeros(2, 2, dtype=torch.bool), torch.zeros(2, 2)
    for t in range(30):
        m = mask[:, t]
        jump = torch.where((m > 0) & seen, values[:, t] - values[:, max(t - 1, 0)], 0.0)
        change, seen = m * jump + (1 - m) * change, seen | (m > 0)
        torch.testing.assert_close(found[:, t], change, atol=1e-5, rtol=1e-5)


def test_the_hours_of_a_window_are_steps_of_the_grid() -> None:
    steps = {
        width: [Vocabulary((), (), width).steps(hours) for hours in (6.0, 12.0, 24.0)] for width in (0.5, 1, 2, 24)
    }
    assert steps == {0.5: [12, 24, 48], 1: [6, 12, 24], 2: [3, 6, 12], 24: [1, 1, 1]}


def test_a_vocabulary_knows_kinds_and_takes_the_first_that_is_there() -> None:
    said = {"variables": ["lactate", "sbp_noninvasive", "of_my_own", "fio2"], "statics": ["male"], "step_hours": 1}
    known = Vocabulary.of(said)
    assert [known.indices(kind) for kind in ("vital", "lab", "treatment")] == [[1], [0], [3]]
    assert known.indices("vital", "lab") == [0, 1], "what is in no vocabulary is of no kind"
    assert known.first(["sbp", "sbp_noninvasive"]) == "sbp_noninvasive"
    assert known.first(["gcs"]) is None


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 6, 7, 8, 12, 24])
def test_a_window_is_that_of_a_loop(steps: int) -> None:
    long = torch.randn(2, 23 + 11, 3, generator=torch.Generator().manual_seed(steps))
    for combine, plain in ((torch.minimum, np.min), (torch.maximum, np.max), (torch.add, np.sum)):
        found = over(long, steps, 11, combine)
        for t in range(11):
            expected = plain(long[:, 23 + t - steps + 1 : 23 + t + 1].numpy(), axis=1)
            np.testing.assert_allclose(found[:, t], expected, rtol=1e-5, atol=1e-6)


def test_a_window_longer_than_the_memory_is_refused() -> None:
    assert over(torch.ones(1, 5, 1), 3, 3, torch.add).flatten().tolist() == [3.0, 3.0, 3.0]
    with pytest.raises(InputError, match="a window of 4 steps needs a memory of 3, not 2"):
        over(torch.ones(1, 5, 1), 4, 3, torch.add)


def test_nothing_is_remembered_before_the_first_step() -> None:
    memory = initial(Vocabulary(("lactate", "sbp"), (), 1.0), torch.zeros(3, 0))
    assert memory.values.shape == memory.mask.shape == (3, 23, 2)
    assert memory.values.isnan().all() and not memory.mask.any() and not memory.number.any()
    assert initial(Vocabulary(("lactate",), (), 48.0), torch.zeros(1, 0)).values.shape == (1, 1, 1)
