"""What every model obeys, found by its file; each law also has a deliberately broken model that it must catch.

A law is a function of `make`, which builds a fresh model of `SIZES` from a seed. Weights are stirred before a law looks
at them, so that nothing hides behind weights that start at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from clinical_lstm import inference, plugins
from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.models.base import SequenceModel

VARIABLES, STATICS = 5, 2
TARGETS = [("death", 24.0), ("sepsis", 6.0), ("sepsis", 12.0)]
SIZES = {"n_variables": VARIABLES, "n_static": STATICS, "targets": TARGETS}
CLOSE = 1e-6  # of risks computed in another shape, in 64 bits: rounding is not what these laws are about
Make = Callable[[int], SequenceModel]
Law = Callable[[Make], None]


# --- what the laws look at --------------------------------------------------------------------------------------------


def scaler(location: float | np.ndarray = 80.0) -> Scaler:
    size = VARIABLES + STATICS
    log = np.arange(size) == 1
    return Scaler(
        variables=[f"v{k}" for k in range(VARIABLES)],
        statics=[f"s{k}" for k in range(STATICS)],
        log=log,
        location=np.where(log, 4.0, location) * np.ones(size),
        scale=np.where(log, 0.5, 15.0),
    )


def ragged(dense: Sequence[np.ndarray]) -> Ragged:
    """Return stays whose hourly raw values are the arrays (T, V); NaN is not observed."""
    seen = [np.argwhere(~np.isnan(stay)) for stay in dense]  # (M, 2), by step
    value = np.concatenate([stay[tuple(cells.T)] for stay, cells in zip(dense, seen)])
    lengths = np.array([len(stay) for stay in dense])
    return Ragged(
        step_offsets=np.append(0, np.cumsum(lengths)).astype(np.int64),
        cell_offsets=np.append(0, np.cumsum([len(cells) for cells in seen])).astype(np.int64),
        hours=np.concatenate([np.arange(length) + 1.0 for length in lengths]),
        cell_step=np.concatenate([cells[:, 0] for cells in seen]).astype(np.int32),
        cell_variable=np.concatenate([cells[:, 1] for cells in seen]).astype(np.uint16),
        cell_value=value.astype(np.float32),
        cell_age=(np.abs(value) % 0.5).astype(np.float32),
        static=np.stack([60.0 + lengths, np.where(lengths % 4, 90.0, np.nan)], axis=1).astype(np.float32),
    )


def ward(lengths: Sequence[int] = (9, 17, 1, 12, 30, 4), seed: int = 0, observed: float = 0.4) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    stays = []
    for length in lengths:
        values = 80 + 15 * draw.standard_normal((length, VARIABLES))
        stays.append(np.where(draw.random(values.shape) < observed, values, np.nan))
    return stays


def batch_of(dense: Sequence[np.ndarray], steps: int | None = None) -> Batch:
    return assemble(ragged(dense), np.arange(len(dense)), scaler(), steps).tensors()


def stirred(make: Make, seed: int = 0) -> SequenceModel:
    """Return the model in evaluation mode, its weights away from where they start."""
    model = make(seed)
    generator = torch.Generator().manual_seed(seed + 7)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator)
    return model.eval()


def as_model(batch: Batch, model: SequenceModel) -> Batch:
    """Return the batch in the precision of the model."""
    kind = next(model.parameters()).dtype
    return Batch(*(part.to(kind) if part.is_floating_point() else part for part in batch))


def risks(model: SequenceModel, batch: Batch) -> Tensor:
    with torch.no_grad():
        return torch.sigmoid(model(as_model(batch, model)))  # (B, T, K)


def cut(batch: Batch, steps: int) -> Batch:
    return Batch(*(part[:, :steps] for part in batch[:4]), batch.static, batch.lengths.clamp(max=steps))


def close(one: Tensor, other: Tensor, what: str) -> None:
    gap = float((one - other).abs().max())
    assert gap <= CLOSE, f"{what}: risks differ by {gap}"


def canonical(model: SequenceModel, dense: Sequence[np.ndarray], stays: Sequence[int] | None = None) -> np.ndarray:
    return inference.logits(model, ragged(dense), scaler(), None if stays is None else np.array(stays))


# --- the laws ---------------------------------------------------------------------------------------------------------


def the_future_has_no_gradient(make: Make) -> None:
    model, batch = stirred(make), batch_of(ward([12] * 4))
    leaves = [part.clone().requires_grad_() for part in batch[:4]]
    logits = model(Batch(*leaves, batch.static, batch.lengths))
    for step in (0, 5, 10):
        found = torch.autograd.grad(logits[:, step].sum(), leaves, retain_graph=True, allow_unused=True)
        for gradient in found:
            assert gradient is None or not gradient[:, step + 1 :].any(), f"step {step} looks ahead"
        assert any(gradient is not None and gradient[:, : step + 1].any() for gradient in found), "it sees nothing"


def a_prefix_gives_the_same_risks(make: Make) -> None:
    model, batch = stirred(make).double(), batch_of(ward([12] * 4))
    whole = risks(model, batch)
    for steps in (1, 5, 11):
        close(risks(model, cut(batch, steps)), whole[:, :steps], f"first {steps} steps")


def padding_is_not_seen(make: Make) -> None:
    model, dense = stirred(make).double(), ward()
    short, long = batch_of(dense), batch_of(dense, 48)
    inside = torch.arange(30) < short.lengths[:, None]  # (B, T)
    found = risks(model, short)
    close(found[inside], risks(model, long)[:, :30][inside], "more padding")
    behind = torch.arange(48) >= long.lengths[:, None]
    junk = [torch.where(behind[(...,) + (None,) * (part.ndim - 2)], 3.0, part) for part in long[:4]]
    filled = Batch(*junk, long.static, long.lengths)
    close(found[inside], risks(model, filled)[:, :30][inside], "other padding")


def batch_mates_are_not_seen(make: Make) -> None:
    model, dense = stirred(make).double(), ward()
    batch = batch_of(dense)
    found = risks(model, batch)
    turned = [4, 2, 0, 5, 1, 3]
    close(found[turned], risks(model, Batch(*(part[turned] for part in batch))), "another order")
    for row in range(len(dense)):
        close(found[row : row + 1], risks(model, Batch(*(part[row : row + 1] for part in batch))), "alone")


def inference_gives_the_same_bits(make: Make) -> None:
    model, dense = stirred(make), ward([*range(1, 40)] * 2)
    found = canonical(model, dense)
    assert np.isfinite(found).all()
    begin = np.append(0, np.cumsum([len(stay) for stay in dense]))
    for stays in ([3], [70, 3, 40, 18], list(range(77, -1, -1))):
        own = np.concatenate([np.arange(begin[s], begin[s + 1]) for s in sorted(stays)])
        asked = canonical(model, dense, stays)
        assert np.array_equal(asked[own], found[own]), f"{len(stays)} stays asked for"
        assert np.isnan(np.delete(asked, own, axis=0)).all()
    moved = canonical(model, dense[::-1])
    for stay in range(len(dense)):
        turned = len(found) - begin[stay + 1]
        own = found[begin[stay] : begin[stay + 1]]
        assert np.array_equal(moved[turned : turned + len(own)], own), "another place in the cohort"


def what_was_not_observed_has_no_value(make: Make) -> None:
    """Under mask 0 a batch carries what was observed before, else 0, whatever the scaler says of that variable."""
    model, dense = stirred(make), ward(seed=3)
    for stay in dense:
        stay[:, 3] = np.nan  # never measured in any stay
        stay[:3] = np.nan
    batch = batch_of(dense)
    carried, behind = torch.zeros(len(dense), VARIABLES), torch.arange(30) >= batch.lengths[:, None]
    for step in range(30):
        carried = torch.where(batch.mask[:, step] == 1, batch.values[:, step], carried)
        expected = torch.where(behind[:, step, None], 0.0, carried)
        assert torch.equal(batch.values[:, step], expected), "a value came from nowhere"
    other = assemble(ragged(dense), np.arange(len(dense)), scaler(np.where(np.arange(7) == 3, -5.0, 80.0)))
    assert torch.equal(risks(model, batch), risks(model, other.tensors())), "an unmeasured variable has a value"


def stepping_equals_the_whole(make: Make) -> None:
    model = stirred(make).double()
    batch = as_model(batch_of(ward([12] * 4)), model)
    whole = risks(model, batch)
    state, found = model.start(batch.static), []
    with torch.no_grad():
        for t in range(12):
            one = Batch(*(part[:, t : t + 1] for part in batch[:4]), batch.static, torch.ones(4, dtype=torch.int64))
            again, _ = model.step(one, state)
            logits, state = model.step(one, state)
            assert torch.equal(again, logits), "a step changed its own state"
            found.append(torch.sigmoid(logits))
    close(torch.stack(found, dim=1), whole, "step by step")


def the_state_is_a_named_tuple_of_tensors(make: Make) -> None:
    model, batch = stirred(make), cut(batch_of(ward([12] * 4)), 1)
    before = model.start(batch.static)
    with torch.no_grad():
        _, after = model.step(batch, before)
    for state in (before, after):
        assert isinstance(state, tuple) and hasattr(state, "_fields"), f"the state is a {type(state).__name__}"
        assert all(isinstance(part, Tensor) for part in state), "the state holds something else than tensors"
    assert before._fields == after._fields


def weights_alone_are_the_model(make: Make) -> None:
    model, batch = stirred(make), batch_of(ward())
    stored = safetensors.torch.save(model.state_dict())
    other = make(99).eval()
    other.load_state_dict(safetensors.torch.load(stored))
    assert torch.equal(risks(model, batch), risks(other, batch)), "saving loses something"


def a_seed_fixes_the_weights(make: Make) -> None:
    one, same, other = (make(seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one), "equal seeds, other weights"
    assert any(not torch.equal(one[name], other[name]) for name in one), "another seed, equal weights"


def asking_twice_gives_the_same_bits(make: Make) -> None:
    model, batch, others = stirred(make), batch_of(ward()), batch_of(ward(seed=9))
    first = risks(model, batch)
    risks(model, others)
    assert torch.equal(first, risks(model, batch)), "the second answer differs"


def eight_stays_are_memorised(make: Make) -> None:
    model, batch = make(0).eval(), batch_of(ward([12] * 8, seed=4))
    label = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1.0])[:, None, None].expand(-1, 12, len(TARGETS))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    loss = torch.tensor(1.0)
    for _ in range(300):
        loss = nn.functional.binary_cross_entropy_with_logits(model(batch), label)
        if loss < 0.1:
            return
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    raise AssertionError(f"the loss on 8 stays is still {loss.item()}")


def an_empty_stay_has_a_risk(make: Make) -> None:
    model, dense = stirred(make), ward([12, 12, 12])
    dense[0][:] = np.nan
    dense[1][:, 1] = np.nan
    dense[2][0] = 1e5
    found = risks(model, batch_of(dense))
    assert found.isfinite().all(), "a risk is not finite"
    assert np.isfinite(canonical(model, dense)).all()


def the_risk_rises_with_the_horizon(make: Make) -> None:
    for seed in range(3):
        with torch.no_grad():
            logits = stirred(make, seed)(batch_of(ward()))
        assert (logits[..., 2] >= logits[..., 1]).all(), "12 h is less likely than 6 h"


def the_bias_starts_at_the_base_rates(make: Make) -> None:
    model, rates = make(0), np.array([0.3, 0.02, 0.05])
    model.start_at(rates)
    with torch.no_grad():
        found = torch.sigmoid(model.head(torch.zeros(1, model.head.width)))[0].numpy()
    assert np.allclose(found, rates, rtol=1e-4), f"{found} instead of {rates}"


# --- a model that obeys, and models that break one law each -----------------------------------------------------------


class Memory(NamedTuple):
    hidden: Tensor  # (B, H)


class Honest(SequenceModel):
    """A leaky sum of features: h_t = 0.8 h_{t-1} + tanh(W x_t)."""

    def __init__(self, n_variables: int, n_static: int, targets: Sequence[tuple[str, float]]) -> None:
        super().__init__(n_variables, n_static)
        self.features = nn.Linear(self.inputs.width, 64)
        self.attach_head(64, targets, dropout=0.5)

    def seen(self, features: Tensor) -> Tensor:
        return torch.tanh(self.features(features))  # (B, T, H)

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        hidden, found = self.initial_state(batch.static).hidden, []
        for feature in self.seen(features).unbind(1):
            hidden = 0.8 * hidden + feature
            found.append(hidden)
        return torch.stack(found, dim=1)  # (B, T, H)

    def initial_state(self, static: Tensor) -> Any:
        return Memory(static.new_zeros(len(static), 64))

    def advance(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        hidden = 0.8 * state[0] + self.seen(features)[:, 0]
        return hidden, Memory(hidden)


class LooksOneStepAhead(Honest):
    def states(self, features: Tensor, batch: Batch) -> Tensor:
        states = super().states(features, batch)
        return torch.cat([states[:, 1:], states[:, -1:]], dim=1)


class NormalisesOverTheBatch(Honest):
    def states(self, features: Tensor, batch: Batch) -> Tensor:
        states = super().states(features, batch)
        return (states - states.mean(0)) / (states.std(0, unbiased=False) + 0.1)


class ReadsPadding(Honest):
    def states(self, features: Tensor, batch: Batch) -> Tensor:
        return super().states(features, batch) + self.seen(features).mean(1, keepdim=True)


class KnowsItsRow(Honest):
    def states(self, features: Tensor, batch: Batch) -> Tensor:
        return super().states(features, batch) + 0.01 * torch.arange(len(batch.lengths))[:, None, None]


class StepsOtherwise(Honest):
    def advance(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        return super().advance(features, batch, Memory(0.99 * state.hidden))


class StepsInPlace(Honest):
    def advance(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        state.hidden.mul_(0.8).add_(self.seen(features)[:, 0])
        return state.hidden, state


class KeepsAPlainState(Honest):
    def initial_state(self, static: Tensor) -> Any:
        return [torch.zeros(len(static), 64)]

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        return self.seen(features)


class NeverStopsDropout(Honest):
    def seen(self, features: Tensor) -> Tensor:
        return nn.functional.dropout(super().seen(features), 0.5, training=True)


class Remembers(Honest):
    total = 0.0

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        Remembers.total += float(batch.values.abs().mean())
        return super().states(features, batch) + Remembers.total


class HidesAWeight(Honest):
    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.hidden_weight = [torch.randn(64)]

    def seen(self, features: Tensor) -> Tensor:
        return super().seen(features) * self.hidden_weight[0]


class SeedsItself(Honest):
    def __init__(self, **sizes: Any) -> None:
        torch.seed()
        super().__init__(**sizes)


class SeesNothing(Honest):
    def seen(self, features: Tensor) -> Tensor:
        return 0.0 * super().seen(features) + 1.0


class DividesByWhatItSaw(Honest):
    def states(self, features: Tensor, batch: Batch) -> Tensor:
        return super().states(features, batch) / batch.mask.cumsum(1).sum(2, keepdim=True)


class SplitsItsHorizons(Honest):
    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.head.continues = [False] * len(TARGETS)


class StartsAnywhere(Honest):
    def start_at(self, base_rates: np.ndarray) -> None:
        pass


class ImputesAtRandom(Honest):
    def hidden(self, batch: Batch) -> Tensor:
        drawn = torch.where(batch.mask == 1, 0.0, torch.randn_like(batch.values))  # (B, T, V)
        return super().hidden(batch._replace(values=batch.values + 0.1 * drawn))


CAUSAL: list[Law] = [the_future_has_no_gradient, a_prefix_gives_the_same_risks, stepping_equals_the_whole]
CAUSAL += [the_state_is_a_named_tuple_of_tensors]
ALWAYS: list[Law] = [
    padding_is_not_seen,
    batch_mates_are_not_seen,
    inference_gives_the_same_bits,
    what_was_not_observed_has_no_value,
    weights_alone_are_the_model,
    a_seed_fixes_the_weights,
    asking_twice_gives_the_same_bits,
    eight_stays_are_memorised,
    an_empty_stay_has_a_risk,
    the_risk_rises_with_the_horizon,
    the_bias_starts_at_the_base_rates,
]
CAUGHT: list[tuple[Law, type[Honest]]] = [
    (the_future_has_no_gradient, LooksOneStepAhead),
    (the_future_has_no_gradient, ReadsPadding),
    (the_future_has_no_gradient, SeesNothing),
    (a_prefix_gives_the_same_risks, LooksOneStepAhead),
    (a_prefix_gives_the_same_risks, ReadsPadding),
    (padding_is_not_seen, ReadsPadding),
    (padding_is_not_seen, LooksOneStepAhead),
    (batch_mates_are_not_seen, NormalisesOverTheBatch),
    (batch_mates_are_not_seen, KnowsItsRow),
    (inference_gives_the_same_bits, NormalisesOverTheBatch),
    (inference_gives_the_same_bits, KnowsItsRow),
    (inference_gives_the_same_bits, Remembers),
    (what_was_not_observed_has_no_value, ImputesAtRandom),
    (stepping_equals_the_whole, StepsOtherwise),
    (stepping_equals_the_whole, StepsInPlace),
    (the_state_is_a_named_tuple_of_tensors, KeepsAPlainState),
    (weights_alone_are_the_model, HidesAWeight),
    (a_seed_fixes_the_weights, SeedsItself),
    (asking_twice_gives_the_same_bits, NeverStopsDropout),
    (asking_twice_gives_the_same_bits, Remembers),
    (eight_stays_are_memorised, SeesNothing),
    (an_empty_stay_has_a_risk, DividesByWhatItSaw),
    (the_risk_rises_with_the_horizon, SplitsItsHorizons),
    (the_bias_starts_at_the_base_rates, StartsAnywhere),
]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def maker(plugin: Callable[..., Any]) -> Make:
    def make(seed: int) -> SequenceModel:
        torch.manual_seed(seed)
        return plugin(**SIZES)

    return make


@pytest.mark.parametrize("law", CAUSAL + ALWAYS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", plugins.names("models"))
def test_model_obeys(name: str, law: Law) -> None:
    make = maker(plugins.load("models", name))
    if law in CAUSAL and not make(0).causal:
        pytest.skip(f"{name} sees the whole window and says so")
    law(make)


@pytest.mark.parametrize("law", CAUSAL + ALWAYS, ids=lambda law: law.__name__)
def test_honest_model_obeys(law: Law) -> None:
    law(maker(Honest))


@pytest.mark.parametrize(("law", "broken"), CAUGHT, ids=lambda thing: thing.__name__)
def test_law_catches(law: Law, broken: type[Honest]) -> None:
    with pytest.raises(AssertionError):
        law(maker(broken))


def test_every_law_has_a_model_that_it_catches() -> None:
    assert {law for law, _ in CAUGHT} == {*CAUSAL, *ALWAYS}
