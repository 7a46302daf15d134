"""The code maps: what is shipped holds together, and every mistake in an own map is told with its line."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.mimic_iv import codes
from clinical_lstm.sources.mimic_iv.steps import RATES, VASOPRESSORS
from clinical_lstm.variables import vocabulary

HEAD = "itemid,label,table,variable,reading,unit,words,comment\n"
HEART = "220045,Heart Rate,chartevents,heart_rate,value,/min,,\n"


def test_shipped_maps_hold_together() -> None:
    table = codes.item_codes(None, None)
    assert table["itemid"].is_unique().all()
    assert table.filter(variable="gcs").height == 3
    assert table.filter(specimen="ART")["variable"].to_list() == ["ph", "base_excess", "paco2", "pao2", "sao2"]
    rates = table.filter(reading="rate")["variable"].unique()
    assert {vocabulary()[name].unit for name in rates} == set(RATES["gives"])
    assert set(VASOPRESSORS) <= set(table["variable"])
    assert codes.words_of(table)["itemid"].unique().sort().to_list() == [226732, 228096]
    assert codes.lexicon("drugs", None, "drug").routes
    assert "culture" in codes.lexicon("cultures", None, "test").wanted
    assert codes.ward_kinds(None)["Neuro Stepdown"] == []


def test_spellings_of_units_ignore_capitals_and_do_not_collide() -> None:
    names = codes.unit_names(None)
    assert (names["bpm"], names["mm hg"], names["meq/l"], names["unk"]) == ("/min", "mmHg", "mEq/L", None)
    known = {unit for variable in vocabulary().values() for unit in (variable.unit, *variable.other_units)}
    assert len({unit.lower() for unit in known}) == len(known)


def test_labels_are_those_of_the_demo(shared: Path, demo: Path) -> None:
    official = pl.concat(
        pl.read_csv(demo / f"{name}.csv.gz").select("itemid", "label") for name in ("icu/d_items", "hosp/d_labitems")
    )
    joined = codes.item_codes(None, None).join(official, on="itemid", how="left", suffix="_official")
    assert joined.filter(pl.col("label") != pl.col("label_official")).is_empty()
    assert joined.filter(pl.col("label_official").is_null()).is_empty()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            HEART.replace("heart_rate", "hart_rate"),
            r"line 2: variable 'hart_rate' is unknown: did you mean 'heart_rate'",
        ),
        (HEART.replace("/min", "bpm"), r"line 2: unit 'bpm' of heart_rate is unknown"),
        (
            HEART.replace("chartevents", "chartevent"),
            "line 2: there is no table 'chartevent': did you mean 'chartevents'",
        ),
        (HEART.replace("value", "rate"), "line 2: chartevents is not read as 'rate'"),
        (HEART.replace("220045", "HR"), "line 2: the itemid 'HR' is no number"),
        (HEART.replace("heart_rate", "age_years"), "line 2: age_years is not measured"),
        (
            HEART + HEART.replace("heart_rate,value,/min", "map,value,mmHg"),
            r"220045 is mapped to heart_rate .* and map",
        ),
        (
            HEART + HEART.replace("220045", "1").replace("value", "plus"),
            "items of heart_rate are read as value .* and plus",
        ),
        (HEART.replace("Heart Rate", "Heart, Rate"), "line 2: not 8 fields"),
    ],
)
def test_mistake_in_own_items_is_told(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "items.csv").write_text(HEAD + rows)
    with pytest.raises(InputError, match=message):
        codes.item_codes(str(tmp_path / "items.csv"), None)


def test_itemid_of_items_and_labs_alike_is_told(tmp_path: Path) -> None:
    (tmp_path / "labs.csv").write_text("itemid,label,variable,unit,specimen\n220045,Lactate,lactate,mmol/L,\n")
    with pytest.raises(InputError, match=r"heart_rate \(items.csv, line 2\) and lactate \(.*labs.csv, line 2\)"):
        codes.item_codes(None, str(tmp_path / "labs.csv"))


def test_other_maps_tell_their_mistakes(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("spelling,unit,comment\nmmol,mmol/l,\n")
    with pytest.raises(InputError, match="unit 'mmol/l' is unknown: did you mean 'mmol/L'"):
        codes.unit_names(str(own))
    own.write_text("careunit,icu,comment\nMICU,icu_medicl,\n")
    with pytest.raises(InputError, match="'icu_medicl' is no kind of ICU: did you mean 'icu_medical'"):
        codes.ward_kinds(str(own))
    own.write_text("kind,word,comment\ndrugs,vancomycin,\n")
    with pytest.raises(InputError, match="needs a word and a kind"):
        codes.lexicon("drugs", str(own), "drug")
    own.write_text("word\nvancomycin\n")
    with pytest.raises(InputError, match=r"lacks the column\(s\) kind"):
        codes.lexicon("drugs", str(own), "drug")
    own.write_text(HEAD + HEART.replace(",/min,,", ",/min,awake,"))
    with pytest.raises(InputError, match=r"words of 220045 .* have 'awake'"):
        codes.words_of(codes.item_codes(str(own), None))
    own.write_bytes(b"kind,word\n\xff\xfe")
    with pytest.raises(InputError, match="is no comma-separated table in UTF-8"):
        codes.lexicon("drugs", str(own), "drug")
    with pytest.raises(InputError, match=r"there is no file none\.csv for source\.labs"):
        codes.item_codes(None, "none.csv")
