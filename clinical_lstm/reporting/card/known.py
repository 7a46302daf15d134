"""What a run directory knows for its model card, as far as its stages have run; and the form of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run
from clinical_lstm.errors import InputError
from clinical_lstm.reporting import tables, words

FEWEST = 5  # smaller counts of patients are not printed: they could point at one
UNJUDGED = "the run has not been evaluated"
Target = tuple[str, float]


@dataclass(frozen=True)
class Table:
    """Rows of text below a head; the first column names the row."""

    caption: str
    head: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Fact:
    """What a run says to one item.

    Attributes:
        says: sentences. files: where they were read. tables: what does not fit a sentence.
        verdict: of a signalling question, where facts decide it; else "" (a human has to).
        lacks: why the run cannot tell. exempt: why the item does not apply.

    """

    says: Sequence[str] = ()
    files: Sequence[str] = ()
    tables: Sequence[Table] = ()
    verdict: str = ""
    lacks: str = ""
    exempt: str = ""


@dataclass(frozen=True)
class Known:
    """The contents of a run directory; empty (a table: None) where a stage has not written them.

    Attributes:
        files: what is there, by relative path. curves: their kinds. weights: SHA-256. split: which one was judged.

    """

    name: str
    files: frozenset[str]
    manifest: dict[str, Any]
    cohort: dict[str, Any]
    calibrator: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
    alarms: list[dict[str, Any]]
    checks: dict[str, Any]
    scores: pl.DataFrame | None
    gaps: pl.DataFrame | None
    summary: list[dict[str, Any]]
    curves: list[str]
    scaler: pl.DataFrame | None
    packages: int
    weights: str
    epochs: int
    split: str | None

    @property
    def targets(self) -> list[Target]:
        """The (complication, horizon in hours) pairs, in the model's order."""
        return [(str(complication), float(horizon)) for complication, horizon in self.manifest.get("targets", [])]

    @property
    def task(self) -> dict[str, Any]:
        """The prediction geometry."""
        return dict(self.manifest.get("task") or {})

    @property
    def source(self) -> dict[str, Any]:
        """What the cohort says of its source."""
        return dict(self.cohort.get("source") or {})

    @property
    def training(self) -> dict[str, Any]:
        """The settings of the training."""
        return dict(self.manifest.get("training") or {})

    @property
    def judged(self) -> str:
        """The split that was judged, in words."""
        return f"the {self.split} split" if self.split else "a split that the run does not name"

    @property
    def variables(self) -> list[str]:
        """The predictors: measured ones first, then static ones."""
        return [*self.manifest.get("variables", []), *self.manifest.get("statics", [])]

    def counts(self, split: str, target: Target) -> dict[str, int]:
        """Return stays, patients, rows, positives and events of a target in a split; empty where not recorded."""
        whole = (self.cohort.get("splits") or {}).get(split) or {}
        for found in whole.get("targets") or []:
            if (found.get("complication"), float(found.get("horizon_hours", -1))) == target:
                return {**found, "stays": whole.get("stays", 0), "patients": whole.get("patients", 0)}
        return {}

    def subsets(self, target: Target) -> list[str]:
        """Return the judged parts of the predictions of a target, but not the whole."""
        if self.scores is None:
            return []
        own = self.scores.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])
        return sorted(set(own["subset"]) - {"all"}, key=in_order)

    def levels(self, dimension: str) -> list[str]:
        """Return the judged levels of a dimension such as `site` or `sex`, over all targets."""
        names = sorted({name for target in self.targets for name in self.subsets(target)}, key=in_order)
        return [name.split("=", 1)[1] for name in names if name.startswith(f"{dimension}=")]

    def scored(self, target: Target, subset: str = "all") -> dict[str, dict[str, Any]]:
        """Return the scores of the model on a subset by metric."""
        if self.scores is None:
            return {}
        found = tables.scores_of(self.scores, target, subset)
        return {metric: score for (predictor, metric), score in found.items() if predictor == "model"}

    def ranking(self, target: Target) -> list[str]:
        """Return the sentences of the evaluation on how the model of a target stands beside the others."""
        of = [one for one in self.summary if (one["complication"], float(one["horizon_hours"])) == target]
        return [sentence for one in of for sentence in one.get("ranking", [])]


def read(run: Run) -> Known:
    """Return what `run` knows; raises InputError where it has not been trained or a table breaks its contract."""
    for name in ("manifest.json", "cohort.json"):
        if not (run.path / name).is_file():
            raise InputError(f"{run.path / name} is missing; make it with: clinical-lstm train cohort=...")
    curves = _table(run, "curves.parquet")
    return Known(
        name=words.clean(run.name),
        files=frozenset(run.files(".")),
        manifest=run.json("manifest.json"),
        cohort=run.json("cohort.json"),
        calibrator=_json(run, "calibrator.json", []),
        thresholds=_json(run, "thresholds.json", []),
        alarms=_json(run, "alarms.json", []),
        checks=_json(run, "checks.json", {}),
        scores=_table(run, "scores.parquet", schemas.Scores),
        gaps=_table(run, "gaps.parquet", schemas.Gaps),
        summary=_json(run, "summary.json", []),
        curves=[] if curves is None else sorted(curves["curve"].cast(pl.String).unique()),
        scaler=_table(run, "scaler.parquet"),
        packages=len(_lines(run, "environment.txt")),
        weights=str(((run.marker("train") or {}).get("outputs") or {}).get("weights.safetensors", "")),
        epochs=max(len(_lines(run, "history.csv")) - 1, 0),
        split=(run.marker("evaluate") or {}).get("split"),
    )


def in_order(subset: str) -> tuple[str, bool, float, str]:
    """Return the key that sorts subsets by dimension, and bands by their numbers.

    >>> sorted(["age=65-79", "age=<45", "pre_onset", "hours=6-12 h", "hours=12-24 h"], key=in_order)
    ['age=<45', 'age=65-79', 'hours=6-12 h', 'hours=12-24 h', 'pre_onset']
    """
    dimension, _, level = subset.partition("=")
    number = re.match(r"\d+(\.\d+)?", level)
    return dimension, not level.startswith("<"), float(number[0]) if number else 0.0, level


def small(count: int | None) -> str:
    """Return a count of patients, stays or events, hidden where it is small.

    >>> small(4), small(5), small(None)
    ('<5', '5', '–')
    """
    return f"<{FEWEST}" if count is not None and count < FEWEST else words.count(count)


def apart(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the counts of the levels of one dimension, the small ones hidden.

    A single hidden one would follow from the total and the others, so the next smallest is hidden with it.

    >>> apart({"A": 900, "B": 3, "C": 40}), apart({"A": 900, "B": 30})
    ({'A': '900', 'B': '<5', 'C': 'hidden'}, {'A': '900', 'B': '30'})
    """
    few = [name for name, count in counts.items() if count < FEWEST]
    others = sorted((name for name in counts if name not in few), key=lambda name: (counts[name], name))
    hidden = others[:1] if len(few) == 1 else []
    return {name: "hidden" if name in hidden else small(count) for name, count in counts.items()}


def _table(run: Run, name: str, schema: Any = None) -> pl.DataFrame | None:
    if not (run.path / name).exists():
        return None
    advice = f"make it with: clinical-lstm evaluate run={run.name}"
    return run.table(name) if schema is None else schemas.check(schema, run.table(name), str(run.path / name), advice)


def _json(run: Run, name: str, otherwise: Any) -> Any:
    return run.json(name) if (run.path / name).is_file() else otherwise


def _lines(run: Run, name: str) -> list[str]:
    path = run.path / name
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line] if path.is_file() else []
