"""The shipped splits are those that were published; a table is read as it is, or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.data import split_tables
from clinical_lstm.errors import InputError
from clinical_lstm.schemas import SPLITS
from clinical_lstm.sources.synthetic import Synthetic

REFERENCE = Path(__file__).parents[4] / "shared" / "reference"
UNMEASURED = {"140501", "140936", "141264", "142731", "142998", "143656", "145611", "147514", "150309", "150649"}
UNMEASURED |= {"155655", "156254"}


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference tables are not beside the repository")
@pytest.mark.parametrize("column", [f"split{k}" for k in range(1, 6)])
def test_shipped_splits_are_the_published_ones(column: str) -> None:
    published = pl.read_parquet(REFERENCE / "p12_splits.parquet").select(pl.col("record_id").cast(pl.String), column)
    shipped = split_tables.read("physionet2012", column)
    assert dict(shipped.rows()) == dict(published.rows())
    assert not set(shipped["stay_id"]) & UNMEASURED


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference tables are not beside the repository")
def test_warpformer_validates_on_the_last_fifth_of_its_train_list() -> None:
    listed = pl.read_parquet(REFERENCE / "p12_warpformer_ids.parquet").sort("split", "position")
    expected = {"test": listed.filter(split="test")["record_id"].to_list()}
    train = listed.filter(split="train")["record_id"].to_list()
    expected |= {"train": train[:2560], "val": train[2560:]}
    shipped = split_tables.read("physionet2012", "warpformer")
    for split, ids in expected.items():
        assert sorted(shipped.filter(split=split)["stay_id"]) == sorted(map(str, ids)), split


def test_a_to_b_are_the_two_sets() -> None:
    whole = pl.read_parquet(split_tables.file_of("physionet2012"))
    assert whole["a_to_b"].value_counts().sort("a_to_b").rows() == [(None, 3998), ("test", 4000), ("train", 4000)]
    # numbers rise from set to set, and set a is the one that Warpformer divides
    assert whole.filter(a_to_b="train")["stay_id"].max() < whole.filter(a_to_b="test")["stay_id"].min()
    assert (whole["warpformer"].is_not_null() == (whole["a_to_b"] == "train").fill_null(False)).all()


def test_a_file_goes_before_nothing_and_a_wrong_name_lists_the_shipped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no split table physionet2013: .*one of physionet2012"):
        split_tables.read("physionet2013")
    with pytest.raises(InputError, match=r"split\.column=split6; it has stay_id, split1"):
        split_tables.read("physionet2012", "split6")
    with pytest.raises(InputError, match="no split table"):
        split_tables.read(str(tmp_path))  # a folder


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_keys_are_text_whatever_the_file(tmp_path: Path, kind: str) -> None:
    table = pl.DataFrame({"patient_id": [7, 8, 9], "mine": ["train", None, "test"]})
    getattr(table, f"write_{kind}")(tmp_path / f"t.{kind}")
    assert split_tables.read(str(tmp_path / f"t.{kind}"), "mine").rows() == [("7", "train"), ("9", "test")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"there is no split table .*mine\.csv"),
        ("", r"mine\.csv is no CSV table"),
        ("patient_id,split\np0,train,extra\n", r"mine\.csv is no CSV table"),
        ("patient,split\np0,train\n", r"needs the columns patient_id \(or stay_id\) and split; it has patient, split"),
        ("patient_id,set\np0,train\n", "needs the columns"),
        ("patient_id,split\np0,training\np1,test\n", r"names the split\(s\) training; there are: train, val"),
        ("patient_id,split\np0,train\np1,test\np0,test\n", r"lists 1 patient_id\(s\) twice, the first is p0"),
        ("subject_id,split\n1,tuned\n", r"names the split\(s\) tuned"),
    ],
)
def test_every_fault_of_a_table_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        split_tables.read(str(tmp_path / "mine.csv"))


def test_splits_of_a_meds_data_set(tmp_path: Path) -> None:
    meds = ["train", "tuning", "tuning", "held_out"]
    pl.DataFrame({"subject_id": range(40), "split": meds * 10}).write_parquet(tmp_path / "subject_splits.parquet")
    mine = dict(split_tables.read(str(tmp_path / "subject_splits.parquet")).rows())
    ours = {"train": ["train"], "tuning": ["val", "calib"], "held_out": ["test"]}
    assert all(mine[str(i)] in ours[meds[i % 4]] for i in range(40))
    assert set(mine.values()) == set(SPLITS)


def test_only_listed_stays_are_left_with_all_that_is_theirs() -> None:
    extract = next(iter(Synthetic(stays=40, mean_hours=12).extracts()))
    chosen = extract.stays["stay_id"][::3]
    kept = split_tables.only_listed(extract, pl.DataFrame({"stay_id": chosen, "split": ["train"] * len(chosen)}))
    assert kept.stays["stay_id"].equals(chosen)
    for part, whole in zip(kept[1:4], extract[1:4]):
        assert part.equals(whole.filter(pl.col("stay_id").is_in(chosen.implode())))
    assert kept.labelled == extract.labelled


def test_stays_are_left_out_only_where_that_is_asked() -> None:
    asked = {"table": "physionet2012", "column": "split1"}
    assert split_tables.left_out({"unlisted": "leave_out"}) is None, "no table"
    assert split_tables.left_out(asked) is None
    kept = split_tables.left_out(asked | {"unlisted": "leave_out"})
    assert kept is not None and kept.height == 11_988
    with pytest.raises(InputError, match=r"split\.unlisted=leave: .*leave_out"):
        split_tables.left_out(asked | {"unlisted": "leave"})


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("stay_id,split\n1,train\n")
    before = split_tables.fingerprint({"table": str(file)})
    file.write_text("stay_id,split\n1,test\n")
    assert split_tables.fingerprint({"table": str(file)}) != before
    assert split_tables.fingerprint({"table": None}) == ""


def test_joined_keeps_the_stays_and_their_order() -> None:
    stays = pl.DataFrame({"stay_id": ["b", "a", "c"], "patient_id": ["1", "2", "3"]})
    listed = pl.DataFrame({"stay_id": ["a", "b"], "split": ["train", "test"]})
    assert split_tables.joined(stays, listed)["split"].to_list() == ["test", "train", None]
