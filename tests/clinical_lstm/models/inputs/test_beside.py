"""A model's state, and what its inputs remember, are one named tuple of tensors that comes apart again."""

from __future__ import annotations

import torch

from clinical_lstm.features import Engineered, Vocabulary
from clinical_lstm.models.inputs import Statistics, apart, together
from clinical_lstm.models.recurrent import HiddenAndCell

OWN = HiddenAndCell(torch.ones(1, 3, 2), torch.zeros(1, 3, 2))
RUNNING = Statistics(4).initial(torch.zeros(3, 2))
MEMORY = Engineered(["windows"], Vocabulary(("sbp", "map"), (), 1.0)).initial(torch.zeros(3, 2))


def test_a_state_carries_what_is_beside_it_behind_its_own() -> None:
    state = together(OWN, running=RUNNING, memory=MEMORY)
    assert state._fields[:3] == ("hidden", "cell", "running_number")
    assert state._fields[7:9] == ("memory_values", "memory_mask")
    assert type(together(OWN, running=RUNNING, memory=MEMORY)) is type(state)
    again, beside = apart(state)
    assert type(again) is HiddenAndCell
    assert {name: type(part) for name, part in beside.items()} == {"running": type(RUNNING), "memory": type(MEMORY)}
    parts = [*again, *beside["running"], *beside["memory"]]
    assert all(one is other for one, other in zip(parts, [*OWN, *RUNNING, *MEMORY], strict=True))


def test_what_is_not_there_leaves_no_trace() -> None:
    assert together(OWN, running=None, memory=None) is OWN
    assert apart(OWN) == (OWN, {})
    alone = together(OWN, running=None, memory=MEMORY)
    assert alone._fields[2] == "memory_values"
    assert list(apart(alone)[1]) == ["memory"]
    assert type(alone) is not type(together(OWN, running=RUNNING, memory=MEMORY))
