"""Whether a whole data set keeps the promises of MEDS 0.4, on which every reader of it relies.

Within a file (one streaming pass, whole subjects at a time):
  schema                 the columns have the types of meds.DataSchema
  subject_not_null, code_not_null
  time_sorted            within a subject times do not fall; static rows (no time) come first
  birth_first            no event of a subject is before its MEDS_BIRTH
  subject_contiguous     the rows of a subject stand together
Over all files:
  subject_in_one_file, one_split_per_subject, split_for_every_subject, code_described (metadata/codes.parquet), metadata
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import meds
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from clinical_lstm.errors import InputError
from clinical_lstm.sources.meds.reading import NONE, Block, Codes, blocks, readable, shards, type_faults

# What would make an extract wrong; the others are told by the validation alone.
_FATAL = ["subject_not_null", "code_not_null", "time_sorted", "subject_contiguous", "subject_in_one_file"]
_SHOWN = 3


class Finding(NamedTuple):
    """A broken promise: which, in which file, in how many rows (or subjects, codes), and the first of them."""

    invariant: str
    file: str
    rows: int
    first: list[str]

    def __str__(self) -> str:
        return f"{self.invariant}: {self.file}: {self.rows:,} row(s); first: {'; '.join(self.first)}"


class Invariants:
    """The promises that are checked while the blocks of all files pass by, in order."""

    def __init__(self, codes: Codes) -> None:
        self.codes = codes
        self._found: dict[tuple[str, str], Finding] = {}
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []  # of this file: subject, first row of each run
        self._rows = 0
        self._seen: list[tuple[str, np.ndarray]] = []  # files read and their subjects, sorted
        self.subjects = np.empty(0, np.int64)  # of all files, sorted

    @property
    def findings(self) -> list[Finding]:
        """What was found so far."""
        return list(self._found.values())

    def block(self, block: Block) -> None:
        """Check a block of whole subjects."""
        starts = block.starts()
        nobody = block.subject == NONE
        self._add("subject_not_null", block, nobody)
        self._add("code_not_null", block, block.code < 0)
        falls = np.zeros(len(block.time), bool)
        falls[1:] = block.time[1:] < block.time[:-1]
        falls[starts] = False
        self._add("time_sorted", block, falls & ~nobody)
        birth = block.code == self.codes.index.get(meds.birth_code, -2)
        if birth.any():
            born = np.minimum.reduceat(
                np.where(birth & (block.time != NONE), block.time, np.iinfo(np.int64).max), starts
            )
            known = np.repeat(np.where(born == np.iinfo(np.int64).max, NONE, born), np.diff([*starts, len(block.time)]))
            self._add("birth_first", block, (block.time != NONE) & (block.time < known) & ~nobody)
        self._runs.append((block.subject[starts], block.first + starts))
        self._rows = block.first + len(block.subject)

    def end(self, file: str) -> None:
        """Check what can be told at the end of a file only."""
        subject = np.concatenate([runs for runs, _ in self._runs] or [np.empty(0, np.int64)])
        first = np.concatenate([rows for _, rows in self._runs] or [np.empty(0, np.int64)])
        length = np.diff([*first, self._rows])
        unique, firsts = np.unique(subject, return_index=True)
        again = np.ones(len(subject), bool)
        again[firsts] = False
        self._tell("subject_contiguous", file, subject, first, length, again & (subject != NONE))
        if np.isin(unique, self.subjects).any():
            for other, seen in self._seen:
                here = np.isin(subject, seen)
                self._tell("subject_in_one_file", file, subject, first, length, here, f" (also in {other})")
        unique = unique[unique != NONE]
        self._seen.append((file, unique))
        self.subjects = np.union1d(self.subjects, unique)
        self._runs, self._rows = [], 0

    def refuse(self) -> None:
        """Raise InputError on what would make an extract wrong."""
        fatal = [finding for finding in self.findings if finding.invariant in _FATAL]
        if fatal:
            more = f"; and {len(fatal) - 1} more" if len(fatal) > 1 else ""
            raise InputError(f"not valid MEDS 0.4: {fatal[0]}{more}; repair the data set, or write it again")

    def _add(self, invariant: str, block: Block, broken: np.ndarray) -> None:
        if broken.any():
            rows = np.flatnonzero(broken)
            self._put(invariant, block.file, len(rows), [self._row(block, row) for row in rows[:_SHOWN]])

    def _tell(
        self,
        invariant: str,
        file: str,
        subject: np.ndarray,
        first: np.ndarray,
        length: np.ndarray,
        broken: np.ndarray,
        more: str = "",
    ) -> None:
        if broken.any():
            said = [f"row {first[run]}: subject {subject[run]}{more}" for run in np.flatnonzero(broken)[:_SHOWN]]
            self._put(invariant, file, int(length[broken].sum()), said)

    def _put(self, invariant: str, file: str, rows: int, first: list[str]) -> None:
        before = self._found.get((invariant, file), Finding(invariant, file, 0, []))
        told = [*before.first, *first][:_SHOWN]
        self._found[invariant, file] = Finding(invariant, file, before.rows + rows, told)

    def _row(self, block: Block, row: int) -> str:
        subject = "null" if block.subject[row] == NONE else block.subject[row]
        time = "null" if block.time[row] == NONE else np.datetime64(int(block.time[row]), "us")
        code = self.codes.names()[block.code[row]] if block.code[row] >= 0 else "null"
        return f"row {block.first + row}: subject {subject}, time {time}, code {code}"


def validate(root: Path) -> list[Finding]:
    """Return every broken promise of the data set below `root`, [] for a valid one; one pass over its files."""
    codes, found = Codes(), []
    invariants = Invariants(codes)
    for path in shards(root):
        name = path.relative_to(root).as_posix()
        try:
            with readable(path):
                _, minor = type_faults(meds.DataSchema, pq.read_schema(path))
            found += [Finding("schema", name, 0, minor)] if minor else []
            for block in blocks(root, path, codes):
                invariants.block(block)
        except InputError as fault:
            invariant, _, said = str(fault).partition(": ")
            found.append(Finding(invariant, name, 0, [said]))
        invariants.end(name)
    found += invariants.findings + _splits(root, invariants.subjects) + _described(root, codes) + _dataset(root)
    return sorted(found, key=lambda finding: (finding.file, finding.invariant))


def _splits(root: Path, subjects: np.ndarray) -> list[Finding]:
    file = meds.subject_splits_filepath
    table, found = _metadata(root, file, meds.SubjectSplitSchema)
    if table is None:
        return found
    split = table["subject_id"].drop_nulls()
    twice = split.filter(split.is_duplicated()).unique().sort()
    lacking = np.setdiff1d(subjects, split.to_numpy())
    if len(twice):
        found.append(Finding("one_split_per_subject", file, len(twice), [f"subject {s}" for s in twice[:_SHOWN]]))
    if len(lacking):
        said = [f"subject {subject}" for subject in lacking[:_SHOWN]]
        found.append(Finding("split_for_every_subject", file, len(lacking), said))
    return found


def _described(root: Path, codes: Codes) -> list[Finding]:
    file = meds.code_metadata_filepath
    table, found = _metadata(root, file, meds.CodeMetadataSchema)
    if table is None:
        return found
    missing = sorted(set(codes.names()) - set(table["code"]))
    return found + ([Finding("code_described", file, len(missing), missing[:_SHOWN])] if missing else [])


def _metadata(root: Path, file: str, schema: Any) -> tuple[pl.DataFrame | None, list[Finding]]:
    """Return (the table, or None where it is absent or unreadable, what is wrong with its types)."""
    if not (root / file).is_file():
        return None, []
    try:
        with readable(root / file):
            table = pq.read_table(root / file)
    except InputError as fault:
        return None, [Finding("metadata", file, 0, [str(fault).removeprefix("readable: ")])]
    fatal, minor = type_faults(schema, table.schema)
    found = [Finding("metadata", file, 0, fatal + minor)] if fatal + minor else []
    return (None if fatal else pl.DataFrame(pa.table(table))), found


def _dataset(root: Path) -> list[Finding]:
    file = meds.dataset_metadata_filepath
    if not (root / file).is_file():
        return []
    try:
        meds.DatasetMetadataSchema.validate(json.loads((root / file).read_text(encoding="utf-8")))
    except Exception as fault:  # any of the JSON reader's and the schema's own
        return [Finding("metadata", file, 0, [str(fault).splitlines()[0]])]
    return []
