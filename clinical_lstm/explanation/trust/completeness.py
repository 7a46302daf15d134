"""Do the attributions account for the logit, and is it the model's own logit?"""

from __future__ import annotations

import numpy as np
import polars as pl

from clinical_lstm.explanation.keys import KEY
from clinical_lstm.explanation.trust.verdicts import Verdict, undecided, verdict

SAME_LOGIT = 0.01  # logits of one prediction in batches of other shapes differ by less, also with the TF32 of a GPU


def completeness(
    explained: pl.DataFrame,
    attributions: pl.DataFrame,
    tolerance: float | None,
    own: pl.DataFrame | None = None,
) -> Verdict:
    """Return how far the attributions of every explained prediction miss what they must account for.

        gap    = max(the bound that the explainer states, | sum of the attributions - (logit - baseline logit) |)    (1)
        off    = | logit that was explained - logit of the model |                                                   (2)

    Passed when every gap is below `tolerance` and every (2) below 0.01; (1) adds the table up anew, so that a gap is
    not believed because it is written. `own`: the keys of some predictions and the model's own `own_logit`.
    """
    rule = (
        f"every gap < tolerance ({tolerance} logit), and every logit explained is the model's own (within {SAME_LOGIT})"
    )
    if not explained.height or tolerance is None:
        return undecided(rule, "no prediction was explained" if explained.height == 0 else "no tolerance is promised")
    sums = attributions.sort(KEY).group_by(KEY, maintain_order=True).agg(total=pl.col("attribution").sum())
    table = (
        explained.sort(KEY)
        .join(sums, on=KEY, how="left", maintain_order="left")
        .with_columns(pl.col("total").fill_null(0.0))
    )
    missing = (pl.col("total") - (pl.col("logit") - pl.col("baseline_logit"))).abs()
    gap = table.select(pl.max_horizontal("gap", missing)).to_series().to_numpy()  # (1)
    compared = table.join(own, on=KEY, how="inner") if own is not None else table.with_columns(own_logit="logit")
    off = (compared["logit"] - compared["own_logit"]).abs().to_numpy()  # (2)
    within, same = gap < tolerance, off < SAME_LOGIT
    finding = (
        f"The attributions of {within.sum()} of {len(gap)} predictions account for the logit within {tolerance}; "
        f"the largest gap is {gap.max():.2g}."
    )
    if not same.all():
        finding += f" {(~same).sum()} of {len(off)} explained logits are not this model's: they belong to another one."
    middle, high = np.quantile(gap, [0.5, 0.95])
    numbers = {"median_gap": middle, "p95_gap": high, "max_gap": gap.max(), "share_within": within.mean()}
    return verdict(
        bool(within.all() and same.all()),
        rule,
        finding,
        tolerance=tolerance,
        n=len(gap),
        n_compared=len(off),
        max_logit_difference=off.max(initial=0.0),
        **numbers,
    )
