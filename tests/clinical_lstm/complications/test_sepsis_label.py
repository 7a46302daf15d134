"""Labelled sepsis, as drawn: from the onset (6 h after the label rises) to the end of the record."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.complications.sepsis_label import sepsis_label
from clinical_lstm.sources import archive
from clinical_lstm.sources.physionet2019 import PhysioNet2019


def test_episode_begins_six_hours_after_the_label_rises(tiny_source: Path) -> None:
    raw = {}  # the label column, read by hand
    for name, content in archive.records(tiny_source, ".psv"):
        rows = [line.split("|") for line in content.decode().splitlines()[1:]]
        labelled = [float(fields[-2]) for fields in rows if fields[-1] == "1"]
        if labelled:
            raw[Path(name).stem] = (min(labelled) + 6, float(rows[-1][-2]))
    extract = next(PhysioNet2019(str(tiny_source)).extracts())
    found = sepsis_label(extract.stays, extract.observations, extract.episodes)
    assert set(found["complication"]) == {"sepsis_label"}
    assert {stay: (onset, max(onset, raw[stay][1])) for stay, _, onset, _ in found.rows()} == {
        stay: (onset, end) for stay, _, onset, end in found.rows()
    }
    assert {stay: onset for stay, _, onset, _ in found.rows()} == {stay: onset for stay, (onset, _) in raw.items()}
    assert found.height == 60


@pytest.mark.parametrize("other", ["death", "sepsis3"])
def test_other_episodes_are_not_sepsis(other: str) -> None:
    given = pl.DataFrame({"stay_id": ["a"], "complication": [other], "onset_hours": [1.0], "end_hours": [2.0]})
    assert sepsis_label(pl.DataFrame(), pl.DataFrame(), given).is_empty()
