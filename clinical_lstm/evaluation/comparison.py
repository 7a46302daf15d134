"""One predictor minus another, on identical rows and identical replicates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.bootstrap import interval, replicate
from clinical_lstm.evaluation.measures import Measures
from clinical_lstm.evaluation.rows import Rows, Target, rows_of, scored, targets
from clinical_lstm.evaluation.scoring import require_thresholds, scores_table

KEY = ["stay_id", "hours", "complication", "horizon_hours"]
OUTCOME = ["patient_id", "site", "label", "after_onset"]


def paired_difference(
    model: pl.DataFrame,
    baseline: pl.DataFrame,
    names: tuple[str, str],
    threshold: tuple[Mapping[Target, float], Mapping[Target, float]],
    replicates: int = 1000,
    seed: int = 0,
    split: str = "test",
    utility: bool = False,
) -> pl.DataFrame:
    """Return `schemas.Scores` of the predictor "<model> - <baseline>": AUROC, AUPRC and, where asked, utilities.

    `names` and `threshold` are those of (model, baseline). Each replicate weighs the patients equally for both, so the
    interval is that of the difference. Raises InputError unless both tables score the same rows with the same labels.
    """
    first = scored(model, split, f"the predictions of {names[0]}")
    second = scored(baseline, split, f"the predictions of {names[1]}")
    require_same_rows(first, second, names)
    for name, given in zip(names, threshold, strict=True):
        require_thresholds(targets(first), given, name)
    lines: list[dict[str, Any]] = []
    for target in targets(first):
        key = {"predictor": " - ".join(names), "complication": target[0], "horizon_hours": target[1]}
        pair = rows_of(first, target), rows_of(second, target)
        limits = threshold[0][target], threshold[1][target]
        masks = zip(pair[0].subsets(), pair[1].subsets(), strict=True)
        for (subset, mask), (_, other) in masks:
            parts = pair[0].where(mask), pair[1].where(other)
            lines += [key | {"subset": subset} | line for line in _difference(parts, limits, replicates, seed, utility)]
    return scores_table(lines)


def _difference(
    parts: tuple[Rows, Rows], limits: tuple[float, float], replicates: int, seed: int, utility: bool
) -> list[dict[str, Any]]:
    one, two = (Measures(part, limit, utility) for part, limit in zip(parts, limits, strict=True))
    ones = replicate(one.compared, one.patients, replicates, seed)
    twos = replicate(two.compared, two.patients, replicates, seed)
    value, other = one.compared(), two.compared()
    lines = []
    for metric in value:
        low, high = interval(ones[metric] - twos[metric]) if ones else (float("nan"), float("nan"))
        difference = value[metric] - other[metric]
        lines.append({"metric": metric, "value": difference, "low": low, "high": high, **parts[0].counts})
    return lines


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
