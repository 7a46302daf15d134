"""What a label may depend on: its own definition's memory and the future it speaks of, and nothing older.

What was found at the last assessment holds until the next one, however old it is; here none is older than the lookback,
and each looks back as far as its module says.
Every complication that is derived from measurements is found by glob and tried on random stays.
"""

from __future__ import annotations

import sys

import numpy as np
import polars as pl
import pytest

from clinical_lstm import plugins, schemas
from clinical_lstm.data import labels
from clinical_lstm.data.task import Task, needs
from clinical_lstm.sources.base import stays_table
from clinical_lstm.variables import dynamic_names, vocabulary

NAMES = plugins.names("complications")
MEASURED = [name for name in NAMES if needs(name)]
STAYS, HOURS, NOW, LOOKBACK = 40, 520.0, 400.0, 12.0
# One observation in every span of so many hours, so that something is assessed within every lookback.
EVERY = {"vital": 1.0, "treatment": 6.0, "lab": 6.0, "creatinine": 16.0, "lactate": 1.0, "ph": 1.0}
RANGES = {"creatinine": (0.8, 1.28)}  # wider or more often, and every stay would be injured all the time


def memory(name: str) -> float:
    """Return how far back an assessment of the complication may look (hours), as its module says."""
    return sys.modules[plugins.load("complications", name).__module__].MEMORY_HOURS


def random_stays(name: str, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return stays and random observations of what the complication needs, from a third to thrice the normal."""
    random = np.random.default_rng(seed)
    ids = [f"s{n:02d}" for n in range(STAYS)]
    base = {"stay_id": ids, "patient_id": ids, "site": ["A"] * STAYS, "start_hours": [0.0] * STAYS}
    stays = stays_table(pl.DataFrame(base | {"length_hours": [HOURS] * STAYS}))
    wanted = {v for one in needs(name) for v in one} & set(dynamic_names())
    tables = []
    for variable in sorted(wanted - {"weight"}):  # without one, urine is not assessed, and creatinine can recover
        v = vocabulary()[variable]
        low = max(v.low, (v.normal_low or 0) / 3)
        high = min(v.high, 3 * v.normal_high) if v.normal_high else v.low + 0.02 * (v.high - v.low)
        low, high = RANGES.get(variable, (low, high))
        every = EVERY.get(variable, EVERY[v.kind])
        n = int(HOURS / every) * STAYS
        value = random.integers(0, 2, n).astype(float) if v.unit == "0/1" else random.uniform(low, high, n)
        hours = (np.arange(n) // STAYS + random.uniform(0, 1, n)) * every
        columns = {"stay_id": [ids[i % STAYS] for i in range(n)], "hours": hours.round(2)}
        tables.append(pl.DataFrame(columns | {"variable": [variable] * n, "value": value}))
    rows = pl.concat(tables).unique(["stay_id", "hours", "variable"], keep="first", maintain_order=True)
    return stays, rows.sort("stay_id", "hours", "variable")


def labelled(name: str, stays: pl.DataFrame, observations: pl.DataFrame) -> pl.DataFrame:
    """Return the labels of a task in which events recur, without censoring."""
    task = Task("t", [name], [6.0, 24.0], recurrent=True, censoring=False, lookback_hours=LOOKBACK)
    hours = pl.DataFrame({"hours": np.arange(1.0, HOURS + 1)})
    times = stays.select("stay_id", "length_hours", "follow_up_hours").join(hours, how="cross")
    return labels.outcome(task, stays, observations, schemas.empty(schemas.Episodes), times).labels


@pytest.mark.parametrize("name", NAMES)
def test_every_complication_says_what_it_needs_and_how_far_it_looks_back(name: str) -> None:
    assert {v for one in needs(name) for v in one} <= set(vocabulary())
    assert memory(name) >= 0
    assert needs(name) or memory(name) == 0, "what the data set states looks back at nothing"


@pytest.mark.parametrize("name", MEASURED)
def test_labels_do_not_change_when_what_is_older_than_lookback_and_memory_does(name: str) -> None:
    stays, observations = random_stays(name)
    since = NOW - LOOKBACK - memory(name)
    if since == -np.inf:
        pytest.skip(f"{name} looks back without bound, as its module says")
    assert since > 24, "the stays of this law are too short for this memory"
    old = pl.col("hours") < since - 1e-3
    rows = observations.with_row_index("row")
    shuffled = pl.col("value").shuffle(seed=3).over("variable")
    changed = rows.with_columns(pl.when(old).then(shuffled).otherwise("value").alias("value"))
    dropped = changed.filter(~old | (pl.col("row") % 4 > 0)).drop("row")
    one, other = labelled(name, stays, observations), labelled(name, stays, dropped)
    later = pl.col("hours") >= NOW
    assert one.filter(later).equals(other.filter(later))
    assert 0 < one.filter(later, "at_risk")["label"].mean() < 1, "the law would see nothing"
    assert not one.equals(other), "the change must matter before"


@pytest.mark.parametrize("name", MEASURED)
def test_no_positive_lies_inside_or_after_the_onset_of_an_onset_task(name: str) -> None:
    stays, observations = random_stays(name)
    task = Task("t", [name], [6.0, 24.0])
    hours = pl.DataFrame({"hours": np.arange(1.0, HOURS + 1)})
    times = stays.select("stay_id", "length_hours", "follow_up_hours").join(hours, how="cross")
    outcome = labels.outcome(task, stays, observations, schemas.empty(schemas.Episodes), times)
    schemas.check(schemas.Episodes, outcome.episodes, "episodes")
    first = outcome.episodes.group_by("stay_id").agg(pl.col("onset_hours").min())
    positive = outcome.labels.filter(pl.col("label") == 1).join(first, on="stay_id")
    assert positive.height
    assert (positive["hours"] < positive["onset_hours"]).all()
    assert not outcome.labels["after_onset"].any()
