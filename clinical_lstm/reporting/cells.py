"""The attributions of one prediction cell by cell, and what they add up to by variable and channel."""

from __future__ import annotations

from collections import defaultdict
from math import fsum
from typing import Any

import polars as pl

Cells = dict[tuple[str, float], dict[str, float]]  # (variable, input_hours) -> channel -> attribution (logit)
Channels = dict[str, dict[str, float]]  # variable -> channel -> contribution (logit), summed over time
KEY = ["stay_id", "hours", "complication", "horizon_hours"]
FAINT = 0.01  # cells below this share of the strongest one stay blank


def cells_of(attributions: pl.DataFrame, row: dict[str, Any]) -> Cells:
    """Return the cells of the prediction that `row` of `schemas.Explained` names."""
    chosen = attributions.filter(*[pl.col(name) == row[name] for name in KEY])
    cells: Cells = defaultdict(dict)
    for variable, hours, channel, share in chosen.select(
        "variable", "input_hours", pl.col("channel").cast(pl.String), "attribution"
    ).iter_rows():
        cells[variable, hours][channel] = share
    return dict(cells)


def summed(cells: Cells) -> tuple[dict[str, float], Channels, Channels]:
    """Return the contribution by variable, by variable and channel, and the sum of magnitudes by both.

    >>> total, by_channel, size = summed({("map", 1.0): {"value": 0.5}, ("map", 2.0): {"value": -0.25, "mask": 0.5}})
    >>> total, by_channel, size
    ({'map': 0.75}, {'map': {'value': 0.25, 'mask': 0.5}}, {'map': {'value': 0.75, 'mask': 0.5}})
    """
    parts: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (variable, _), shares in cells.items():
        for channel, share in shares.items():
            parts[variable][channel].append(share)
    # fsum is exact: the order of the cells does not matter.
    total = {v: fsum(share for shares in by.values() for share in shares) for v, by in parts.items()}
    by_channel = {v: {c: fsum(shares) for c, shares in by.items()} for v, by in parts.items()}
    return total, by_channel, {v: {c: fsum(map(abs, shares)) for c, shares in by.items()} for v, by in parts.items()}


def ranked(total: dict[str, float]) -> list[str]:
    """Return the variables by the size of what they contribute; ties by name.

    >>> ranked({"map": -0.5, "wbc": 0.25, "lactate": 0.5})
    ['lactate', 'map', 'wbc']
    """
    return sorted(total, key=lambda name: (-round(abs(total[name]), 9), name))


def from_charting(by_channel: Channels) -> float | None:
    """Return the share of missingness and staleness in the size of all contributions; None where nothing contributes.

        share = sum_v (|mask_v| + |delta_v|) / sum_v sum_c |c_v|        of contributions summed over time

    >>> from_charting({"map": {"value": 0.25, "mask": -0.5}, "age_years": {"static": 0.25}})
    0.5
    """
    size = fsum(abs(share) for by in by_channel.values() for share in by.values())
    charting = fsum(abs(share) for by in by_channel.values() for c, share in by.items() if c in ("mask", "delta"))
    return charting / size if size else None


def visible(cells: Cells, rows: list[str], most: int) -> tuple[Cells, int]:
    """Return the cells of the shown rows that are strong enough to be seen, and how many more the chart cannot hold."""
    size = {cell: abs(fsum(shares.values())) for cell, shares in cells.items() if cell[0] in rows}
    strongest = max(size.values(), default=0.0)
    seen = sorted((c for c in size if size[c] > FAINT * strongest), key=lambda c: (-round(size[c], 9), c))
    kept = sorted(seen[:most], key=lambda c: (rows.index(c[0]), c[1]))
    return {cell: cells[cell] for cell in kept}, len(seen) - len(kept)
