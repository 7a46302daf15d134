"""The 2019 records: official counts, every field where it belongs, every fault told with its place."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.physionet2019 import PhysioNet2019

HEADER = (
    "HR|O2Sat|Temp|SBP|MAP|DBP|Resp|EtCO2|BaseExcess|HCO3|FiO2|pH|PaCO2|SaO2|AST|BUN|Alkalinephos|Calcium|Chloride|"
    "Creatinine|Bilirubin_direct|Glucose|Lactate|Magnesium|Phosphate|Potassium|Bilirubin_total|TroponinI|Hct|Hgb|PTT|"
    "WBC|Fibrinogen|Platelets|Age|Gender|Unit1|Unit2|HospAdmTime|ICULOS|SepsisLabel"
)
FIXED = {"Age": 61, "Gender": 1, "Unit1": "NaN", "Unit2": "NaN", "HospAdmTime": -3.5, "SepsisLabel": 0}


def row(hour: object, header: str = HEADER, **fields: object) -> str:
    """Return the line of one hour; what is not given is missing."""
    given: dict[str, object] = {**FIXED, "ICULOS": hour, **fields}
    return "|".join(str(given.get(name, "NaN")) for name in header.split("|"))


def write(path: Path, rows: list[str], header: str = HEADER, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join([header, *rows]) + end).encode())
    return path


def read(root: Path, **arguments: Any) -> Extract:
    *tables, labelled = zip(*PhysioNet2019(str(root), **arguments).extracts(), strict=True)
    return Extract(*(pl.concat(shards) for shards in tables), all(labelled))


def _counts(extract: Extract) -> dict[str, tuple[int, float, int, float]]:
    """Return per site: stays, hourly rows, septic stays, rows labelled 1 (from 6 h before the onset to the end)."""
    septic = extract.stays.join(extract.episodes, on="stay_id", how="left").with_columns(
        hours=pl.col("length_hours") - pl.col("start_hours"),
        labelled=(pl.col("length_hours") - pl.col("onset_hours") + 7).fill_null(0),
    )
    per_site = septic.group_by("site").agg(
        pl.len(), pl.col("hours").sum(), pl.col("onset_hours").count().alias("events"), pl.col("labelled").sum()
    )
    return {site: tuple(numbers) for site, *numbers in per_site.rows()}  # type: ignore[misc]


def test_official_counts_of_set_a(shared: Path) -> None:
    extract = read(shared / "data" / "physionet2019" / "training_setA.tar.xz")
    assert _counts(extract) == {"A": (20_336, 790_215, 1_790, 17_136)}
    for name in ("Stays", "Episodes", "Rejects"):
        schemas.check(getattr(schemas, name), getattr(extract, name.lower()), name)
    assert extract.stays["start_hours"].min() == 0
    assert extract.observations["value"].is_finite().all()


def test_shipped_sample_is_one_in_ten_of_both_hospitals(sample: Path) -> None:
    extract = read(sample)
    counts = _counts(extract)
    assert {site: (stays, events) for site, (stays, _, events, _) in counts.items()} == {
        "A": (2681, 236),
        "B": (1319, 73),
    }
    loose = read(sample.parent, shard_stays=1500)
    for table, again in zip(extract[:4], loose[:4]):
        assert_frame_equal(table.sort(table.columns), again.sort(table.columns))


def test_row_becomes_observations_at_the_end_of_its_hour(tmp_path: Path) -> None:
    write(tmp_path / "p000007.psv", [row(1, HR=80, Lactate=2.5), row(2), row(3, pH=7.4, HR=0)])
    extract = read(tmp_path)
    assert extract.observations.sort("hours", "variable").rows() == [
        ("p000007", 1.0, "heart_rate", 80.0),
        ("p000007", 1.0, "lactate", 2.5),
        ("p000007", 3.0, "heart_rate", 0.0),
        ("p000007", 3.0, "ph", 7.4),
    ]
    stay = extract.stays.row(0, named=True)
    assert (stay["stay_id"], stay["patient_id"], stay["site"]) == ("p000007", "p000007", "A")
    assert (stay["start_hours"], stay["length_hours"], stay["hours_before_icu"]) == (0.0, 3.0, 3.5)
    assert (stay["age_years"], stay["male"], stay["icu_medical"], stay["height_cm"]) == (61.0, 1.0, None, None)
    assert extract.episodes.is_empty()
    assert extract.labelled


def test_static_value_is_the_first_known_one_and_admission_after_the_icu_is_zero(tmp_path: Path) -> None:
    late = [row(1, Unit1="NaN", HospAdmTime=4), row(2, Unit1=1, Unit2=0, HospAdmTime=4), row(3, Unit1=0)]
    stay = read(write(tmp_path / "p000007.psv", late)).stays.row(0, named=True)
    assert (stay["icu_medical"], stay["icu_surgical"], stay["hours_before_icu"]) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("hours", "septic_from", "start", "onset", "end"),
    [
        (range(1, 15), 5, 0.0, 11.0, 14.0),  # labelled from 6 h before the onset to 3 h after
        (range(4, 20), 10, 3.0, 16.0, 19.0),  # the record begins in the fourth hour
        (range(1, 9), 8, 0.0, 14.0, 14.0),  # the record ends before the onset
        (range(1, 9), 1, 0.0, 7.0, 8.0),  # labelled from the first row
    ],
)
def test_onset_is_six_hours_after_the_first_labelled_row(
    tmp_path: Path, hours: range, septic_from: int, start: float, onset: float, end: float
) -> None:
    write(tmp_path / "p000007.psv", [row(t, SepsisLabel=int(t >= septic_from)) for t in hours])
    extract = read(tmp_path)
    assert extract.episodes.rows() == [("p000007", "sepsis_label", onset, end)]
    assert extract.stays["start_hours"].to_list() == [start]


def test_records_without_labels_are_new_data(tmp_path: Path) -> None:
    header = HEADER.removesuffix("|SepsisLabel")
    extract = read(write(tmp_path / "p000007.psv", [row(1, header, HR=80)], header))
    assert not extract.labelled
    assert extract.episodes.is_empty()
    assert extract.observations.height == 1


@pytest.mark.parametrize(
    ("path", "site"),
    [
        ("p000007.psv", "A"),
        ("p100007.psv", "B"),
        ("training_setB/p000007.psv", "B"),
        ("setB/training_setA/p100007.psv", "A"),
        ("set-b/p000007.psv", "B"),
        ("onset_before/dataset_backup/p000007.psv", "A"),
        ("dataset_b/p000007.psv", "A"),
    ],
)
def test_site_is_the_set_of_the_folder_else_of_the_number(tmp_path: Path, path: str, site: str) -> None:
    write(tmp_path / "data" / path, [row(1)])
    assert read(tmp_path / "data").stays["site"].to_list() == [site]


def test_site_is_the_set_of_the_archive(tmp_path: Path) -> None:
    record = write(tmp_path / "p000007.psv", [row(1)])
    with tarfile.open(tmp_path / "training_setB_1of2.tar.xz", "w:xz") as packed:
        packed.add(record, "p000007.psv")
    assert read(tmp_path / "training_setB_1of2.tar.xz").stays["site"].to_list() == ["B"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_shards_change_nothing(tmp_path: Path, end: str) -> None:
    for number in range(5):
        write(tmp_path / f"p{number:06d}.psv", [row(1, HR=80 + number), row(2, SepsisLabel=1)], end=end)
    whole, parts = read(tmp_path), read(tmp_path, shard_stays=2)
    for table, again in zip(whole[:4], parts[:4]):
        assert_frame_equal(table.sort(table.columns), again.sort(table.columns))
    assert whole.stays["stay_id"].to_list() == [f"p{number:06d}" for number in range(5)]


RENAMED = HEADER.replace("Lactate", "Lactat")
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "renamed": ({"header": RENAMED, "rows": [row(1, RENAMED)]}, r"missing column\(s\): Lactate; unexpected: Lactat;"),
    "missing": ({"header": HEADER[3:], "rows": [row(1, HEADER[3:])]}, r"missing column\(s\): HR; unexpected: none"),
    "extra": ({"header": HEADER + "|X", "rows": [row(1, HEADER + "|X")]}, "unexpected: X"),
    "twice": ({"header": HEADER + "|HR", "rows": [row(1, HEADER + "|HR")]}, "unexpected: HR"),
    "text": (
        {"rows": [row(1), row(2, HR="high")]},
        r"text where a number belongs, 1 time.*p000007\.psv, line 3: 'high'",
    ),
    "blanks": ({"rows": [row(1, HR=" 80 ")]}, "line 2: ' 80 '"),
    "no row": ({"rows": []}, r"p000007\.psv has a header and no row"),
    "truncated": ({"rows": [row(1), row(2)[:-9]]}, r"p000007\.psv has rows with other than 41 fields"),
    "shifted": ({"rows": [row(1)[:-2], row(2) + "|0"]}, r"line 2: 1 field\(s\) too few"),
    "duplicate rows": ({"rows": [row(1), row(2), row(2)]}, r"duplicate rows .* in 1 row\(s\); first: record p000007"),
    "unsorted": ({"rows": [row(2), row(1)]}, r"unsorted rows .* in 1 row\(s\)"),
    "zero hour": ({"rows": [row(0), row(1)]}, r"ICULOS below 1 in 1 row\(s\); first: record p000007, ICULOS 0"),
    "negative hour": ({"rows": [row(-2), row(-1)]}, r"ICULOS below 1 in 2 row\(s\)"),
    "no hour": ({"rows": [row("NaN"), row(1)]}, r"no ICULOS in 1 row\(s\)"),
    "infinite hour": ({"rows": [row(1), row("inf")]}, r"no ICULOS in 1 row\(s\)"),
    "unknown label": ({"rows": [row(1, SepsisLabel="NaN"), row(2)]}, r"SepsisLabel is not 0 or 1 in 1 row\(s\)"),
    "wrong label": ({"rows": [row(1, SepsisLabel=2)]}, "SepsisLabel is not 0 or 1"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_faults_are_told_with_their_place(tmp_path: Path, fault: str) -> None:
    arguments, message = FAULTS[fault]
    write(tmp_path / "p000007.psv", **arguments)
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_records_of_other_columns_are_told_apart(tmp_path: Path) -> None:
    unlabelled = HEADER.removesuffix("|SepsisLabel")
    write(tmp_path / "p000001.psv", [row(1)])
    write(tmp_path / "p000002.psv", [row(1, unlabelled)], unlabelled)
    with pytest.raises(
        InputError, match=r"p000002\.psv has other columns than .*p000001.*missing column\(s\): SepsisLa"
    ):
        read(tmp_path)
    reordered = "|".join(reversed(HEADER.split("|")))
    write(tmp_path / "p000002.psv", [row(1, reordered)], reordered)
    with pytest.raises(InputError, match=r"p000002\.psv has the columns of .* in another order"):
        read(tmp_path)


@pytest.mark.parametrize("shard_stays", [1, 100])
def test_record_that_stands_twice_is_refused(tmp_path: Path, shard_stays: int) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / "p000007.psv", [row(1)])
    with pytest.raises(InputError, match=r"record p000007 stands twice: .*one/p000007\.psv and .*two/p000007\.psv"):
        read(tmp_path, shard_stays=shard_stays)


def test_shard_size_must_be_positive() -> None:
    with pytest.raises(InputError, match="shard_stays is 0"):
        PhysioNet2019("anywhere", shard_stays=0)


def test_source_names_what_it_can_hold(tmp_path: Path) -> None:
    source = PhysioNet2019(str(tmp_path))
    assert len(source.variables) == 34
    assert source.statics == ["age_years", "male", "hours_before_icu", "icu_medical", "icu_surgical"]
    record = write(tmp_path / "p000001.psv", [row(1)])
    before = source.fingerprint()
    assert source.files() == [record]
    write(tmp_path / "p000002.psv", [row(1)])
    assert source.fingerprint() != before
