"""The alarms of a stay: those that `predict` raises, and silence where none can ring."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.metrics.alarms import Policy
from clinical_lstm.prediction import with_alarms
from clinical_lstm.reporting.ringing import Ringing, ringing

TARGET = {"complication": "sepsis", "horizon_hours": 6.0}


def course(risks: list[float], followed: list[float | None] | None = None, after: int = 99) -> pl.DataFrame:
    hours = [float(hour) for hour in range(1, len(risks) + 1)]
    found = {"stay_id": "a", **TARGET, "hours": hours, "risk": risks, "after_onset": [h > after for h in hours]}
    follow_up = pl.Series("follow_up_hours", followed or [None] * len(risks), pl.Float64)
    return pl.DataFrame(found).with_columns(follow_up)


def policy(threshold: float = 0.5, silence: float = 3.0, reset: float = 0.0) -> list[dict[str, object]]:
    return [TARGET | {"threshold": threshold, "silence_hours": silence, "reset_hours": reset}]


@pytest.mark.parametrize("silence", [0.0, 4.0])
@pytest.mark.parametrize("reset", [0.0, 5.0])
@pytest.mark.parametrize("known", [True, False])
def test_the_same_alarms_as_in_predictions(told_run: Run, silence: float, reset: float, known: bool) -> None:
    table = told_run.table("predictions.parquet").with_columns(pl.lit(None, pl.Float64).alias("follow_up_hours"))
    if known:  # an episode in the middle: not followed from hour 20 to 30
        inside = pl.col("hours").is_between(20, 30)
        follow_up = pl.when(~inside).then(72.0).alias("follow_up_hours")
        table = table.with_columns(follow_up, (pl.col("hours") >= 20).alias("after_onset"))
    where = 0.02
    alarms = with_alarms(table, {("sepsis", 6.0): Policy(where, silence, reset)}).filter("alarm")
    rang = 0
    for _, rows in table.filter(horizon_hours=6.0).group_by("stay_id", maintain_order=True):
        found = ringing(rows.sample(fraction=1.0, shuffle=True, seed=1), policy(where, silence, reset))
        assert found is not None
        own = alarms.filter(stay_id=rows["stay_id"][0]).sort("hours")
        assert found.alarms == own.select("hours", "risk").rows()
        rang += len(found.alarms)
    assert rang > 5


def test_spans_of_silence_follow_alarms_and_episodes() -> None:
    found = ringing(course([0.9] * 8), policy())
    assert found is not None
    assert [hours for hours, _ in found.alarms] == [1.0, 4.0, 7.0]
    assert found.silent == [(1.0, 10.0)]
    followed = [20.0, 20.0, None, None, 20.0, 20.0, 20.0, 20.0]
    rested = ringing(course([0.1] * 8, followed, after=2), policy(reset=2.5))
    assert rested is not None
    assert (rested.alarms, rested.silent) == ([], [(4.0, 6.5)])


def test_states_in_words() -> None:
    found = ringing(course([0.1, 0.9, 0.8, 0.1, 0.1, 0.1]), policy())
    assert found is not None
    texts = [found.state(hour).replace("\N{NO-BREAK SPACE}", " ") for hour in (1.0, 2.0, 3.0, 6.0)]
    assert texts == [
        "the alarm policy (from 50 %) does not ring now",
        "the alarm policy (from 50 %) rings now",
        "the alarm policy (from 50 %) is silent now: it rang 1 h ago",
        "the alarm policy (from 50 %) does not ring now; it rang last 4 h ago",
    ]
    never = Ringing(Policy(1.0), [], [])
    assert never.threshold is None
    assert never.state(3.0) == "the alarm policy never rings"


def test_no_policy_no_alarms() -> None:
    assert ringing(course([0.9]), []) is None
    assert ringing(course([0.9]), [policy()[0] | {"horizon_hours": 12.0}]) is None
    assert ringing(course([0.9]).clear(), policy()) is None
