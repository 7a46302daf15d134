"""YAIB cohorts: what an hour means, what a label means, the units, and every refusal."""

from __future__ import annotations

import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm import schemas
from clinical_lstm.data.cleaning import clean
from clinical_lstm.errors import InputError
from clinical_lstm.plugins import load
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.yaib import Yaib
from clinical_lstm.variables import vocabulary


def hours(count: int) -> list[timedelta]:
    return [timedelta(hours=hour) for hour in range(count)]


def cohort(folder: Path, labels: dict[int, list[bool]] | None = None, **more: list[Any]) -> Path:
    """Write two stays (7 of 20 rows, 8 of 3 rows) and their hourly labels."""
    rows = {
        "stay_id": [7] * 20 + [8] * 3,
        "time": hours(20) + hours(3),
        "hr": [80.0] * 23,
        "fio2": [None] * 22 + [40.0],
    }
    pl.DataFrame(rows | more).write_parquet(folder / "dyn.parquet")
    sta = {
        "stay_id": [8, 7],
        "age": [60.0, 70.0],
        "sex": ["Male", "Female"],
        "height": [None, 170.0],
        "weight": [80.0, None],
    }
    pl.DataFrame(sta).write_parquet(folder / "sta.parquet")
    if labels:
        parts = [pl.DataFrame({"stay_id": stay, "time": hours(len(own)), "label": own}) for stay, own in labels.items()]
        pl.concat(parts).write_parquet(folder / "outc.parquet")
    return folder


def read(source: Yaib) -> Extract:
    *tables, labelled = zip(*source.extracts(), strict=True)
    return Extract(*(pl.concat(shards) for shards in tables), all(labelled))


@pytest.fixture(scope="module")
def demo(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("yaib")
    with tarfile.open(shared / "data" / "yaib-demo" / "yaib-demo_visible.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_an_hour_is_known_when_it_is_over_and_the_stay_ends_with_its_last(tmp_path: Path) -> None:
    extract = read(Yaib(str(cohort(tmp_path))))
    assert not extract.labelled
    assert extract.stays.select("stay_id", "length_hours", "male", "height_cm").rows() == [
        ("7", 20.0, 0.0, 170.0),
        ("8", 3.0, 1.0, None),
    ]
    assert extract.observations.filter(stay_id="8").rows() == [
        ("8", 1.0, "heart_rate", 80.0),
        ("8", 2.0, "heart_rate", 80.0),
        ("8", 3.0, "heart_rate", 80.0),
        ("8", 3.0, "fio2", 0.4),
    ]
    assert clean(extract)[1].is_empty()
    schemas.check(schemas.Stays, extract.stays, "stays")


def test_onset_is_six_hours_after_the_first_labelled_hour(tmp_path: Path) -> None:
    labels = {7: [False] * 5 + [True] * 13 + [False] * 2, 8: [False] * 3}
    source = Yaib(str(cohort(tmp_path, labels)))
    assert read(source).episodes.rows() == [("7", "sepsis_label", 12.0, 18.0)]
    assert read(source).labelled
    assert len(source.findings()) == 1
    assert read(Yaib(str(tmp_path), outcome="aki_kdigo")).episodes["complication"].to_list() == ["aki_kdigo"]
    unlabelled = read(Yaib(str(tmp_path), outcome=None))
    assert (unlabelled.labelled, unlabelled.episodes.height) == (False, 0)


def test_a_run_that_the_start_or_the_end_cuts_is_told(tmp_path: Path) -> None:
    source = Yaib(str(cohort(tmp_path, {7: [True] * 9 + [False] * 11, 8: [False, True, True]})))
    assert read(source).episodes.select("onset_hours", "end_hours").rows() == [(7.0, 9.0), (8.0, 8.0)]
    assert any("1 stay(s) are labelled from the first row" in line for line in source.findings())


def test_label_per_stay_is_a_death_right_after_the_record(tmp_path: Path) -> None:
    cohort(tmp_path)
    pl.DataFrame({"stay_id": [7, 8], "label": [0, 1]}).write_parquet(tmp_path / "outc.parquet")
    extract = read(Yaib(str(tmp_path), outcome="death"))
    assert extract.episodes.select("stay_id", "complication").rows() == [("8", "death")]
    assert extract.episodes["onset_hours"][0] == pytest.approx(3 + 1 / 60)
    assert extract.stays["follow_up_hours"].min() > 100_024


def test_a_column_that_is_none_of_the_48_is_refused_and_nan_is_left_to_the_cleaning(tmp_path: Path) -> None:
    extra = {"apache": [None] * 22 + [7.0], "crea": [float("nan")] + [None] * 22}
    source = Yaib(str(cohort(tmp_path, **extra)))
    extract = read(source)
    assert extract.rejects.rows() == [("8", 3.0, "apache", 7.0, "unknown_variable")]
    assert clean(extract)[1]["rule"].to_list() == ["not_finite", "unknown_variable"]
    assert source.variables == ["heart_rate", "fio2", "creatinine"]
    assert source.conversions().rows() == [("fio2", "%", "fio2", 0.01, 0.0, 1)]


@pytest.mark.parametrize(
    ("table", "changes", "message"),
    [
        ("sta", {"stay_id": [7, 7]}, r"sta\.parquet has a stay_id that stands twice in 2 row\(s\); first: stay 7"),
        ("sta", {"stay_id": [7]}, r"dyn\.parquet has no stay in sta\.parquet in 1 row\(s\); first: stay 8"),
        ("sta", {"stay_id": [7, 8, 9]}, r"sta\.parquet has no row in dyn\.parquet in 1 row\(s\); first: stay 9"),
        ("sta", {"age": [7, 8]}, r"sta\.parquet lacks the column\(s\) stay_id; it has age"),
        ("dyn", {"stay_id": [7, 8], "time": [timedelta(0), None]}, r"dyn\.parquet has no time in 1 row.*stay 8"),
        ("dyn", {"stay_id": [7, 8], "time": ["0", "1"]}, "time is String; it must be a duration"),
        ("outc", {"stay_id": [7, 8], "label": [0, 1]}, "has one label per stay: use outcome=death, not .*sepsis_label"),
        ("outc", {"stay_id": [7, 8], "label": [0.5, 3.1]}, r"has 2 label\(s\) other than 0 and 1, e\.g\. 0\.5"),
        (
            "outc",
            {"stay_id": [7, 7, 7], "time": hours(3), "label": [True, False, True]},
            "labelled hours that do not follow one another",
        ),
        ("outc", {"stay_id": [9], "time": hours(1), "label": [True]}, r"outc\.parquet has no stay in sta\.parquet"),
    ],
)
def test_faulty_table_is_named(tmp_path: Path, table: str, changes: dict[str, list[Any]], message: str) -> None:
    cohort(tmp_path)
    pl.DataFrame(changes).write_parquet(tmp_path / f"{table}.parquet")
    with pytest.raises(InputError, match=message):
        read(Yaib(str(tmp_path)))


def test_missing_or_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no .*dyn\.parquet; source\.root must be a folder"):
        read(Yaib(str(tmp_path)))
    cohort(tmp_path)
    (tmp_path / "dyn.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"dyn\.parquet cannot be read"):
        read(Yaib(str(tmp_path)))
    with pytest.raises(InputError, match="shard_stays is 0"):
        Yaib(str(tmp_path), shard_stays=0)


def test_plugin_is_found_and_fingerprint_follows_files_and_meaning(tmp_path: Path) -> None:
    assert load("sources", "yaib") is Yaib
    before = Yaib(str(cohort(tmp_path))).fingerprint()
    assert Yaib(str(tmp_path), outcome=None).fingerprint() != before
    cohort(tmp_path, lact=[1.0] * 23)
    assert Yaib(str(tmp_path)).fingerprint() != before


@pytest.mark.parametrize(("name", "stays", "events"), [("eicu_demo", 896, 63), ("mimic_demo", 115, 1)])
def test_sepsis_demo_has_its_published_counts_in_any_shards(demo: Path, name: str, stays: int, events: int) -> None:
    whole = read(Yaib(str(demo / "sepsis" / name)))
    assert (whole.stays.height, whole.episodes.height) == (stays, events)
    parts = read(Yaib(str(demo / "sepsis" / name), shard_stays=50))
    order = ["stay_id", "hours", "variable"]
    assert_frame_equal(parts.observations.sort(order), whole.observations.sort(order))
    for again, first in zip(read(Yaib(str(demo / "sepsis" / name)))[:4], whole[:4], strict=True):
        assert_frame_equal(again, first)


def test_mortality_demo_has_a_step_that_ends_at_24_hours(demo: Path) -> None:
    extract = read(Yaib(str(demo / "mortality24" / "eicu_demo"), outcome="death"))
    assert (extract.stays.height, extract.episodes.height) == (1367, 70)
    assert extract.stays["length_hours"].unique().to_list() == [25.0]
    assert extract.episodes["onset_hours"].min() > 25.0


def test_medians_of_the_demo_confirm_the_units(demo: Path) -> None:
    extract = read(Yaib(str(demo / "aki" / "mimic_demo"), outcome="aki_kdigo"))
    medians = dict(extract.observations.group_by("variable").agg(pl.col("value").median()).rows())
    blood = ["creatinine", "glucose", "hemoglobin", "mch", "mchc", "fibrinogen"]
    for name in ["temperature", "calcium", "calcium_ionized", "magnesium", *blood]:
        of = vocabulary()[name]
        assert 0.8 * of.normal_low <= medians[name] <= 1.2 * of.normal_high
    assert 0.21 < medians["fio2"] < 1
    assert clean(extract)[1].height < 0.002 * extract.observations.height
