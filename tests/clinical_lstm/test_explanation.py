"""Which predictions are shown, that their attributions are the model's, and the arithmetic over the cohort."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch

from clinical_lstm import explanation, plugins, schemas
from clinical_lstm.batch import Ragged, Scaler, assemble
from clinical_lstm.errors import InputError
from clinical_lstm.explanation import keys
from clinical_lstm.models.lstm import LSTM

TARGETS = [("sepsis", 6.0), ("sepsis", 12.0)]
STAYS = {"a": 0, "b": 1, "c": 2}
VARIABLES, STATICS = ["heart_rate", "lactate", "never_measured"], ["age_years"]
torch.set_num_threads(1)


def _predictions(stays: dict[str, list[tuple[float, int | None, bool, bool]]]) -> pl.DataFrame:
    """Return `schemas.Predictions` of stay -> (risk, label, at_risk, after_onset) at hours 1, 2, ..."""
    rows = [
        {
            "stay_id": stay,
            "patient_id": stay[0],
            "site": "A",
            "split": "test",
            "hours": float(hour),
            "complication": "sepsis",
            "horizon_hours": 6.0,
            "risk": risk,
            "label": label,
            "at_risk": at_risk,
            "after_onset": after_onset,
        }
        for stay, steps in stays.items()
        for hour, (risk, label, at_risk, after_onset) in enumerate(steps, start=1)
    ]
    types = {"split": pl.Enum([*schemas.SPLITS, "new"]), "label": pl.Int8}
    return schemas.check(schemas.Predictions, pl.DataFrame(rows, schema_overrides=types), "predictions")


def _quiet(*risks: float) -> list[tuple[float, int | None, bool, bool]]:
    return [(risk, 0, True, False) for risk in risks]


HANDMADE = {
    "caught": [(0.2, 0, True, False), (0.7, 1, True, False), (0.7, 1, True, False), (0.9, 1, True, True)],
    "late": [(0.1, 0, True, False), (0.3, 1, True, False), (0.9, 1, True, True), (0.95, 0, False, False)],
    "false1": _quiet(0.1, 0.8),
    "false2": _quiet(0.6, 0.1),
    "x": _quiet(0.05),
    "w": _quiet(0.05),
    "y": _quiet(0.01),
}


def test_chooses_each_reason_at_the_highest_risk_before_onset() -> None:
    chosen = explanation.choose(_predictions(HANDMADE), threshold=0.5)
    assert chosen.select("reason", "stay_id", "hours", "risk").rows() == [
        ("highest_risk", "caught", 2.0, 0.7),
        ("missed_event", "late", 2.0, 0.3),
        ("false_alarm", "false1", 2.0, 0.8),
        ("false_alarm", "false2", 1.0, 0.6),
        ("typical", "w", 1.0, 0.05),
        ("typical", "x", 1.0, 0.05),
        ("typical", "y", 1.0, 0.01),
    ]
    assert chosen.columns == ["stay_id", "hours", "complication", "horizon_hours", "reason", "risk"]


def test_chooses_at_most_per_reason_and_no_stay_twice_in_any_row_order() -> None:
    table = _predictions(HANDMADE)
    chosen = explanation.choose(table, threshold=0.5, per_reason=1)
    assert chosen["stay_id"].to_list() == ["caught", "late", "false1", "w"]
    assert explanation.choose(table.reverse(), threshold=0.5, per_reason=1).equals(chosen)
    assert not explanation.choose(table, threshold=0.05)["stay_id"].is_duplicated().any()


def test_an_alarm_at_the_threshold_counts_and_reasons_may_be_empty() -> None:
    table = _predictions({"late": HANDMADE["late"]})
    assert explanation.choose(table, threshold=0.3)["reason"].to_list() == ["highest_risk"]
    assert explanation.choose(table, threshold=0.31)["reason"].to_list() == ["missed_event"]
    assert explanation.choose(table.clear(), threshold=0.3).height == 0


def test_new_data_without_labels_has_highest_and_typical() -> None:
    table = _predictions(HANDMADE).with_columns(label=pl.lit(None, pl.Int8), after_onset=False)
    chosen = explanation.choose(table, threshold=0.5, per_reason=2)
    assert chosen.select("reason", "stay_id").rows() == [
        ("highest_risk", "late"),
        ("highest_risk", "caught"),
        ("typical", "false2"),  # the median of the stays' highest risks is 0.6
        ("typical", "false1"),
    ]


def test_choose_and_sample_refuse_several_targets_or_splits() -> None:
    table = _predictions({"a": _quiet(0.1, 0.2)})
    other = table.with_columns(horizon_hours=12.0)
    with pytest.raises(InputError, match="2 targets"):
        explanation.choose(pl.concat([table, other]), threshold=0.5)
    split = pl.when(pl.col("hours") == 1).then(pl.lit("val")).otherwise(pl.lit("test"))
    with pytest.raises(InputError, match="2 splits"):
        explanation.sample_for_importance(table.with_columns(split=split), 1, seed=0)


def test_sample_has_distinct_patients_at_risk_and_depends_on_the_seed_only() -> None:
    stays = {f"{chr(97 + i % 20)}{i}": _quiet(*[0.1] * (1 + i % 5)) for i in range(40)}
    stays["zz"] = [(0.5, 0, False, False), (0.5, 1, True, True)]
    table = _predictions(stays)
    sampled = explanation.sample_for_importance(table, 15, seed=4)
    assert sampled.height == 15
    assert sampled["stay_id"].str.head(1).n_unique() == 15
    assert set(sampled["reason"]) == {"cohort_sample"}
    assert explanation.sample_for_importance(table.reverse(), 15, seed=4).equals(sampled)
    assert not explanation.sample_for_importance(table, 15, seed=5).equals(sampled)
    everybody = explanation.sample_for_importance(table, 1000, seed=4)
    assert everybody.height == 20
    assert "zz" not in everybody["stay_id"]


@pytest.fixture(scope="module")
def ragged() -> Ragged:
    """Stay a: 5 hourly steps, b: 3, c: 4; the third variable is never measured, the age of c unknown."""
    return Ragged(
        step_offsets=np.array([0, 5, 8, 12]),
        cell_offsets=np.array([0, 4, 6, 7]),
        hours=np.array([1.0, 2, 3, 4, 5, 1, 2, 3, 1, 2, 3, 4]),
        cell_step=np.array([0, 1, 1, 4, 0, 2, 1], np.int32),
        cell_variable=np.array([0, 0, 1, 1, 1, 0, 0], np.uint16),
        cell_value=np.array([90, 120, 4.0, 6.0, 1.0, 70, 100], np.float32),
        cell_age=np.array([0.5, 0, 0.25, 0, 0, 0, 0], np.float32),
        static=np.array([[70.0], [40.0], [np.nan]], np.float32),
    )


@pytest.fixture(scope="module")
def scaler() -> Scaler:
    location, scale = np.array([80.0, 2.0, 0.0, 60.0]), np.array([20.0, 1.0, 1.0, 15.0])
    return Scaler(VARIABLES, STATICS, log=np.zeros(4, bool), location=location, scale=scale)


@pytest.fixture(scope="module")
def model() -> LSTM:
    torch.manual_seed(0)
    model = LSTM(3, 1, TARGETS, hidden=16, layers=2).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 2
    return model


CHOSEN = pl.DataFrame(
    [
        ("c", 4.0, "sepsis", 12.0, "typical", 0.1),
        ("a", 3.0, "sepsis", 6.0, "highest_risk", 0.8),
        ("a", 3.0, "sepsis", 12.0, "highest_risk", 0.9),
        ("b", 1.0, "sepsis", 6.0, "missed_event", 0.2),
        ("a", 3.0, "sepsis", 6.0, "cohort_sample", 0.8),
    ],
    schema=keys.CHOSEN,
    orient="row",
)
Tables = tuple[pl.DataFrame, pl.DataFrame]


def _explain(model: LSTM, ragged: Ragged, scaler: Scaler, chosen: pl.DataFrame, tolerance: float = 0.005) -> Tables:
    explainer = plugins.build("explainers", {"name": "integrated_gradients", "tolerance": tolerance})
    return explanation.explain(model, ragged, scaler, STAYS, TARGETS, chosen, explainer)


@pytest.fixture(scope="module")
def tables(model: LSTM, ragged: Ragged, scaler: Scaler) -> Tables:
    return _explain(model, ragged, scaler, CHOSEN)


def test_explained_logits_are_the_models_own(tables: Tables, model: LSTM, ragged: Ragged, scaler: Scaler) -> None:
    explained, _ = tables
    assert explained.select("stay_id", "hours", "horizon_hours", "reason", "risk").rows() == [
        ("a", 3.0, 6.0, "highest_risk", 0.8),
        ("a", 3.0, 12.0, "highest_risk", 0.9),
        ("b", 1.0, 6.0, "missed_event", 0.2),
        ("c", 4.0, 12.0, "typical", 0.1),
    ]
    with torch.no_grad():
        logits = model(assemble(ragged, [0, 1, 2], scaler).tensors()).numpy()
    own = [logits[0, 2, 0], logits[0, 2, 1], logits[1, 0, 0], logits[2, 3, 1]]
    np.testing.assert_allclose(explained["logit"].to_numpy(), own, atol=1e-4)
    assert explained["explained"].all()


def test_attributions_add_up_and_stand_where_the_inputs_are(tables: Tables) -> None:
    explained, attributions = tables
    sums = attributions.group_by(keys.KEY).agg(total=pl.col("attribution").sum())
    joined = explained.join(sums, on=keys.KEY, how="left").fill_null(0.0)
    missing = (joined["total"] - (joined["logit"] - joined["baseline_logit"])).abs()
    assert (missing.to_numpy() <= joined["gap"].to_numpy() + 1e-12).all()
    assert missing.max() < 0.005  # type: ignore[operator]
    own = attributions.filter(pl.col("stay_id") == "a", pl.col("horizon_hours") == 6)
    cells = own.filter(pl.col("channel") == "mask").select("variable", "input_hours").rows()
    assert cells == [("heart_rate", 1.0), ("heart_rate", 2.0), ("lactate", 2.0)]  # nothing after hour 3
    assert own.filter(pl.col("channel") == "static").select("variable", "input_hours").rows() == [("age_years", 3.0)]
    assert "never_measured" not in attributions["variable"]
    unknown_age = attributions.filter(pl.col("stay_id") == "c", pl.col("channel") == "static")
    assert unknown_age.height == 0


def test_same_tables_whatever_the_order_and_company(
    tables: Tables, model: LSTM, ragged: Ragged, scaler: Scaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = _explain(model, ragged, scaler, CHOSEN.unique(keys.KEY, keep="first", maintain_order=True).reverse())
    assert again[0].equals(tables[0])
    assert again[1].equals(tables[1])
    monkeypatch.setattr("clinical_lstm.explanation.cells.TOGETHER", 1)
    alone = _explain(model, ragged, scaler, CHOSEN)[1]
    assert alone.drop("attribution").equals(tables[1].drop("attribution"))
    np.testing.assert_allclose(alone["attribution"].to_numpy(), tables[1]["attribution"].to_numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("z", 3.0, "sepsis", 6.0, "typical", 0.5), "1 of 1 .* stay z is unknown"),
        (("a", 3.0, "sepsis", 7.0, "typical", 0.5), r"target \('sepsis', 7.0\) is unknown"),
        (("a", 3.5, "sepsis", 6.0, "typical", 0.5), "stay a has no step at hour 3.5"),
        (("a", 6.0, "sepsis", 6.0, "typical", 0.5), "stay a has no step at hour 6.0"),
    ],
)
def test_refuses_what_does_not_exist(row: tuple, words: str, model: LSTM, ragged: Ragged, scaler: Scaler) -> None:
    chosen = pl.DataFrame([row], schema=keys.CHOSEN, orient="row")
    with pytest.raises(InputError, match=words):
        _explain(model, ragged, scaler, chosen)


def test_nothing_chosen_gives_empty_valid_tables(model: LSTM, ragged: Ragged, scaler: Scaler) -> None:
    explained, attributions = _explain(model, ragged, scaler, CHOSEN.clear())
    assert explained.height == attributions.height == 0
    assert explanation.importance(attributions, explained).height == 0
    assert explanation.checks(explained, 0.01)["max_gap"] is None


def _by_hand() -> Tables:
    key = {"hours": 2.0, "complication": "death", "horizon_hours": 6.0}
    explained = pl.DataFrame(
        [("a", True, "typical"), ("b", True, "typical"), ("c", False, "typical")],
        schema=["stay_id", "explained", "reason"],
        orient="row",
    ).with_columns(**{name: pl.lit(value) for name, value in key.items()})
    cells = [
        ("a", 1.0, "lactate", "value", 0.5),
        ("a", 2.0, "lactate", "value", -0.75),
        ("a", 2.0, "lactate", "mask", 0.125),
        ("b", 1.0, "lactate", "value", 1.25),
        ("b", 1.0, "heart_rate", "value", -2.0),
        ("c", 1.0, "heart_rate", "value", 64.0),
    ]
    names = ["stay_id", "input_hours", "variable", "channel", "attribution"]
    attributions = pl.DataFrame(cells, schema=names, orient="row")
    return attributions.with_columns(**{name: pl.lit(value) for name, value in key.items()}), explained


def test_importance_by_hand() -> None:
    attributions, explained = _by_hand()
    found = explanation.importance(attributions, explained)
    assert found.columns == ["complication", "horizon_hours", "variable", "channel", "mean_abs", "mean_signed"]
    assert found.rows() == [
        ("death", 6.0, "heart_rate", "value", 1.0, -1.0),  # c is not explained
        ("death", 6.0, "lactate", "value", 0.75, 0.5),
        ("death", 6.0, "lactate", "mask", 0.0625, 0.0625),
    ]
    assert explanation.importance(attributions.reverse(), explained.reverse()).equals(found)


def test_importance_is_that_of_the_cohort_sample_where_there_is_one() -> None:
    attributions, explained = _by_hand()
    reason = pl.when(pl.col("stay_id") == "a").then(pl.lit("cohort_sample")).otherwise(pl.col("reason"))
    found = explanation.importance(attributions, explained.with_columns(reason=reason))
    assert found["variable"].to_list() == ["lactate", "lactate"]
    assert found["mean_signed"].to_list() == [-0.25, 0.125]


def test_checks_count_what_was_explained(tables: Tables) -> None:
    explained = tables[0].with_columns(gap=pl.Series([0.001, 0.002, 0.5, 0.003]), explained=pl.col("stay_id") != "b")
    found = explanation.checks(explained, 0.005)
    assert (found["n"], found["n_explained"], found["tolerance"]) == (4, 3, 0.005)
    assert (found["max_gap"], found["median_gap"]) == (0.5, 0.0025)
    assert found["max_evaluations"] >= found["median_evaluations"] > 32
    assert json.loads(json.dumps(found)) == found
