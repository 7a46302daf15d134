"""The vocabulary is coherent, and its conversions agree with textbook pairs of values."""

from __future__ import annotations

import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.variables import dynamic_names, ranges, static_names, vocabulary

PAIRS = [  # the same amount in another unit and in the canonical one
    ("temperature", 98.6, "degF", 37.0),
    ("creatinine", 88.4, "umol/L", 1.0),
    ("glucose", 5.55, "mmol/L", 100.0),
    ("bilirubin_total", 17.1, "umol/L", 1.0),
    ("bun", 3.57, "mmol/L", 10.0),
    ("lactate", 18.0, "mg/dL", 2.0),
    ("paco2", 5.33, "kPa", 40.0),
    ("calcium", 2.5, "mmol/L", 10.0),
    ("magnesium", 0.82, "mmol/L", 2.0),
    ("phosphate", 1.0, "mmol/L", 3.1),
    ("hemoglobin", 140.0, "g/L", 14.0),
    ("hematocrit", 0.42, "1", 42.0),
    ("fio2", 40.0, "%", 0.4),
    ("fibrinogen", 3.0, "g/L", 300.0),
    ("troponin_i", 40.0, "ng/L", 0.04),
    ("height_cm", 70.0, "in", 177.8),
    ("weight_kg", 176.0, "lb", 79.8),
]


@pytest.mark.parametrize(("name", "value", "unit", "canonical"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_conversions_agree_with_known_pairs(name: str, value: float, unit: str, canonical: float) -> None:
    factor, offset = vocabulary()[name].conversion(unit)
    assert factor * value + offset == pytest.approx(canonical, rel=5e-3)


def test_canonical_unit_converts_to_itself() -> None:
    assert all(v.conversion(v.unit) == (1.0, 0.0) for v in vocabulary().values())


def test_unknown_unit_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match=r"unit 'umol' of creatinine is unknown: did you mean 'umol/L'.*mg/dL"):
        vocabulary()["creatinine"].conversion("umol")


@pytest.mark.parametrize("name", list(vocabulary()))
def test_normal_range_lies_inside_the_plausible_range(name: str) -> None:
    variable = vocabulary()[name]
    assert variable.low < variable.high
    normal = [v for v in (variable.normal_low, variable.normal_high) if v is not None]
    assert normal == sorted(normal)
    assert all(variable.low <= v <= variable.high for v in normal if v > 0), "0 is 'not detectable', never a result"
    assert variable.kind in {"vital", "lab", "treatment", "static"}
    assert variable.label
    assert variable.system
    assert not variable.skewed or variable.low >= 0, "log1p needs values that are not negative"
    assert all(factor > 0 for factor, _ in variable.other_units.values())


def test_measured_and_static_names_part_the_vocabulary() -> None:
    assert [*dynamic_names(), *static_names()] == list(vocabulary())
    assert ranges()["variable"].to_list() == list(vocabulary())
    assert ranges().filter(variable="ph").row(0) == ("ph", 6.5, 8.0)


def test_loinc_codes_are_unique_and_well_formed() -> None:
    codes = [v.loinc for v in vocabulary().values() if v.loinc]
    shared = {v.name for v in vocabulary().values() if codes.count(v.loinc) > 1}
    assert shared <= {"weight", "weight_kg"} | {n for n in vocabulary() if n.split("_")[0] in {"sbp", "map", "dbp"}}
    for code in codes:  # the check digit is a Luhn digit
        digits, check = code.split("-")
        doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits))]
        assert (10 - sum(d // 10 + d % 10 for d in doubled) % 10) % 10 == int(check), code
