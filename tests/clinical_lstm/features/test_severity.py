"""Points are those of the printed tables away from their soft edges; totals, rise and maximum those of a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from clinical_lstm.features import Vocabulary
from clinical_lstm.features.severity import NARROW, SCORES, SOFTNESS, Severity
from clinical_lstm.scores import news2, qsofa, sirs, sofa

ARTERIAL = ["heart_rate", "sbp", "map", "dbp", "respiratory_rate", "spo2", "temperature", "gcs", "fio2"]
# (score, part) -> (printed table, value of what is measured, columns that the table reads besides)
TABLES: dict[tuple[str, str], tuple[pl.Expr, str, np.ndarray, dict[str, Any]]] = {
    ("sofa", "respiration"): (
        sofa.POINTS["respiration"], "pao2", np.arange(20, 600, 3.0), {"fio2": 1.0, "mechanical_ventilation": 1.0}),
    ("sofa", "coagulation"): (sofa.POINTS["coagulation"], "platelets", np.arange(2, 400, 1.0), {}),
    ("sofa", "liver"): (sofa.POINTS["liver"], "bilirubin_total", np.arange(0.1, 20, 0.1), {}),
    ("sofa", "consciousness"): (sofa.POINTS["cns"], "gcs", np.arange(3, 16.0), {}),
    ("sofa", "kidney"): (
        sofa.POINTS["renal"], "creatinine", np.arange(0.2, 9, 0.1), {"urine_24h": pl.lit(None, pl.Float64)}),
    ("news", "respiration"): (news2.POINTS["respiration"], "respiratory_rate", np.arange(2, 50.0), {}),
    ("news", "saturation"): (
        news2.POINTS["saturation"], "spo2", np.arange(70, 101.0), {"scale_2": False, "oxygen": 0}),
    ("news", "systolic"): (news2.POINTS["systolic_pressure"], "sbp", np.arange(40, 290, 0.25), {}),
    ("news", "pulse"): (news2.POINTS["pulse"], "heart_rate", np.arange(15, 250.0), {}),
    ("news", "temperature"): (news2.POINTS["temperature"], "temperature", np.arange(30, 43, 0.1), {}),
    ("qsofa", "respiration"): (qsofa.POINTS["respiration"], "respiratory_rate", np.arange(2, 50.0), {}),
    ("qsofa", "systolic"): (qsofa.POINTS["systolic_pressure"], "sbp", np.arange(40, 250.0), {}),
    ("qsofa", "consciousness"): (
        qsofa.POINTS["mentation"], "gcs", np.arange(3, 16.0), {"not_alert": pl.lit(None, pl.Float64)}),
    ("sirs", "temperature"): (sirs.POINTS["temperature"], "temperature", np.arange(30, 43, 0.1), {}),
    ("sirs", "pulse"): (sirs.POINTS["pulse"], "heart_rate", np.arange(15, 250.0), {}),
    ("sirs", "respiration"): (
        sirs.POINTS["respiration"], "respiratory_rate", np.arange(2, 50.0), {"paco2": pl.lit(None, pl.Float64)}),
    ("sirs", "white_cells"): (
        sirs.POINTS["leukocytes"], "wbc", np.arange(0.5, 40, 0.1), {"bands": pl.lit(None, pl.Float64)}),
}  # fmt: skip
TABLES["sofa", "circulation"] = (
    (pl.col("map") < 70).cast(pl.Int8), "map", np.arange(30, 120.0), {})  # fmt: skip
TABLES["news", "oxygen"] = (
    2 * (pl.col("fio2") > 0.21).cast(pl.Int8), "fio2", np.arange(0.25, 1, 0.05), {})  # fmt: skip
TABLES["news", "consciousness"] = (3 * (pl.col("gcs") < 15).cast(pl.Int8), "gcs", np.arange(3, 16.0), {})
EXACT_IN_SOME = {("sofa", "respiration_by_spo2")}  # no table of the package has it


def soft(score: str, part: str, values: np.ndarray) -> np.ndarray:
    """Say which values lie on the ramp of an edge."""
    edges = [edge for side in SCORES[score][part][1] for edge in side]
    return np.any([np.abs(values - edge) < NARROW.get(part, SOFTNESS * edge) - 1e-4 for edge in edges], axis=0)


def points(make_chart: Callable[..., Any], score: str, part: str, name: str, values: np.ndarray) -> np.ndarray:
    """Return the points of one component for values of a variable, every other one at its usual value."""
    beside = {"pao2": ["fio2"]}.get(name, [])
    chart = make_chart([name, *beside], [len(values)], observed=1.0)
    chart.dense[0][:, 0] = values
    for place, _ in enumerate(beside, start=1):
        chart.dense[0][:, place] = 1.0
    block = Severity(chart.vocabulary)
    course = chart.engineered("severity").plain(chart.batch())[1]
    return block._points(course, course.batch.values, part, *block.parts[score][part])[0].numpy()


@pytest.mark.parametrize(("score", "part"), TABLES, ids="-".join)
def test_points_are_those_of_the_printed_table(score: str, part: str, make_chart: Callable[..., Any]) -> None:
    table, name, values, beside = TABLES[score, part]
    columns = {key: pl.lit(value) if not isinstance(value, pl.Expr) else value for key, value in beside.items()}
    expected = pl.DataFrame({name: values.round(2)}).with_columns(**columns).select(table.alias("x"))["x"].to_numpy()
    found, ramp = points(make_chart, score, part, name, values.round(2)), soft(score, part, values)
    np.testing.assert_allclose(found[~ramp], expected[~ramp], atol=1e-5)
    assert (~ramp).mean() > 0.3
    narrow = {1} if (score, part) == ("news", "systolic") else set()  # 101 to 110 mmHg: its two ramps meet
    assert set(expected[~ramp]) == set(expected) - narrow, "every band of the table is wide enough to be seen"
    assert np.abs(found - expected).mean() < 0.1 and (np.abs(found - expected) < 2.1).all()
    assert found.min() >= 0 and found.max() <= expected.max() + 1e-5


def test_every_component_has_its_table() -> None:
    assert {(score, part) for score, parts in SCORES.items() for part in parts} == {*TABLES} | EXACT_IN_SOME


def test_an_edge_is_a_ramp(make_chart: Callable[..., Any]) -> None:
    """MAP below 70: 5 % of it to both sides."""
    found = points(make_chart, "sofa", "circulation", "map", np.array([66.4, 68.25, 70.0, 71.75, 73.6]))
    np.testing.assert_allclose(found, [1, 0.75, 0.5, 0.25, 0], atol=1e-4)


def test_oxygenation_by_spo2_stands_in_where_no_gas_is_taken(make_chart: Callable[..., Any]) -> None:
    for extra, expected in (([], "sofa:respiration_by_spo2"), (["pao2"], "sofa:respiration")):
        names = [feature.name for feature in make_chart(["spo2", "fio2", *extra]).engineered("severity").features]
        assert [name for name in names if name.startswith("sofa:resp")] == [expected]
    chart = make_chart(["spo2", "fio2"], [6], observed=1.0)
    chart.dense[0][:] = [[98, 0.21], [95, 0.36], [90, 0.5], [90, 0.9], [60, 1.0], [58, 1.0]]  # 467 264 180 100 60 58
    made = chart.engineered("severity")
    np.testing.assert_allclose(made.plain(chart.batch())[0][0, :, 0], [0, 1, 2, 3, 4, 4], atol=1e-5)


@pytest.mark.parametrize("arterial", [True, False])
def test_pressures_of_the_cuff_where_there_is_no_arterial_line(arterial: bool, make_chart: Callable[..., Any]) -> None:
    cuff = ["map_noninvasive", "sbp_noninvasive"]
    chart = make_chart([*(["map", "sbp"] if arterial else []), *cuff], [1], observed=1.0)
    for name in chart.variables:
        chart.dense[0][0, chart.variables.index(name)] = 120.0 if name in ("map", "sbp") else 60.0
    made = chart.engineered("severity")
    row = dict(zip([feature.name for feature in made.features], made.plain(chart.batch())[0][0, 0].tolist()))
    assert row["sofa:circulation"] == (0 if arterial else 1)
    assert row["news:systolic"] == (0 if arterial else 3)
    assert row["qsofa:total"] == (0 if arterial else 1)


def component(chart: Any, score: str, part: str, b: int, t: int, first: bool = False) -> float:
    """Return equation 1 at a step; `first`: before its first measurement a variable has the value of that."""
    block = Severity(chart.vocabulary)
    names, (below, above) = block.parts[score][part]
    values = []
    for name in names:
        when = chart.when(b, len(chart.dense[b]) - 1, name)
        values.append(max(chart.last(b, max(t, when[0]) if first and when else t, name), 0.01))
    x = values[0] / values[1] if len(values) > 1 else values[0]
    width = [(x, NARROW.get(part, SOFTNESS * edge), edge) for edge in (*below, *above)]
    ramps = [min(max(((x - edge) / wide + 1) / 2, 0), 1) for x, wide, edge in width]
    return sum(1 - ramp for ramp in ramps[: len(below)]) + sum(ramps[len(below) :])


def by_loops(chart: Any, b: int, t: int) -> dict[str, float]:
    parts = Severity(chart.vocabulary).parts
    now = {(score, part): component(chart, score, part, b, t) for score in parts for part in parts[score]}
    row = {f"{score}:{part}": number for (score, part), number in now.items() if score in ("sofa", "news")}
    row |= {f"{score}:total": sum(now[score, part] for part in parts[score]) for score in parts}
    rise = 0.0
    for part, (names, _) in parts["sofa"].items():
        if all(chart.when(b, t, name) for name in names):
            day = range(t - round(24 / chart.step_hours) + 1, t + 1)
            rise += now["sofa", part] - min(component(chart, "sofa", part, b, s, first=True) for s in day)
    halves = range(max(0, t - round(12 / chart.step_hours) + 1), t + 1)
    most = max(sum(component(chart, "news", part, b, s) for part in parts["news"]) for s in halves)
    if t < round(12 / chart.step_hours) - 1:  # before admission everything is at the train median
        most = max(most, sum(component(chart, "news", part, b, -1) for part in parts["news"]))
    return row | {"sofa:rise_24h": rise, "news:max_12h": most}


def test_every_column_is_that_of_a_loop(make_chart: Callable[..., Any], compared: Callable[..., None]) -> None:
    for step_hours in (1.0, 2.0):
        chart = make_chart([*ARTERIAL, "pao2", "platelets", "creatinine", "wbc"], [30, 3], step_hours=step_hours)
        compared(chart, "severity", by_loops)


def test_what_no_score_reads_gives_no_columns(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["lactate"], [3])
    assert Severity(Vocabulary(("lactate",), (), 1.0)).features == []
    assert chart.engineered("severity", "changes").plain(chart.batch())[0].shape == (1, 3, 3)


def test_every_column_has_a_slope_wherever_a_value_may_lie(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(lengths=[20])
    values = chart.batch().values.clone().requires_grad_()
    found = chart.engineered("severity").plain(chart.batch()._replace(values=values))[0]
    [slope] = torch.autograd.grad(found.sum(), values)
    assert slope.isfinite().all() and slope.any()
