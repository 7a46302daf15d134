"""A hospital's own tables, from hand-written files to extracts: names, units, times, shards and every refusal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.plugins import load
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.sources.table import Table

STAYS = "stay_id,patient_id,length_hours,age_years\n01,p,24,60\n02,q,12.5,\n"
OBSERVATIONS = "stay_id,hours,variable,value\n01,1.5,heart_rate,80\n02,2,lactate,1.1\n01,1,map,70\n"


def hospital(folder: Path, observations: str = OBSERVATIONS, stays: str = STAYS, **arguments: Any) -> Table:
    (folder / "observations.csv").write_text(observations)
    (folder / "stays.csv").write_text(stays)
    return Table(str(folder), "observations.csv", "stays.csv", **arguments)


def read(source: Table | Synthetic) -> Extract:
    *tables, labelled = zip(*source.extracts(), strict=True)
    return Extract(*(pl.concat(shards) for shards in tables), all(labelled))


def test_plugin_is_found() -> None:
    assert load("sources", "table") is Table


def test_canonical_tables_need_no_mapping(tmp_path: Path) -> None:
    source = hospital(tmp_path)
    extract = read(source)
    stays = {row["stay_id"]: row for row in extract.stays.iter_rows(named=True)}
    assert (stays["01"]["patient_id"], stays["01"]["length_hours"], stays["01"]["age_years"]) == ("p", 24.0, 60.0)
    assert (stays["02"]["site"], stays["02"]["start_hours"], stays["02"]["age_years"]) == ("all", 0.0, None)
    assert sorted(extract.observations.rows()) == [
        ("01", 1.0, "map", 70.0),
        ("01", 1.5, "heart_rate", 80.0),
        ("02", 2.0, "lactate", 1.1),
    ]
    assert (source.variables, source.statics) == (["heart_rate", "map", "lactate"], ["age_years"])
    assert extract.rejects.is_empty()
    assert not extract.labelled
    schemas.check(schemas.Stays, extract.stays, "stays")
    schemas.check(schemas.Rejects, extract.rejects, "rejects")


def test_mapping_translates_columns_labels_units_words_and_times(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(
        "separator: ';'\n"
        "time_format: '%d.%m.%Y %H:%M'\n"
        "columns: {stay_id: Fall, admission: Aufnahme, discharge: Entlassung, time: Zeit, variable: Name, value: Wert,"
        " unit: Einheit}\n"
        "variables: {HF: heart_rate, Temp: {name: temperature, unit: degF}, Krea: creatinine,"
        " Beatmet: {name: mechanical_ventilation, values: {ja: 1, nein: 0}}, Sex: {name: male, values: {M: 1, W: 0}},"
        " Gr: {name: height_cm, unit: m}}\n"
        "units: {umol/l: umol/L}\n"
    )
    source = hospital(
        tmp_path,
        "Fall;Zeit;Name;Wert;Einheit\n1;01.03.2024 10:30;HF;80;/min\n1;01.03.2024 11:00;Temp;98.6;\n"
        "1;01.03.2024 12:00;Krea;100;umol/l\n1;02.03.2024 09:00;Beatmet;ja;\n",
        "Fall;Aufnahme;Entlassung;Sex;Gr;Station\n1;01.03.2024 09:00;02.03.2024 21:00;W;1.7;7B\n",
        mapping="mapping.yaml",
    )
    extract = read(source)
    rows = [(hours, variable, round(value, 6)) for _, hours, variable, value in extract.observations.rows()]
    assert rows == [
        (1.5, "heart_rate", 80.0),
        (2.0, "temperature", 37.0),
        (3.0, "creatinine", 1.13122),
        (24.0, "mechanical_ventilation", 1.0),
    ]
    stay = extract.stays.row(0, named=True)
    assert (stay["patient_id"], stay["length_hours"], stay["male"], stay["height_cm"]) == ("1", 36.0, 0.0, 170.0)
    assert source.statics == ["male", "height_cm"]


def test_rows_that_cannot_be_used_are_refused_with_their_rule(tmp_path: Path) -> None:
    good = "".join(f"01,{i / 100},heart_rate,80\n" for i in range(1000))
    bad = "01,1,age_years,60\n01,2,pulse,80\n01,2,pulse,81\n03,1,map,70\n"
    bad += "01,,map,70\n01,noon,map,70\n01,5,map,NA\n01,6,map,<50\n"
    extract = read(hospital(tmp_path, "stay_id,hours,variable,value\n" + good + bad))
    assert sorted(extract.rejects.select("rule", "variable", "value").rows(), key=str) == [
        ("no_time", "map", 70.0),
        ("no_value", "map", None),
        ("not_a_number", "map", None),
        ("not_a_time", "map", 70.0),
        ("static_variable", "age_years", 60.0),
        ("unknown_stay", "map", 70.0),
        ("unknown_variable", "pulse", 80.0),
        ("unknown_variable", "pulse", 81.0),
    ]
    assert extract.observations.height == 1000
    schemas.check(schemas.Rejects, extract.rejects, "rejects")


def test_times_outside_the_stay_and_nan_are_left_to_the_cleaning(tmp_path: Path) -> None:
    rows = "stay_id,hours,variable,value\n01,-2,map,70\n01,99,map,70\n01,3,map,NaN\n01,4,map,inf\n"
    assert read(hospital(tmp_path, rows)).observations.height == 4


def test_stay_without_an_end_lasts_to_its_last_observation(tmp_path: Path) -> None:
    extract = read(hospital(tmp_path, stays="stay_id\n01\n02\n"))
    assert dict(extract.stays.select("stay_id", "length_hours").rows()) == {"01": 1.5, "02": 2.0}
    assert extract.stays["patient_id"].to_list() == extract.stays["stay_id"].to_list()
    with pytest.raises(InputError, match=r"1 stay\(s\) have no end and no observation.*'03'"):
        read(hospital(tmp_path, stays="stay_id\n01\n02\n03\n"))


def test_parquet_reads_like_csv_and_shards_like_one(tmp_path: Path) -> None:
    made = read(Synthetic(stays=60, mean_hours=10))
    stays = made.stays.with_columns(pl.format("p{}", pl.int_range(pl.len()) // 3).alias("patient_id"))
    for name, table in {"stays": stays, "observations": made.observations, "episodes": made.episodes}.items():
        table.write_csv(tmp_path / f"{name}.csv")
        table.write_parquet(tmp_path / f"{name}.parquet")

    def table_of(kind: str, **arguments: int) -> Table:
        return Table(str(tmp_path), f"observations.{kind}", f"stays.{kind}", f"episodes.{kind}", **arguments)

    whole = read(table_of("csv"))
    keys = ["stay_id", "variable", "hours", "value"]
    assert_frame_equal(whole.observations.sort(keys), made.observations.sort(keys))
    assert_frame_equal(whole.episodes.sort("stay_id"), made.episodes.sort("stay_id"))
    assert whole.labelled
    for other in (read(table_of("csv")), read(table_of("parquet"))):
        for first, again in zip(whole[:4], other[:4], strict=True):
            assert_frame_equal(first, again)
    parts = list(table_of("csv", shard_stays=10).extracts())
    patients = [set(part.stays["patient_id"]) for part in parts]
    assert len(parts) > 3
    assert sum(map(len, patients)) == len(set().union(*patients)) == 20
    assert all(set(part.observations["stay_id"]) <= set(part.stays["stay_id"]) for part in parts)
    sharded = pl.concat([part.observations for part in parts])
    assert_frame_equal(sharded.sort(keys), whole.observations.sort(keys))
    again = pl.concat([part.observations for part in table_of("csv", shard_stays=10).extracts()])
    assert_frame_equal(sharded, again)


def test_a_shard_without_observations_is_still_yielded(tmp_path: Path) -> None:
    stays = "stay_id,length_hours\n" + "".join(f"{i},10\n" for i in range(6))
    parts = list(hospital(tmp_path, "stay_id,hours,variable,value\n3,1,map,70\n", stays, shard_stays=1).extracts())
    assert len(parts) == 6
    assert sum(part.observations.height for part in parts) == 1


def test_times_with_offsets_are_compared_as_instants(tmp_path: Path) -> None:
    admission, taken = datetime(2024, 3, 30, 23, tzinfo=UTC), datetime(2024, 3, 31, 2, tzinfo=UTC)
    berlin = pl.Datetime("us", "Europe/Berlin")  # its clocks jump from 2 to 3 that night
    pl.DataFrame({"stay_id": ["1"], "admission": [admission]}).cast({"admission": berlin}).write_parquet(
        tmp_path / "stays.parquet"
    )
    rows = pl.DataFrame({"stay_id": ["1"], "time": [taken], "variable": ["map"], "value": [70]})
    rows.cast({"time": berlin}).write_parquet(tmp_path / "observations.parquet")
    source = Table(str(tmp_path), "observations.parquet", "stays.parquet")
    assert read(source).observations["hours"].to_list() == [3.0]
    rows.with_columns(pl.col("time").dt.replace_time_zone(None)).write_parquet(tmp_path / "observations.parquet")
    with pytest.raises(InputError, match=r"some times state their offset.*time without.*admission with"):
        read(Table(str(tmp_path), "observations.parquet", "stays.parquet"))


def test_fingerprint_follows_files_and_mapping(tmp_path: Path) -> None:
    plain = hospital(tmp_path)
    mapped = hospital(tmp_path, mapping={"variables": {"HR": "heart_rate"}})
    before = mapped.fingerprint()
    assert plain.fingerprint() != before
    assert [path.name for path in plain.files()] == ["observations.csv", "stays.csv"]
    hospital(tmp_path, OBSERVATIONS + "01,2,map,71\n")
    assert mapped.fingerprint() != before


def test_shard_size_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shard_stays is 0"):
        hospital(tmp_path, shard_stays=0)


def test_several_files_long_and_wide_make_one_table(tmp_path: Path) -> None:
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / "a.csv").write_text("stay_id,hours,variable,value\n01,1,Na,140\n02,2,Na,141\n")
    (tmp_path / "labs" / "b.csv").write_text("stay_id,hours,variable,value\n01,3,Na,4.1\n")
    (tmp_path / "vitals.csv").write_text("case;h;HF;Temp;ventilated;note\n01;1;80;98.6;yes;\n02;2;;;no;calm\n")
    (tmp_path / "stays.csv").write_text(STAYS)
    mapping = {
        "variables": {"Na": "sodium", "HF": "heart_rate", "Temp": {"name": "temperature", "unit": "degF"}},
        "files": {
            "vitals*": {
                "wide": True,
                "separator": ";",
                "columns": {"stay_id": "case", "hours": "h"},
                "variables": {"ventilated": {"name": "mechanical_ventilation", "values": {"yes": 1, "no": 0}}},
            },
            "labs/b.csv": {"variables": {"Na": "potassium"}},
        },
    }
    source = Table(str(tmp_path), ["labs/*.csv", "vitals.csv"], "stays.csv", mapping=mapping)
    extract = read(source)
    rows = [(stay, hours, variable, round(value, 6)) for stay, hours, variable, value in extract.observations.rows()]
    assert rows == [
        ("01", 1.0, "sodium", 140.0),
        ("02", 2.0, "sodium", 141.0),
        ("01", 3.0, "potassium", 4.1),
        ("01", 1.0, "heart_rate", 80.0),
        ("01", 1.0, "temperature", 37.0),
        ("01", 1.0, "mechanical_ventilation", 1.0),
        ("02", 2.0, "mechanical_ventilation", 0.0),
    ]
    assert extract.rejects.rows() == [("02", 2.0, "note", None, "unknown_variable")]
    assert [path.name for path in source.files()] == ["a.csv", "b.csv", "vitals.csv", "stays.csv"]
    parted = Table(str(tmp_path), ["labs/*.csv", "vitals.csv"], "stays.csv", mapping=mapping, shard_stays=1)
    keys = ["stay_id", "variable"]
    assert_frame_equal(read(parted).observations.sort(keys), extract.observations.sort(keys))


def test_wide_parquet_reads_like_long(tmp_path: Path) -> None:
    made = read(Synthetic(stays=20, mean_hours=10))
    made.stays.write_parquet(tmp_path / "stays.parquet")
    made.observations.write_parquet(tmp_path / "long.parquet")
    wide = made.observations.pivot(on="variable", index=["stay_id", "hours"], values="value")
    wide.write_parquet(tmp_path / "wide.parquet")
    long = Table(str(tmp_path), "long.parquet", "stays.parquet")
    other = Table(str(tmp_path), "wide.parquet", "stays.parquet", mapping={"wide": True})
    keys = ["stay_id", "variable", "hours"]
    assert_frame_equal(read(other).observations.sort(keys), read(long).observations.sort(keys))
    assert other.variables == long.variables


BERLIN = {"time_zone": "Europe/Berlin"}


def at_night(folder: Path, day: str, times: list[str], mapping: dict[str, Any] | None) -> Table:
    rows = "".join(f"1,{day} {time},map,70\n" for time in times)
    stays = f"stay_id,patient_id,admission,discharge\n1,p,{day} 00:00,{day} 12:00\n"
    return hospital(folder, "stay_id,time,variable,value\n" + rows, stays, mapping=mapping)


def test_hours_are_real_across_the_changes_of_clocks(tmp_path: Path) -> None:
    spring = at_night(tmp_path, "2024-03-31", ["01:30", "02:30", "03:30", "noon"] + ["04:00"] * 200, BERLIN)
    extract = read(spring)
    assert extract.observations["hours"].to_list() == [1.5, 2.5] + [3.0] * 200
    assert sorted(extract.rejects["rule"]) == ["dst_gap", "not_a_time"]
    assert extract.stays.select("length_hours", "admission").row(0) == (11.0, datetime(2024, 3, 30, 23))
    autumn = at_night(tmp_path, "2024-10-27", ["01:30", "02:30", "03:30"], BERLIN)
    assert read(autumn).observations["hours"].to_list() == [1.5, 2.5, 4.5]
    assert autumn.findings() == [
        "observations.csv: 1 time(s) that the clocks of Europe/Berlin show twice: the earlier taken"
    ]
    plain = at_night(tmp_path, "2024-03-31", ["01:30", "02:30", "03:30"], None)
    assert read(plain).observations["hours"].to_list() == [1.5, 2.5, 3.5]
    assert read(plain).stays["admission"][0] == datetime(2024, 3, 31)
    assert any("off by 1 h across a change of clocks" in line for line in plain.findings())


def test_an_admission_that_the_clocks_skip_is_refused(tmp_path: Path) -> None:
    stays = "stay_id,admission\n1,2024-03-31 02:30\n"
    rows = "stay_id,time,variable,value\n1,2024-03-31 05:30,map,70\n"
    with pytest.raises(
        InputError, match=r"admission that is none \(or that the clocks of Europe/Berlin skip\) in 1 row"
    ):
        read(hospital(tmp_path, rows, stays, mapping=BERLIN))


def test_local_times_of_a_known_zone_and_stated_offsets_agree(tmp_path: Path) -> None:
    admission = datetime(2024, 7, 1, 10, tzinfo=UTC)
    pl.DataFrame({"stay_id": ["1"], "admission": [admission]}).write_parquet(tmp_path / "stays.parquet")
    (tmp_path / "observations.csv").write_text("stay_id,time,variable,value\n1,2024-07-01 13:00,map,70\n")
    source = Table(str(tmp_path), "observations.csv", "stays.parquet", mapping=BERLIN)
    assert read(source).observations["hours"].to_list() == [1.0]


def test_conversions_tell_label_unit_and_rows(tmp_path: Path) -> None:
    observations = "stay_id,hours,variable,value,unit\n01,1,Krea,88,umol/l\n01,2,Krea,90,umol/l\n01,3,Krea,1.0,mg/dL\n"
    observations += "01,4,Krea,NA,umol/l\n02,1,Temp,98.6,\n02,2,sodium,140,mEq/L\n"
    mapping = {
        "variables": {
            "Krea": "creatinine",
            "Temp": {"name": "temperature", "unit": "degF"},
            "Size": {"name": "height_cm", "unit": "m"},
        },
        "units": {"umol/l": "umol/L"},
    }
    stays = "stay_id,length_hours,Size\n01,24,1.7\n02,24,\n"
    found = hospital(tmp_path, observations, stays, mapping=mapping).conversions()
    assert found.select("label", "unit", "variable", "factor", "rows").rows() == [
        ("Krea", "umol/l", "creatinine", 0.0113122, 2),
        ("Temp", "degF", "temperature", 0.5555555556, 1),
        ("sodium", "mEq/L", "sodium", 1.0, 1),
        ("Size", "m", "height_cm", 100.0, 1),
    ]


def test_a_static_variable_that_changes_among_the_observations_is_told(tmp_path: Path) -> None:
    rows = OBSERVATIONS + "01,1,age_years,60\n01,2,age_years,61\n02,1,age_years,70\n02,2,age_years,70\n"
    source = hospital(tmp_path, rows)
    assert source.findings() == [
        "observations.csv: age_years is static, yet changes in 1 stay(s); only stays hold statics"
    ]


def test_texts_under_labels_that_nobody_mapped_stop_nothing(tmp_path: Path) -> None:
    extract = read(hospital(tmp_path, OBSERVATIONS + "01,1,remark,slept well\n02,1,remark,awake\n"))
    assert extract.observations.height == 3
    assert extract.rejects["rule"].to_list() == ["unknown_variable"] * 2


@pytest.mark.parametrize(
    ("observations", "message"),
    [("labs/*.csv", r"no file matches 'labs/\*\.csv'; it holds: observations\.csv, stays\.csv"), ([], "names no file")],
)
def test_observations_that_mean_no_file_are_named(tmp_path: Path, observations: Any, message: str) -> None:
    hospital(tmp_path)
    with pytest.raises(InputError, match=message):
        read(Table(str(tmp_path), observations, "stays.csv"))


def test_a_pattern_of_the_mapping_that_matches_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"files has 'observation\.csv', which no file matches: did you mean 'observat"
    ):
        read(hospital(tmp_path, mapping={"files": {"observation.csv": {"wide": True}}}))
