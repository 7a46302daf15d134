"""Any data set in the Medical Event Data Standard (MEDS 0.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import meds
import numpy as np
import polars as pl

from clinical_lstm.artifacts import digest
from clinical_lstm.errors import InputError
from clinical_lstm.sources import archive
from clinical_lstm.sources.base import CONVERSIONS, Extract, Source, stays_table
from clinical_lstm.sources.meds.codes import SHIPPED, codebook, matching, read_rules
from clinical_lstm.sources.meds.observations import described, observed
from clinical_lstm.sources.meds.reading import NONE, Block, Codes, blocks, shards, survey
from clinical_lstm.sources.meds.sharding import evenly
from clinical_lstm.sources.meds.stays import deaths, find_stays
from clinical_lstm.sources.meds.validation import Invariants, validate
from clinical_lstm.variables import dynamic_names, static_names

_ROLES = ["start", "end", "hospital", "discharge", "birth", "death"]


class Meds(Source):
    """Read `root` with its event files `data/**/*.parquet`, and `metadata/` if there is one.

    `codes` is a CSV that says which codes are which variables (see `codes.py`; a path, or a file below `root`); the
    shipped one knows LOINC codes and those of the public MIMIC-IV conversion. Codes that it does not know are counted
    by `unmapped`, not rejected one by one. Rejected rows: `no_value`, `part_missing`, `static_changed`, `static_late`,
    `no_span` (a stay), `before_admission` (a death).

    A stay reaches from an event of `start_codes` to one of `end_codes` (globs); with `start_codes` null the whole
    record of a subject is one stay. `stay_id` is SUBJECT-NUMBER, `patient_id` the subject's number. Death is the event
    MEDS_DEATH; age is reckoned from MEDS_BIRTH. What was known before admission is used for static variables only.

    Two passes: one over codes to count them, one to read. Memory holds a million rows (or one subject) and one shard.
    """

    title = "A data set in the Medical Event Data Standard (MEDS)"
    citation = "Arnrich et al., Medical Event Data Standard (MEDS), ICLR 2024 workshop; and the data set's own"
    licence = "the data set's own"

    def __init__(
        self,
        root: str,
        codes: str | None = None,
        start_codes: Sequence[str] | None = ("ICU_ADMISSION//*",),
        end_codes: Sequence[str] = ("ICU_DISCHARGE//*",),
        hospital_start_codes: Sequence[str] = ("HOSPITAL_ADMISSION//*",),
        hospital_end_codes: Sequence[str] = ("HOSPITAL_DISCHARGE//*",),
        static_hours: float = 0.0,
        shard_stays: int = 4096,
    ) -> None:
        if shard_stays < 1:
            raise InputError(f"shard_stays is {shard_stays}: give the stays per extract, 1 or more")
        if not static_hours >= 0:
            raise InputError(f"static_hours is {static_hours}: give the hours after admission, 0 or more")
        self.root, self.static_hours, self.shard_stays = Path(root), static_hours, shard_stays
        self.whole = start_codes is None
        own = self.root / (codes or "")
        self.map = SHIPPED if codes is None else own if own.is_file() else Path(codes)
        self.rules = read_rules(self.map)
        self.roles = {
            "start": list(start_codes or []),
            "end": list(end_codes),
            "hospital": list(hospital_start_codes),
            "discharge": list(hospital_end_codes),
            "birth": [meds.birth_code],
            "death": [meds.death_code],
        }

    @property
    def variables(self) -> list[str]:
        """The measured variables that occur."""
        return [name for name in dynamic_names() if name in self._known]

    @property
    def statics(self) -> list[str]:
        """The static variables that occur, or follow from the times of events."""
        hospital = bool(self._book["hospital"].any()) and not self.whole
        derived = {"age_years": bool(self._book["birth"].any()), "hours_before_icu": hospital}
        return [name for name in static_names() if name in self._known or derived.get(name, False)]

    def fingerprint(self) -> str:
        """Return a digest of the files (size, modification time) and of the code map."""
        return digest([archive.fingerprint(self.root, ".parquet"), self.map.read_text(encoding="utf-8"), self.roles])

    def files(self) -> list[Path]:
        """The event files and the metadata."""
        return [*shards(self.root), *sorted(p for p in (self.root / "metadata").glob("*") if p.is_file())]

    def conversions(self) -> pl.DataFrame:
        """Return the codes that were read in another unit than the canonical one."""
        other = (pl.col("factor") != 1) | (pl.col("offset") != 0)
        return self._book.filter(other).select(pl.col("code").alias("label"), *list(CONVERSIONS)[1:])

    def unmapped(self) -> pl.DataFrame:
        """Return the codes that are not read: code, rows, numbers (rows with a number), reason; frequent ones first."""
        unread = self._book.filter(pl.col("reason").is_not_null(), ~pl.any_horizontal(_ROLES))
        return unread.select("code", "rows", "numbers", "reason").sort(
            "numbers", "rows", "code", descending=[True, True, False]
        )

    def findings(self) -> list[str]:
        """Return the broken promises of the data set, and which codes with numbers are not read."""
        told = [str(finding) for finding in validate(self.root)]
        try:
            unmapped = self.unmapped().filter(pl.col("numbers") > 0)
        except InputError:  # a file that cannot be read is among the broken promises
            return told
        for reason, advice in {
            "unknown_unit": "have a unit that their variable does not know; give it in the code map",
            "unknown_code": "are in no row of the code map",
        }.items():
            own = unmapped.filter(pl.col("reason") == reason)
            if own.height:
                first = ", ".join(f"{code} ({rows:,})" for code, rows in own.select("code", "numbers").head(5).rows())
                told.append(f"{reason}: {own.height:,} code(s) with {own['numbers'].sum():,} numbers {advice}: {first}")
        return told

    def extracts(self) -> Iterator[Extract]:
        """Yield extracts of `shard_stays` stays, subjects in the order of the files.

        Raises InputError when no code is known, no stay begins, or the data set breaks a promise of MEDS that readers
        rely on (`validation.py`): at the latest at the end of the file where it does.
        """
        self._refuse_nothing_known()
        yield from evenly(self._pieces(), self.shard_stays)

    def _pieces(self) -> Iterator[Extract]:
        codes = Codes()
        codes.index = {code: number for number, code in enumerate(self._book["code"])}
        invariants = Invariants(codes)
        parts = self._parts
        for path in shards(self.root):
            for block in blocks(self.root, path, codes):
                invariants.block(block)
                invariants.refuse()
                yield self._extract(*self._events(block), parts)
            invariants.end(path.relative_to(self.root).as_posix())
            invariants.refuse()

    def _events(self, block: Block) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return (the events that matter, with what their code is; subject, first, last time) of a block."""
        book = self._book
        wanted = (book["variable"].is_not_null() | book.select(pl.any_horizontal(_ROLES)).to_series()).to_numpy()
        birth = book["birth"].to_numpy()
        rows = np.flatnonzero(wanted[block.code])
        code = block.code[rows]
        events = pl.DataFrame(
            {"subject": block.subject[rows], "time": block.time[rows], "number": block.number[rows]}
        ).with_columns(_instant("time"), pl.col("number").fill_nan(None))
        starts = block.starts()
        dated = np.where(birth[block.code], NONE, block.time)
        first = np.minimum.reduceat(np.where(dated == NONE, np.iinfo(np.int64).max, dated), starts)
        spans = pl.DataFrame(
            {"subject": block.subject[starts], "first": np.where(first == np.iinfo(np.int64).max, NONE, first),
             "last": np.maximum.reduceat(dated, starts)}
        ).with_columns(_instant("first"), _instant("last"))  # fmt: skip
        meant = book.select("variable", "factor", "offset", "constant", "part", "static", *_ROLES)[code]
        return events.hstack(meant), spans

    def _extract(self, events: pl.DataFrame, spans: pl.DataFrame, parts: pl.DataFrame) -> Extract:
        stays, no_span = find_stays(events, spans, self.whole)
        static = pl.col("static").fill_null(False)
        measured = events.filter(pl.col("variable").is_not_null())
        names = [name for name in static_names() if name in self._known]
        kept, refused = observed(measured.filter(~static), stays, parts)
        stays, changed = described(measured.filter(static), stays, names, self.static_hours)
        episodes, early = deaths(events, stays)
        rejects = pl.concat([no_span, refused, changed, early])
        return Extract(stays_table(stays), kept, episodes, rejects, labelled=self._tells_death)

    @cached_property
    def _book(self) -> pl.DataFrame:
        book = codebook(survey(self.root), self.rules, self.map)
        return book.with_columns(matching(globs, book["code"]).alias(role) for role, globs in self.roles.items())

    @cached_property
    def _known(self) -> set[str]:
        """The variables of codes that come with a number, or stand for one."""
        return set(
            self._book.filter((pl.col("numbers") > 0) | pl.col("constant").is_not_null())["variable"].drop_nulls()
        )

    @property
    def _parts(self) -> pl.DataFrame:
        named = {(rule.variable, rule.part) for rule in self.rules if rule.part is not None}
        variables = sorted({variable for variable, _ in named})
        counts = [sum(variable == other for other, _ in named) for variable in variables]
        schema = {"variable": pl.String, "parts": pl.Int64}
        return pl.DataFrame({"variable": variables, "parts": counts}, schema=schema)

    @cached_property
    def _tells_death(self) -> bool:
        described_codes = self.root / meds.code_metadata_filepath
        listed = (
            pl.read_parquet(described_codes, columns=["code"])["code"].to_list() if described_codes.is_file() else []
        )
        return bool(self._book["death"].any()) or meds.death_code in listed

    def _refuse_nothing_known(self) -> None:
        frequent = ", ".join(self._book.sort("rows", "code", descending=[True, False])["code"].head(5))
        there = f"its {self._book.height:,} codes are such as {frequent}"
        if not self.variables:
            raise InputError(f"no code of {self.root} is in {self.map}: {there}; give source.codes=FILE")
        if not (self.whole or self._book["start"].any()):
            globs = ", ".join(self.roles["start"])
            raise InputError(
                f"no event of {self.root} begins a stay ({globs}): {there}; give source.start_codes, or null to take "
                "the whole record of a subject as one stay"
            )


def _instant(name: str) -> pl.Expr:
    """Return a column of microseconds as instants, null where there is none."""
    return pl.when(pl.col(name) != NONE).then(pl.col(name)).cast(pl.Datetime("us")).alias(name)
