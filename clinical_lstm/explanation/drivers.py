"""What counts over a cohort: variables, organ systems and channels, by hours to onset, age, sex and outcome."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.explanation.contributions import contributions
from clinical_lstm.explanation.evidence import Evidence, Part
from clinical_lstm.explanation.keys import SAMPLED, TARGET
from clinical_lstm.metrics.bootstrap import intervals
from clinical_lstm.metrics.weights import ratio


def importance(attributions: pl.DataFrame, explained: pl.DataFrame) -> pl.DataFrame:
    """Return what counts over a cohort: one row per target, variable and channel, the largest `mean_abs` first.

        a_n = sum over time of the attributions of the variable and channel in prediction n                        (1)
        mean_abs = mean_n |a_n|,    mean_signed = mean_n a_n        (logit), over the N predictions of the target  (2)

    Where there is a cohort sample it alone counts: the other predictions were chosen for being extreme. Predictions
    with `explained` False are left out; a variable that a prediction did not use counts 0 there.

    >>> key = {"stay_id": ["a", "a", "b"], "hours": 2.0, "complication": "death", "horizon_hours": 6.0}
    >>> cells = {"input_hours": [1.0, 2.0, 1.0], "variable": ["lactate"] * 3, "channel": ["value"] * 3}
    >>> attributions = pl.DataFrame(key | cells | {"attribution": [0.5, 0.25, -0.25]})
    >>> explained = attributions.select("stay_id", "hours", "complication", "horizon_hours").unique()
    >>> importance(attributions, explained.with_columns(explained=True, reason=pl.lit("typical"))).rows()
    [('death', 6.0, 'lactate', 'value', 0.5, 0.25)]
    """
    sampled = pl.col("reason") == SAMPLED
    found = contributions(attributions, explained.filter(sampled | sampled.any().not_()))  # (1)
    row, variable, channel = np.nonzero(found.cells)
    each = found.keys.select(TARGET)[row].with_columns(
        variable=pl.Series(found.variables, dtype=pl.String).gather(variable),
        channel=pl.Series(schemas.CHANNELS).gather(channel),
        a=pl.Series(found.cells[row, variable, channel], dtype=pl.Float64),
    )
    sums = each.group_by(*TARGET, "variable", "channel").agg(mean_abs=pl.col("a").abs().sum(), mean_signed=pl.sum("a"))
    counts = found.keys.group_by(TARGET).agg(n=pl.len())
    means = sums.join(counts, on=TARGET).with_columns(pl.col("mean_abs", "mean_signed") / pl.col("n"))  # (2)
    order = [*TARGET, "mean_abs", "variable", "channel"]
    return means.drop("n").sort(order, descending=[name == "mean_abs" for name in order])


def drivers(entries: Sequence[Evidence]) -> pl.DataFrame:
    """Return `schemas.Drivers`: every group of variables and channel, in every part of every target's predictions.

        mean_abs = mean_n sum |a_n|,    mean_signed = mean_n sum a_n,    sums over the variables and channels of a group
        share    = mean_abs / mean_abs of everything

    with a_n as in `importance`. So the shares of all variables add up to 1, and so do those of the channels: that of
    `mask` is the part of the risk that comes from something having been measured at all, that of `delta` from how long
    ago. Intervals are those of the patient-clustered bootstrap.

    >>> from clinical_lstm.explanation.evidence import evidence
    >>> key = {"stay_id": ["a", "b"], "hours": 2.0, "complication": "death", "horizon_hours": 6.0}
    >>> chosen = pl.DataFrame(key).with_columns(reason=pl.lit("cohort_sample"), explained=True, patient_id="stay_id")
    >>> cells = {"variable": ["lactate", "ph"], "channel": ["value", "mask"], "attribution": [0.75, -0.25]}
    >>> given = (pl.DataFrame(key | cells), chosen, chosen, chosen, chosen.select("stay_id"))
    >>> found = drivers(evidence(*given, least_patients=2)).filter(pl.col("kind") == "all")
    >>> found.select("channel", "mean_abs", "mean_signed", "share").rows()
    [('all', 0.5, 0.25, 1.0), ('value', 0.375, 0.375, 0.75), ('mask', 0.125, -0.125, 0.25)]
    """
    tables = [_of_part(entry, part) for entry in entries if entry.groups for part in entry.parts]
    return schemas.check(schemas.Drivers, pl.concat([schemas.Drivers.create_empty(), *tables]), "the drivers")


def _of_part(entry: Evidence, part: Part) -> pl.DataFrame:
    columns: dict[str, np.ndarray | float] = {}
    size, sizes = entry.means(entry.size, part.rows)  # (G,), (G, R)
    net, nets = entry.means(entry.net, part.rows)
    for names, value, replicates in (
        (("mean_abs", "low", "high"), size, sizes),
        (("mean_signed", "signed_low", "signed_high"), net, nets),
        (("share", "share_low", "share_high"), ratio(size, size[0]), ratio(sizes, sizes[0])),  # 0: everything
    ):
        columns |= dict(zip(names, (value, *intervals(replicates))))
    patients = entry.patients(part.rows)
    if patients < entry.least:
        columns = dict.fromkeys(columns, float("nan"))
    counts = {"n_predictions": len(part.rows), "n_patients": patients}
    return entry.table(
        schemas.Drivers, entry.groups, {"dimension": part.dimension, "level": part.level} | columns | counts
    )
