"""Risks of new stays: the same bits in any company, inside (0, 1), blind to the future, for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor
from clinical_lstm.metrics.alarms import Policy, raised
from clinical_lstm.prediction import extract_of, predict, with_alarms
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.physionet2019 import PhysioNet2019

KEYS = ["stay_id", "hours"]
TARGET = ("sepsis_label", 6.0)


@pytest.fixture(scope="module")
def predictor(tiny_run: Run) -> Predictor:
    """The loaded run."""
    return Predictor.load(tiny_run)


@pytest.fixture(scope="module")
def extract(tiny_source: Path) -> Extract:
    """All stays of the tiny source."""
    return next(PhysioNet2019(str(tiny_source)).extracts())


@pytest.fixture(scope="module")
def risks(tiny_run: Run, predictor: Predictor, extract: Extract) -> pl.DataFrame:
    """The predictions of all stays together."""
    return _predicted(tiny_run, predictor, extract)


def _predicted(run: Run, predictor: Predictor, *extracts: Extract) -> pl.DataFrame:
    return pl.concat([found for found, _ in predict(run, predictor, extracts)])


def _only(extract: Extract, ids: list[str]) -> Extract:
    """Return the extract of these stays, in this order."""
    order = pl.DataFrame({"stay_id": ids})
    tables = [order.join(table, on="stay_id", how="inner", maintain_order="left") for table in extract[:4]]
    return Extract(*(t.select(old.columns) for t, old in zip(tables, extract[:4])), extract.labelled)


def test_predictions_keep_their_contract(risks: pl.DataFrame, extract: Extract) -> None:
    schemas.check(schemas.Predictions, risks, "predictions")
    hours = (extract.stays["length_hours"] - extract.stays["start_hours"]).sum()
    assert risks.height == hours
    assert 0 < risks["risk"].min() < risks["risk"].max() < 1  # type: ignore[operator]
    assert risks["risk"].n_unique() > 1000
    assert set(risks["split"]) == {"new"}
    assert set(risks["site"]) == {"A", "B"}


def test_labels_are_those_of_the_cohort(risks: pl.DataFrame, tiny_cohort: Cohort) -> None:
    labels = tiny_cohort.table("labels").sort(KEYS)
    assert risks.sort(KEYS).select(labels.columns).equals(labels)


@pytest.mark.parametrize("seed", [0, 1])
def test_alone_together_and_shuffled_give_the_same_bits(
    tiny_run: Run, predictor: Predictor, extract: Extract, risks: pl.DataFrame, seed: int
) -> None:
    chosen = extract.stays["stay_id"].sample(7, shuffle=True, seed=seed).to_list()
    expected = risks.filter(pl.col("stay_id").is_in(chosen)).sort(KEYS)
    alone = _predicted(tiny_run, predictor, *(_only(extract, [stay]) for stay in chosen)).sort(KEYS)
    few = _predicted(tiny_run, predictor, _only(extract, chosen)).sort(KEYS)
    everybody = extract.stays["stay_id"].sample(fraction=1, shuffle=True, seed=seed).to_list()
    shuffled = _predicted(tiny_run, predictor, _only(extract, everybody)).sort(KEYS)
    assert alone.equals(expected)
    assert few.equals(expected)
    assert shuffled.equals(risks.sort(KEYS))


@pytest.mark.parametrize("hour", [1.0, 10.0, 30.0])
def test_nothing_after_the_hour_changes_a_risk_up_to_it(
    tiny_run: Run, predictor: Predictor, extract: Extract, risks: pl.DataFrame, hour: float
) -> None:
    """Later values are altered, a part of them removed, others added; and the outcomes are forgotten."""
    later = extract.observations["hours"] > hour
    random = np.random.default_rng(0)
    past, future = extract.observations.filter(~later), extract.observations.filter(later)
    noise = pl.Series(random.uniform(0.6, 1.6, future.height))
    future = future.with_columns(pl.col("value") * noise).sample(fraction=0.7, seed=0)
    new = extract.stays.select("stay_id", hours="length_hours", variable=pl.lit("lactate"), value=pl.lit(15.0))
    spoilt = extract._replace(
        observations=pl.concat([new.filter(pl.col("hours") > hour), future, past]), episodes=extract.episodes.clear()
    )
    found = _predicted(tiny_run, predictor, spoilt)
    same = (found["risk"] == risks["risk"]).to_numpy()
    until = (risks["hours"] <= hour).to_numpy()
    assert same[until].all()
    assert not same[~until].all(), "the perturbation reached the model"


def test_stay_without_any_measurement_gets_its_risks(tiny_run: Run, predictor: Predictor, extract: Extract) -> None:
    silent = _only(extract, extract.stays["stay_id"][:3].to_list())
    silent = silent._replace(observations=silent.observations.filter(pl.col("stay_id") != silent.stays["stay_id"][1]))
    found = _predicted(tiny_run, predictor, silent)
    assert found["stay_id"].unique(maintain_order=True).to_list() == silent.stays["stay_id"].to_list()
    nobody = _predicted(tiny_run, predictor, silent._replace(observations=silent.observations.clear()))
    assert nobody.height == found.height
    middle = pl.col("stay_id") == silent.stays["stay_id"][1]
    assert nobody.filter(middle)["risk"].equals(found.filter(middle)["risk"])


def test_unknown_variables_are_ignored_but_told(
    tiny_run: Run, predictor: Predictor, extract: Extract, risks: pl.DataFrame
) -> None:
    foreign = extract.observations.head(50).with_columns(variable=pl.lit("aura"))
    unused = extract.observations.head(50).unique(KEYS).with_columns(variable=pl.lit("gcs"), value=pl.lit(9.0))
    more = extract._replace(observations=pl.concat([foreign, unused, extract.observations]))
    ((found, rejects),) = predict(tiny_run, predictor, [more])
    assert found.equals(risks)
    assert rejects["rule"].to_list() == ["unknown_variable"] * 50


def test_new_data_have_no_label(tiny_run: Run, predictor: Predictor, extract: Extract, risks: pl.DataFrame) -> None:
    found = _predicted(tiny_run, predictor, extract._replace(labelled=False, episodes=extract.episodes.clear()))
    assert found["label"].is_null().all()
    assert found["at_risk"].all()
    assert found["risk"].equals(risks["risk"])


def test_long_table_gives_the_risks_of_the_records(
    tiny_run: Run, predictor: Predictor, extract: Extract, risks: pl.DataFrame
) -> None:
    chosen = extract.stays.filter(pl.col("start_hours") == 0)["stay_id"].head(20).to_list()
    some = _only(extract, chosen)
    known = some.stays.unpivot(predictor.scaler.statics, index="stay_id").drop_nulls().with_columns(hours=pl.lit(0.0))
    table = pl.concat([known.select("stay_id", "hours", "variable", "value"), some.observations])
    last = extract_of(table).stays.select("stay_id", "length_hours")
    whole = last.join(some.stays, on=["stay_id", "length_hours"], how="semi")["stay_id"].to_list()
    assert len(whole) > 10
    found = _predicted(tiny_run, predictor, extract_of(table)).filter(pl.col("stay_id").is_in(whole)).sort(KEYS)
    assert found["risk"].equals(risks.filter(pl.col("stay_id").is_in(whole)).sort(KEYS)["risk"])


ROW: dict[str, Any] = {"stay_id": "a", "hours": 1.5, "variable": "lactate", "value": 2.0}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{k: v for k, v in ROW.items() if k != "value"}], "lacks value; it needs stay_id, hours, variable, value"),
        ([ROW | {"value": "high"}], "text where a number belongs"),
        ([ROW | {"hours": None}], "missing, negative or infinite hours"),
        ([ROW | {"hours": -0.5}], "missing, negative or infinite hours"),
        ([ROW | {"hours": float("inf")}], "missing, negative or infinite hours"),
        ([ROW | {"hours": float("nan")}], "missing, negative or infinite hours"),
    ],
)
def test_faults_of_a_long_table_are_told(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        extract_of(pl.DataFrame(rows))


def test_empty_long_table_is_told() -> None:
    with pytest.raises(InputError, match="the observation table has no row"):
        extract_of(schemas.empty(schemas.Observations))


def test_last_static_value_counts() -> None:
    ages = [ROW | {"variable": "age_years", "value": value} for value in (60.0, 61.0)]
    assert extract_of(pl.DataFrame([*ages, ROW])).stays["age_years"].to_list() == [61.0]


def test_rows_of_a_long_table_are_never_lost() -> None:
    rows = [ROW, ROW | {"hours": 2.0, "variable": None}, ROW | {"stay_id": "b", "hours": 0.0, "variable": "age_years"}]
    found = extract_of(pl.DataFrame(rows))
    assert found.observations["variable"].to_list() == ["lactate", None]
    assert found.stays.select("stay_id", "length_hours", "age_years").rows() == [("a", 2.0, None), ("b", 1.0, 2.0)]
    assert not found.labelled


def _risks(risk: dict[str, list[float]], complication: str = "sepsis_label", horizon: float = 6.0) -> pl.DataFrame:
    """Return predictions of which no outcome is known: stays by name, a row an hour from hour 1."""
    names = [name for name, own in risk.items() for _ in own]
    return pl.DataFrame(
        {
            "stay_id": names,
            "patient_id": names,
            "site": ["A"] * len(names),
            "split": pl.Series(["new"] * len(names), dtype=schemas.Predictions.split.dtype),
            "hours": [t + 1.0 for own in risk.values() for t in range(len(own))],
            "complication": [complication] * len(names),
            "horizon_hours": [horizon] * len(names),
            "risk": [r for own in risk.values() for r in own],
            "label": pl.Series([None] * len(names), dtype=pl.Int8),
            "at_risk": [True] * len(names),
            "after_onset": [False] * len(names),
            "onset_hours": pl.Series([None] * len(names), dtype=pl.Float64),
            "follow_up_hours": pl.Series([None] * len(names), dtype=pl.Float64),
        }
    )


def _known(table: pl.DataFrame, episode: tuple[float, float], until: float) -> pl.DataFrame:
    """Return the predictions with rows inside `episode` (both ends) not at risk, the others followed until `until`."""
    inside = pl.col("hours").is_between(*episode)
    return table.with_columns(
        label=pl.lit(0, pl.Int8), at_risk=~inside, follow_up_hours=pl.when(~inside).then(pl.lit(until))
    )


def _rings(table: pl.DataFrame, policy: Policy) -> list[float]:
    """Return the hours at which the policy rings."""
    return with_alarms(table, {TARGET: policy}).filter("alarm")["hours"].to_list()


def test_alarms_of_plain_stays_are_those_that_are_raised() -> None:
    random = np.random.default_rng(0)
    stays = {f"s{i:02d}": random.uniform(0.01, 0.99, 24).tolist() for i in range(30)}
    table, policy = _risks(stays), Policy(0.7, silence_hours=3.0)
    found = with_alarms(table, {TARGET: policy})
    assert found.drop("alarm").equals(table), "rows and columns stay as they are"
    stay = np.repeat(np.arange(30), 24)
    assert found["alarm"].to_list() == raised(stay, *table.select("hours", "risk").to_numpy().T, policy).tolist()
    assert 30 < found["alarm"].sum() < 0.3 * table.height
    order = np.random.default_rng(1).permutation(table.height)
    assert with_alarms(table[order], {TARGET: policy}).equals(found[order]), "in any order of rows"


def test_a_target_without_a_policy_has_no_alarm_column_entry() -> None:
    table = pl.concat([_risks({"a": [0.9, 0.2]}), _risks({"a": [0.95, 0.1]}, "death", 24.0)])
    found = with_alarms(table, {TARGET: Policy(0.5)})
    assert found["alarm"].to_list() == [True, False, None, None]
    both = with_alarms(table, {TARGET: Policy(0.5), ("death", 24.0): Policy(0.99)})
    assert both["alarm"].to_list() == [True, False, False, False]
    assert with_alarms(table, {("sepsis_label", 12.0): Policy(0.5)})["alarm"].to_list() == [None] * 4
    nothing = with_alarms(table.clear(), {TARGET: Policy(0.5)})
    assert (nothing.height, nothing.schema["alarm"]) == (0, pl.Boolean)


def test_nothing_rings_inside_an_episode_nor_within_the_reset_after_it() -> None:
    table = _known(_risks({"a": [0.9] * 12}), (4.0, 7.0), 12.0)
    assert _rings(table, Policy(0.5)) == [1, 2, 3, 8, 9, 10, 11, 12]
    assert _rings(table, Policy(0.5, silence_hours=3.0)) == [1, 8, 11]
    assert _rings(table, Policy(0.5, reset_hours=2.0)) == [1, 2, 3, 9, 10, 11, 12], "7 h is the end that the grid tells"
    assert _rings(table, Policy(0.5, silence_hours=8.0)) == [1, 9], "the silence goes on through the episode"


def test_nothing_rings_after_the_first_event_where_that_is_known() -> None:
    table = _known(_risks({"a": [0.9] * 6, "b": [0.9] * 6}), (4.0, 6.0), 6.0)
    late = table.with_columns(after_onset=~pl.col("at_risk"))
    assert _rings(late, Policy(0.5)) == [1, 2, 3, 1, 2, 3]
    everything = table.with_columns(after_onset=pl.lit(True), follow_up_hours=pl.lit(None, pl.Float64))
    assert _rings(everything, Policy(0.5)) == [], "a stay that begins after its onset"


def test_what_rings_in_a_run_is_what_was_waiting(risks: pl.DataFrame) -> None:
    policy = Policy(float(risks["risk"].quantile(0.9) or 0), silence_hours=6.0)
    found = with_alarms(risks, {TARGET: policy})
    assert found["alarm"].null_count() == 0
    assert found.filter(pl.col("follow_up_hours").is_null())["alarm"].sum() == 0
    waiting = found.filter(pl.col("follow_up_hours").is_not_null()).sort(KEYS)
    stay = np.unique(waiting["stay_id"].to_numpy(), return_inverse=True)[1]
    expected = raised(stay, waiting["hours"].to_numpy(), waiting["risk"].to_numpy(), policy)
    assert waiting["alarm"].to_list() == expected.tolist()
    assert found.filter(pl.col("follow_up_hours").is_null()).height > 50 and expected.sum() > 50
