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
