"""Every check passes on an honest explanation of a model with a planted signal, and is shown to fail."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from clinical_lstm import explanation
from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.explainers.base import Explainer, Explanation
from clinical_lstm.explainers.hiding import unobserve
from clinical_lstm.explainers.integrated_gradients import IntegratedGradients
from clinical_lstm.explanation import keys, trust
from clinical_lstm.explanation.trust.asked import explained_by, logits
from clinical_lstm.explanation.trust.curves import SHARES
from clinical_lstm.models.lstm import LSTM

torch.set_num_threads(1)
STAYS, STEPS, VARIABLES = 220, 10, ["planted_up", "planted_down", "a", "b", "c", "rare"]
TARGETS = [("sepsis", 6.0)]
STAY_INDEX = {f"s{k:03d}": k for k in range(STAYS)}


@pytest.fixture(scope="module")
def ragged() -> Ragged:
    """Hourly stays; every variable is measured in 4 of 10 steps, the last one in every second stay only."""
    random = np.random.default_rng(0)
    seen = random.random((STAYS, STEPS, len(VARIABLES))) < 0.4
    seen[::2, :, -1] = False
    stay, step, variable = np.nonzero(seen)
    return Ragged(
        step_offsets=np.arange(STAYS + 1) * STEPS,
        cell_offsets=np.concatenate([[0], np.cumsum(seen.sum(axis=(1, 2)))]),
        hours=np.tile(np.arange(1.0, STEPS + 1), STAYS),
        cell_step=step.astype(np.int32),
        cell_variable=variable.astype(np.uint16),
        cell_value=random.normal(size=len(stay)).astype(np.float32),
        cell_age=np.zeros(len(stay), np.float32),
        static=random.normal(size=(STAYS, 1)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def scaler() -> Scaler:
    width = len(VARIABLES) + 1
    return Scaler(VARIABLES, ["age_years"], np.zeros(width, bool), np.zeros(width), np.ones(width))


def _trained(ragged: Ragged, scaler: Scaler, effects: list[float]) -> LSTM:
    """Return a model that has learned logit_t = effects * (last value of each variable)."""
    torch.manual_seed(1)
    model = LSTM(len(VARIABLES), 1, TARGETS, hidden=16, layers=1, dropout=0.0)
    batch = assemble(ragged, np.arange(STAYS), scaler).tensors()
    wanted = (batch.values * torch.tensor(effects)).sum(dim=2, keepdim=True)  # (B, T, 1)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(model(batch), wanted).backward()
        optimiser.step()
    return model.eval()


@pytest.fixture(scope="module")
def model(ragged: Ragged, scaler: Scaler) -> LSTM:
    return _trained(ragged, scaler, [1.5, -1.5, 0.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def other(ragged: Ragged, scaler: Scaler) -> LSTM:
    return _trained(ragged, scaler, [0.0, 0.0, 1.5, -1.5, 0.0, 0.0])


@pytest.fixture(scope="module")
def batches(model: LSTM, ragged: Ragged, scaler: Scaler) -> list[trust.Asked]:
    chosen = pl.DataFrame(
        [(stay, float(4 + k % 7), *TARGETS[0], "cohort_sample", 0.5) for k, stay in enumerate(STAY_INDEX)][:24],
        schema=keys.CHOSEN,
        orient="row",
    )
    return trust.ask(model, ragged, scaler, STAY_INDEX, TARGETS, chosen)[1]


class Shuffled:
    """Right sums at wrong places: every cell of a channel gets the attribution of another."""

    def __init__(self, inner: Explainer) -> None:
        self.inner, self.tolerance, self.random = inner, inner.tolerance, np.random.default_rng(0)

    def __call__(self, model: LSTM, batch: Batch, step: Tensor, target: Tensor) -> Explanation:
        found = self.inner(model, batch, step, target)
        order = self.random.permutation(found.values[0].size)
        parts = {
            name: getattr(found, name).reshape(len(step), -1)[:, order].reshape(found.values.shape)
            for name in ("values", "mask", "delta")
        }
        return found._replace(**parts)


class OfAnother:
    """An honest explanation, of a model that is not the one asked about."""

    def __init__(self, inner: Explainer, model: LSTM) -> None:
        self.inner, self.tolerance, self.model = inner, inner.tolerance, model

    def __call__(self, model: LSTM, batch: Batch, step: Tensor, target: Tensor) -> Explanation:
        return self.inner(self.model, batch, step, target)


def _verdicts(model: LSTM, explainer: Explainer, batches: list[trust.Asked]) -> dict[str, bool | None]:
    found = trust.judge(model, explainer, batches)
    recovered = trust.recovery(batches, explained_by(explainer, model, batches), VARIABLES, PLANTED, (0.0, 100.0))
    return {name: check["passed"] for name, check in (found | {"recovery": recovered}).items()}


PLANTED = ["planted_up", "planted_down"]
ALL = ["randomisation", "deletion_insertion", "stability", "agreement", "unused", "recovery"]


def test_all_checks_pass_on_an_honest_explanation(model: LSTM, batches: list[trust.Asked]) -> None:
    f = trust.judge(model, IntegratedGradients(), batches)
    print(json.dumps(f, indent=1))
    assert _verdicts(model, IntegratedGradients(), batches) == dict.fromkeys(ALL, True)


def test_all_checks_fail_on_shuffled_attributions(model: LSTM, batches: list[trust.Asked]) -> None:
    assert _verdicts(model, Shuffled(IntegratedGradients()), batches) == dict.fromkeys(ALL, False)


def test_explaining_another_model_is_found_out(model: LSTM, other: LSTM, batches: list[trust.Asked]) -> None:
    found = _verdicts(model, OfAnother(IntegratedGradients(), other), batches)
    assert [name for name in ALL if not found[name]] == ["randomisation", "deletion_insertion", "agreement", "recovery"]


Tables = tuple[pl.DataFrame, pl.DataFrame]


@pytest.fixture(scope="module")
def tables(model: LSTM, ragged: Ragged, scaler: Scaler) -> Tables:
    rows = [(stay, 8.0, *TARGETS[0], "cohort_sample", 0.5) for stay in list(STAY_INDEX)[:24]]
    chosen = pl.DataFrame(rows, schema=keys.CHOSEN, orient="row")
    return explanation.explain(model, ragged, scaler, STAY_INDEX, TARGETS, chosen, IntegratedGradients())


def test_examine_judges_tables_and_depends_on_the_seed_only(
    model: LSTM, other: LSTM, ragged: Ragged, scaler: Scaler, tables: Tables
) -> None:
    def examined(judged: LSTM, seed: int) -> dict[str, trust.Verdict]:
        asked = (judged, ragged, scaler, STAY_INDEX, TARGETS)
        return explanation.examine(*asked, *tables, IntegratedGradients(), seed=seed, predictions=8)

    found = examined(model, 3)
    assert all(check["passed"] for check in found.values())
    assert json.dumps(found) == json.dumps(examined(model, 3)) != json.dumps(examined(model, 4))
    wrong = examined(other, 3)["completeness"]  # the tables are not of this model
    assert not wrong["passed"]
    assert wrong["max_logit_difference"] > 0.1
    assert wrong["finding"].endswith("8 of 8 explained logits are not this model's: they belong to another one.")
    assert explanation.checks(tables[0], 0.01, found)["trust"] is found
    assert len(explanation.told(found)) == 6


def test_completeness_believes_no_gap_that_is_only_written(tables: Tables) -> None:
    explained, attributions = tables
    assert trust.completeness(explained, attributions, 0.01)["passed"]
    more = attributions.with_columns(pl.col("attribution") * 1.1)
    wrong = trust.completeness(explained.with_columns(gap=0.0), more, 0.01)
    assert wrong["passed"] is False
    total = (explained["logit"] - explained["baseline_logit"]).abs()
    assert wrong["max_gap"] == pytest.approx(0.1 * total.max(), abs=0.01)  # type: ignore[operator]
    assert not trust.completeness(explained.with_columns(gap=0.02), attributions, 0.01)["passed"]
    assert not trust.completeness(explained, attributions.clear(), 0.01)["passed"]
    assert trust.completeness(explained.clear(), attributions.clear(), 0.01)["passed"] is None


def test_randomisation_catches_an_explainer_that_does_not_ask_the_model(
    model: LSTM, batches: list[trust.Asked]
) -> None:
    def loudest(model: LSTM, batch: Batch, step: Tensor, target: Tensor) -> Explanation:
        honest = IntegratedGradients()(model, batch, step, target)
        return honest._replace(values=batch.values.double().numpy(), mask=0 * honest.mask, delta=0 * honest.delta)

    found = trust.randomisation(model, loudest, batches)  # type: ignore[arg-type]
    assert not found["passed"]
    assert found["same_weights"] == 1
    assert found["redrawn"] > 0.8


def test_redrawn_weights_are_the_same_numbers_in_other_places(model: LSTM) -> None:
    drawn, again, head = trust.redrawn(model, 5), trust.redrawn(model, 5), trust.redrawn(model, 5, ["head"])
    for name, weight in model.named_parameters():
        new = drawn.get_parameter(name)
        torch.testing.assert_close(new.flatten().sort().values, weight.flatten().sort().values, rtol=0, atol=0)
        assert torch.equal(new, again.get_parameter(name))
        assert torch.equal(head.get_parameter(name), new if name.startswith("head") else weight)
    moved = [not torch.equal(drawn.get_parameter(name), weight) for name, weight in model.named_parameters()]
    assert sum(moved) >= 4


def test_curves_begin_with_the_logit_and_end_with_nothing_observed(model: LSTM, batches: list[trust.Asked]) -> None:
    honest = explained_by(IntegratedGradients(), model, batches)
    found = trust.deletion_insertion(model, batches, honest, orders=3)
    bare = [a._replace(batch=unobserve(a.batch, torch.ones_like(a.batch.mask, dtype=torch.bool))) for a in batches]
    full, empty = (np.concatenate([logits(model, asked) for asked in part]) for part in (batches, bare))
    assert found["n"] == len(full)
    assert found["shares"] == pytest.approx(SHARES)
    for name in ("deletion", "random_deletion"):
        assert (found[name][0], found[name][-1]) == (
            pytest.approx(0, abs=1e-4),
            pytest.approx((empty - full).mean(), abs=1e-3),
        )
    assert found["insertion"][0] == pytest.approx((empty - full).mean(), abs=1e-3)
    assert found["insertion"][-1] == pytest.approx(0, abs=1e-4)
    assert min(found["deletion"]) < min(found["random_deletion"])
    worse = [one._replace(**{name: -getattr(one, name) for name in ("values", "mask", "delta")}) for one in honest]
    against = trust.deletion_insertion(model, batches, worse, orders=3)
    assert against["deletion_high"] < 0  # the least first: worse than random
    assert not against["passed"]


def test_thin_spreads_over_all_batches(batches: list[trust.Asked]) -> None:
    assert [len(asked.step) for asked in batches] == [16, 8]
    steps = torch.cat([asked.step for asked in batches])
    assert torch.equal(torch.cat([asked.step for asked in trust.thin(batches, 6)]), steps[::4])
    assert torch.equal(torch.cat([asked.step for asked in trust.thin(batches, 99)]), steps)
    assert trust.thin([], 3) == []


NOTHING: list[Callable[[LSTM], trust.Verdict]] = [
    lambda model: trust.randomisation(model, IntegratedGradients(), []),
    lambda model: trust.deletion_insertion(model, [], []),
    lambda model: trust.stability(model, IntegratedGradients(), []),
    lambda model: trust.agreement(model, [], []),
    lambda model: trust.unused([], []),
    lambda model: trust.recovery([], [], VARIABLES, PLANTED, (0.0, 1.0)),
]


@pytest.mark.parametrize("check", NOTHING)
def test_nothing_to_judge_is_no_verdict(check: Callable[[LSTM], trust.Verdict], model: LSTM) -> None:
    assert check(model)["passed"] is None
