"""Integrated gradients: completeness, closed forms, a dense reference, and the laws of a causal explanation."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients as FixedNodes
from torch import Tensor, nn
from torch.nn import functional

from clinical_lstm import plugins
from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.base import Explanation, Informed
from clinical_lstm.explainers.integrated_gradients import IntegratedGradients
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.lstm import LSTM

STAYS, STEPS, VARIABLES, STATICS = 8, 24, 6, 2
NEVER = 5  # a variable that nobody measured
TARGETS = [("sepsis", 6.0), ("sepsis", 12.0)]
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def batch() -> Batch:
    draw = np.random.default_rng(3)
    lengths = np.array([STEPS, STEPS - 1, 20, 17, 12, 9, 6, 4])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    cells = [np.nonzero(draw.random((steps, NEVER)) < 0.4) for steps in lengths]
    count = [len(step) for step, _ in cells]
    total = sum(count)
    ragged = Ragged(
        step_offsets=offsets,
        cell_offsets=np.concatenate([[0], np.cumsum(count)]),
        hours=np.concatenate([np.arange(1.0, steps + 1) for steps in lengths]),
        cell_step=np.concatenate([step for step, _ in cells]).astype(np.int32),
        cell_variable=np.concatenate([variable for _, variable in cells]).astype(np.uint16),
        cell_value=draw.normal(size=total).astype(np.float32),
        cell_age=draw.random(total).astype(np.float32),
        static=draw.normal(size=(STAYS, STATICS)).astype(np.float32),
    )
    size = VARIABLES + STATICS
    names = [f"v{i}" for i in range(VARIABLES)], [f"s{i}" for i in range(STATICS)]
    scaler = Scaler(*names, log=np.zeros(size, bool), location=np.zeros(size), scale=np.ones(size))
    return assemble(ragged, np.arange(STAYS), scaler).tensors()


@pytest.fixture(scope="module", params=[1, 2], ids=["one layer", "two layers"])
def trained(request: pytest.FixtureRequest, batch: Batch) -> LSTM:
    """An LSTM with two horizons that has memorised which stays had an onset."""
    torch.manual_seed(request.param)
    model = LSTM(VARIABLES, STATICS, TARGETS, hidden=16, layers=request.param, dropout=0.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.03)
    label = (torch.arange(STAYS) % 2).float()[:, None, None].expand(-1, STEPS, len(TARGETS))
    for _ in range(60):
        optimiser.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(model(batch), label)
        loss.backward()
        optimiser.step()
    assert loss < 0.1
    return model.eval()


@pytest.fixture(scope="module")
def harsh() -> LSTM:
    """An LSTM with large weights: its logit jumps along the path."""
    torch.manual_seed(0)
    model = LSTM(VARIABLES, STATICS, TARGETS, hidden=64, layers=2).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "weight" in name:
                weight *= 3
    return model


class _Additive(SequenceModel):
    """logit_t = sum over s <= t of (w_v v_s + w_m m_s + w_d delta_s + v_s m_s) + w_s static: closed forms exist."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        draw = torch.Generator().manual_seed(1)
        shapes = [(VARIABLES,), (VARIABLES,), (VARIABLES,), (STATICS,)]
        self.weights = nn.ParameterList([torch.randn(shape, generator=draw) for shape in shapes])

    def forward(self, batch: Batch) -> Tensor:
        values, mask, delta, static = self.weights
        each = batch.values * values + batch.mask * mask + batch.delta * delta + batch.values * batch.mask  # (B, T, V)
        return (each.sum(2).cumsum(1) + (batch.static @ static)[:, None])[:, :, None]  # (B, T, 1)

    states = initial_state = advance = None  # type: ignore[assignment]  # a closed form has no memory


def _last(batch: Batch) -> tuple[Tensor, Tensor]:
    """The last step of every stay, the two horizons in turn."""
    return batch.lengths - 1, torch.arange(len(batch.lengths)) % len(TARGETS)


def _flat(found: Explanation) -> np.ndarray:
    return np.concatenate([part.reshape(len(part), -1) for part in found[:4]], axis=1)


def _rows(batch: Batch, rows: slice) -> Batch:
    return Batch(*(part[rows] for part in batch))


def test_attributions_account_for_the_models_own_logit(trained: LSTM, batch: Batch) -> None:
    step, target = _last(batch)
    found = IntegratedGradients()(trained, batch, step, target)
    with torch.no_grad():
        logit = trained(batch)[torch.arange(STAYS), step, target].numpy()
    assert np.abs(found.logit - logit).max() < 1e-5
    assert np.abs(found.logit - found.baseline_logit).max() > 1
    missing = np.abs(_flat(found).sum(1) - (found.logit - found.baseline_logit))
    assert (missing <= found.gap + 1e-12).all()
    assert missing.max() < 0.01
    assert found.explained.all()


def test_baseline_is_the_stay_with_nothing_observed(trained: LSTM, batch: Batch) -> None:
    step, target = _last(batch)
    unseen = batch.hours[:, :, None].expand_as(batch.delta)
    zero = torch.zeros_like
    nothing = batch._replace(values=zero(batch.values), mask=zero(batch.mask), delta=unseen, static=zero(batch.static))
    with torch.no_grad():
        logit = trained(nothing)[torch.arange(STAYS), step, target].numpy()
    np.testing.assert_allclose(IntegratedGradients()(trained, batch, step, target).baseline_logit, logit, atol=1e-5)
    found = IntegratedGradients()(trained, nothing, step, target)
    assert not _flat(found).any()
    assert not found.gap.any()


def test_closed_form_of_a_linear_and_a_product_term(batch: Batch) -> None:
    model = _Additive().eval()
    step = batch.lengths // 2
    found = IntegratedGradients()(model, batch, step, torch.zeros_like(step))
    values, mask, delta, static = (weight.detach().double().numpy() for weight in model.weights)
    seen = batch._replace(hours=batch.hours[:, :, None])
    v, m, d, t = (part.double().numpy() for part in (seen.values, seen.mask, seen.delta, seen.hours))
    until = (np.arange(STEPS) <= step.numpy()[:, None])[:, :, None]
    np.testing.assert_allclose(found.values, (v * values + v * m / 2) * until, atol=1e-5)
    np.testing.assert_allclose(found.mask, (m * mask + v * m / 2) * until, atol=1e-5)
    np.testing.assert_allclose(found.delta, (d - t) * delta * until, atol=1e-4)
    np.testing.assert_allclose(found.static, batch.static.double().numpy() * static, atol=1e-5)
    assert (found.evaluations == 2**3 * 4 + 2**3 + 1).all()  # nothing had to be refined


def test_agrees_with_a_dense_riemann_sum_in_double_precision(trained: LSTM, batch: Batch) -> None:
    row, nodes = 6, 2000
    one = Batch(*(part[row : row + 1, :6] if part.dim() == 3 else part[row : row + 1] for part in batch))
    one = one._replace(hours=one.hours[:, :6])
    step, target = torch.tensor([5]), torch.tensor([1])
    found = IntegratedGradients(tolerance=0.001)(trained, one, step, target)
    end = [part.double() for part in (*one[:3], one.static)]
    start = [torch.zeros_like(part) for part in end]
    start[2] = one.hours.double()[:, :, None].expand_as(end[2])
    at = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes
    point = [(a + at.view(-1, *[1] * (a.dim() - 1)) * (b - a)).requires_grad_() for a, b in zip(start, end)]
    hours, lengths = one.hours.double().expand(nodes, -1), one.lengths.expand(nodes)
    logits = copy.deepcopy(trained).double()(Batch(*point[:3], hours, point[3], lengths))
    gradients = torch.autograd.grad(logits[:, 5, 1].sum(), point)
    expected = [(g.mean(0) * (b - a)[0]).numpy().ravel() for g, a, b in zip(gradients, start, end)]
    assert np.abs(np.concatenate(expected)).max() > 0.1
    np.testing.assert_allclose(_flat(found)[0], np.concatenate(expected), atol=0.001)


def test_what_a_prediction_did_not_use_gets_exactly_zero(trained: LSTM, batch: Batch) -> None:
    step, target = batch.lengths // 2, _last(batch)[1]
    found = IntegratedGradients()(trained, batch, step, target)
    later = np.arange(STEPS) > step.numpy()[:, None]
    for part in found[:3]:
        assert part.shape == (STAYS, STEPS, VARIABLES)
        assert not part[:, :, NEVER].any()
        assert not part[later].any()
        assert part[:, :, :NEVER].any()


def test_the_future_changes_no_bit(trained: LSTM, batch: Batch) -> None:
    step, target = torch.full((STAYS,), 2), _last(batch)[1]
    values, mask, delta = (torch.cat([part[:, :3], 7 + 3 * part[:, 3:]], dim=1) for part in batch[:3])
    altered = batch._replace(values=values, mask=mask, delta=delta)
    expected = IntegratedGradients()(trained, batch, step, target)
    found = IntegratedGradients()(trained, altered, step, target)
    for one, other in zip(expected, found):
        assert np.array_equal(one, other)


def test_same_input_same_bits_whatever_the_batch_mates_almost(trained: LSTM, batch: Batch) -> None:
    step, target = _last(batch)
    together = IntegratedGradients()(trained, batch, step, target)
    for one, other in zip(together, IntegratedGradients()(trained, batch, step, target)):
        assert np.array_equal(one, other)
    for row in (0, STAYS - 1):
        only = slice(row, row + 1)
        alone = IntegratedGradients()(trained, _rows(batch, only), step[only], target[only])
        assert np.abs(_flat(alone) - _flat(together)[only]).max() < 1e-5
        assert alone.evaluations == together.evaluations[row]
    small = IntegratedGradients(batch_steps=1)(trained, batch, step, target)
    assert np.abs(_flat(small) - _flat(together)).max() < 1e-5


def test_refinement_explains_where_fifty_fixed_nodes_do_not(harsh: LSTM, batch: Batch) -> None:
    step, target = _last(batch)
    found = IntegratedGradients()(harsh, batch, step, target)
    assert found.explained.all()
    assert found.gap.max() < 0.01

    def logit(values: Tensor, mask: Tensor, delta: Tensor, static: Tensor) -> Tensor:
        repeats = len(values) // STAYS
        hours, lengths = batch.hours.repeat(repeats, 1), batch.lengths.repeat(repeats)
        logits = harsh(Batch(values, mask, delta, hours, static, lengths))
        return logits[torch.arange(len(values)), step.repeat(repeats), target.repeat(repeats)]

    waited = batch.hours[:, :, None].expand_as(batch.delta)
    fixed = FixedNodes(logit).attribute((*batch[:3], batch.static), baselines=(0.0, 0.0, waited, 0.0), n_steps=50)
    total = sum(part.double().flatten(1).sum(1) for part in fixed).detach().numpy()
    assert np.abs(total - (found.logit - found.baseline_logit)).max() > 0.05


def test_a_path_that_may_not_be_refined_is_not_explained(harsh: LSTM, batch: Batch) -> None:
    step, target = _last(batch)
    found = IntegratedGradients(min_depth=0, max_depth=0)(harsh, batch, step, target)
    assert not found.explained.all()
    assert (found.gap[~found.explained] >= 0.01).all()
    missing = np.abs(_flat(found).sum(1) - (found.logit - found.baseline_logit))
    assert (missing <= found.gap + 1e-12).all()
    assert (found.evaluations == 4 + 2).all()


def test_a_prediction_that_costs_too_much_is_given_up(harsh: LSTM, batch: Batch) -> None:
    step, target = _last(batch)
    found = IntegratedGradients(max_evaluations=60)(harsh, batch, step, target)
    assert not found.explained.all()
    assert 60 < found.evaluations.max() < 3.25 * 60  # one more round of twice as many parts


@pytest.mark.parametrize("hours_back", [1.0, 4.0, 6.5, 100.0])
def test_earlier_is_the_stay_assembled_without_what_was_measured_since(
    hours_back: float, ward: Ragged, scaler: Scaler, stays: Batch, without: Callable[..., Ragged]
) -> None:
    torch.manual_seed(5)
    model = LSTM(stays.values.shape[2], stays.static.shape[1], TARGETS, hidden=12).eval()
    step = stays.lengths - 1 - torch.tensor([0, 3, 0, 2, 0, 0])
    row, target = torch.arange(len(step)), torch.arange(len(step)) % len(TARGETS)
    now = stays.hours[row, step][:, None]
    recent = (stays.hours > now - hours_back).numpy()  # (B, T)
    hidden = recent[:, :, None] & (stays.mask.numpy() > 0)
    found = IntegratedGradients("earlier", hours_back)(model, stays, step, target)
    then = assemble(without(ward, hidden), np.arange(len(step)), scaler, stays.hours.shape[1]).tensors()
    with torch.no_grad():
        logit, logit_then = (model(batch)[row, step, target].numpy() for batch in (stays, then))
    np.testing.assert_allclose(found.logit, logit, atol=1e-5)
    np.testing.assert_allclose(found.baseline_logit, logit_then, atol=1e-5)
    assert np.abs(_flat(found).sum(1) - (found.logit - found.baseline_logit)).max() < 0.01 and found.explained.all()
    until = np.arange(stays.hours.shape[1]) <= step.numpy()[:, None]
    touched = np.maximum.accumulate(hidden, axis=1) & until[:, :, None]  # measured since, by then
    for part in found[:3]:
        assert not part[~touched].any(), "before t - k, after t, or not measured since"
    assert not found.static.any()
    assert found.delta[touched].any()
    if hours_back == 100:
        nothing = IntegratedGradients()(model, stays._replace(static=torch.zeros_like(stays.static)), step, target)
        alike = IntegratedGradients("earlier", 100.0)(
            model, stays._replace(static=torch.zeros_like(stays.static)), step, target
        )
        assert all(np.array_equal(one, other) for one, other in zip(nothing, alike)), "nothing was ever measured"


def test_earlier_refines_until_complete_and_costs_nothing_where_nothing_changed(harsh: LSTM, batch: Batch) -> None:
    step, target = _last(batch)
    found = IntegratedGradients("earlier")(harsh, batch, step, target)
    assert found.explained.all() and found.gap.max() < 0.01
    assert np.abs(found.logit - found.baseline_logit).max() > 0.1
    quiet = batch._replace(mask=torch.zeros_like(batch.mask))
    same = IntegratedGradients("earlier")(harsh, quiet, step, target)
    assert not _flat(same).any() and np.array_equal(same.logit, same.baseline_logit)


def test_median_shares_out_values_alone(trained: LSTM, batch: Batch) -> None:
    step, target = _last(batch)
    found = IntegratedGradients("median", tolerance=0.02)(trained, batch, step, target)  # 32 bits give no less here
    typical = batch._replace(values=torch.zeros_like(batch.values), static=torch.zeros_like(batch.static))
    with torch.no_grad():
        logit = trained(typical)[torch.arange(STAYS), step, target].numpy()
    np.testing.assert_allclose(found.baseline_logit, logit, atol=1e-5)
    assert found.explained.all()
    assert np.abs(_flat(found).sum(1) - (found.logit - found.baseline_logit)).max() < 0.02
    assert not found.mask.any() and not found.delta.any()
    assert not found.values[:, :, NEVER].any() and found.values.any() and found.static.any()
    linear = _Additive().eval()
    weight, _, _, fixed = (w.detach().double().numpy() for w in linear.weights)
    found = IntegratedGradients("median")(linear, batch, step, torch.zeros_like(step))
    expected = batch.values.double().numpy() * (weight + batch.mask.double().numpy())
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    np.testing.assert_allclose(found.static, batch.static.double().numpy() * fixed, atol=1e-5)


def test_baselines_that_do_not_fit_get_one_clear_message(batch: Batch) -> None:
    with pytest.raises(InputError, match=r"baseline=earler: .*earlier"):
        IntegratedGradients("earler")
    for hours_back in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="hours_back"):
            IntegratedGradients("earlier", hours_back)
    earlier = IntegratedGradients("earlier", hours_back=6.0)
    assert isinstance(earlier, Informed)
    for lookback_hours in (3.0, 6.0):
        with pytest.raises(InputError, match=f"looks back {lookback_hours:g} hours"):
            earlier.inform(lookback_hours, STAYS, lambda rows: batch)
    for lookback_hours in (None, 6.5, float("inf")):
        earlier.inform(lookback_hours, STAYS, lambda rows: batch)
    IntegratedGradients().inform(3.0, STAYS, lambda rows: batch)


def test_leaves_the_model_as_it_was(trained: LSTM, batch: Batch) -> None:
    trained.head.linear.bias.requires_grad_(False)
    step, target = _last(batch)
    IntegratedGradients()(trained, batch, step, target)
    asked = {name: weight.requires_grad for name, weight in trained.named_parameters()}
    trained.head.linear.bias.requires_grad_(True)
    assert asked == {name: name != "head.linear.bias" for name in asked}
    assert not trained.training


def test_refuses_dropout_broken_weights_and_impossible_settings(batch: Batch) -> None:
    step, target = _last(batch)
    model = LSTM(VARIABLES, STATICS, TARGETS, hidden=4)
    with pytest.raises(InputError, match="training mode"):
        IntegratedGradients()(model, batch, step, target)
    nn.init.constant_(model.head.linear.weight, float("nan"))
    with pytest.raises(InputError, match="no finite logit for 8 prediction"):
        IntegratedGradients()(model.eval(), batch, step, target)
    with pytest.raises(InputError, match="tolerance"):
        IntegratedGradients(tolerance=float("nan"))
    with pytest.raises(InputError, match="max_depth"):
        IntegratedGradients(min_depth=4, max_depth=3)


def test_is_built_by_its_name() -> None:
    built = plugins.build("explainers", {"name": "integrated_gradients", "tolerance": 0.005})
    assert isinstance(built, IntegratedGradients)
    assert built.tolerance == 0.005
