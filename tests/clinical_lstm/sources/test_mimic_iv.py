"""MIMIC-IV from tiny hand-written official files: stays, placement, units, step functions, events and every refusal."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm import schemas
from clinical_lstm.data.cleaning import clean
from clinical_lstm.errors import InputError
from clinical_lstm.plugins import load
from clinical_lstm.sources.base import CONVERSIONS, Extract
from clinical_lstm.sources.mimic_iv import MimicIV

MICU = "Medical Intensive Care Unit (MICU)"
# Patient 1: stay 31 (day 1, 08:00:30 to day 3), then 32, with death. Patient 2: stay 33, nothing charted.
FILES = {
    "hosp/patients": "subject_id,gender,anchor_age,anchor_year\n1,F,60,2150\n2,M,91,2150\n",
    "hosp/admissions": (
        "hadm_id,admittime,dischtime,deathtime,hospital_expire_flag\n"
        "21,2152-03-01 02:00:30,2152-03-09 00:00:00,2152-03-06 20:00:00,1\n"
        "22,2150-01-01 00:00:00,2150-01-04 00:00:00,,0\n"
    ),
    "icu/icustays": (
        "subject_id,hadm_id,stay_id,first_careunit,intime,outtime\n"
        f"1,21,31,{MICU},2152-03-01 08:00:30,2152-03-03 08:00:30\n"
        "1,21,32,Neuro Intermediate,2152-03-05 00:00:00,2152-03-07 00:00:00\n"
        "2,22,33,A new ward,2150-01-01 00:00:00,2150-01-02 00:00:00\n"
    ),
    "icu/chartevents": "stay_id,charttime,itemid,value,valuenum,valueuom\n",
    "hosp/labevents": "subject_id,specimen_id,itemid,charttime,value,valuenum,valueuom\n",
}
INPUTS = "stay_id,starttime,endtime,itemid,rate,rateuom,patientweight\n"


def write(root: Path, name: str, content: str) -> None:
    path = root / f"{name}.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content.encode()))


def hospital(root: Path, more: dict[str, str] | None = None, **arguments: Any) -> MimicIV:
    """Return a source on `FILES`, whose chart and lab rows are those of `more`; other tables are given whole."""
    for name, content in (FILES | {n: FILES.get(n, "") + text for n, text in (more or {}).items()}).items():
        write(root, name, content)
    return MimicIV(str(root), **arguments)


def read(source: MimicIV) -> Extract:
    *tables, labelled = zip(*source.extracts(), strict=True)
    return Extract(*(pl.concat(shards) for shards in tables), all(labelled))


def seen(extract: Extract, *variables: str) -> list[tuple[str, float, str, float]]:
    kept = extract.observations.filter(pl.col("variable").is_in(variables))
    rows = kept.sort("stay_id", "hours", "variable", maintain_order=True).rows()
    return [(stay, round(hours, 4), variable, round(value, 6)) for stay, hours, variable, value in rows]


def refused(extract: Extract) -> list[tuple[str, str, str]]:
    return sorted((row["stay_id"], row["variable"] or "", row["rule"]) for row in extract.rejects.iter_rows(named=True))


def at(stay: int, time: str, itemid: int, value: object, unit: str = "", text: object = None) -> str:
    return f"{stay},2152-03-{time},{itemid},{value if text is None else text},{value},{unit}\n"


def test_plugin_is_found() -> None:
    assert load("sources", "mimic_iv") is MimicIV


def test_stays_deaths_and_wards(tmp_path: Path) -> None:
    extract = read(hospital(tmp_path))
    stays = {row["stay_id"]: row for row in extract.stays.iter_rows(named=True)}
    schemas.check(schemas.Stays, extract.stays, "stays")
    schemas.check(schemas.Episodes, extract.episodes, "episodes")
    schemas.check(schemas.Rejects, extract.rejects, "rejects")
    first, last, empty = stays["31"], stays["32"], stays["33"]
    assert (first["patient_id"], first["site"], first["age_years"], first["male"]) == ("1", "MIMIC-IV", 62.0, 0.0)
    assert (first["length_hours"], first["hours_before_icu"]) == (48.0, 6.0)
    assert (first["icu_medical"], first["icu_surgical"], last["icu_medical"], empty["icu_medical"]) == (1, 0, 0, None)
    assert last["length_hours"] == 44.0  # the death, not outtime
    assert (last["follow_up_hours"], empty["follow_up_hours"]) == (96.0, 72.0)
    deaths = dict(extract.episodes.select("stay_id", "onset_hours").rows())
    assert deaths == pytest.approx({"31": 131.991667, "32": 44.0})
    assert extract.labelled
    assert extract.observations.is_empty()
    assert extract.rejects.is_empty()


def test_death_flag_without_a_time_and_a_stay_without_a_span(tmp_path: Path) -> None:
    write(tmp_path, "hosp/admissions", "")
    source = hospital(tmp_path)
    rows = FILES["hosp/admissions"].replace("2152-03-06 20:00:00", "")
    write(tmp_path, "hosp/admissions", rows)
    write(tmp_path, "icu/icustays", FILES["icu/icustays"].replace("2150-01-02", "2150-01-01"))
    extract = read(source)
    assert extract.stays["stay_id"].sort().to_list() == ["31", "32"]
    assert refused(extract) == [("33", "", "no_span")]
    assert dict(extract.episodes.select("stay_id", "onset_hours").rows())["32"] == 96.0


def test_vitals_are_placed_converted_and_ranked(tmp_path: Path) -> None:
    chart = (
        at(31, "01 08:00:00", 220045, 80, "bpm")  # the minute of intime
        + at(31, "01 07:59:00", 220045, 81, "bpm")  # before
        + at(31, "03 08:01:00", 220045, 82, "bpm")  # after
        + at(31, "01 09:00:30", 223761, 98.6, "°F")
        + at(31, "01 09:00:30", 220210, 18, "insp/min")
        + at(31, "01 09:00:30", 224690, 25, "insp/min")
        + at(31, "01 10:00:30", 223835, 40)
        + at(31, "01 11:00:30", 223835, 0.5)
        + at(31, "01 10:00:30", 228096, -2, text=" -2  Light sedation")
    )
    source = hospital(tmp_path, {"icu/chartevents": chart})
    extract = read(source)
    found = seen(extract, "heart_rate", "temperature", "respiratory_rate", "fio2", "not_alert")
    assert found == [
        ("31", 0.0, "heart_rate", 80.0),
        ("31", 1.0, "respiratory_rate", 25.0),
        ("31", 1.0, "respiratory_rate", 18.0),
        ("31", 1.0, "temperature", 37.0),
        ("31", 2.0, "fio2", 0.4),
        ("31", 2.0, "not_alert", 1.0),
        ("31", 3.0, "fio2", 0.5),
    ]
    kept, rejects = clean(extract)
    assert kept.filter(variable="respiratory_rate")["value"].to_list() == [18.0]
    assert rejects.select("variable", "rule").rows() == [("respiratory_rate", "duplicate")]
    assert source.conversions().schema == pl.Schema(CONVERSIONS)
    assert source.conversions().select("label", "unit", "rows").rows() == [
        ("Inspired O2 Fraction", "%", 2),
        ("Temperature Fahrenheit", "degF", 1),
    ]


def test_coma_scale_needs_its_three_parts(tmp_path: Path) -> None:
    parts = [(220739, 4), (223900, 5), (223901, 6)]
    chart = "".join(at(31, "01 09:00:30", item, value, text="Some words") for item, value in parts)
    chart += "".join(at(31, "01 10:00:30", item, value) for item, value in parts[:2])
    extract = read(hospital(tmp_path, {"icu/chartevents": chart}))
    assert seen(extract, "gcs") == [("31", 1.0, "gcs", 15.0)]
    assert clean(extract)[0].height == 1
    assert refused(extract) == [("31", "gcs", "incomplete")]


def test_height_and_weight_are_those_known_at_admission(tmp_path: Path) -> None:
    chart = (
        at(31, "01 06:00:00", 226707, 70, "Inch")  # two hours before
        + at(31, "01 07:00:00", 226512, 0, "kg")
        + at(31, "01 12:00:30", 226531, 200)  # four hours after
        + at(32, "06 12:00:00", 226730, 180, "cm")  # too late to be known at admission
    )
    extract = read(hospital(tmp_path, {"icu/chartevents": chart}))
    stays = {row["stay_id"]: row for row in extract.stays.iter_rows(named=True)}
    assert stays["31"]["height_cm"] == pytest.approx(177.8)
    assert stays["31"]["weight_kg"] is None
    extract = read(hospital(tmp_path, {"icu/chartevents": chart}, static_hours=4.5))
    stays = {row["stay_id"]: row for row in extract.stays.iter_rows(named=True)}
    assert stays["31"]["weight_kg"] == pytest.approx(90.718474)
    assert (stays["32"]["height_cm"], stays["32"]["weight_kg"]) == (None, None)
    assert seen(extract, "weight") == [("31", 4.0, "weight", 90.718474)]


def test_oxygen_flows_add_up_and_no_device_is_none(tmp_path: Path) -> None:
    chart = (
        at(31, "01 09:00:30", 223834, 3, "L/min")
        + at(31, "01 09:00:30", 227287, 2, "L/min")
        + at(31, "01 09:00:30", 226732, "", text="Nasal cannula")
        + at(31, "01 12:00:30", 226732, "", text="None")
    )
    extract = read(hospital(tmp_path, {"icu/chartevents": chart}))
    assert seen(extract, "oxygen_flow") == [("31", 1.0, "oxygen_flow", 5.0), ("31", 4.0, "oxygen_flow", 0.0)]
    assert extract.rejects.is_empty()


def test_labs_belong_to_the_stay_that_holds_their_time(tmp_path: Path) -> None:
    def lab(patient: int, specimen: int, item: int, time: str, value: object, number: object, unit: str) -> str:
        return f"{patient},{specimen},{item},2152-03-{time},{value},{number},{unit}\n"

    rows = (
        lab(1, 1, 50912, "01 10:00:30", 1.5, 1.5, "mg/dL")
        + lab(1, 2, 50912, "04 10:00:00", 1.6, 1.6, "mg/dL")  # between two stays
        + lab(1, 3, 50912, "05 01:00:00", 1.7, 1.7, "mg/dL")
        + lab(1, 4, 50821, "01 10:00:30", 90, 90, "mm Hg")
        + lab(1, 4, 52033, "01 10:00:30", "ART.", "", "")
        + lab(1, 5, 50821, "01 11:00:30", 40, 40, "mm Hg")
        + lab(1, 5, 52033, "01 11:00:30", "VEN.", "", "")
        + lab(1, 6, 50821, "01 12:00:30", 70, 70, "mm Hg")  # of no stated kind
        + lab(1, 7, 51237, "01 10:00:30", "ERROR", "", "")
        + lab(1, 7, 51275, "01 10:00:30", "", "", "sec")
    )
    extract = read(hospital(tmp_path, {"hosp/labevents": rows}))
    assert seen(extract, "creatinine", "pao2") == [
        ("31", 2.0, "creatinine", 1.5),
        ("31", 2.0, "pao2", 90.0),
        ("32", 1.0, "creatinine", 1.7),
    ]
    assert refused(extract) == [
        ("31", "inr", "not_a_number"),
        ("31", "pao2", "other_specimen"),
        ("31", "pao2", "other_specimen"),
        ("31", "ptt", "no_value"),
    ]


def test_unknown_units_are_refused_one_by_one_until_they_are_one_percent(tmp_path: Path) -> None:
    good = "".join(f"1,{i},50912,2152-03-01 10:{i // 60:02}:{i % 60:02},1,1,mg/dL\n" for i in range(120))
    odd = "1,500,50912,2152-03-01 11:00:00,1,1,furlong\n"
    extract = read(hospital(tmp_path, {"hosp/labevents": good + odd}))
    assert refused(extract) == [("31", "creatinine", "unknown_unit")]
    source = hospital(tmp_path, {"hosp/labevents": good + odd * 2})
    with pytest.raises(
        InputError, match=r"'furlong' of creatinine \(2 of 122 rows; known: mg/dL, umol/L\).*source.units"
    ):
        read(source)
    (tmp_path / "units.csv").write_text("spelling,unit,comment\nFurlong,umol/L,\n")
    own = read(hospital(tmp_path, {"hosp/labevents": good + odd * 2}, units=str(tmp_path / "units.csv")))
    assert own.observations.filter(pl.col("value") < 0.1).height == 2


def test_urine_of_one_time_adds_up_without_the_irrigant(tmp_path: Path) -> None:
    rows = "stay_id,charttime,itemid,value,valueuom\n" + "".join(
        f"31,2152-03-01 {time},{item},{volume},ml\n"
        for time, item, volume in [
            ("09:00:30", 226559, 100),
            ("09:00:30", 226560, 50),
            ("10:00:30", 227489, 3600),
            ("10:00:30", 227488, 3000),
            ("11:00:30", 226559, "clots"),
        ]
    )
    extract = read(hospital(tmp_path, {"icu/outputevents": rows}))
    assert seen(extract, "urine_output") == [("31", 1.0, "urine_output", 150.0), ("31", 2.0, "urine_output", 600.0)]
    assert refused(extract) == [("31", "urine_output", "not_a_number")]


def test_infusions_are_step_functions(tmp_path: Path) -> None:
    rows = INPUTS + "".join(
        f"{stay},2152-03-{start},2152-03-{end},{item},{rate},{unit},{weight}\n"
        for stay, start, end, item, rate, unit, weight in [
            (31, "01 06:00:30", "01 10:00:30", 221906, 0.1, "mcg/kg/min", 80),  # runs at admission
            (31, "01 09:00:30", "01 12:00:30", 221906, 16, "mcg/min", 80),  # overlaps
            (31, "01 12:00:30", "01 13:00:30", 221906, 0.3, "mcg/kg/min", 80),  # goes on
            (31, "01 09:00:30", "01 11:00:30", 222315, 0.04, "units/min", 80),
            (31, "03 00:00:30", "03 12:00:30", 221662, 5, "mcg/kg/min", 80),  # never stops within the stay
            (31, "01 20:00:30", "01 20:00:30", 221906, 1, "mcg/kg/min", 80),
            (31, "01 20:00:30", "01 21:00:30", 221906, 1, "drops", 80),
            (31, "01 20:00:30", "01 21:00:30", 221906, 8, "mcg/min", 0),
            (31, "01 20:00:30", "01 21:00:30", 221749, "", "", 80),
        ]
    )
    extract = read(hospital(tmp_path, {"icu/inputevents": rows}))
    assert seen(extract, "norepinephrine") == [
        ("31", 0.0, "norepinephrine", 0.1),
        ("31", 1.0, "norepinephrine", 0.3),
        ("31", 2.0, "norepinephrine", 0.2),
        ("31", 4.0, "norepinephrine", 0.3),
        ("31", 5.0, "norepinephrine", 0.0),
    ]
    assert seen(extract, "vasopressin") == [("31", 1.0, "vasopressin", 2.4), ("31", 3.0, "vasopressin", 0.0)]
    assert seen(extract, "dopamine") == [("31", 40.0, "dopamine", 5.0)]
    states = [(hours, value) for _, hours, _, value in seen(extract, "vasopressor")]
    assert states == [(0.0, 1), (1.0, 1), (2.0, 1), (3.0, 1), (4.0, 1), (5.0, 0), (40.0, 1)]
    assert refused(extract) == [
        ("31", "norepinephrine", "no_span"),
        ("31", "norepinephrine", "no_weight"),
        ("31", "norepinephrine", "unknown_unit"),
        ("31", "phenylephrine", "no_value"),
    ]
    assert extract.observations.filter(pl.col("value") == 0.0).height == 3  # a stop is exactly 0


def test_ventilation_and_dialysis_are_on_and_off(tmp_path: Path) -> None:
    rows = "stay_id,starttime,endtime,itemid\n" + "".join(
        f"31,2152-03-01 {start},2152-03-01 {end},{item}\n"
        for start, end, item in [
            ("09:00:30", "11:00:30", 225792),
            ("10:00:30", "12:00:30", 225794),
            ("14:00:30", "15:00:30", 225802),
        ]
    )
    extract = read(hospital(tmp_path, {"icu/procedureevents": rows}))
    states = [(hours, value) for _, hours, _, value in seen(extract, "mechanical_ventilation")]
    assert states == [(1.0, 1), (2.0, 1), (3.0, 1), (4.0, 0)]
    assert seen(extract, "renal_replacement") == [
        ("31", 6.0, "renal_replacement", 1.0),
        ("31", 7.0, "renal_replacement", 0.0),
    ]


def test_antibiotics_and_cultures_are_events(tmp_path: Path) -> None:
    inputs = INPUTS + "31,2152-03-01 09:00:30,2152-03-01 09:01:30,225798,,,80\n"
    drugs = "subject_id,starttime,drug,route\n" + "".join(
        f"1,2152-03-01 {time},{drug},{route}\n"
        for time, drug, route in [
            ("09:00:30", "Vancomycin", "IV"),  # the order and the dose are one event
            ("10:00:30", "CefePIME", "IV"),
            ("11:00:30", "Erythromycin 0.5% Ophth Oint", "PO"),
            ("11:00:30", "Gentamicin", "BOTH EYES"),
            ("11:00:30", "Vancomycin Oral Liquid", "PO/NG"),
            ("11:00:30", "Fluconazole", "IV"),
        ]
    )
    tests = "subject_id,chartdate,charttime,test_name\n" + "".join(
        f"1,2152-03-01 00:00:00,{time},{test}\n"
        for time, test in [
            ("2152-03-01 08:30:30", '"Blood Culture, Routine"'),
            ("2152-03-01 08:30:30", "URINE CULTURE"),
            ("2152-03-01 10:00:00", "MRSA SCREEN"),
            ("2152-03-01 10:00:00", "Respiratory Viral Culture"),
            ("", "WOUND CULTURE"),
        ]
    )
    more = {"icu/inputevents": inputs, "hosp/prescriptions": drugs, "hosp/microbiologyevents": tests}
    extract = read(hospital(tmp_path, more))
    assert seen(extract, "antibiotic") == [("31", 1.0, "antibiotic", 1.0), ("31", 2.0, "antibiotic", 1.0)]
    assert seen(extract, "culture") == [("31", 0.5, "culture", 1.0)]
    assert refused(extract) == [("31", "culture", "date_only")]


def test_what_is_not_there_is_not_promised(tmp_path: Path) -> None:
    source = hospital(tmp_path)
    assert not {"urine_output", "norepinephrine", "vasopressor", "antibiotic", "culture"} & set(source.variables)
    assert {"heart_rate", "gcs", "creatinine"} <= set(source.variables)
    write(tmp_path, "icu/inputevents", INPUTS)
    fuller = MimicIV(str(tmp_path))
    assert {"norepinephrine", "vasopressor", "antibiotic"} <= set(fuller.variables)
    assert fuller.fingerprint() != source.fingerprint()
    assert len(fuller.files()) == 6


def test_csv_parquet_and_a_stream_of_events_read_alike_and_shards_like_one(tmp_path: Path) -> None:
    chart = at(31, "01 09:00:30", 223761, 98.4, "°F") + at(32, "05 01:00:00", 220045, 90, "bpm")
    source = hospital(tmp_path, {"icu/chartevents": chart})
    extract = read(source)
    table = pl.read_csv(tmp_path / "icu" / "chartevents.csv.gz", try_parse_dates=True)
    table.write_parquet(tmp_path / "chart.parquet")
    assert_frame_equal(read(MimicIV(str(tmp_path), chartevents="chart.parquet")).observations, extract.observations)
    unit = pl.col("valueuom").fill_null("UNK")
    table.select(
        pl.lit(1).alias("subject_id"),
        pl.col("charttime").alias("time"),
        ("LAB//" + pl.col("itemid").cast(pl.String) + "//" + unit).alias("code"),
        pl.col("valuenum").cast(pl.Float32).alias("value"),
    ).write_parquet(tmp_path / "stream.parquet")
    stream = read(MimicIV(str(tmp_path), chartevents=str(tmp_path / "stream.parquet")))
    assert_frame_equal(stream.observations, extract.observations)
    shards = list(MimicIV(str(tmp_path), shard_stays=1).extracts())
    assert [sorted(shard.stays["stay_id"]) for shard in shards] in ([["31", "32"], ["33"]], [["33"], ["31", "32"]])
    assert pl.concat([shard.observations for shard in shards]).height == 2


@pytest.mark.parametrize(
    ("name", "purpose"), [("icu/chartevents", "vital signs"), ("hosp/labevents", "laboratory values")]
)
def test_missing_file_is_named_with_what_it_is_for(tmp_path: Path, name: str, purpose: str) -> None:
    hospital(tmp_path)
    (tmp_path / f"{name}.csv.gz").unlink()
    with pytest.raises(InputError, match=rf"lacks the file {name} .*which holds {purpose}; .* holds: "):
        MimicIV(str(tmp_path))


def test_wrong_places_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*hosp/ and icu/"):
        MimicIV(str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"there is no file x\.parquet \(source\.chartevents\)"):
        hospital(tmp_path, chartevents="x.parquet")
    with pytest.raises(InputError, match="shard_stays is 0"):
        hospital(tmp_path, shard_stays=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("stay_id,charttime,itemid,value,valueuom\n", r"lacks the column\(s\) valuenum .*it has: stay_id"),
        (FILES["icu/chartevents"] + "31,1 March 2152,220045,80,80,bpm\n", "cannot be read: .*charttime"),
        (FILES["icu/chartevents"] + "thirty,2152-03-01 09:00:00,220045,80,80,bpm\n", "cannot be read: .*stay_id"),
        ("", "cannot be read"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    source = hospital(tmp_path)
    write(tmp_path, "icu/chartevents", content)
    with pytest.raises(InputError, match=rf"icu/chartevents\.csv\.gz {message}"):
        read(source)


def test_truncated_archive_is_named(tmp_path: Path) -> None:
    source = hospital(tmp_path, {"icu/chartevents": at(31, "01 09:00:30", 220045, 80, "bpm") * 20000})
    path = tmp_path / "icu" / "chartevents.csv.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"icu/chartevents\.csv\.gz cannot be read"):
        read(source)
