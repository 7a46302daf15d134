"""Do the attributions rank the variables as hiding them one by one does?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explainers.feature_ablation import FeatureAblation
from clinical_lstm.explanation.trust.asked import Asked, by_variable, explained_by
from clinical_lstm.explanation.trust.ranks import interval, spearman, used
from clinical_lstm.explanation.trust.verdicts import Verdict, undecided, verdict
from clinical_lstm.models.base import SequenceModel

LEAST = 0.5


def agreement(model: SequenceModel, batches: Sequence[Asked], found: Sequence[Explanation], seed: int = 0) -> Verdict:
    """Return the rank correlation, per prediction, between attributions by variable and the effect of hiding each.

    Effect: F(x) - F(x had the variable never been measured), in logits, signed; over variables that either method uses.
    Two labs that say the same hide each other, so the ranks need not be equal; no relation would be 0. Passed when the
    median over predictions is at least 0.5 by its whole 95 % interval.
    """
    rule = f"the 95 % interval of the median rank correlation lies at or above {LEAST}"
    hidden = explained_by(FeatureAblation(groups="variable"), model, batches)
    pairs = (pair for one, other in zip(found, hidden) for pair in zip(by_variable(one), by_variable(other)))
    every = np.array([spearman(*used(one, other)) for one, other in pairs])
    known = every[~np.isnan(every)]
    if not len(known):
        return undecided(rule, "no prediction has three variables to rank", n=0)
    middle, (low, high) = float(np.median(known)), interval(known, seed, median=True)
    finding = (
        f"Hiding the variables one by one {'ranks' if low >= LEAST else 'does not rank'} them as the attributions do: "
        f"rank correlation {middle:.2f} ({low:.2f} to {high:.2f}) in the median prediction."
    )
    return verdict(low >= LEAST, rule, finding, n=len(known), median=middle, low=low, high=high)
