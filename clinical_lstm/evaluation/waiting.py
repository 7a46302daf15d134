"""Time to event: every row that waits for an onset, those included whose record ends before the horizon does.

The other metrics count a row only where its label is known. Here a row that leaves early counts for as long as it was
seen, and those like it that stayed stand in for it (`metrics.survival`). Times count from the prediction: with a gap
the horizon is that of the table, the onsets begin after the gap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from clinical_lstm.evaluation.rows import Target
from clinical_lstm.evaluation.sample import Sample
from clinical_lstm.metrics.bootstrap import replicate
from clinical_lstm.metrics.concordance import RankingOverTime
from clinical_lstm.metrics.survival import BrierOverTime, time_to_event

METRICS = ["brier_censored", "brier_censored_scaled", "concordance"]


def time_to_event_sample(table: pl.DataFrame, target: Target, blocks: Sequence[np.ndarray]) -> Sample | None:
    """Return the censoring-weighted Brier score, its scaled form and Uno's concordance, all until the horizon.

    `table` is `rows.labelled`, `blocks` the draws of its patients. None where no row says until when it was followed.
    """
    complication, horizon = target
    own = table.filter(
        pl.col("complication") == complication,
        pl.col("horizon_hours") == horizon,
        pl.col("follow_up_hours").is_not_null(),
        ~pl.col("after_onset"),
    )
    if own.is_empty():
        return None
    hours, onset, follow_up = (
        own[name].fill_null(float("nan")).to_numpy() for name in ("hours", "onset_hours", "follow_up_hours")
    )
    onset = np.where(onset <= follow_up, onset, np.nan)
    time, event = time_to_event(hours, onset, follow_up)
    ahead = np.isfinite(time)
    if not ahead.any():
        return None
    time, event, rows = time[ahead], event[ahead], own.filter(pl.Series(ahead))
    risk, patient = rows["risk"].to_numpy(), rows["patient"].to_numpy()
    brier = BrierOverTime(time, event, risk[:, None], np.array([horizon]), patient)
    ranking = RankingOverTime(time, event, risk, horizon, patient)

    coded = int(patient.max()) + 1  # patients beyond wait for nothing

    def measure(counts: np.ndarray) -> dict[str, np.ndarray]:
        scores, ranks = brier(counts[:coded]), ranking(counts[:coded])
        return dict(zip(METRICS, (scores.brier[0], scores.scaled[0], ranks.concordance), strict=True))

    values = {name: float(found[0]) for name, found in measure(np.ones((coded, 1))).items()}
    counts = {"n_rows": rows.height, "n_stays": rows["stay_id"].n_unique()}
    counts["n_positives"] = int(np.count_nonzero(event & (time <= horizon)))
    return Sample(values, replicate(measure, blocks), counts)
