"""Pieces of any size in, extracts of an even number of stays out; a patient is never cut in two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import polars as pl

from clinical_lstm.sources.base import Extract


def evenly(pieces: Iterator[Extract], stays: int) -> Iterator[Extract]:
    """Yield extracts that end with the patient who makes the number of stays reach `stays`, the last with the rest.

    A piece holds whole patients, the stays of a patient together.
    """
    held: list[Extract] = []
    for piece in pieces:
        held.append(piece)
        while sum(part.stays.height for part in held) >= stays:
            whole = _joined(held)
            last = whole.stays["patient_id"][stays - 1]
            end = int((whole.stays["patient_id"] == last).arg_true()[-1]) + 1
            yield _part(whole, whole.stays.head(end))
            held = [_part(whole, whole.stays.slice(end))]
    if held and any(part.stays.height or part.rejects.height for part in held):
        yield _joined(held)


def _joined(parts: list[Extract]) -> Extract:
    return Extract(
        stays=pl.concat([part.stays for part in parts]),
        observations=pl.concat([part.observations for part in parts]),
        episodes=pl.concat([part.episodes for part in parts]),
        rejects=pl.concat([part.rejects for part in parts]),
        labelled=parts[0].labelled,
    )


def _part(whole: Extract, stays: pl.DataFrame) -> Extract:
    """Return the rows of `stays`; what was refused of a stay that is none goes to the first part."""
    named = stays.select("stay_id")
    others = whole.stays.select("stay_id").join(named, on="stay_id", how="anti")
    first = stays.height and stays["stay_id"][0] == whole.stays["stay_id"][0]
    return Extract(
        stays=stays,
        observations=_of(whole.observations, named),
        episodes=_of(whole.episodes, named),
        rejects=_of(whole.rejects, others, "anti") if first else _of(whole.rejects, named),
        labelled=whole.labelled,
    )


def _of(table: pl.DataFrame, named: pl.DataFrame, how: Literal["semi", "anti"] = "semi") -> pl.DataFrame:
    return table.join(named, on="stay_id", how=how, maintain_order="left")
