"""MIMIC-IV: the official files of the demo or of the full release, one ICU stay a stay."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import digest, sha256
from clinical_lstm.errors import InputError
from clinical_lstm.sources.base import CONVERSIONS, Extract, Source, stays_table
from clinical_lstm.sources.mimic_iv import codes, events, measured, steps
from clinical_lstm.sources.mimic_iv import stays as icu
from clinical_lstm.sources.mimic_iv.files import Files
from clinical_lstm.variables import dynamic_names, static_names

_MAPS = ["items", "labs", "drugs", "cultures", "careunits", "units"]
_FROM_FILE = {"hosp/prescriptions": "antibiotic", "hosp/microbiologyevents": "culture"}


class MimicIV(Source):
    """Read MIMIC-IV (demo, 2.x, 3.x) from `root`, the folder with hosp/ and icu/: .csv.gz, .csv or .parquet files.

    Needed: hosp/patients, hosp/admissions, hosp/labevents, icu/icustays, icu/chartevents. Used if there:
    icu/inputevents (vasopressors, antibiotics), icu/outputevents (urine), icu/procedureevents (ventilation, dialysis),
    hosp/prescriptions (antibiotics), hosp/microbiologyevents (cultures). `chartevents` may name another file of the
    chart events, also one with subject_id, time, code (LAB//<itemid>//<unit>) and value, as the MEDS form of the demo:
    it holds numbers alone, so that what is read by words (O2 Delivery Device(s)) says nothing there.

    A stay is an ICU stay: hour 0 is intime (to the minute, as charts are), the end is outtime or the earlier death.
    Only what lies in it is read: labs, antibiotics and cultures belong to the stay that holds their time (labs and
    cultures: when they were taken, not when the result was known). follow_up_hours reaches to hospital discharge or
    death; `death` is stated. height_cm and weight_kg are the first plausible ones charted from a day before to
    `static_hours` after intime, else null: above 0, a risk before that hour has seen ahead. Ages above 89 are 91 in the
    year of the anchor.

    Codes and words are CSV maps that can be replaced: `items`, `labs`, `drugs`, `cultures`, `careunits`, `units` (null:
    the shipped ones, beside this module). Of two items of one variable at one time the first listed counts. The
    Glasgow coma scale needs its three parts at one time; an intubated patient's verbal response is charted as 1.
    Volumes of urine (and flows of oxygen) of one time add up, GU irrigant taken off. Blood gases are of specimens
    stated to be arterial. Vasopressors, ventilation and dialysis are step functions, 0 where they stop; overlapping
    infusions of a drug add up; `vasopressor` is any of them but dobutamine. Ventilation is that of icu/procedureevents
    alone. Several antibiotics, or several cultures, at one time are one event; antivirals, antifungals and drugs
    against tuberculosis are no antibiotics, viral cultures and screenings no cultures.

    Refused: `no_value`, `not_a_number`, `unknown_unit`, `other_specimen`, `incomplete` (a coma scale), `no_span` (a
    stay or an infusion without duration), `no_weight` (a rate of the whole body and no weight), `date_only` (a culture
    whose hour is unknown: a guess could stamp it before it was taken).

    Every file is streamed, whatever its size; the mapped rows are parted by shard in the folder for temporary files.

    Source: Johnson et al., Scientific Data 10:1 (2023), doi 10.1038/s41597-022-01899-x.
    """

    title = "MIMIC-IV (Beth Israel Deaconess Medical Center, ICU stays)"
    citation = "Johnson et al., MIMIC-IV, a freely accessible electronic health record dataset, Sci Data 10:1 (2023)"
    licence = "demo: ODbL 1.0, physionet.org/content/mimic-iv-demo; full: PhysioNet Credentialed Health Data 1.5.0"

    def __init__(
        self,
        root: str,
        chartevents: str | None = None,
        items: str | None = None,
        labs: str | None = None,
        drugs: str | None = None,
        cultures: str | None = None,
        careunits: str | None = None,
        units: str | None = None,
        static_hours: float = 0.0,
        shard_stays: int = 4096,
    ) -> None:
        if shard_stays < 1:
            raise InputError(f"shard_stays is {shard_stays}: give the stays per extract, 1 or more")
        self.shard_stays, self.static_hours = shard_stays, static_hours
        self.maps = dict(zip(_MAPS, [items, labs, drugs, cultures, careunits, units], strict=True))
        self.codes = codes.item_codes(items, labs)
        self.words, self.units = codes.words_of(self.codes), codes.unit_names(units)
        self.drugs = codes.lexicon("drugs", drugs, "drug")
        self.cultures = codes.lexicon("cultures", cultures, "test")
        self.wards = codes.ward_kinds(careunits)
        self.official = Files(root, chartevents)
        self._converted = [pl.DataFrame(schema=CONVERSIONS)]

    @property
    def variables(self) -> list[str]:
        """The mapped variables whose files are there."""
        folders = {name.split("/")[1] for name in self.official.found}
        found = set(self.codes.filter(pl.col("table").is_in(sorted(folders)))["variable"])
        found |= {name for file, name in _FROM_FILE.items() if self.official.has(file)}
        if found & set(steps.VASOPRESSORS):
            found.add("vasopressor")
        return [name for name in dynamic_names() if name in found]

    @property
    def statics(self) -> list[str]:
        """Age, sex, height, weight, hours in hospital before the ICU and kind of ICU."""
        return static_names()

    def fingerprint(self) -> str:
        """Return a digest of the files (size, modification time) and of the maps (content)."""
        stats = [(name, path.stat()) for name, path in self.official.found.items()]
        files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        return digest([files, [sha256(path) for path in codes.paths(self.maps)]])

    def files(self) -> list[Path]:
        """The official files that are there and the hospital's own maps."""
        return [*self.official.found.values(), *(Path(path) for path in self.maps.values() if path)]

    def conversions(self) -> pl.DataFrame:
        """Return what was read in another unit than the canonical one; known once the extracts have been read."""
        keys = [name for name in CONVERSIONS if name != "rows"]
        return pl.concat(self._converted).group_by(keys).agg(pl.col("rows").sum()).sort(keys)

    def extracts(self) -> Iterator[Extract]:
        """Yield one extract per `shard_stays` stays, patients in the order of a hash of their id."""
        self._converted = [pl.DataFrame(schema=CONVERSIONS)]
        stays, place = self._stays, icu.clock(self._stays)
        tables = list(events.tables(self.official, place, self.codes, self.drugs, self.cultures))
        with TemporaryDirectory() as folder:
            for name, _, rows in tables:
                with self.official.readable(name):
                    events.part(rows, Path(folder, name))
            for shard in stays["shard"].unique().sort().to_list():
                parts = {
                    kind: events.parted([Path(folder, name) for name, same, _ in tables if same == kind], shard, schema)
                    for kind, schema in events.SCHEMAS.items()
                }
                yield self._extract(stays.filter(pl.col("shard") == shard), parts)

    def _extract(self, stays: pl.DataFrame, parts: dict[str, pl.DataFrame]) -> Extract:
        rows = measured.judged(parts["events"], self.codes, self.words, self.units)
        measured.check_units(rows, self.official.root)
        self._converted.append(measured.conversions(rows, self.codes))
        spans = stays.filter(pl.col("rule").is_null())
        for variable, static in {"height_cm": "height_cm", "weight": "weight_kg"}.items():
            first = measured.first_plausible(rows, variable, static, self.static_hours)
            spans = spans.join(first, left_on="icu_id", right_on="stay_id", how="left", maintain_order="left")
        ran = steps.judged(parts["intervals"], self.codes)
        lengths = spans.select(pl.col("icu_id").alias("stay_id"), "length_hours")
        found = [
            measured.settled(rows.filter(pl.col("hours") >= 0, pl.col("variable") != "height_cm"), self.codes),
            steps.step_functions(ran, lengths),
            steps.rejected(ran),
            steps.events_once(pl.concat([steps.given(ran), parts["points"]])),
        ]
        texts = pl.col("stay_id", "variable", "rule").cast(pl.String)
        observed = pl.concat([table.with_columns(texts) for table in found])
        good = pl.col("rule").is_null()
        rejects = observed.filter(~good).select(schemas.Rejects.column_names())
        observations = observed.filter(good).drop("rule")
        return Extract(stays_table(spans), observations, icu.deaths(spans), pl.concat([icu.refused(stays), rejects]))

    @cached_property
    def _stays(self) -> pl.DataFrame:
        return icu.read_stays(self.official, self.wards, self.shard_stays)
