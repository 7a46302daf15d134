"""Sepsis-3: suspected infection and an acute rise of SOFA around it, derived from measurements."""

from __future__ import annotations

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.complications.base import SAME_HOURS, check_thresholds
from clinical_lstm.errors import InputError, closest
from clinical_lstm.scores.base import require_hours
from clinical_lstm.scores.sofa import sofa

_ORGANS = ["creatinine", "platelets", "bilirubin_total", "gcs", "map", "map_noninvasive"]
# A stay without an antibiotic or a culture had no suspected infection: it is judged, and has no sepsis.
NEEDS: list[list[str]] = [["antibiotic", "culture", organ] for organ in _ORGANS]
MEMORY_HOURS = float("inf")  # a vasopressor runs until its rate is charted anew
_BASELINES = ["window", "stay", "zero"]
_ONSETS = ["rise", "suspicion", "earlier"]


def sepsis3(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    given: pl.DataFrame,
    *,
    culture_within_hours: float = 24.0,
    antibiotic_within_hours: float = 72.0,
    before_hours: float = 48.0,
    after_hours: float = 24.0,
    rise_points: int = 2,
    baseline: str = "window",
    onset: str = "rise",
    carry_hours: int = 24,
) -> pl.DataFrame:
    """Return the sepsis episodes, one per stay at most: from the onset to the end of the record.

    ```
      antibiotic first      A-----------C                     culture within 24 h:    suspicion = A
      culture first         C--------------------------A      antibiotic within 72 h: suspicion = C
                            |
                 48 h       | 24 h
      [=====================S==========]                      hours in which a rise counts, ends included
       3 3 3 3 3 4 5 5 ...                                    SOFA at each whole hour, worst of 24 h
                   |
                 onset                                        first hour with SOFA - baseline >= 2
    ```
    Every pair of an antibiotic and a culture makes a suspicion; of the onsets that they give the earliest is kept.

    Args:
        culture_within_hours, antibiotic_within_hours: of the first to the second of the pair.
        before_hours, after_hours: how far the window of the rise reaches around the suspicion.
        rise_points: the rise of the total SOFA that counts.
        baseline: "window", the lowest SOFA since the window opened and in the hour before, so that the rise itself lies
            in it; "stay", the lowest of all earlier hours of the stay; "zero", for patients without earlier organ
            failure. With the last two a rise before the window counts from the first hour of the window.
        onset: "rise", the hour of the rise; "suspicion", its time; "earlier", of the two.
        carry_hours: an organ not measured for 24 h keeps its points so many hours more (see `scores.sofa`), so that a
            laboratory value drawn every other day is no fall and rise.

    Limits: SOFA is known at whole hours, and what was not yet measured counts 0: the first results of a sick patient
    read as a rise, and with "window" and "stay" an organ failure that is complete in the first hour as none. Cultures
    and antibiotics before the record are unknown. An antibiotic is any, prophylaxis too, by any route and for one dose.
    What ends a sepsis is not defined, so there is no second one. Data sets that chart no cultures cannot be judged. The
    onset is known only in retrospect: the suspicion may follow it by `before_hours`.
    Raises InputError on an unknown baseline or onset, a negative threshold, or hours to carry that are not whole.

    >>> from clinical_lstm import schemas
    >>> names = ["platelets", "antibiotic", "culture", "platelets"]
    >>> seen = {"hours": [9.0, 20.0, 30.0, 33.5], "variable": names, "value": [160.0, 1.0, 1.0, 99.0]}
    >>> observations = pl.DataFrame({"stay_id": ["a"] * 4} | seen)
    >>> stays = pl.DataFrame({"stay_id": ["a"], "length_hours": [60.0]})
    >>> sepsis3(stays, observations, schemas.empty(schemas.Episodes)).row(0)
    ('a', 'sepsis3', 34.0, 60.0)

    Source: Singer et al., JAMA 315(8):801-810 (2016), doi 10.1001/jama.2016.0287; pairs and windows: Seymour et al.,
    JAMA 315(8):762-774 (2016), doi 10.1001/jama.2016.0288.
    """
    reach = {"before_hours": before_hours, "after_hours": after_hours, "rise_points": rise_points}
    pair = {"culture_within_hours": culture_within_hours, "antibiotic_within_hours": antibiotic_within_hours}
    check_thresholds("sepsis3", **pair, **reach)
    require_hours({"carry_hours": carry_hours}, least=0)
    _check_rules(baseline, onset)
    suspected = _suspicions(observations, culture_within_hours, antibiotic_within_hours)
    suspected = suspected.join(stays.select("stay_id", "length_hours"), on="stay_id")
    if suspected.is_empty():
        return schemas.empty(schemas.Episodes)
    few = stays.join(suspected, on="stay_id", how="semi")
    scored = sofa(few, observations.join(few, on="stay_id", how="semi"), carry_hours=carry_hours)
    risen = _rises(_around(suspected, scored, before_hours, after_hours), baseline, rise_points)
    time = pl.min_horizontal({"rise": ["hours"], "suspicion": ["suspicion"], "earlier": ["hours", "suspicion"]}[onset])
    return (
        risen.with_columns(time.alias("onset_hours"))
        .group_by("stay_id")
        .agg(pl.col("onset_hours").min(), pl.col("length_hours").first())
        .select(
            "stay_id",
            pl.lit("sepsis3").alias("complication"),
            "onset_hours",
            pl.col("length_hours").alias("end_hours"),
        )
        .sort("stay_id")
    )


def _suspicions(observations: pl.DataFrame, culture_within: float, antibiotic_within: float) -> pl.DataFrame:
    """Return stay_id, suspicion: the first of every antibiotic and culture that lie close enough together."""
    events = observations.filter(pl.col("variable").is_in(["antibiotic", "culture"]), pl.col("value") > 0)
    times = events.select("stay_id", "hours", "variable").sort("hours")
    antibiotics, cultures = (
        times.filter(pl.col("variable") == name).select("stay_id", pl.col("hours").alias("suspicion"))
        for name in ("antibiotic", "culture")
    )
    pairs = [_followed(antibiotics, cultures, culture_within), _followed(cultures, antibiotics, antibiotic_within)]
    return pl.concat(pairs).unique().sort("stay_id", "suspicion")


def _followed(first: pl.DataFrame, second: pl.DataFrame, within_hours: float) -> pl.DataFrame:
    """Return the rows of `first` that one of `second` follows within so many hours, ends included."""
    reach = second.select("stay_id", pl.col("suspicion").alias("second"))
    found = first.join_asof(
        reach, left_on="suspicion", right_on="second", by="stay_id", strategy="forward", check_sortedness=False
    )
    return found.filter(pl.col("second") - pl.col("suspicion") <= within_hours + SAME_HOURS).drop("second")


def _around(suspected: pl.DataFrame, scored: pl.DataFrame, before_hours: float, after_hours: float) -> pl.DataFrame:
    """Return the hours of each suspicion's window and the one before it (`inside` false), each with what was lowest.

    Columns: those of `suspected`, pair (its number), hours, sofa, inside; `window`, the lowest of the earlier of these
    hours; `stay`, of all earlier hours of the stay; `zero`.
    """
    earlier = pl.col("sofa").shift().cum_min()
    scored = scored.select("stay_id", "sofa", earlier.over("stay_id").alias("stay")).with_row_index("row")
    rows = scored.group_by("stay_id").agg(pl.col("row").min().cast(pl.Int64), pl.len().cast(pl.Int64).alias("count"))
    opens = (pl.col("suspicion") - before_hours - SAME_HOURS).clip(1).ceil().cast(pl.Int64)
    closes = pl.min_horizontal((pl.col("suspicion") + after_hours + SAME_HOURS).floor(), "count").cast(pl.Int64)
    hours = pl.int_ranges(pl.max_horizontal(opens - 1, 1), closes + 1)
    spans = suspected.join(rows, on="stay_id").sort("stay_id", "suspicion").with_row_index("pair")
    around = spans.with_columns(opens.alias("opens"), hours.alias("hours")).explode("hours", empty_as_null=False)
    at = around["row"] + around["hours"] - 1  # hour k of a stay is the k-th of its rows
    return around.with_columns(
        scored["sofa"].gather(at), scored["stay"].gather(at), pl.lit(0).alias("zero")
    ).with_columns(earlier.over("pair").alias("window"), (pl.col("hours") >= pl.col("opens")).alias("inside"))


def _rises(around: pl.DataFrame, baseline: str, points: float) -> pl.DataFrame:
    """Return of each suspicion the first hour inside its window at which SOFA lies so far above the baseline."""
    risen = around.filter("inside", pl.col("sofa") - pl.col(baseline) >= points)
    return risen.unique("pair", keep="first", maintain_order=True).with_columns(pl.col("hours").cast(pl.Float64))


def _check_rules(baseline: str, onset: str) -> None:
    for name, value, known in (("baseline", baseline, _BASELINES), ("onset", onset, _ONSETS)):
        if value not in known:
            raise InputError(f"complications/sepsis3: there is no {name} {value!r}: {closest(str(value), known)}")
