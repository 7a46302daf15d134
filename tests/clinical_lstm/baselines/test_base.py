"""Every baseline that learns keeps the contract: deterministic, row by row, one class is no crash, the base rate stays.

A bedside score learns nothing: it is read off as it was known at the time.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from clinical_lstm import plugins
from clinical_lstm.baselines.base import Baseline, BedsideScore, thinned
from clinical_lstm.errors import InputError
from clinical_lstm.variables import vocabulary

NAMES = plugins.names("baselines")
SCORES = [name for name in NAMES if issubclass(plugins.load("baselines", name), BedsideScore)]
LEARNING = [name for name in NAMES if name not in SCORES]


def _rows(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows whose last column (hours) and first column raise the risk; a tenth of the cells is unknown."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, 6)).astype(np.float32)
    rows[:, -1] = random.integers(1, 40, n)
    logit = -3 + 1.5 * rows[:, 0] + 0.05 * rows[:, -1]
    label = (random.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    rows[:, :-1][random.random((n, 5)) < 0.1] = np.nan
    return rows, label


def _matrix(baseline: Baseline, rows: np.ndarray) -> np.ndarray:
    return rows[:, -1:] if baseline.features == "elapsed" else rows


def _fitted(name: str, seed: int = 0, validate: bool = True) -> tuple[Baseline, np.ndarray]:
    baseline = plugins.build("baselines", {"name": name})
    rows, label = _rows()
    held, outcome = _rows(seed=1)
    validation = (_matrix(baseline, held), outcome) if validate else None
    return baseline.fit(_matrix(baseline, rows), label, validation=validation, seed=seed), _matrix(baseline, held)


def _auroc(logit: np.ndarray, label: np.ndarray) -> float:
    return float(np.mean(logit[label == 1][:, None] > logit[label == 0][None, :]))


def test_every_configuration_states_the_defaults_of_its_baseline() -> None:
    folder = Path(__file__).parents[3] / "conf" / "baseline"
    found = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yaml")}
    assert sorted(found) == NAMES
    for name, spec in found.items():
        plugin, arguments = plugins.bind("baselines", spec)
        assert spec["name"] == name
        defaults = {key: parameter.default for key, parameter in inspect.signature(plugin).parameters.items()}
        assert {key: tuple(v) if isinstance(v, list) else v for key, v in arguments.items()} == defaults


@pytest.mark.parametrize("name", LEARNING)
def test_fit_is_deterministic_and_logits_do_not_depend_on_other_rows(name: str) -> None:
    one, held = _fitted(name)
    two, _ = _fitted(name)
    logits = one.logits(held)
    assert logits.dtype == np.float64
    assert np.array_equal(logits, two.logits(held))
    assert np.array_equal(one.logits(held[7:8]), logits[7:8])
    assert np.array_equal(one.logits(held[::-1])[::-1], logits)


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("name", LEARNING)
def test_new_rows_are_ranked_and_risks_are_right_on_average(name: str, validate: bool) -> None:
    baseline, held = _fitted(name, validate=validate)
    _, label = _rows(seed=1)
    logits = baseline.logits(held)
    known = np.nan_to_num(_rows(seed=1)[0])
    best = known[:, -1] if baseline.features == "elapsed" else 1.5 * known[:, 0] + 0.05 * known[:, -1]
    assert _auroc(logits, label) > _auroc(best, label) - 0.02, "the planted signal is the ceiling"
    assert (1 / (1 + np.exp(-logits))).mean() == pytest.approx(label.mean(), abs=0.03)


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("outcome", [0, 1])
def test_one_class_gives_the_base_rate(name: str, outcome: int) -> None:
    baseline = plugins.build("baselines", {"name": name})
    rows = _matrix(baseline, _rows(50)[0])
    logits = baseline.fit(rows, np.full(50, outcome)).logits(rows)
    assert np.unique(logits).tolist() == [pytest.approx((2 * outcome - 1) * np.log(50.5 / 0.5))]
    assert len(baseline.logits(rows[:0])) == 0


@pytest.mark.parametrize("name", LEARNING)
def test_validation_with_one_class_is_ignored(name: str) -> None:
    baseline = plugins.build("baselines", {"name": name})
    rows, label = _rows(500)
    rows = _matrix(baseline, rows)
    assert np.isfinite(baseline.fit(rows, label, validation=(rows, np.zeros(500))).logits(rows)).all()


@pytest.mark.parametrize("name", LEARNING)
def test_weights_count(name: str) -> None:
    baseline = plugins.build("baselines", {"name": name})
    rows, label = _rows()
    rows = _matrix(baseline, rows)
    plain = baseline.fit(rows, label).logits(rows).mean()
    heavier = baseline.fit(rows, label, weight=np.where(label == 1, 5.0, 1.0)).logits(rows).mean()
    assert heavier - plain == pytest.approx(np.log(5), abs=0.4)


@pytest.mark.parametrize("name", NAMES)
def test_lengths_that_do_not_match_are_told(name: str) -> None:
    baseline = plugins.build("baselines", {"name": name})
    with pytest.raises(InputError, match=r"\[3, 2\]"):
        baseline.fit(np.zeros((3, 1)), np.zeros(2))
    with pytest.raises(InputError, match="at least one"):
        baseline.fit(np.zeros((0, 1)), np.zeros(0))


def test_thinning_keeps_positives_order_and_base_rate() -> None:
    label = (np.arange(1000) % 20 == 0).astype(int)
    weight = np.linspace(1, 2, 1000)
    index, heavier = thinned(label, weight, 200, seed=0)
    assert len(index) == 200
    assert (np.diff(index) > 0).all()
    assert set(np.flatnonzero(label)) <= set(index)
    assert heavier.sum() == pytest.approx(weight.sum())
    assert np.array_equal(heavier[label[index] == 1], weight[label == 1])
    whole, same = thinned(label, weight, 1000, seed=0)
    assert np.array_equal(whole, np.arange(1000))
    assert np.array_equal(same, weight)
    assert len(thinned(label, weight, 10, seed=0)[0]) == 100, "as many negatives as positives stay"


# --- bedside scores ---------------------------------------------------------------------------------------------------


def _hourly(stay: str, **values: float) -> pl.DataFrame:
    """Return an observation of every value in the middle of each of 30 hours."""
    rows = [(stay, hour + 0.5, name, value) for name, value in values.items() for hour in range(30)]
    schema = {"stay_id": pl.String, "hours": pl.Float64, "variable": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _stays(*stays: str, hours: float = 30.0) -> pl.DataFrame:
    return pl.DataFrame({"stay_id": stays, "length_hours": hours}, schema={"stay_id": pl.String, "length_hours": float})


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("label", [[0, 1, 0], [0, 0, 0]])
def test_a_score_learns_nothing(name: str, label: list[int]) -> None:
    baseline = plugins.build("baselines", {"name": name})
    points = np.array([[3.0], [0.0], [1.0]], np.float32)
    assert not baseline.learns
    assert baseline.fit(points, np.array(label)).logits(points).tolist() == [3.0, 0.0, 1.0]


@pytest.mark.parametrize("name", SCORES)
def test_a_score_names_exactly_the_variables_that_change_it(name: str) -> None:
    """One stay per variable, alone or beside a lung in need, at either end of its plausible range."""
    baseline = plugins.build("baselines", {"name": name})
    company: dict[str, dict[str, float]] = {"alone": {}, "lung": {"pao2": 90.0, "fio2": 0.5}}
    cases = {
        f"{beside}/{variable}/{value}": values | {variable: value}
        for variable, entry in vocabulary().items()
        for value in (entry.low, entry.high)
        for beside, values in company.items()
    }
    observations = pl.concat([_hourly(stay, **values) for stay, values in (company | cases).items()])
    scored = baseline.score(_stays(*company, *cases), observations)
    rows = {stay[0]: part.drop("stay_id") for stay, part in scored.group_by("stay_id", maintain_order=True)}
    changed = {stay.split("/")[1] for stay in cases if not rows[stay].equals(rows[stay.split("/")[0]])}
    assert changed == set(baseline.variables)


@pytest.mark.parametrize("name", SCORES)
def test_a_step_sees_the_last_whole_hour_and_nothing_later(name: str) -> None:
    baseline = plugins.build("baselines", {"name": name})
    observations = pl.concat([_hourly("a", map=60.0, respiratory_rate=30.0), _hourly("b", map=90.0, sbp=120.0)])
    stays = _stays("a", "b", "c", hours=10.5)
    hourly = {row[:2]: row[2:] for row in baseline.score(stays, observations).select(
        "stay_id", "hours", name, "measured").rows()}  # fmt: skip
    times = [0.0, 0.99, 1.0, 1.5, 2.9999999, 3.0, 9.99, 10.5, 11.0]
    hours = [0, 0, 1, 1, 3, 3, 9, 10, 10]
    steps = pl.DataFrame([(s, t) for s in ("b", "a", "c") for t in times], schema=["stay_id", "hours"], orient="row")
    found = baseline.known_at(steps, stays, observations)
    assert found.select("stay_id", "hours").equals(steps)
    expected = [hourly.get((s, float(hour)), (0, 0)) for s in ("b", "a", "c") for hour in hours]
    assert found.select("points", "measured").rows() == expected
    assert max(expected)[0] > 0, "the score has something to say"
