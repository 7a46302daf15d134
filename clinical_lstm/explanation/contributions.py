"""Attributions summed over time, and over groups of variables: what every summary of a cohort is made of.

Every attribution is first rounded to a multiple of 2^-30 logit (1e-9). Sums of such numbers are exact below 8 million
logits, in whatever order they are added: no order of rows and no number of threads changes a bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from clinical_lstm.explanation.keys import KEY
from clinical_lstm.schemas import CHANNELS
from clinical_lstm.variables import vocabulary

UNIT = 2.0**-30  # logit


class Contributions(NamedTuple):
    """What each variable adds to the logit of each of N explained predictions through each of C channels.

    Attributes:
        keys: the predictions, sorted by `KEY`. variables: names of V variables, sorted.
        cells: (N, V, C) contribution in logits, in the order of `schemas.CHANNELS`; 0 where not used.

    """

    keys: pl.DataFrame
    variables: list[str]
    cells: np.ndarray


class Group(NamedTuple):
    """Some variables (all, a system's, one) through one channel or all."""

    kind: str
    name: str
    channel: str


def contributions(attributions: pl.DataFrame, explained: pl.DataFrame) -> Contributions:
    """Return the contributions of the predictions whose `explained` is True: their attributions summed over time.

    >>> key = {"stay_id": ["a", "a", "b"], "hours": 2.0, "complication": "death", "horizon_hours": 6.0}
    >>> cells = {"variable": ["lactate"] * 3, "channel": ["value", "value", "mask"], "attribution": [0.5, 0.25, 1.0]}
    >>> attributions = pl.DataFrame(key | cells)
    >>> found = contributions(attributions, attributions.select(KEY).unique().with_columns(explained=True))
    >>> found.cells.tolist()
    [[[0.75, 0.0, 0.0, 0.0]], [[0.0, 1.0, 0.0, 0.0]]]
    """
    keys = explained.filter("explained").select(KEY).sort(KEY)
    names = attributions["variable"].unique().sort().to_list()
    found = attributions.join(keys.with_row_index("row"), on=KEY).select(
        pl.col("row").cast(pl.Int64),
        pl.col("variable").cast(pl.Enum(names)).to_physical().cast(pl.Int64),
        pl.col("channel").cast(pl.String).cast(pl.Enum(CHANNELS)).to_physical().cast(pl.Int64),
        rounded(pl.col("attribution")).alias("attribution"),
    )
    shape = (keys.height, len(names), len(CHANNELS))  # (N, V, C)
    at = np.ravel_multi_index([found[name].to_numpy() for name in ("row", "variable", "channel")], shape)
    cells = np.bincount(at, found["attribution"].to_numpy(), minlength=int(np.prod(shape))).astype(np.float64)
    return Contributions(keys, names, cells.reshape(shape))


def rounded(attribution: pl.Expr) -> pl.Expr:
    """Return attributions as multiples of `UNIT`, whose sums do not depend on their order."""
    return (attribution / UNIT).round() * UNIT


def grouped(found: Contributions) -> tuple[list[Group], np.ndarray, np.ndarray]:
    """Return the G groups that any prediction used, the first of them everything, and of each prediction and group

        net (N, G) = sum of a,      size (N, G) = sum of |a|,      over the cells a of the group

    so that the sizes of variables add up to those of their system, and channels to all.
    """
    used = (found.cells != 0).any(axis=0)  # (V, C)
    system = [vocabulary()[name].system if name in vocabulary() else "other" for name in found.variables]
    kinds = {"all": ["all"] * len(system), "system": system, "variable": found.variables}
    groups, members = [], []
    for kind, names in kinds.items():
        for name in sorted(set(names)):
            for channel in ["all", *CHANNELS]:
                through = np.array([channel in ("all", own) for own in CHANNELS])
                cells = used & np.array([own == name for own in names])[:, None] & through
                if cells.any():
                    groups.append(Group(kind, name, channel))
                    members.append(cells.reshape(-1))
    flat = found.cells.reshape(len(found.cells), used.size)  # (N, V * C)
    belongs = np.array(members, np.float64).reshape(len(groups), used.size).T  # (V * C, G)
    return groups, flat @ belongs, np.abs(flat) @ belongs
