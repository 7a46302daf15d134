"""The code map: what a row means, and what is refused with the line where it stands."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.meds.codes import SHIPPED, codebook, matches, read_rules
from clinical_lstm.variables import vocabulary


def book(codes: list[str], path: Path = SHIPPED) -> dict[str, tuple[str, str, float, float, str]]:
    counts = pl.DataFrame({"code": codes, "rows": [1] * len(codes), "numbers": [1] * len(codes)})
    columns = ["variable", "unit", "factor", "constant", "reason"]
    return dict(zip(codes, codebook(counts, read_rules(path), path).select(columns).rows(), strict=True))


def write(folder: Path, text: str) -> Path:
    (folder / "codes.csv").write_text(text)
    return folder / "codes.csv"


def test_shipped_map_knows_mimic_and_loinc() -> None:
    found = book(
        [
            "LAB//50912//mg/dL", "LAB//50912//UNK", "LAB//220045//bpm", "LAB//223761//°F", "LAB//50820//units",
            "LAB//220235//mm Hg", "LAB//223835//UNK", "LAB//51237//UNK", "GENDER//F", "INFUSION_START//221906",
            "INFUSION_END//221906", "LOINC//2524-7", "LOINC/2524-7", "LOINC//2524-7//mg/dL", "LOINC//6690-2//10*3/uL",
            "LAB//220228//g/dl", "SUBJECT_FLUID_OUTPUT//226559//ml", "LAB//51265//K/uL",
        ]
    )  # fmt: skip
    assert found["LAB//50912//mg/dL"] == ("creatinine", "mg/dL", 1.0, None, None)
    assert found["LAB//50912//UNK"] == (None, None, None, None, "unknown_unit")
    assert found["LAB//220045//bpm"][:2] == ("heart_rate", "/min")
    assert found["LAB//223761//°F"][:2] == ("temperature", "degF")
    assert found["LAB//50820//units"][4] == "unknown_code"  # the laboratory's pH may be venous
    assert found["LAB//220235//mm Hg"][:2] == ("paco2", "mmHg")
    assert found["LAB//223835//UNK"][:3] == ("fio2", "%", 0.01)
    assert found["LAB//51237//UNK"][:2] == ("inr", "1")
    assert found["GENDER//F"][3] == 0.0
    assert found["INFUSION_START//221906"][:2] == ("norepinephrine", "ug/kg/min")
    assert found["INFUSION_END//221906"][3] == 0.0
    assert found["LOINC//2524-7"] == found["LOINC/2524-7"] == ("lactate", "mmol/L", 1.0, None, None)
    assert found["LOINC//2524-7//mg/dL"][1:3] == ("mg/dL", 0.111012)
    assert found["LOINC//6690-2//10*3/uL"][:3] == ("wbc", "10^3/uL", 1.0)
    assert found["LAB//220228//g/dl"][1] == "g/dL"
    assert found["SUBJECT_FLUID_OUTPUT//226559//ml"][1] == "mL"
    assert found["LAB//51265//K/uL"][1] == "K/uL"


def test_shipped_map_names_every_code_once_and_every_loinc_variable() -> None:
    rules = read_rules(SHIPPED)
    globs = [glob for rule in rules for glob in rule.globs]
    assert len(globs) == len(set(globs))
    loinc = {v.loinc for v in vocabulary().values() if v.loinc and v.kind != "static"}
    assert not [code for code in loinc if f"LOINC//{code}" not in globs]
    found = book([glob.replace("*", "x").replace("?", "x") for glob in globs])
    assert all(reason in (None, "unknown_unit") for *_, reason in found.values())


def test_brackets_in_a_glob_are_themselves() -> None:
    assert matches("A[x]*(b)?", pl.Series(["A[x]..(b)1", "Ax(b)1", "A[x](b)"])).to_list() == [True, False, False]


def test_a_code_with_two_meanings_is_refused_with_both_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "code,variable\nLAB//*//mmol/L,lactate\nLAB//5*,glucose\nLAB//50*,glucose\n")
    assert book(["LAB//509//mg/dL"], path)["LAB//509//mg/dL"][0] == "glucose"  # two rows, one meaning
    with pytest.raises(
        InputError, match=r"'LAB//5//mmol/L' matches two rows, line 2 \(.*lactate\) and line 3 .*glucose"
    ):
        book(["LAB//5//mmol/L"], path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code,variable\nA,lactat\n", r"line 2: A is mapped to the unknown variable 'lactat': did you mean 'lactate'"),
        ("code,variable,unit\nB,map,\nA,lactate,mg/dl\n", r"line 3: unit 'mg/dl' of lactate .*did you mean 'mg/dL'"),
        ("code,variable,value\nA,lactate,x\n", "line 2: the value 'x' of A is no number"),
        ("code,variable\n,lactate\n", "line 2: the code is empty"),
        ("code,name\nA,lactate\n", "lacks variable"),
        ("code,variable,units\nA,lactate,\n", r"unknown column\(s\) units"),
    ],
)
def test_a_typo_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_rules(write(tmp_path, text))
