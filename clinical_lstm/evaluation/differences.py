"""One predictor minus another, on identical rows and identical replicates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.measures import COMPARED
from clinical_lstm.evaluation.rows import KEY, Rows
from clinical_lstm.evaluation.sample import Sample
from clinical_lstm.metrics.bootstrap import interval
from clinical_lstm.metrics.delong import paired_test

NORMAL = 1.959964  # the 97.5 % quantile of the standard normal distribution
OUTCOME = ["patient_id", "patient", "patients", "site", "label", "after_onset"]  # codes: a draw is of the same ones


def differences(
    samples: Mapping[tuple[str, str], Sample], rows: Mapping[str, Rows], first: str
) -> Iterator[dict[str, Any]]:
    """Yield the lines of `schemas.Scores` (without target) of "first - other": what predictors are compared on.

    `samples` are by predictor and subset. `auroc_delong` is the difference of AUROC again, with the interval of
    DeLong's test for clustered rows: a check of the bootstrap by other means.
    """
    for (name, subset), sample in samples.items():
        if name == first or (first, subset) not in samples:
            continue
        own = samples[first, subset]
        key = {"predictor": f"{first} - {name}", "subset": subset, **own.counts}
        for metric in (metric for metric in COMPARED if metric in own.values):
            change = own.replicates.get(metric, np.zeros(0)) - sample.replicates.get(metric, np.zeros(0))
            low, high = interval(change)
            value = own.values[metric] - sample.values[metric]
            yield key | {"metric": metric, "value": value, "low": low, "high": high}
        if subset == "all":
            test = paired_test(rows[first].label, rows[first].risk, rows[name].risk, rows[first].patient)
            reach = NORMAL * test.standard_error
            line = {"value": test.difference, "low": test.difference - reach, "high": test.difference + reach}
            yield key | {"metric": "auroc_delong", **line}


def require_same_rows(first: pl.DataFrame, second: pl.DataFrame, names: tuple[str, str]) -> None:
    """Raise InputError unless two `rows.scored` tables hold the same rows with the same patients, sites and labels."""
    for here, there, name, other in ((first, second, *names), (second, first, *names[::-1])):
        alone = here.join(there, on=KEY, how="anti")
        if len(alone):
            row = alone.select(KEY).row(0)
            raise InputError(
                f"{len(alone)} scored rows of {name} are absent from {other}, e.g. {row}; predict both again"
            )
    pairs = first.join(second, on=KEY, suffix="_other")
    differs = [pl.col(column).ne_missing(pl.col(f"{column}_other")) for column in OUTCOME]
    wrong = pairs.filter(pl.any_horizontal(differs))
    if len(wrong):
        row = wrong.select(KEY).row(0)
        raise InputError(f"{len(wrong)} rows of {' and '.join(names)} differ in patient, site or label, e.g. {row}")
