"""A source looked at before anything is built: what it measures, what it refuses, what looks wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.data.inspection.suspicion import Suspicion, alike, suspicion
from clinical_lstm.data.inspection.tallies import counted, intervals, merged, quantile, values
from clinical_lstm.sources.base import Extract, Source
from clinical_lstm.variables import dynamic_names, static_names, vocabulary

_TOTALS = ["stays", "patients", "hours", "observations", "kept", "unmeasured"]
_VARIABLES = {
    "variable": pl.String(),
    "unit": pl.String(),
    "kind": pl.String(),
    "rows": pl.Int64(),
    "stays_share": pl.Float64(),
    "interval_hours": pl.Float64(),
    "q01": pl.Float64(),
    "median": pl.Float64(),
    "q99": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "implausible_share": pl.Float64(),
    "severity": pl.Int64(),
    "suspicion": pl.String(),
}


@dataclass(frozen=True)
class Inspection:
    """What a source holds.

    Attributes:
        totals: stays, patients, hours (of all records), observations (as the source gives them), kept (by the
            cleaning), unmeasured (stays without any measurement).
        sites: site, stays. labelled: whether the data state outcomes.
        variables: one row per variable of the vocabulary that occurs, the most suspicious first: rows, share of the
            stays with any value, median hours between its times in a stay, quantiles and plausible range in the
            canonical unit, share of implausible rows, severity (see `suspicion`) and its words.
        never: variables that the source can hold and that never occur.
        unknown: label, rows, closest (names of the vocabulary).
        rejects: rule, rows, labels (the most frequent ones). conversions: `sources.base.CONVERSIONS`.
        episodes: complication, episodes, stays. findings: what the source itself says of its data.

    """

    totals: dict[str, float]
    sites: pl.DataFrame
    labelled: bool
    variables: pl.DataFrame
    never: list[str]
    unknown: pl.DataFrame
    rejects: pl.DataFrame
    conversions: pl.DataFrame
    episodes: pl.DataFrame
    findings: list[str]


@dataclass
class _Tallies:
    """What is counted shard by shard; merging is addition, so that order and number of shards do not matter."""

    totals: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_TOTALS, 0))
    labelled: bool = True
    sites: pl.DataFrame = field(default_factory=lambda: counted("site"))
    values: pl.DataFrame = field(default_factory=lambda: counted("variable", value=pl.Float64()))
    intervals: pl.DataFrame = field(default_factory=lambda: counted("variable", value=pl.Float64()))
    stays: pl.DataFrame = field(default_factory=lambda: counted("variable"))
    rejects: pl.DataFrame = field(default_factory=lambda: counted("rule", "variable"))
    episodes: pl.DataFrame = field(default_factory=lambda: counted("complication", "what"))


def inspect(source: Source, say: Callable[[str], None] = lambda line: None) -> Inspection:
    """Return what a source holds; two passes at most over its files (`findings`, `extracts`), one shard in memory.

    Quantiles are those of the values rounded to 3 significant digits, counted per distinct rounded value (at most 900
    in each power of ten): bounded memory, the same bits for any shards, and at most 0.5 % off.
    """
    tallies = _Tallies()
    for number, extract in enumerate(source.extracts()):
        _add(tallies, extract)
        say(f"inspect: shard {number}: {tallies.totals['stays']:,} stays so far")
    conversions = source.conversions()
    named = tallies.rejects.filter(pl.col("rule") == "unknown_variable").sort(
        ["rows", "variable"], descending=[True, False]
    )
    closest = pl.Series("closest", [alike(label) for label in named["variable"]], pl.List(pl.String))
    variables = _variables(tallies, conversions)
    hosted = [*source.variables, *source.statics]
    return Inspection(
        totals=tallies.totals,
        sites=tallies.sites.rename({"rows": "stays"}),
        labelled=tallies.labelled,
        variables=variables,
        never=[name for name in hosted if name not in variables["variable"]],
        unknown=named.select(pl.col("variable").alias("label"), "rows").with_columns(closest),
        rejects=_by_rule(tallies.rejects),
        conversions=conversions,
        episodes=_episodes(tallies.episodes),
        findings=source.findings(),
    )


def _add(tallies: _Tallies, extract: Extract) -> None:
    """Count one shard."""
    statics = [name for name in static_names() if name in extract.stays.columns]
    known = extract.stays.select("stay_id", *statics).unpivot(index="stay_id").drop_nulls("value")
    kept_stays = clean_stays(extract.stays)
    kept, rejects = clean(extract._replace(stays=kept_stays))
    lost = known.join(
        kept_stays.select("stay_id", *statics).unpivot(index="stay_id").drop_nulls("value"),
        on=["stay_id", "variable"],
        how="anti",
    ).with_columns(pl.lit("implausible").alias("rule"))
    rows = pl.concat([extract.observations.select("stay_id", "variable", "value"), known])
    measured = kept["stay_id"].n_unique()
    sums = {
        "stays": extract.stays.height,
        "patients": extract.stays["patient_id"].n_unique(),
        "hours": float((extract.stays["length_hours"] - extract.stays["start_hours"]).sum()),
        "observations": extract.observations.height + extract.rejects.height,
        "kept": kept.height,
        "unmeasured": extract.stays.height - measured,
    }
    for name, count in sums.items():
        tallies.totals[name] += count
    tallies.labelled &= extract.labelled
    tallies.sites = merged(tallies.sites, extract.stays.select("site"))
    tallies.values = merged(tallies.values, values(rows))
    tallies.intervals = merged(tallies.intervals, intervals(extract.observations))
    tallies.stays = merged(tallies.stays, rows.select("stay_id", "variable").unique().select("variable"))
    tallies.rejects = merged(tallies.rejects, pl.concat([rejects, lost], how="diagonal").select("rule", "variable"))
    onsets = extract.episodes.select("complication", pl.lit("episodes").alias("what"))
    stays = extract.episodes.unique(["stay_id", "complication"]).select("complication", pl.lit("stays").alias("what"))
    tallies.episodes = merged(tallies.episodes, pl.concat([onsets, stays]))


def _variables(tallies: _Tallies, conversions: pl.DataFrame) -> pl.DataFrame:
    """Return `Inspection.variables`."""
    stays = dict(tallies.stays.rows())
    implausible = dict(tallies.rejects.filter(pl.col("rule") == "implausible").select("variable", "rows").rows())
    found = []
    for name in [n for n in [*dynamic_names(), *static_names()] if n in stays]:
        of = vocabulary()[name]
        own, gaps = (table.filter(pl.col("variable") == name) for table in (tallies.values, tallies.intervals))
        rows = int(own["rows"].sum())
        doubt = suspicion(of, own, conversions.filter(pl.col("variable") == name)) if rows else Suspicion(0, "")
        found.append(
            {
                "variable": name,
                "unit": of.unit,
                "kind": of.kind,
                "rows": rows,
                "stays_share": stays[name] / tallies.totals["stays"],
                "interval_hours": quantile(gaps, 0.5),
                **{key: quantile(own, share) for key, share in [("q01", 0.01), ("median", 0.5), ("q99", 0.99)]},
                "low": of.low,
                "high": of.high,
                "implausible_share": implausible.get(name, 0) / rows if rows else 0.0,
                "severity": doubt.severity,
                "suspicion": doubt.words,
            }
        )
    table = pl.DataFrame(found, schema=_VARIABLES)
    return table.sort(["severity", pl.col("implausible_share").round(3)], descending=True, maintain_order=True)


def _by_rule(rejects: pl.DataFrame, shown: int = 3) -> pl.DataFrame:
    """Return rule, rows, labels (the most frequent ones), the most frequent rule first."""
    ordered = rejects.sort(["rows", "variable"], descending=[True, False])
    named = pl.col("variable").fill_null("(no name)").head(shown).str.join(", ").alias("labels")
    table = ordered.group_by("rule", maintain_order=True).agg(pl.col("rows").sum(), named)
    return table.sort(["rows", "rule"], descending=[True, False])


def _episodes(counts: pl.DataFrame) -> pl.DataFrame:
    own = {what: counts.filter(pl.col("what") == what).select("complication", "rows") for what in ("episodes", "stays")}
    joined = own["episodes"].join(own["stays"], on="complication", how="left", maintain_order="left", suffix="_stays")
    return joined.rename({"rows": "episodes", "rows_stays": "stays"})
