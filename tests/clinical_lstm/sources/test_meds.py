"""MEDS 0.4 data sets, from hand-made events to extracts: stays, values, statics, deaths, shards and every refusal."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm import schemas
from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.errors import InputError
from clinical_lstm.plugins import load
from clinical_lstm.sources.base import CONVERSIONS, Extract
from clinical_lstm.sources.meds import Meds

DAY = datetime(2150, 3, 1)
Event = tuple[int, float | None, str, float | None]  # subject, hours since DAY (None: static), code, value
SCHEMA = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "numeric_value": pl.Float32}
IN, OUT = "ICU_ADMISSION//MICU", "ICU_DISCHARGE//MICU"
PATIENT: list[Event] = [
    (1, None, "GENDER//M", None),
    (1, -50 * 365.2425 * 24, "MEDS_BIRTH", None),
    (1, -6, "HOSPITAL_ADMISSION//URGENT", None),
    (1, -3, "LAB//50912//mg/dL", 9.0),
    (1, 0, IN, None),
    (1, 1, "LAB//50912//umol/L", 100.0),
    (1, 2, "LAB//220045//bpm", 80.0),
    (1, 3, "LAB//220045//bpm", None),
    (1, 24, OUT, None),
    (1, 30, "LAB//220045//bpm", 70.0),
    (1, 48, "HOSPITAL_DISCHARGE//HOME", None),
]


def table(events: list[Event]) -> pl.DataFrame:
    rows = [(s, None if h is None else DAY + timedelta(hours=h), code, value) for s, h, code, value in events]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def dataset(root: Path, events: list[Event], file: str = "train/0.parquet") -> Path:
    path = root / "data" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    table(events).write_parquet(path)
    return root


def read(source: Meds) -> Extract:
    parts = list(source.extracts())
    joined = [pl.concat([part[i] for part in parts]) for i in range(4)]
    return Extract(joined[0], joined[1], joined[2], joined[3], all(part.labelled for part in parts))


def source(root: Path, events: list[Event], **arguments: Any) -> Meds:
    return Meds(str(dataset(root, events)), **arguments)


def values(extract: Extract) -> list[tuple[float, str, float]]:
    return [(hours, name, round(value, 9)) for _, hours, name, value in extract.observations.rows()]


def test_plugin_is_found() -> None:
    assert load("sources", "meds") is Meds


def test_a_stay_with_its_values_age_and_follow_up(tmp_path: Path) -> None:
    meds = source(tmp_path, PATIENT)
    extract = read(meds)
    (stay,) = extract.stays.to_dicts()
    assert (stay["stay_id"], stay["patient_id"], stay["admission"]) == ("1-1", "1", DAY)
    assert (stay["length_hours"], stay["follow_up_hours"], stay["hours_before_icu"]) == (24.0, 48.0, 6.0)
    assert (round(stay["age_years"], 9), stay["male"]) == (50.0, 1.0)
    assert values(extract) == [(1.0, "creatinine", 1.13122), (2.0, "heart_rate", 80.0)]
    assert extract.rejects.rows() == [("1-1", 3.0, "heart_rate", None, "no_value")]
    assert (meds.variables, meds.statics) == (["heart_rate", "creatinine"], ["age_years", "male", "hours_before_icu"])
    assert not extract.labelled
    schemas.check(schemas.Stays, extract.stays, "stays")
    schemas.check(schemas.Rejects, extract.rejects, "rejects")
    assert meds.conversions().rows() == [("LAB//50912//umol/L", "umol/L", "creatinine", 0.0113122, 0.0, 1)]
    assert meds.conversions().schema == CONVERSIONS


def test_32_bit_values_are_the_decimals_that_they_were(tmp_path: Path) -> None:
    events = [*PATIENT[:5], (1, 1.0, "LAB//50813//mmol/L", 2.3), (1, 24.0, OUT, None)]
    assert read(source(tmp_path, events)).observations["value"].to_list() == [2.3]


def test_several_stays_of_a_subject_are_numbered_and_share_no_event(tmp_path: Path) -> None:
    events = [(1, 0, IN, None), (1, 10, IN, None), (1, 10, "LAB//220045//bpm", 60), (1, 20, OUT, None)]
    events += [(1, 90, "LAB//220045//bpm", 61), (1, 100, IN, None), (1, 105, "LAB//220045//bpm", 62)]
    events += [(1, 106, "HOSPITAL_DISCHARGE//HOME", None), (1, 900, "LAB//220045//bpm", 63), (2, 5, IN, None)]
    extract = read(source(tmp_path, [(s, h, c, v) for s, h, c, v in events]))
    stays = extract.stays.select("stay_id", "length_hours", "follow_up_hours").rows()
    assert stays == [("1-1", 10.0, 106.0), ("1-2", 10.0, 96.0), ("1-3", 6.0, 6.0)]  # next start, end, discharge
    assert extract.observations.rows() == [("1-2", 0.0, "heart_rate", 60.0), ("1-3", 5.0, "heart_rate", 62.0)]
    assert extract.rejects.rows() == [("2-1", 0.0, None, None, "no_span")]


def test_the_whole_record_is_one_stay_without_start_codes(tmp_path: Path) -> None:
    extract = read(source(tmp_path, PATIENT, start_codes=None))
    (stay,) = extract.stays.to_dicts()
    assert (stay["admission"], stay["length_hours"], stay["hours_before_icu"]) == (DAY - timedelta(hours=6), 54.0, None)
    assert (stay["follow_up_hours"], round(stay["age_years"], 2)) == (54.0, 50.0)
    assert [hours for hours, _, _ in values(extract)] == [3.0, 7.0, 8.0, 36.0]


def test_death_is_an_episode_of_the_stays_before_it(tmp_path: Path) -> None:
    events = [
        *PATIENT[:5],
        (1, 20.0, "MEDS_DEATH", None),
        (1, 24.0, OUT, None),
        (1, 30.0, IN, None),
        (1, 40.0, OUT, None),
    ]
    events += [(2, None, "GENDER//F", None), (2, 0, IN, None), (2, 1, "LAB//220045//bpm", 60), (2, 9, OUT, None)]
    extract = read(source(tmp_path, events))
    assert extract.labelled
    assert extract.episodes.rows() == [("1-1", "death", 20.0, 20.0)]
    assert extract.rejects.rows() == [("1-2", -10.0, "death", None, "before_admission")]
    schemas.check(schemas.Episodes, extract.episodes, "episodes")


def test_death_is_stated_where_only_the_metadata_know_it(tmp_path: Path) -> None:
    meds = source(tmp_path, PATIENT)
    (tmp_path / "metadata").mkdir()
    codes = sorted({code for _, _, code, _ in PATIENT})
    pl.DataFrame({"code": codes}).write_parquet(tmp_path / "metadata" / "codes.parquet")
    assert not read(meds).labelled
    pl.DataFrame({"code": [*codes, "MEDS_DEATH"]}).write_parquet(tmp_path / "metadata" / "codes.parquet")
    assert read(Meds(str(tmp_path))).labelled


def test_static_values_do_not_look_ahead(tmp_path: Path) -> None:
    events: list[Event] = [
        (1, None, "GENDER//F", None), (1, None, "GENDER//M", None),
        (1, -900, "Height (Inches)", 60), (1, -800, "Height (Inches)", 70),
        (1, 0, IN, None), (1, 2, "LAB//226730//cm", 178), (1, 3, "LAB//226730//cm", 177.8),
        (1, 4, "LAB//220045//bpm", 60), (1, 9, OUT, None),
        (2, 0, IN, None), (2, 2, "LAB//226730//cm", 180), (2, 3, "LAB//226730//cm", 181), (2, 9, OUT, None),
    ]  # fmt: skip
    extract = read(source(tmp_path, events))
    assert extract.stays.select("male", "height_cm").rows() == [(0.0, 177.8), (None, None)]
    rules = extract.rejects.select("stay_id", "hours", "variable", "rule").rows()
    assert sorted(rules, key=str) == [
        ("1-1", 2.0, "height_cm", "static_changed"),
        ("1-1", None, "male", "static_changed"),
        ("2-1", 2.0, "height_cm", "static_late"),
        ("2-1", 3.0, "height_cm", "static_late"),
    ]
    later = read(source(tmp_path, events, static_hours=6))
    assert later.stays["height_cm"].to_list() == [177.8, 180.0]
    assert later.rejects.filter(stay_id="2-1")["rule"].to_list() == ["static_changed"]


def test_a_new_rate_wins_over_the_end_of_the_old_one(tmp_path: Path) -> None:
    rate, end = "INFUSION_START//221906", "INFUSION_END//221906"
    events = [
        (1, 0, IN, None),
        (1, 1, rate, 0.1),
        (1, 2, rate, 0.2),
        (1, 2, end, 4.0),
        (1, 3, end, 4.0),
        (1, 9, OUT, None),
    ]
    extract = read(source(tmp_path, [(s, float(h), c, v) for s, h, c, v in events]))
    observations, rejects = clean(extract)
    assert observations.select("hours", "value").rows() == [(1.0, 0.1), (2.0, 0.2), (3.0, 0.0)]
    assert rejects.select("value", "rule").rows() == [(0.0, "duplicate")]


def test_parts_are_summed_when_all_stand_at_one_time(tmp_path: Path) -> None:
    eye, verbal, motor = "LAB//220739//UNK", "LAB//223900//UNK", "LAB//223901//UNK"
    events: list[Event] = [(1, 0, IN, None), (1, 1, eye, 3), (1, 1, verbal, 4), (1, 1, motor, 6), (1, 2, eye, 4)]
    extract = read(source(tmp_path, [*events, (1, 9, OUT, None)]))
    assert values(extract) == [(1.0, "gcs", 13.0)]
    assert extract.rejects.rows() == [("1-1", 2.0, "gcs", 4.0, "part_missing")]


def test_shards_are_even_and_the_same_whatever_the_files(tmp_path: Path) -> None:
    def subject(number: int) -> list[Event]:
        own: list[Event] = []
        for k in range(3 if number == 2 else 1):
            own += [
                (number, 100 * k, IN, None),
                (number, 100 * k + 1, "LAB//220045//bpm", 60 + k),
                (number, 100 * k + 9, OUT, None),
            ]
        return own

    one, many = tmp_path / "one", tmp_path / "many"
    dataset(one, [event for number in range(1, 7) for event in subject(number)])
    for number in range(1, 7):
        dataset(many, subject(number), f"split{number // 3}/{number}.parquet")
    whole = read(Meds(str(one)))
    for root in (one, many):
        parts = list(Meds(str(root), shard_stays=2).extracts())
        assert [part.stays["patient_id"].unique(maintain_order=True).to_list() for part in parts] == [
            ["1", "2"], ["3", "4"], ["5", "6"],
        ]  # fmt: skip
        joined = read(Meds(str(root), shard_stays=2))
        assert_frame_equal(joined.stays, whole.stays)
        assert_frame_equal(joined.observations, whole.observations)


def test_codes_that_nobody_maps_are_counted_not_rejected(tmp_path: Path) -> None:
    events = [
        *PATIENT[:8],
        (1, 4.0, "LAB//1//UNK", 1.0),
        (1, 5.0, "LAB//1//UNK", 2.0),
        (1, 6.0, "LAB//50912//foo/L", 3.0),
    ]
    meds = source(tmp_path, [*events, (1, 7.0, "NOTE//x", None), *PATIENT[8:]])
    assert meds.unmapped().rows() == [
        ("LAB//1//UNK", 2, 2, "unknown_code"),
        ("LAB//50912//foo/L", 1, 1, "unknown_unit"),
        ("NOTE//x", 1, 0, "unknown_code"),
    ]
    assert set(read(meds).rejects["rule"]) == {"no_value"}
    first, second = meds.findings()
    assert "unknown_unit: 1 code(s) with 1 numbers" in first
    assert "unknown_code: 1 code(s) with 2 numbers" in second


def test_an_own_code_map_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("code,variable,unit,value\nPULS*,heart_rate,/min,\nFIEBER?C,temperature,degC,\n")
    events: list[Event] = [(1, 0, "KOMMT", None), (1, 1, "PULS//a", 60), (1, 2, "FIEBER°C", 38), (1, 9, "GEHT", None)]
    meds = source(tmp_path, events, codes="own.csv", start_codes=["KOMMT"], end_codes=["GEHT"])
    assert values(read(meds)) == [(1.0, "heart_rate", 60.0), (2.0, "temperature", 38.0)]
    before = meds.fingerprint()
    (tmp_path / "own.csv").write_text("code,variable,unit,value\nPULS*,heart_rate,/min,\n")
    assert Meds(str(tmp_path), codes="own.csv", start_codes=["KOMMT"], end_codes=["GEHT"]).fingerprint() != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_codes": ["ED_*"]}, "begins a stay"),
        ({"codes": "none.csv"}, "there is no code map"),
        ({"shard_stays": 0}, "shard_stays"),
        ({"static_hours": -1.0}, "static_hours"),
    ],
)
def test_faulty_arguments_are_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(source(tmp_path, PATIENT, **arguments).extracts())


def test_data_without_known_codes_or_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no MEDS data set"):
        list(Meds(str(tmp_path)).extracts())
    with pytest.raises(InputError, match=r"no code of .* such as ICU_.*source.codes"):
        list(source(tmp_path, [(1, 0, IN, None), (1, 1, "NOTE//x", None)]).extracts())


def test_what_would_make_the_output_wrong_is_refused_while_reading(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"time_sorted: data/train/0.parquet: 1 row\(s\); first: row 5: subject 1"):
        list(source(tmp_path, [*PATIENT[:4], PATIENT[8], PATIENT[4]]).extracts())
    other: list[Event] = [(2, 0, IN, None), (2, 1, "LAB//220045//bpm", 60.0), (2, 5, OUT, None)]
    with pytest.raises(InputError, match="subject_contiguous"):
        list(source(tmp_path, [*PATIENT[:6], *other, *PATIENT[6:]]).extracts())
    dataset(tmp_path, PATIENT), dataset(tmp_path, PATIENT[4:], "test/0.parquet")
    with pytest.raises(InputError, match=r"subject_in_one_file: data/train.*also in data/test/0.parquet"):
        list(Meds(str(tmp_path)).extracts())


def test_types_that_hold_the_same_are_read(tmp_path: Path) -> None:
    expected = read(source(tmp_path, PATIENT))
    kinds = {"subject_id": pl.Int32, "time": pl.Datetime("ns"), "code": pl.Categorical, "numeric_value": pl.Float64}
    near = [event for event in PATIENT if event[2] != "MEDS_BIRTH"]
    table(near).with_columns(pl.col(c).cast(kind) for c, kind in kinds.items()).write_parquet(
        tmp_path / "data/train/0.parquet"
    )
    meds = Meds(str(tmp_path))
    assert_frame_equal(read(meds).observations, expected.observations)
    assert meds.findings()[0].startswith("schema: data/train/0.parquet")


def test_mimic_iv_demo(shared: Path, tmp_path: Path) -> None:
    path = shared / "data" / "mimic-iv-demo" / "mimic_iv_demo_meds_events.parquet"
    if not path.is_file():
        pytest.skip("the events of the MIMIC-IV demo are not there")
    events = pl.read_parquet(path).rename({"value": "numeric_value"}).sort("subject_id", "time", maintain_order=True)
    for name, part in {
        "train/0": events["subject_id"] < 10020000,
        "held_out/0": events["subject_id"] >= 10020000,
    }.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        events.filter(part).write_parquet(tmp_path / "data" / f"{name}.parquet")
    meds = Meds(str(tmp_path))
    extract = read(meds)
    stays = schemas.check(schemas.Stays, clean_stays(extract.stays), "stays")
    observations, rejects = clean(extract._replace(stays=stays))
    assert (stays.height, stays["patient_id"].n_unique()) == (140, 100)
    assert stays["male"].null_count() == stays["age_years"].null_count() == 0
    assert observations.height > 140_000
    seen = observations.group_by("variable").agg(pl.col("stay_id").n_unique(), pl.col("value").median())
    found = {name: (n, median) for name, n, median in seen.rows()}
    assert found["heart_rate"][0] == found["gcs"][0] == 140
    assert found["creatinine"] == (137, 1.2)
    assert 36 < found["temperature"][1] < 37.5
    assert found["fio2"][1] == 0.4
    wrong = rejects.filter(~pl.col("rule").is_in(["duplicate"]))
    assert wrong.height < 0.01 * observations.height
    assert extract.episodes["stay_id"].n_unique() == extract.episodes.height == 49
    assert not [finding for finding in meds.findings() if not finding.startswith("unknown_")]
