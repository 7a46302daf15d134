"""The promises of MEDS 0.4: a valid data set has no finding, and each promise, broken once, has its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import meds
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clinical_lstm.sources.meds.validation import validate

YEARS = [None, 2000, 2020, 2021, 2022]
CODES = ["GENDER//M", "MEDS_BIRTH", "A", "B", "A"]


def events(subjects: list[int]) -> pl.DataFrame:
    rows = [
        (s, None if year is None else datetime(year, 1, 1), code, 1.0)
        for s in subjects
        for year, code in zip(YEARS, CODES)
    ]
    kinds = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "numeric_value": pl.Float32}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def write(root: Path) -> Path:
    for name, subjects in {"train/0": [1, 2], "train/1": [3], "held_out/0": [4]}.items():
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(meds.DataSchema.align(events(subjects).to_arrow()), root / "data" / f"{name}.parquet")
    (root / "metadata").mkdir()
    splits = pl.DataFrame({"subject_id": [1, 2, 3, 4], "split": ["train", "train", "train", "held_out"]})
    splits.write_parquet(root / meds.subject_splits_filepath)
    codes = pl.DataFrame({"code": sorted(set(CODES)), "description": ["x"] * 4, "parent_codes": [["y"]] * 4})
    codes.write_parquet(root / meds.code_metadata_filepath)
    (root / meds.dataset_metadata_filepath).write_text(json.dumps({"dataset_name": "toy", "meds_version": "0.4.1"}))
    return root


def edit(file: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        change(pl.read_parquet(root / file)).write_parquet(root / file)

    return apply


def row(number: int, **columns: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def apply(table: pl.DataFrame) -> pl.DataFrame:
        here = pl.int_range(pl.len()) == number
        return table.with_columns(
            pl.when(here).then(pl.lit(value, table.schema[name])).otherwise(name).alias(name)
            for name, value in columns.items()
        )

    return apply


FIRST, THIRD = "data/train/0.parquet", "data/train/1.parquet"
SPLITS = "metadata/subject_splits.parquet"
BREAKERS: dict[str, tuple[Callable[[Path], None], str, int, str]] = {
    "time_sorted": (edit(FIRST, lambda t: t[[0, 1, 2, 4, 3, 5, 6, 7, 8, 9]]), FIRST, 1, "row 4: subject 1"),
    "time_sorted (static)": (edit(FIRST, lambda t: t[[1, 0, 2, 3, 4, 5, 6, 7, 8, 9]]), FIRST, 1, "row 1: subject 1"),
    "subject_contiguous": (edit(FIRST, lambda t: t[[0, 1, 2, 5, 6, 7, 8, 9, 3, 4]]), FIRST, 2, "row 8: subject 1"),
    "subject_in_one_file": (edit(FIRST, row(0, subject_id=4)), FIRST, 1, "also in data/held_out/0.parquet"),
    "subject_not_null": (edit(FIRST, row(4, subject_id=None)), FIRST, 1, "row 4: subject null"),
    "code_not_null": (edit(FIRST, row(3, code=None)), FIRST, 1, "row 3: subject 1"),
    "one_split_per_subject": (edit(SPLITS, lambda t: pl.concat([t, t[:1]])), SPLITS, 1, "subject 1"),
    "split_for_every_subject": (edit(SPLITS, lambda t: t[1:]), SPLITS, 1, "subject 1"),
    "code_described": (edit("metadata/codes.parquet", lambda t: t[1:]), "metadata/codes.parquet", 1, "A"),
    "schema (missing)": (edit(THIRD, lambda t: t.drop("time")), THIRD, 0, "the column time is missing"),
    "schema (text)": (edit(THIRD, lambda t: t.cast({"subject_id": pl.String})), THIRD, 0, "subject_id is string"),
    "schema (zone)": (edit(THIRD, lambda t: t.cast({"time": pl.Datetime("us", "UTC")})), THIRD, 0, "time is timestamp"),
    "schema (width)": (edit(THIRD, lambda t: t.cast({"numeric_value": pl.Float64})), THIRD, 0, "is double where float"),
    "readable": (lambda root: (root / THIRD).write_bytes(b"PAR1"), THIRD, 0, "cannot be read"),  # type: ignore[dict-item]
    "metadata": (edit(SPLITS, lambda t: t.drop("split")), SPLITS, 0, "the column split is missing"),
    "metadata (json)": (
        lambda root: (root / "metadata/dataset.json").write_text('{"dataset_name": 3}'),  # type: ignore[dict-item]
        "metadata/dataset.json",
        0,
        "",
    ),
}


def test_a_valid_data_set_has_no_finding(tmp_path: Path) -> None:
    assert validate(write(tmp_path)) == []


def test_the_metadata_may_be_absent(tmp_path: Path) -> None:
    for file in (write(tmp_path) / "metadata").iterdir():
        file.unlink()
    assert validate(tmp_path) == []


@pytest.mark.parametrize("name", list(BREAKERS))
def test_each_broken_promise_is_found(tmp_path: Path, name: str) -> None:
    breaker, file, rows, said = BREAKERS[name]
    breaker(write(tmp_path))
    found = [finding for finding in validate(tmp_path) if finding.invariant == name.split(" ")[0]]
    assert [(finding.file, finding.rows) for finding in found] == [(file, rows)]
    assert said in "; ".join(found[0].first)
    assert name.split(" ")[0] in str(found[0])


def test_events_before_birth_are_found(tmp_path: Path) -> None:
    edit(FIRST, row(1, code="A"))(write(tmp_path))
    edit(FIRST, row(3, code="MEDS_BIRTH"))(tmp_path)
    (found,) = validate(tmp_path)
    assert (found.invariant, found.file, found.rows) == ("birth_first", FIRST, 2)
    assert found.first[0].startswith("row 1: subject 1, time 2000-01-01")


def test_a_subject_longer_than_a_batch_is_one_block(tmp_path: Path) -> None:
    from clinical_lstm.sources.meds.reading import Codes, blocks

    write(tmp_path)
    parts = list(blocks(tmp_path, tmp_path / FIRST, Codes(), batch_rows=2))
    assert [(part.first, len(part.subject)) for part in parts] == [(0, 5), (5, 5)]


def test_dictionary_and_large_text_are_text(tmp_path: Path) -> None:
    path = write(tmp_path) / FIRST
    table = pq.read_table(path)
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        place = table.schema.get_field_index("code")
        pq.write_table(table.set_column(place, "code", table["code"].cast(kind)), path)
        assert validate(tmp_path) == []
