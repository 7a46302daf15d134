"""All checks of one run of explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm.batch import Ragged, Scaler
from clinical_lstm.explainers.base import Explainer
from clinical_lstm.explainers.expected_gradients import ExpectedGradients
from clinical_lstm.explanation.trust.agreement import agreement
from clinical_lstm.explanation.trust.asked import Asked, ask, explained_by, logits, sample, thin
from clinical_lstm.explanation.trust.completeness import completeness
from clinical_lstm.explanation.trust.curves import deletion_insertion
from clinical_lstm.explanation.trust.randomisation import randomisation
from clinical_lstm.explanation.trust.stability import stability
from clinical_lstm.explanation.trust.unused import unused
from clinical_lstm.explanation.trust.verdicts import Verdict
from clinical_lstm.models.base import SequenceModel

PREDICTIONS, RANDOMISED, NOISY = 32, 12, 16  # judged; of these explained again with other weights, with noise


def examine(
    model: SequenceModel,
    ragged: Ragged,
    scaler: Scaler,
    stay_index: Mapping[str, int],
    targets: Sequence[tuple[str, float]],
    explained: pl.DataFrame,
    attributions: pl.DataFrame,
    explainer: Explainer,
    lookback_hours: float | None = None,
    seed: int = 0,
    predictions: int = PREDICTIONS,
) -> dict[str, Verdict]:
    """Return the verdict of every check on what `explanation.explain` returned: {name: passed, rule, finding, numbers}.

    Completeness is judged over all `explained` predictions, the rest over a random sample of `predictions`, each of
    another stay. Arguments as in `explanation.explain`.
    """
    sampled = sample(explained, predictions, seed)
    keys, batches = ask(model, ragged, scaler, stay_index, targets, sampled, lookback_hours)
    own = np.concatenate([np.zeros(0), *(logits(model, asked) for asked in batches)])
    compared = keys.with_columns(own_logit=pl.Series(own, dtype=pl.Float64))
    complete = completeness(explained, attributions, getattr(explainer, "tolerance", None), compared)
    return {"completeness": complete} | judge(model, explainer, batches, seed)


def judge(
    model: SequenceModel,
    explainer: Explainer,
    batches: Sequence[Asked],
    seed: int = 0,
    randomised: int = RANDOMISED,
    noisy: int = NOISY,
) -> dict[str, Verdict]:
    """Return the verdicts of the checks that ask model and explainer.

    All predictions are explained once, `randomised` and `noisy` of them several times more.
    """
    found, others = explained_by(explainer, model, batches), isinstance(explainer, ExpectedGradients)
    return {
        "randomisation": randomisation(model, explainer, thin(batches, randomised), seed=seed),
        "deletion_insertion": deletion_insertion(model, batches, found, seed=seed),
        "stability": stability(model, explainer, thin(batches, noisy), seed=seed),
        "agreement": agreement(model, batches, found, seed=seed),
        "unused": unused(batches, found, model.causal, others),
    }


def checks(
    explained: pl.DataFrame, tolerance: float | None = None, trust: dict[str, Verdict] | None = None
) -> dict[str, Any]:
    """Return what is counted over all explanations, and the verdicts of `examine` under `trust`; fit for JSON.

    `tolerance` is the explainer's own, written beside the gaps (logits); gaps and model evaluations are None without
    predictions.
    """
    counted = {
        "n": explained.height,
        "n_explained": int(explained["explained"].sum()),
        "tolerance": tolerance,
        "max_gap": explained["gap"].max(),
        "median_gap": explained["gap"].median(),
        "median_evaluations": explained["evaluations"].median(),
        "max_evaluations": explained["evaluations"].max(),
    }
    return counted | ({} if trust is None else {"trust": trust})


def told(trust: dict[str, Verdict]) -> list[str]:
    """Return one line per check, for the terminal.

    >>> told({"unused": {"passed": True, "finding": "None has one."}})
    ['unused              passed      None has one.']
    """
    words = {True: "passed", False: "NOT PASSED", None: "not judged"}
    return [f"{name:19} {words[found['passed']]:11} {found['finding']}" for name, found in trust.items()]
