"""The 2012 records: official counts, every quirk, every fault, and the same bits however they are packed."""

from __future__ import annotations

import tarfile
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.plugins import load, names
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.physionet2012 import PhysioNet2012

DATA = Path(__file__).parents[4] / "shared" / "data" / "physionet2012"
HEADER = "Time,Parameter,Value\n"
DESCRIPTORS = "00:00,RecordID,{id}\n00:00,Age,54\n00:00,Gender,0\n00:00,Height,-1\n00:00,ICUType,4\n00:00,Weight,-1\n"
OUTCOMES = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"


def write(folder: Path, number: int, rows: str = "00:07,HR,73\n", descriptors: str = DESCRIPTORS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number}.txt"
    path.write_text(HEADER + descriptors.format(id=number) + rows)
    return path


def read(root: Path, **arguments: int) -> Extract:
    return joined(list(PhysioNet2012(str(root), **arguments).extracts()))


def joined(parts: list[Extract]) -> Extract:
    """Return the shards as one extract."""
    *tables, labelled = zip(*parts, strict=True)
    return Extract(*(pl.concat(shards) for shards in tables), all(labelled))


@pytest.mark.skipif(not DATA.exists(), reason="the 2012 records are not beside the repository")
def test_official_counts_of_sets_a_and_b() -> None:
    extract = read(DATA)
    site = extract.stays.select("stay_id", "site")
    per_set = lambda table: dict(table.join(site, on="stay_id")["site"].value_counts().rows())  # noqa: E731
    assert dict(extract.stays["site"].value_counts().rows()) == {"a": 4000, "b": 4000}
    assert per_set(extract.episodes) == {"a": 554, "b": 568}
    described = {"a": 6 * 4000, "b": 6 * 4000}
    rows = per_set(pl.concat([extract.observations.select("stay_id"), extract.rejects.select("stay_id")]))
    assert {key: rows[key] + described[key] for key in rows} == {"a": 1_757_980, "b": 1_762_535}
    silent = extract.stays.join(extract.observations, on="stay_id", how="anti")["stay_id"].to_list()
    expected = "140501 140936 141264 142731 142998 143656 145611 147514 150309 150649"
    assert silent == expected.split()  # kept as stays, though nothing was measured
    assert extract.observations.filter(variable="ph", value=7.33).height > 0
    assert extract.observations.filter(variable="ph")["value"].is_between(650, 800).sum() == 0
    assert extract.stays["height_cm"].max() < 254
    schemas.check(schemas.Stays, extract.stays, "stays")
    schemas.check(schemas.Episodes, extract.episodes, "episodes")
    schemas.check(schemas.Rejects, extract.rejects, "rejects")


def test_plugin_is_found() -> None:
    assert "physionet2012" in names("sources")
    assert load("sources", "physionet2012") is PhysioNet2012


def test_record_becomes_stay_and_observations(tmp_path: Path) -> None:
    descriptors = (
        "00:00,RecordID,7\n00:00,Age,54\n00:00,Gender,1\n00:00,Height,170.2\n00:00,ICUType,2\n00:00,Weight,80\n"
    )
    write(tmp_path / "set-b", 7, "00:07,HR,73\n13:30,NIDiasABP,65\n13:30,Weight,81.5\n48:00,Urine,0\n", descriptors)
    extract = read(tmp_path)
    assert extract.observations.rows() == [
        ("7", 7 / 60, "heart_rate", 73.0),
        ("7", 13.5, "dbp_noninvasive", 65.0),
        ("7", 13.5, "weight", 81.5),
        ("7", 48.0, "urine_output", 0.0),
    ]
    stay = extract.stays.row(0, named=True)
    assert (stay["patient_id"], stay["site"], stay["start_hours"], stay["length_hours"]) == ("7", "b", 0.0, 48.0)
    assert (stay["age_years"], stay["male"], stay["height_cm"], stay["weight_kg"]) == (54.0, 1.0, 170.2, 80.0)
    assert (stay["icu_cardiac_surgery"], stay["icu_coronary"], stay["hours_before_icu"]) == (1.0, 0.0, None)
    assert extract.episodes.is_empty()  # no outcomes file: new data
    assert not extract.labelled


def test_unknown_descriptors_are_null(tmp_path: Path) -> None:
    descriptors = (
        "00:00,RecordID,7\n00:00,Age,54\n00:00,Gender,-1\n00:00,Height,-1\n00:00,ICUType,-1\n00:00,Weight,-1\n"
    )
    write(tmp_path, 7, "", descriptors)
    stay = read(tmp_path).stays.row(0, named=True)
    assert [stay[name] for name in ("male", "height_cm", "weight_kg", "icu_medical")] == [None] * 4
    assert (stay["age_years"], stay["site"]) == (54.0, "all")


def test_refused_rows_say_their_rule(tmp_path: Path) -> None:
    write(tmp_path, 7, "06:32,,2.7\n06:33,NIDiasABP,-1\n06:34,HeartRate,80\n06:35,HR,\n06:36,HR,80\n")
    extract = read(tmp_path)
    assert extract.rejects.rows() == [
        ("7", 6 + 32 / 60, None, 2.7, "empty_variable"),
        ("7", 6 + 33 / 60, "dbp_noninvasive", -1.0, "sentinel"),
        ("7", 6 + 34 / 60, "HeartRate", 80.0, "unknown_variable"),
        ("7", 6 + 35 / 60, "heart_rate", None, "no_value"),
    ]
    assert extract.observations.height == 1


@pytest.mark.parametrize(("written", "read_as"), [(735, 7.35), (7.35, 7.35), (94, 94), (187, 187)])
def test_only_a_certain_ph_is_converted(tmp_path: Path, written: float, read_as: float) -> None:
    write(tmp_path, 7, f"01:00,pH,{written}\n")
    assert read(tmp_path).observations["value"].to_list() == [read_as]


@pytest.mark.parametrize(
    ("written", "cm"), [(1.8, 180.0), (365.8, 144.0), (431.8, 170.0), (13.0, 13.0), (152.4, 152.4)]
)
def test_only_a_certain_height_is_converted(tmp_path: Path, written: float, cm: float) -> None:
    write(tmp_path, 7, "", DESCRIPTORS.replace("Height,-1", f"Height,{written}"))
    assert read(tmp_path).stays["height_cm"].to_list() == [cm]


def test_death_comes_after_the_window(tmp_path: Path) -> None:
    for number in (7, 8, 9):
        write(tmp_path, number)
    (tmp_path / "Outcomes-c.txt").write_text(OUTCOMES + "7,1,1,5,-1,0\n8,1,1,5,1,1\n9,1,1,5,5,1\n")
    extract = read(tmp_path)
    assert extract.episodes.rows() == [("8", "death", 48 + 1 / 60, 48 + 1 / 60), ("9", "death", 120.0, 120.0)]
    assert extract.stays["site"].to_list() == ["c", "c", "c"]
    assert extract.labelled


def test_outcomes_of_the_stay_are_kept_beside_it(tmp_path: Path) -> None:
    for number in (7, 8, 9):
        write(tmp_path, number)
    (tmp_path / "Outcomes-c.txt").write_text(OUTCOMES + "7,6,1,5,-1,0\n8,-1,-1,-1,400,0\n9,16,8,8,9,1\n")
    stays = read(tmp_path).stays
    assert stays["hospital_hours"].to_list() == [120.0, None, 192.0]
    assert stays["survival_hours"].to_list() == [8766.0, 8766.0, 216.0]
    assert stays["saps_points"].to_list() == [6.0, None, 16.0]
    assert stays["sofa_points"].to_list() == [1.0, None, 8.0]
    source = PhysioNet2012(str(tmp_path))
    assert not {"hospital_hours", "survival_hours", "saps_points", "sofa_points"} & {*source.statics, *source.variables}


def test_same_bits_from_folder_and_archive_and_in_shards(tmp_path: Path) -> None:
    for number in (9, 7, 8):
        write(tmp_path / "loose" / "set-a", number, f"00:10,HR,{number}\n")
    with tarfile.open(tmp_path / "set-a.tar.xz", "w:xz") as archive:
        for number in (8, 9, 7):
            archive.add(tmp_path / "loose" / "set-a" / f"{number}.txt", f"set-a/{number}.txt")
    loose = read(tmp_path / "loose")
    assert loose.stays["stay_id"].to_list() == ["7", "8", "9"]
    for other in (read(tmp_path / "loose"), read(tmp_path / "set-a.tar.xz"), read(tmp_path / "loose", shard_stays=2)):
        for table, again in zip(loose[:4], other[:4], strict=True):
            assert_frame_equal(table, again)


def test_fingerprint_follows_the_files(tmp_path: Path) -> None:
    write(tmp_path, 7)
    source = PhysioNet2012(str(tmp_path))
    before = source.fingerprint()
    assert source.fingerprint() == before
    write(tmp_path, 8)
    assert source.fingerprint() != before
    assert [path.name for path in source.files()] == ["7.txt", "8.txt"]


def test_same_record_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "one", 7)
    write(tmp_path / "two", 7)
    with pytest.raises(InputError, match=r"1 record\(s\) stand twice.*7\.txt and .*7\.txt"):
        read(tmp_path)


def test_folder_without_records_is_refused(tmp_path: Path) -> None:
    (tmp_path / "LICENSE.txt").write_text("ODC-BY")
    with pytest.raises(InputError, match="holds no record"):
        read(tmp_path)


def test_shard_size_must_be_positive() -> None:
    with pytest.raises(InputError, match="shard_stays is 0"):
        PhysioNet2012("anywhere", shard_stays=0)
