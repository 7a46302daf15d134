"""Quotients and differences are those of the values in their units that were last measured."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np
import pytest
import torch

from clinical_lstm.features.ratios import DIFFERENCES, QUOTIENTS


def by_loops(chart: Any, b: int, t: int) -> dict[str, float]:
    age = chart.ages[b] if not np.isnan(chart.ages[b]) else 62.0
    hr, sbp, dbp, map_, rr, spo2, temperature, fio2, lactate, sodium, chloride, bicarbonate = (
        chart.last(b, t, name)
        for name in (
            *("heart_rate", "sbp", "dbp", "map", "respiratory_rate", "spo2", "temperature", "fio2", "lactate"),
            *("sodium", "chloride", "bicarbonate"),
        )
    )
    lab = {name: chart.last(b, t, name) for name in chart.variables}
    return {
        "shock_index": log(hr / sbp),
        "modified_shock_index": log(hr / map_),
        "age_shock_index": log(age * hr / sbp),
        "diastolic_share": log(dbp / sbp),
        "bun_to_creatinine": log(lab["bun"] / lab["creatinine"]),
        "pao2_to_fio2": log(lab["pao2"] / fio2),
        "spo2_to_fio2": log(spo2 / fio2),
        "sao2_to_fio2": log(lab["sao2"] / fio2),
        "rox": log(spo2 / fio2 / rr),
        "platelets_to_wbc": log(lab["platelets"] / lab["wbc"]),
        "lactate_shock_index": log(lactate * hr / sbp),
        "lactate_to_albumin": log(lactate / lab["albumin"]),
        "neutrophils_to_lymphocytes": log(lab["neutrophils"] / lab["lymphocytes"]),
        "ast_to_alt": log(lab["ast"] / lab["alt"]),
        "direct_to_total_bilirubin": log(lab["bilirubin_direct"] / lab["bilirubin_total"]),
        "paco2_to_bicarbonate": log(lab["paco2"] / bicarbonate),
        "pulse_per_temperature": log(hr / temperature),
        "pulse_pressure": (sbp - dbp) / 20,
        "anion_gap": (sodium - chloride - bicarbonate) / 5,
        "saturation_gap": (spo2 - lab["sao2"]) / 5,
    }


def test_every_column_is_that_of_a_loop(chart: Any, compared: Callable[..., None]) -> None:
    compared(chart, "ratios", by_loops)
    assert {*QUOTIENTS, *DIFFERENCES} == {feature.name for feature in chart.engineered("ratios").features}


@pytest.mark.parametrize(("names", "taken"), [(["sbp", "sbp_noninvasive"], 100.0), (["sbp_noninvasive"], 125.0)])
def test_the_cuff_is_read_where_the_source_has_no_arterial_pressure(
    names: list[str], taken: float, make_chart: Callable[..., Any]
) -> None:
    chart = make_chart(["heart_rate", *names], [1])
    for name, value in {"heart_rate": 90.0, "sbp": 100.0, "sbp_noninvasive": 125.0}.items():
        if name in chart.variables:
            chart.dense[0][0, chart.variables.index(name)] = value
    made = chart.engineered("ratios")
    assert [feature.name for feature in made.features] == ["shock_index", "age_shock_index"]
    found = made.plain(chart.batch())[0][0, 0].tolist()
    assert np.allclose(found, [log(90 / taken), log(70 * 90 / taken)], atol=1e-5)
    assert made.features[0].sources == ("heart_rate", names[0])
    assert made.features[1].sources == ("heart_rate", names[0]), "an unknown age is no reason for NaN"


def test_a_ratio_without_one_of_its_parts_is_left_out(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["bun", "sodium", "heart_rate", "temperature"], [3])
    assert [feature.name for feature in chart.engineered("ratios").features] == ["pulse_per_temperature"]
    assert chart.engineered("ratios", "changes").plain(chart.batch())[0].shape == (1, 3, 7)


def test_noise_that_pushes_a_value_below_zero_leaves_a_number_and_a_slope(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["heart_rate", "sbp", "lactate", "fio2", "spo2"], [6])
    batch = chart.batch()
    for far in (-40.0, 40.0):
        values = torch.full_like(batch.values, far).requires_grad_()
        found = chart.engineered("ratios").plain(batch._replace(values=values))[0]
        assert found.isfinite().all()
        [slope] = torch.autograd.grad(found.sum(), values)
        assert slope.isfinite().all()
