"""A policy survives JSON and refuses nonsense by name."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.alarms.policy import ABOVE_ALL, Policy


@pytest.mark.parametrize("policy", [Policy(0.3, 6, 12), Policy(0), Policy(1.0, 0.5), Policy(ABOVE_ALL)])
def test_json_gives_it_back(policy: Policy) -> None:
    assert Policy.from_json(json.loads(json.dumps(policy.to_json()))) == policy


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": 1.2}, "threshold of an alarm policy is 1.2"),
        ({"threshold": -0.1}, "threshold of an alarm policy is -0.1"),
        ({"threshold": math.nan}, "threshold of an alarm policy is nan"),
        ({"threshold": "0.5"}, "threshold of an alarm policy is '0.5'"),
        ({"threshold": True}, "threshold of an alarm policy is True"),
        ({"silence_hours": -1.0}, "silence_hours of an alarm policy is -1.0"),
        ({"silence_hours": None}, "silence_hours of an alarm policy is None"),
        ({"reset_hours": math.inf}, "reset_hours of an alarm policy is inf"),
        ({"snooze": 1.0}, "has the keys threshold, silence_hours, reset_hours"),
    ],
)
def test_nonsense_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Policy.from_json(Policy(0.5, 1.0, 1.0).to_json() | change)


@pytest.mark.parametrize("content", [{"threshold": 0.5}, [], None])
def test_a_policy_is_whole(content: Any) -> None:
    with pytest.raises(InputError, match="has the keys"):
        Policy.from_json(content)
