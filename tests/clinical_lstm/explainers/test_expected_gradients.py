"""Expected gradients: references read as they had been assembled, completeness, closed forms, the choice by seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clinical_lstm import plugins
from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.base import Explanation, Informed
from clinical_lstm.explainers.expected_gradients import ExpectedGradients
from clinical_lstm.explainers.integrated_gradients import IntegratedGradients
from clinical_lstm.lookback import sequences
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.lstm import LSTM

VARIABLES, STATICS, NEVER, STAYS = 5, 3, 4, 6
TARGETS = [("sepsis", 6.0), ("sepsis", 12.0)]
Show = Callable[[np.ndarray], Batch]


class Sums(SequenceModel):
    """logit_t = sum over s <= t of (w_v v_s + w_m m_s + w_d delta_s) + w_s static; keeps the first batch it sees."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        draw = torch.Generator().manual_seed(1)
        shapes = [(VARIABLES,), (VARIABLES,), (VARIABLES,), (STATICS,)]
        self.weights = nn.ParameterList([torch.randn(shape, generator=draw) for shape in shapes])
        self.first: Batch | None = None

    def forward(self, batch: Batch) -> Tensor:
        self.first = self.first or batch
        parts = zip(batch[:3], self.weights)
        each = sum(part @ weight for part, weight in parts)  # (B, T)
        return (each.cumsum(1) + (batch.static @ self.weights[3])[:, None])[:, :, None]  # (B, T, 1)

    states = initial_state = advance = None  # type: ignore[assignment]  # a closed form has no memory


@pytest.fixture(scope="module")
def model() -> LSTM:
    torch.manual_seed(4)
    made = LSTM(VARIABLES, STATICS, TARGETS, hidden=12, layers=2).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight += 0.4 * torch.randn_like(weight)
    return made


@pytest.fixture(scope="module")
def show(stays: Batch) -> Show:
    return lambda rows: Batch(*(part[torch.from_numpy(rows)] for part in stays))


def informed(stays: int, show: Show, lookback_hours: float | None = None, **more: int) -> ExpectedGradients:
    explainer = ExpectedGradients(**more)
    explainer.inform(lookback_hours, stays, show)
    return explainer


def last(batch: Batch) -> tuple[Tensor, Tensor]:
    return batch.lengths - 1, torch.arange(len(batch.lengths)) % len(TARGETS)


def flat(found: Explanation) -> np.ndarray:
    return np.concatenate([part.reshape(len(part), -1) for part in found[:4]], axis=1)


def extended(ward: Ragged, steps: int) -> Ragged:
    """The ward had every record gone on, without a measurement, to `steps` hours."""
    count = len(ward.lengths)
    hours = np.tile(np.arange(1.0, steps + 1), count)
    cells = {name: getattr(ward, name) for name in ("cell_step", "cell_variable", "cell_value", "cell_age")}
    return Ragged(np.arange(count + 1) * steps, ward.cell_offsets, hours, **cells, static=ward.static)


def baseline(batch: Batch, explainer: ExpectedGradients) -> Batch:
    """What the model is shown as the baseline of the only row of `batch`."""
    spy = Sums().eval()
    step = batch.lengths - 1
    explainer(spy, batch, step, torch.zeros_like(step))
    assert spy.first is not None
    return Batch(*(part[:1] for part in spy.first))  # the path begins there


@pytest.mark.parametrize("reference", range(STAYS))
def test_a_reference_is_read_as_if_its_record_had_gone_on(
    reference: int, ward: Ragged, scaler: Scaler, stays: Batch, show: Show
) -> None:
    steps = stays.hours.shape[1]
    explainer = informed(1, lambda rows: show(rows + reference))
    longest = Batch(*(part[:1] for part in stays))
    expected = assemble(extended(ward, steps), [reference], scaler).tensors()
    found = baseline(longest, explainer)
    assert torch.equal(found.values, expected.values)
    assert torch.equal(found.mask, expected.mask)
    assert torch.equal(found.static, expected.static)
    torch.testing.assert_close(found.delta, expected.delta, rtol=0, atol=1e-5)


@pytest.mark.parametrize("lookback", [3.0, 4.5])
def test_a_lookback_hides_what_the_references_measured_before_it(
    lookback: float, ward: Ragged, scaler: Scaler, stays: Batch, show: Show
) -> None:
    longer = extended(ward, stays.hours.shape[1])
    for reference in range(STAYS):
        for end in (2, 9, 13):
            asked = np.zeros(len(longer.hours), bool)
            asked[np.array([0, reference]) * stays.hours.shape[1] + end] = True
            seen = sequences(longer, lookback, asked)
            own, expected = (assemble(*_cut(seen, row), scaler).tensors() for row in (0, -1))
            explainer = informed(1, lambda rows, reference=reference: show(rows + reference), lookback)
            found = baseline(own, explainer)
            assert torch.equal(found.values, expected.values)
            assert torch.equal(found.mask, expected.mask)
            torch.testing.assert_close(found.delta, expected.delta, rtol=0, atol=1e-5)


def _cut(seen: object, row: int) -> tuple[Ragged, np.ndarray]:
    return seen.cut(np.arange(len(seen.lengths))[[row]])  # type: ignore[attr-defined]


def test_a_finer_reference_is_seen_through_the_steps_of_the_stay() -> None:
    sizes = {"dtype": torch.float32}
    fine = Batch(
        values=torch.tensor([[[0.0], [2.0], [2.0], [5.0], [5.0], [5.0]]], **sizes),
        mask=torch.tensor([[[0.0], [1.0], [0.0], [1.0], [0.0], [0.0]]], **sizes),
        delta=torch.tensor([[[0.5], [0.25], [0.75], [0.25], [0.75], [1.25]]], **sizes),
        hours=torch.arange(0.5, 3.5, 0.5)[None],
        static=torch.zeros(1, STATICS),
        lengths=torch.tensor([6]),
    )
    fine = fine._replace(
        **{name: getattr(fine, name).expand(-1, -1, VARIABLES) for name in ("values", "mask", "delta")}
    )
    hours = torch.tensor([[1.0, 2.0, 3.0, 5.0]])
    stay = Batch(*(torch.ones(1, 4, VARIABLES),) * 3, hours, torch.ones(1, STATICS), torch.tensor([4]))
    found = baseline(stay, informed(1, lambda rows: fine))
    assert found.values[0, :, 0].tolist() == [2, 5, 5, 5]
    assert found.mask[0, :, 0].tolist() == [1, 1, 0, 0]
    assert found.delta[0, :, 0].tolist() == [0.25, 0.25, 1.25, 3.25]


def test_attributions_account_for_the_difference_from_the_mean_reference(
    model: LSTM, ward: Ragged, scaler: Scaler, stays: Batch, show: Show
) -> None:
    step, target = last(stays)
    found = informed(STAYS, show)(model, stays, step, target)
    with torch.no_grad():
        logits = model(assemble(extended(ward, stays.hours.shape[1]), np.arange(STAYS), scaler).tensors())
        own = model(stays)[torch.arange(STAYS), step, target].double().numpy()
    expected = logits[:, step, target].double().mean(0).numpy()
    np.testing.assert_allclose(found.baseline_logit, expected, atol=1e-5)
    np.testing.assert_allclose(found.logit, own, atol=1e-5)
    assert np.abs(own - expected).max() > 0.3
    missing = np.abs(flat(found).sum(1) - (found.logit - found.baseline_logit))
    assert (missing <= found.gap + 1e-9).all()
    assert found.gap.max() < 0.01 and found.explained.all()
    assert (found.evaluations >= STAYS * (2**3 * 4 + 2**3 + 1)).all()


def test_closed_form_of_a_sum(ward: Ragged, scaler: Scaler, stays: Batch, show: Show) -> None:
    model = Sums().eval()
    step = stays.lengths - 1
    found = informed(STAYS, show)(model, stays, step, torch.zeros_like(step))
    mean = [part.double().mean(0) for part in assemble(extended(ward, 14), np.arange(STAYS), scaler).tensors()[:5]]
    until = (torch.arange(14) <= step[:, None])[:, :, None]
    parts = zip(found[:3], stays[:3], mean[:3], model.weights)
    for part, own, reference, weight in parts:
        expected = (own - reference) * weight.detach().double() * until
        np.testing.assert_allclose(part, expected.numpy(), atol=1e-4)
    static = (stays.static - mean[4]) * model.weights[3].detach()
    np.testing.assert_allclose(found.static, static.numpy(), atol=1e-5)


def test_a_reference_without_any_observation_gives_integrated_gradients(
    model: LSTM, ward: Ragged, scaler: Scaler, stays: Batch, without: Callable[..., Ragged]
) -> None:
    empty = assemble(without(ward, stays.mask.numpy() > 0), np.arange(1), scaler).tensors()
    empty = empty._replace(static=torch.zeros_like(empty.static))
    step, target = last(stays)
    found = informed(1, lambda rows: empty)(model, stays, step, target)
    for one, other in zip(found, IntegratedGradients()(model, stays, step, target)):
        assert np.array_equal(one, other)


def test_what_is_no_difference_gets_exactly_zero(model: LSTM, stays: Batch, show: Show) -> None:
    step, target = stays.lengths // 2, last(stays)[1]
    found = informed(STAYS, show)(model, stays, step, target)
    later = np.arange(stays.hours.shape[1]) > step.numpy()[:, None]
    for part in found[:3]:
        assert not part[:, :, NEVER].any(), "nobody measured it"
        assert not part[later].any()
        assert part[:, :, :NEVER].any()
    alone = informed(1, show)(model, Batch(*(part[:1] for part in stays)), step[:1], target[:1])
    assert not flat(alone).any(), "a stay does not differ from itself"
    assert not alone.gap.any()


def test_the_seed_chooses_the_references_and_nothing_else_does(model: LSTM, stays: Batch, show: Show) -> None:
    asked: list[list[int]] = []

    def noted(rows: np.ndarray) -> Batch:
        asked.append(rows.tolist())
        return show(rows % STAYS)

    step, target = last(stays)
    one, again = (informed(1000, noted, references=3)(model, stays, step, target) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again))
    assert asked[0] == asked[1] == sorted(set(asked[0]))
    assert len(asked[0]) == 3 and max(asked[0]) < 1000
    informed(1000, noted, references=3, seed=1)
    assert asked[2] != asked[0]
    informed(STAYS, noted)
    assert asked[3] == list(range(STAYS)), "fewer stays than references: all of them"


def test_refuses_what_it_cannot_compare_with(model: LSTM, stays: Batch, show: Show) -> None:
    with pytest.raises(InputError, match="call inform"):
        ExpectedGradients()(model, stays, *last(stays))
    with pytest.raises(InputError, match="no stay to compare with"):
        informed(0, show)
    with pytest.raises(InputError, match="references = 0"):
        ExpectedGradients(references=0)
    with pytest.raises(InputError, match="tolerance"):
        ExpectedGradients(tolerance=0.0)
    fewer = stays._replace(values=stays.values[:, :, :2], mask=stays.mask[:, :, :2], delta=stays.delta[:, :, :2])
    with pytest.raises(InputError, match=r"\(5, 3\).*\(2, 3\)"):
        informed(STAYS, show)(model, fewer, *last(stays))
    with pytest.raises(InputError, match="training mode"):
        informed(STAYS, show)(LSTM(VARIABLES, STATICS, TARGETS, hidden=4), stays, *last(stays))


def test_is_built_by_its_name_and_asks_to_be_informed() -> None:
    built = plugins.build("explainers", {"name": "expected_gradients", "references": 4})
    assert isinstance(built, ExpectedGradients)
    assert isinstance(built, Informed)
    assert built.tolerance == 0.01
