"""The official demo against counts and values that are taken from the raw files with the csv module alone."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm import schemas
from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.mimic_iv import MimicIV

TIME = "%Y-%m-%d %H:%M:%S"
URINE = {"226559", "226560", "226561", "226563", "226564", "226565", "226567", "226584", "227489"}


def raw(demo: Path, name: str) -> list[dict[str, str]]:
    with gzip.open(demo / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def stream(shared: Path) -> str:
    return str(next((shared / "data" / "mimic-iv-demo").glob("*.parquet")))


@pytest.fixture(scope="module")
def extract(demo: Path, stream: str) -> Extract:
    (only,) = MimicIV(str(demo), chartevents=stream).extracts()
    return only


@pytest.fixture(scope="module")
def cleaned(extract: Extract) -> pl.DataFrame:
    stays = schemas.check(schemas.Stays, clean_stays(extract.stays), "stays")
    return schemas.check(schemas.Observations, clean(extract._replace(stays=stays))[0], "observations")


@pytest.fixture(scope="module")
def spans(demo: Path) -> dict[str, tuple[str, datetime, datetime]]:
    """Patient, intime and end (outtime or the earlier death) by stay."""
    deaths = {row["hadm_id"]: row["deathtime"] for row in raw(demo, "hosp/admissions") if row["deathtime"]}
    found = {}
    for row in raw(demo, "icu/icustays"):
        end = min(row["outtime"], deaths.get(row["hadm_id"], row["outtime"]))
        start, stop = (datetime.strptime(text, TIME) for text in (row["intime"], end))
        found[row["stay_id"]] = (row["subject_id"], start, stop)
    return found


def test_stays_and_deaths(extract: Extract, demo: Path, spans: dict) -> None:
    stays = extract.stays
    assert (stays.height, stays["patient_id"].n_unique()) == (140, 100)
    expected = {stay: (end - start).total_seconds() / 3600 for stay, (_, start, end) in spans.items()}
    assert dict(stays.select("stay_id", "length_hours").rows()) == pytest.approx(expected)
    died = {row["hadm_id"] for row in raw(demo, "hosp/admissions") if row["hospital_expire_flag"] == "1"}
    mourned = {row["stay_id"] for row in raw(demo, "icu/icustays") if row["hadm_id"] in died}
    assert len(died) == 15
    assert set(extract.episodes["stay_id"]) == mourned
    late = extract.episodes.join(stays, on="stay_id").filter(pl.col("onset_hours") > pl.col("follow_up_hours") + 1e-9)
    assert late.is_empty()
    assert stays["age_years"].is_between(18, 105).all()
    assert stays["height_cm"].is_not_null().sum() > 60
    assert stays["weight_kg"].is_not_null().sum() == 130  # within the minute of admission, or the day before
    assert 60 < float(stays["weight_kg"].median()) < 100  # type: ignore[arg-type]
    assert stays["icu_medical"].sum() == 29 + 23
    assert extract.labelled


def test_coverage_and_medians(cleaned: pl.DataFrame, extract: Extract) -> None:
    covered = dict(cleaned.group_by("variable").agg(pl.col("stay_id").n_unique()).rows())
    for name, stays in {"heart_rate": 140, "spo2": 139, "gcs": 135, "temperature": 138, "creatinine": 136}.items():
        assert covered[name] >= stays, name
    median = dict(cleaned.group_by("variable").agg(pl.col("value").median()).rows())
    assert 80 < median["heart_rate"] < 95
    assert 36.5 < median["temperature"] < 37.5
    assert 0.35 < median["fio2"] < 0.6
    assert 65 < median["map"] < 85
    assert cleaned.filter(variable="gcs", value=15.0).height > 1000
    rules = dict(extract.rejects.group_by("rule").len().rows())
    assert "unknown_unit" not in rules
    assert set(rules) <= {"no_value", "not_a_number", "other_specimen", "incomplete", "date_only", "no_span"}


def test_creatinine_is_that_of_the_raw_file(extract: Extract, demo: Path, spans: dict) -> None:
    expected = []
    for row in raw(demo, "hosp/labevents"):
        if row["itemid"] == "50912" and row["valuenum"]:
            when = datetime.strptime(row["charttime"], TIME)
            for stay, (patient, start, end) in spans.items():
                if patient == row["subject_id"] and start.replace(second=0) <= when <= end:
                    expected.append((stay, max(0.0, (when - start).total_seconds() / 3600), float(row["valuenum"])))
    found = extract.observations.filter(variable="creatinine").select("stay_id", "hours", "value").rows()
    assert len(expected) > 900
    assert sorted(found) == [(stay, pytest.approx(hours), value) for stay, hours, value in sorted(expected)]


def test_urine_sums_are_those_of_the_raw_file(extract: Extract, demo: Path, spans: dict) -> None:
    expected: dict[str, float] = defaultdict(float)
    for row in raw(demo, "icu/outputevents"):
        _, start, end = spans[row["stay_id"]]
        if start.replace(second=0) <= datetime.strptime(row["charttime"], TIME) <= end and row["value"]:
            expected[row["stay_id"]] += float(row["value"]) * ((row["itemid"] in URINE) - (row["itemid"] == "227488"))
    sums = extract.observations.filter(variable="urine_output").group_by("stay_id").agg(pl.col("value").sum())
    found = dict(sums.rows())
    assert len(found) > 130
    assert found == pytest.approx({stay: expected[stay] for stay in found})
    assert not any(volume for stay, volume in expected.items() if stay not in found)


def test_norepinephrine_is_that_of_the_raw_file_at_any_time(extract: Extract, demo: Path, spans: dict) -> None:
    runs = [row for row in raw(demo, "icu/inputevents") if row["itemid"] == "221906"]
    seen = extract.observations.filter(variable="norepinephrine").sort("stay_id", "hours")
    assert {row["stay_id"] for row in runs} == set(seen["stay_id"])
    assert {row["rateuom"] for row in runs} == {"mcg/kg/min"}
    for stay in sorted(set(seen["stay_id"])):
        _, start, end = spans[stay]
        own = [
            (*(datetime.strptime(row[at], TIME) for at in ("starttime", "endtime")), float(row["rate"]))
            for row in runs
            if row["stay_id"] == stay
        ]
        for hours, value in seen.filter(stay_id=stay).select("hours", "value").rows():
            running = [
                rate
                for begin, stop, rate in own
                if max(0.0, (begin - start).total_seconds()) <= hours * 3600 + 1e-3 < (stop - start).total_seconds()
            ]
            assert value == pytest.approx(sum(running), abs=1e-9)
            assert hours <= (end - start).total_seconds() / 3600 + 1e-9


def test_heart_rates_are_those_of_the_stream(extract: Extract, stream: str, spans: dict) -> None:
    rows = pl.read_parquet(stream).filter(pl.col("code") == "LAB//220045//bpm").select("subject_id", "time", "value")
    times: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    for patient, time, value in rows.rows():
        times[str(patient)].append((time, value))
    counts = {
        stay: sum(start.replace(second=0) <= time <= end for time, _ in times[patient])
        for stay, (patient, start, end) in spans.items()
    }
    found = dict(extract.observations.filter(variable="heart_rate").group_by("stay_id").len().rows())
    assert found == {stay: count for stay, count in counts.items() if count}
    stay = min(found)
    patient, start, end = spans[stay]
    first = min((time, value) for time, value in times[patient] if start <= time <= end)
    values = extract.observations.filter(stay_id=stay, variable="heart_rate").sort("hours")
    after = values.filter(pl.col("hours") >= 0.02)["value"]
    assert first[1] in (values["value"][0], after[0])


def test_shards_are_patient_disjoint_and_read_like_one(extract: Extract, demo: Path, stream: str) -> None:
    source = MimicIV(str(demo), chartevents=stream, shard_stays=30)
    shards = list(source.extracts())
    assert len(shards) >= 4
    patients = [set(shard.stays["patient_id"]) for shard in shards]
    assert sum(map(len, patients)) == len(set().union(*patients)) == 100
    order = ["stay_id", "hours", "variable"]
    joined = pl.concat([shard.observations for shard in shards]).sort(order, maintain_order=True)
    assert_frame_equal(joined, extract.observations.sort(order, maintain_order=True), check_exact=True)
    assert source.conversions().filter(label="Temperature Fahrenheit")["rows"].item() > 3000
    assert_frame_equal(pl.concat([s.stays for s in shards]), extract.stays, check_exact=True)
