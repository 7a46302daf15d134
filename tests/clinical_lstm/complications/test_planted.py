"""The planted event is exactly what the synthetic source planted."""

from __future__ import annotations

from polars.testing import assert_frame_equal

from clinical_lstm.complications.planted import planted
from clinical_lstm.sources.synthetic import Synthetic


def test_planted_episodes_are_those_of_the_source() -> None:
    extract = next(Synthetic(stays=300, onset_per_hour=0.005, seed=3).extracts())
    found = planted(extract.stays, extract.observations, extract.episodes)
    assert 0 < found.height < 300
    assert_frame_equal(found, extract.episodes)
