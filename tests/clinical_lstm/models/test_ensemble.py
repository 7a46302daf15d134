from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from clinical_lstm import plugins
from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.models.ensemble import Ensemble

TARGETS = [("sepsis", 6.0), ("sepsis", 12.0)]
SIZES: dict[str, Any] = {"n_variables": 4, "n_static": 2, "targets": TARGETS}
MEMBERS = [
    {"name": "lstm", "hidden": 5, "inputs": {"statistics": True, "static": "state"}},
    {"name": "gru", "hidden": 3, "head": "hazard", "inputs": {"encoding": "piecewise", "bins": 3}},
    {"name": "slstm", "hidden": 8, "layers": 2},
]


@pytest.fixture
def model() -> Ensemble:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return Ensemble(**SIZES, members=MEMBERS).double().eval()


def ward() -> Batch:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(3, 9, 4, generator=generator, dtype=torch.float64)
    hours = torch.arange(1.0, 10, dtype=torch.float64).expand(3, 9)
    return Batch(cells, (cells > 0).double(), cells.abs(), hours, cells[:, 0, :2], torch.full((3,), 9))


def test_it_is_the_mean_of_its_members(model: Ensemble) -> None:
    expected = sum(member(ward()) for member in model.members) / 3
    torch.testing.assert_close(model(ward()), expected, rtol=0, atol=1e-14)


def test_its_weights_are_those_of_its_members_once(model: Ensemble) -> None:
    expected = {}
    for place, spec in enumerate(MEMBERS):
        alone = plugins.build("models", spec, **SIZES)
        expected |= {f"members.{place}.{name}": weight.shape for name, weight in alone.state_dict().items()}
    assert {name: weight.shape for name, weight in model.state_dict().items()} == expected


def test_its_stream_is_that_of_its_members(model: Ensemble) -> None:
    given = ward()
    state = model.start(given.static)
    assert state._fields[:3] == ("m0_hidden", "m0_cell", "m0_running_number")
    assert state._fields[-4:] == ("m1_hidden", "m2_hidden", "m2_memory", "m2_weight")
    own = [member.start(given.static) for member in model.members]
    for t in range(9):
        one = Batch(*(part[:, t : t + 1] for part in given[:4]), given.static, torch.ones(3, dtype=torch.int64))
        logits, state = model.step(one, state)
        steps = [member.step(one, before) for member, before in zip(model.members, own)]
        own = [after for _, after in steps]
        torch.testing.assert_close(logits, sum(found for found, _ in steps) / 3, rtol=0, atol=1e-14)
    for part, other in zip(state, [part for after in own for part in after]):
        assert torch.equal(part, other)


def test_base_rates_and_scales_reach_every_member(model: Ensemble) -> None:
    rates, draw = np.array([0.1, 0.3]), np.random.default_rng(0)
    edges = model.members[1].inputs.state_dict()
    before = {name: weight.clone() for name, weight in edges.items()}
    model.learn_scale(draw.standard_normal(400).astype(np.float32), np.repeat(np.arange(4), 100).astype(np.uint16))
    assert any(not torch.equal(before[name], weight) for name, weight in edges.items())
    model.start_at(rates)
    for member in model.members:
        found = torch.sigmoid(member.head(torch.zeros(1, member.head.width, dtype=torch.float64)))
        torch.testing.assert_close(found[0], torch.from_numpy(rates), rtol=1e-5, atol=1e-6)


def test_one_member_that_sees_ahead_is_enough() -> None:
    lstm, bilstm = {"name": "lstm", "hidden": 3}, {"name": "bilstm", "hidden": 3}
    assert Ensemble(**SIZES, members=[lstm, lstm]).causal
    assert not Ensemble(**SIZES, members=[lstm, bilstm]).causal


def test_an_ensemble_may_be_a_member() -> None:
    inner = {"name": "ensemble", "members": MEMBERS[:2]}
    nested = Ensemble(**SIZES, members=[inner, MEMBERS[2]]).eval()
    assert nested.start(torch.zeros(3, 2))._fields[0] == "m0_m0_hidden"
    assert nested(Batch(*(x.float() if x.is_floating_point() else x for x in ward()))).isfinite().all()


@pytest.mark.parametrize("members", [[], "lstm", {"name": "lstm"}, ["lstm"], None])
def test_what_is_no_list_of_models_is_refused(members: Any) -> None:
    with pytest.raises(InputError, match=r"model\.members must be a list"):
        Ensemble(**SIZES, members=members)


def test_a_mistake_in_a_member_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'hidden'"):
        Ensemble(**SIZES, members=[{"name": "lstm", "hiden": 3}])
