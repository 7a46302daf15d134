"""A protocol that counts nothing, or asks for what does not exist, is refused before anything is computed."""

from __future__ import annotations

import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import Protocol


def test_the_least_that_is_allowed() -> None:
    protocol = Protocol(replicates=0, least_patients=1, subgroups=())
    assert (protocol.split, protocol.utility, protocol.seed) == ("test", False, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"replicates": -1}, "evaluation.replicates must be 0 or more, not -1"),
        ({"least_patients": 0}, "evaluation.least_patients must be 1 or more, not 0"),
        ({"subgroups": ["site", "site"]}, "evaluation.subgroups: a name stands twice in site, site"),
    ],
)
def test_faults_name_the_key_and_the_value(given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Protocol(**given)
