"""Labels are all or nothing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.episodes import read_episodes
from clinical_lstm.sources.table.mapping import naming
from clinical_lstm.sources.table.reading import HospitalTable

STAYS = pl.DataFrame({"stay_id": ["1", "2"], "admission": [datetime(2024, 1, 1), datetime(2024, 1, 2)]})


def episodes(folder: Path, content: str) -> pl.DataFrame:
    (folder / "episodes.csv").write_text(content)
    return read_episodes(HospitalTable(folder, "episodes.csv", naming(None, folder)), STAYS)


def test_onsets_in_hours_and_as_times(tmp_path: Path) -> None:
    hours = episodes(tmp_path, "stay_id,complication,onset_hours,end_hours\n2,sepsis,6,\n1,sepsis,7.5,9\n")
    times = "2,sepsis,2024-01-02 06:00,\n1,sepsis,2024-01-01 07:30,2024-01-01 09:00\n"
    assert hours.rows() == [("2", "sepsis", 6.0, 6.0), ("1", "sepsis", 7.5, 9.0)]
    assert episodes(tmp_path, "stay_id,complication,onset_time,end_time\n" + times).equals(hours)
    assert episodes(tmp_path, "stay_id,complication,onset_hours\n2,sepsis,6\n").rows() == [("2", "sepsis", 6.0, 6.0)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",sepsis,1,2", "no stay_id in 1 row"),
        ("1,,1,2", "no complication in 1 row"),
        ("3,sepsis,1,2", "a stay_id that is not in the stays file in 1 row.*'3'"),
        ("1,sepsis,,2", "no onset_hours, or one that is none"),
        ("1,sepsis,soon,2", "no onset_hours, or one that is none"),
        ("1,sepsis,nan,2", "no onset_hours, or one that is none"),
        ("1,sepsis,1,later", "an end_hours that is none"),
        ("1,sepsis,3,2", "an end before the onset"),
        ("2,sepsis,6,8", "an episode that stands twice in 2 row"),
    ],
)
def test_faulty_episode_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"episodes\.csv has {message}"):
        episodes(tmp_path, f"stay_id,complication,onset_hours,end_hours\n2,sepsis,6,\n{row}\n")


def test_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"episodes\.csv lacks the column 'onset_time'"):
        episodes(tmp_path, "stay_id,complication\n1,sepsis\n")
