"""A source looked at: counts by hand, what is wrong with a messy hospital, nothing wrong with clean data."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm.data.inspection import Inspection, inspect
from clinical_lstm.data.inspection.summary import summary
from clinical_lstm.data.inspection.suspicion import Suspicion, alike, suspicion
from clinical_lstm.data.inspection.tallies import quantile
from clinical_lstm.sources.base import CONVERSIONS
from clinical_lstm.sources.physionet2019 import PhysioNet2019
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.sources.table import Table
from clinical_lstm.variables import vocabulary

MAPPING = {
    "columns": {"stay_id": "case", "time": "at", "variable": "name", "value": "result"},
    "time_zone": "Europe/Berlin",
    "variables": {"HF": "heart_rate", "Temp": "temperature", "BZ": "glucose", "O2": "fio2", "Krea": "creatinine",
                  "Hb": {"name": "hemoglobin", "unit": "g/L"}, "SpO2": "spo2", "Lac": "lactate", "Ca": "calcium"},
}  # fmt: skip


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty stays: degF, mmol/L and umol/L without unit, FiO2 half in percent, zeros, unknown labels, a DST gap."""
    folder, start = tmp_path_factory.mktemp("messy"), datetime(2024, 3, 30, 12)
    stays, rows = ["case,admission,discharge,height_cm"], ["case,at,name,result"]
    for stay in range(40):
        stays.append(f"{stay},{start},{start + timedelta(hours=48)},{1.6 + stay / 100:.2f}")
        for hour in range(40):
            at = start + timedelta(hours=hour, minutes=30)  # from 02:00 to 03:00 the clocks skip
            values = {"HF": 70 + hour, "Temp": 97 + hour / 20, "SpO2": 0 if hour % 20 == 0 else 97, "RR": 18}
            if hour % 8 == 0:
                values |= {"BZ": 5 + hour / 20, "Krea": 80 + hour, "Hb": 9 + hour / 40, "Lac": 18, "Ca": 2.2}
                values |= {"O2": 40 if stay % 2 else 0.4, "Haemoglobin": 100, "Note": "seen"}
            rows += [f"{stay},{at},{name},{value}" for name, value in values.items()]
    (folder / "stays.csv").write_text("\n".join(stays) + "\n")
    (folder / "observations.csv").write_text("\n".join(rows) + "\n")
    return folder


def messy(folder: Path, **arguments: Any) -> Table:
    return Table(str(folder), "observations.csv", "stays.csv", mapping=MAPPING, **arguments)


@pytest.fixture(scope="module")
def inspected(hospital: Path) -> Inspection:
    return inspect(messy(hospital))


def test_what_is_wrong_with_a_messy_hospital_comes_first(inspected: Inspection) -> None:
    doubts = {row["variable"]: row["suspicion"] for row in inspected.variables.iter_rows(named=True)}
    assert doubts["temperature"] == "100.0% look like degF: the median would be 36.7"
    assert doubts["glucose"] == "100.0% look like mmol/L: the median would be 104"
    assert doubts["creatinine"] == "100.0% look like umol/L: the median would be 1.09"
    assert doubts["fio2"] == "50.0% look like %: mixed units?"
    assert doubts["height_cm"].startswith("100.0% look like m:")
    assert doubts["hemoglobin"].startswith("100.0% look as if never in g/L: the median would be 9.4")
    assert doubts["lactate"] == "far from the reference range 0.5 to 2; the values look like mg/dL"
    assert doubts["calcium"] == "far from the reference range 8.5 to 10.5; the values look like mmol/L"
    assert doubts["spo2"] == "5.1% implausible, mostly 0"
    assert doubts["heart_rate"] == ""
    severity = inspected.variables["severity"].to_list()
    assert severity == sorted(severity, reverse=True)
    assert inspected.variables["variable"][-1] == "heart_rate"


def test_counts_are_those_of_the_files(inspected: Inspection) -> None:
    assert inspected.totals["stays"] == inspected.totals["patients"] == 40
    assert inspected.totals["hours"] == 40 * 47  # the night had an hour less
    assert inspected.totals["observations"] == 40 * (4 * 40 + 8 * 5)
    assert inspected.unknown.rows() == [
        ("RR", 1600, ["respiratory_rate", "renal_replacement"]),
        ("Haemoglobin", 200, ["hemoglobin", "methemoglobin"]),
        ("Note", 200, []),
    ]
    rejects = {rule: rows for rule, rows, _ in inspected.rejects.rows()}
    assert rejects["dst_gap"] == 40 * 3
    assert rejects["unknown_variable"] == 2000
    row = inspected.variables.row(by_predicate=pl.col("variable") == "heart_rate", named=True)
    assert (row["rows"], row["stays_share"], row["interval_hours"]) == (40 * 39, 1.0, 1.0)
    assert (row["q01"], row["median"], row["implausible_share"]) == (70.0, 90.0, 0.0)
    assert not inspected.labelled
    assert inspected.conversions.select("label", "unit", "rows").rows() == [("Hb", "g/L", 200)]


def test_shards_change_nothing(hospital: Path, inspected: Inspection) -> None:
    parted = inspect(messy(hospital, shard_stays=7))
    assert parted.totals == inspected.totals
    for name in ("sites", "variables", "unknown", "rejects", "conversions", "episodes"):
        assert_frame_equal(getattr(parted, name), getattr(inspected, name))


def test_the_summary_is_narrow_and_ends_with_what_to_do(inspected: Inspection) -> None:
    lines = summary(inspected, "Messy hospital")
    assert max(map(len, lines)) <= 120
    text = "\n".join(lines)
    order = ["Messy hospital", "Suspicious values", "Unknown labels", "The source says", "Refused rows", "What to do"]
    assert sorted(order, key=text.index) == order
    assert "maybe: respiratory_rate" in text
    assert "1. Check the units of temperature" in text
    assert "none: the data do not say what happened" in text


def test_clean_real_data_raise_no_suspicion(sample: Path) -> None:
    found = inspect(PhysioNet2019(str(sample)))
    assert found.variables["severity"].max() == 0
    assert found.episodes.row(0)[0] == "sepsis_label"
    assert found.labelled
    assert found.totals["stays"] == found.sites["stays"].sum()


def test_episodes_are_counted_with_their_stays_and_empty_stays_are_told() -> None:
    source = Synthetic(stays=50, mean_hours=4, rate_per_hour=0.1, onset_per_hour=0.2, seed=3)
    found = inspect(source)
    episodes = pl.concat([extract.episodes for extract in source.extracts()])
    assert found.episodes.rows() == [("planted", episodes.height, episodes["stay_id"].n_unique())]
    assert found.totals["unmeasured"] > 10


def test_few_values_raise_no_suspicion() -> None:
    tally = pl.DataFrame({"value": [98.6], "rows": [4]})
    assert suspicion(vocabulary()["temperature"], tally, pl.DataFrame(schema=CONVERSIONS)) == Suspicion(0, "")


@pytest.mark.parametrize("name", ["hemoglobin", "troponin_i", "troponin_t", "crp", "albumin", "bilirubin_total", "bun"])
def test_sick_patients_are_no_other_unit(name: str) -> None:
    typical = {
        "hemoglobin": 8.5,
        "troponin_i": 3,
        "troponin_t": 0.2,
        "crp": 150,
        "albumin": 2.5,
        "bilirubin_total": 2,
        "bun": 38,
    }
    tally = pl.DataFrame({"value": [float(typical[name])], "rows": [100]})
    assert suspicion(vocabulary()[name], tally, pl.DataFrame(schema=CONVERSIONS)).severity == 0


def test_labels_lead_to_names() -> None:
    assert alike("Creatinine [mg/dL]") == ["creatinine"]
    assert alike("lact")[0] == "lactate"
    assert alike("K") == [] == alike(None) == alike("zzz")


def test_quantiles_are_values_that_occur() -> None:
    tally = pl.DataFrame({"value": [1.0, 2.0, 3.0, 4.0], "rows": [1, 1, 1, 1]})
    assert [quantile(tally, share) for share in (0.01, 0.5, 0.51, 0.99)] == [1.0, 2.0, 3.0, 4.0]
    assert quantile(tally.clear(), 0.5) is None
