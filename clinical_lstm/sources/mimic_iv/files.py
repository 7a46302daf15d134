"""The official files of MIMIC-IV below one folder: which are needed, what for, and how they are scanned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import polars as pl

from clinical_lstm.errors import InputError

ENDINGS = (".parquet", ".csv", ".csv.gz")
CHART = "icu/chartevents"
_TIME = "%Y-%m-%d %H:%M:%S"
_NUMBERS = ["anchor_age", "anchor_year", "hospital_expire_flag", "valuenum", "patientweight"]


class _File(NamedTuple):
    purpose: str
    columns: str
    optional: bool = False


OFFICIAL = {
    "hosp/patients": _File("age and sex", "subject_id gender anchor_age anchor_year"),
    "hosp/admissions": _File(
        "hospital admission and death", "hadm_id admittime dischtime deathtime hospital_expire_flag"
    ),
    "icu/icustays": _File("the stays", "subject_id hadm_id stay_id first_careunit intime outtime"),
    CHART: _File("vital signs", "stay_id charttime itemid value valuenum valueuom"),
    "hosp/labevents": _File("laboratory values", "subject_id specimen_id itemid charttime value valuenum valueuom"),
    "icu/outputevents": _File("urine", "stay_id charttime itemid value valueuom", optional=True),
    "icu/inputevents": _File(
        "vasopressors and antibiotics",
        "stay_id starttime endtime itemid rate rateuom patientweight",
        optional=True,
    ),
    "icu/procedureevents": _File("ventilation and dialysis", "stay_id starttime endtime itemid", optional=True),
    "hosp/prescriptions": _File("antibiotics", "subject_id starttime drug route", optional=True),
    "hosp/microbiologyevents": _File("cultures", "subject_id chartdate charttime test_name", optional=True),
}
STREAM = "subject_id time code value"  # instead of the official chart events; code is LAB//<itemid>//<unit>


class Files:
    """The official files below `root` (.parquet, .csv or .csv.gz), and the one that stands in for icu/chartevents."""

    def __init__(self, root: str, chartevents: str | None) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise InputError(f"there is no folder {root}; give the one that holds hosp/ and icu/ with source.root=")
        self.found = {name: path for name in OFFICIAL if (path := self._find(name))}
        if chartevents is not None:
            inside = self.root / chartevents
            self.found[CHART] = inside if inside.is_file() else Path(chartevents)
            if not self.found[CHART].is_file():
                raise InputError(
                    f"there is no file {chartevents} (source.chartevents), neither below {root} nor as such"
                )
        for name, file in OFFICIAL.items():
            if name not in self.found and not file.optional:
                raise InputError(self._lacks(name))

    def has(self, name: str) -> bool:
        """Return whether the file is there."""
        return name in self.found

    def is_stream(self) -> bool:
        """Return whether the chart events have the columns of `STREAM` instead of the official ones."""
        return "code" in self._scan(CHART).collect_schema()

    def frame(self, name: str, itemids: list[int] | None = None) -> pl.LazyFrame:
        """Return `row` and the columns of a file, as whole numbers, times, numbers and texts; rows of `itemids` alone.

        Raises InputError naming the file and the column that it lacks; `readable` reports faults of its rows.
        """
        stream = name == CHART and self.is_stream()
        columns = (STREAM if stream else OFFICIAL[name].columns).split()
        lines = self._scan(name)
        schema = lines.collect_schema()
        if missing := [column for column in columns if column not in schema]:
            hint = f" (or those of a stream of events: {STREAM})" if name == CHART else ""
            known = ", ".join(column for column in schema if column != "row")
            raise InputError(f"{self.found[name]} lacks the column(s) {', '.join(missing)}{hint}; it has: {known}")
        lines = lines.select("row", *columns)
        if itemids is not None:
            code = pl.col("code").str.extract(r"^LAB//(\d+)//") if stream else pl.col("itemid")
            lines = lines.filter(code.cast(pl.Int64).is_in(itemids))
        return lines.with_columns(_typed(column, schema[column]) for column in columns)

    @contextmanager
    def readable(self, name: str) -> Iterator[None]:
        """Turn a reader's fault into an InputError that names the file."""
        try:
            yield
        except (pl.exceptions.PolarsError, OSError) as fault:
            raise InputError(f"{self.found[name]} cannot be read: {str(fault).splitlines()[0]}") from fault

    def table(self, name: str) -> pl.DataFrame:
        """Return a small file as a table, in the order of its rows."""
        with self.readable(name):
            return self.frame(name).collect().sort("row").drop("row")

    def _scan(self, name: str) -> pl.LazyFrame:
        path = self.found[name]
        with self.readable(name):
            if path.suffix == ".parquet":
                lines = pl.scan_parquet(path, row_index_name="row")
            else:
                lines = pl.scan_csv(path, infer_schema=False, row_index_name="row")
            lines.collect_schema()
        return lines

    def _find(self, name: str) -> Path | None:
        paths = [self.root / f"{name}{ending}" for ending in ENDINGS]
        return next((path for path in paths if path.is_file()), None)

    def _lacks(self, name: str) -> str:
        folder = (self.root / name).parent
        there = sorted(path.name for path in (folder if folder.is_dir() else self.root).iterdir())
        advice = ", or name a file of its rows with source.chartevents=" if name == CHART else ""
        return (
            f"{self.root} lacks the file {name} ({', '.join(ENDINGS)}), which holds {OFFICIAL[name].purpose}; "
            f"{folder if folder.is_dir() else self.root} holds: {', '.join(there[:20]) or 'nothing'}; "
            f"fetch it from physionet.org/content/mimiciv{advice}"
        )


def _typed(column: str, stored: pl.DataType) -> pl.Expr:
    """Return a column as a whole number (ids), a number, a time or a text, by its name."""
    own, is_text = pl.col(column), stored == pl.String
    if column.endswith("_id") or column == "itemid":
        return own.cast(pl.Int64)
    if column in _NUMBERS:
        return own.cast(pl.Float64, strict=False).fill_nan(None)
    if column == "chartdate":
        return (own.str.slice(0, 10).str.strptime(pl.Date, "%Y-%m-%d") if is_text else own).cast(pl.Datetime("us"))
    if column.endswith("time"):
        return (own.str.strptime(pl.Datetime("us"), _TIME) if is_text else own).cast(pl.Datetime("us"))
    return own.cast(pl.String)  # of single precision, the shortest decimal (98.4, not 98.4000015)
