"""A split is by patient and by a hash: no order, no neighbour and no file layout can move one."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clinical_lstm.data import splits
from clinical_lstm.errors import InputError
from clinical_lstm.schemas import SPLITS

FRACTIONS = {"train": 0.65, "val": 0.1, "calib": 0.1, "test": 0.15}
REST = {"train": 0.76, "val": 0.12, "calib": 0.12, "test": 0.0}


def cohort(patients: int, stays: int = 2) -> tuple[pl.DataFrame, pl.Series]:
    """Return the stays of `patients`, two hospitals 2:1, one in ten patients with an event in their last stay."""
    rows = [
        (f"p{p}s{s}", f"p{p}", "AAB"[p % 3], p % 10 == 0 and s == stays - 1)
        for p in range(patients)
        for s in range(stays)
    ]
    table = pl.DataFrame(rows, schema=["stay_id", "patient_id", "site", "event"], orient="row")
    return table.drop("event"), table["event"]


def of_patients(table: pl.DataFrame) -> dict[str, str]:
    """Return the one split of every patient."""
    splits.check_disjoint(table)
    return dict(table.select("patient_id", pl.col("split").cast(pl.String)).unique().rows())


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 60),
    st.randoms(use_true_random=False),
    st.sampled_from([{}, {"stratify": False}, {"fold": 1, "folds": 3}, {"fold": 0, "stratify": False}, {"site": "A"}]),
)
def test_row_order_is_irrelevant_and_a_patient_is_in_one_split(
    patients: int, random: Any, arguments: dict[str, Any]
) -> None:
    stays, event = cohort(patients)
    assume("site" not in arguments or patients > 2)  # the first two are at A: nobody would be left to train on
    whole = splits.assign(stays, event, FRACTIONS, **arguments)
    assert whole.drop("split").equals(stays), "the stays keep their order"
    order = list(range(stays.height))
    random.shuffle(order)
    shuffled = splits.assign(stays[order], event[order], FRACTIONS, **arguments)
    assert of_patients(shuffled) == of_patients(whole)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fractions_hold_within_rounding_in_every_stratum(seed: int) -> None:
    stays, event = cohort(500)
    table = splits.assign(stays, event, FRACTIONS, seed=seed).with_columns(event.alias("event"))
    patients = table.group_by("patient_id").agg(pl.col("site", "split").first(), pl.col("event").any())
    for _, stratum in patients.group_by("site", "event"):
        for split, share in FRACTIONS.items():
            count = stratum.filter(pl.col("split") == split).height
            assert abs(count - share * stratum.height) <= 1


def test_seed_moves_patients() -> None:
    stays, event = cohort(200)
    one, two = (of_patients(splits.assign(stays, event, FRACTIONS, seed=seed)) for seed in (0, 1))
    assert 0.2 < sum(one[p] != two[p] for p in one) / len(one) < 0.8


def test_unstratified_split_moves_nobody_when_patients_are_added_or_events_change() -> None:
    few, event = cohort(100)
    many, more = cohort(3000)
    before = of_patients(splits.assign(few, ~event, FRACTIONS, stratify=False))
    after = of_patients(splits.assign(many, more, FRACTIONS, stratify=False))
    assert all(after[patient] == split for patient, split in before.items())
    shares = {split: list(after.values()).count(split) / len(after) for split in SPLITS}
    assert shares == pytest.approx(FRACTIONS, abs=0.03)


@pytest.mark.parametrize("stratify", [True, False])
def test_folds_part_the_patients_and_leave_every_split_its_share(stratify: bool) -> None:
    stays, event = cohort(600)
    folds = [of_patients(splits.assign(stays, event, REST, stratify, fold=k)) for k in range(5)]
    tested = [p for fold in folds for p, split in fold.items() if split == "test"]
    assert sorted(tested) == sorted(folds[0])
    for fold in folds:
        rest = [split for split in fold.values() if split != "test"]
        for split in ("train", "val", "calib"):
            assert rest.count(split) / len(rest) == pytest.approx(REST[split], abs=0.04 if stratify else 0.06)


def test_site_is_the_test_and_only_the_others_are_shared() -> None:
    stays, event = cohort(300)
    table = splits.assign(stays, event, REST, site="B")
    assert set(table.filter(site="B")["split"]) == {"test"}
    assert set(table.filter(site="A")["split"]) == {"train", "val", "calib"}


def test_site_may_be_any_name_and_a_number_on_the_command_line_is_one() -> None:
    stays, event = cohort(60)
    names = stays.with_columns(pl.col("site").replace({"A": "73", "B": "St. Mary's | west"}))
    for asked, meant in [(73, "73"), ("73", "73"), ("St. Mary's | west", "St. Mary's | west")]:
        table = splits.assign(names, event, REST, site=asked)  # type: ignore[arg-type]
        assert set(table.filter(split="test")["site"]) == {meant}


def test_no_patient_of_the_site_is_trained_on_whose_first_stay_was_elsewhere() -> None:
    stays, event = cohort(60)
    moved = stays.with_columns(site=pl.when(stay_id=pl.lit("p0s1")).then(pl.lit("B")).otherwise("site"))
    assert moved.filter(patient_id="p0")["site"].to_list() == ["A", "B"]
    for site in "AB":
        table = splits.assign(moved, event, REST, site=site)
        assert set(table.filter(pl.col("site") == site)["split"]) == {"test"}
        assert of_patients(table)["p0"] == "test"


def test_the_only_site_is_no_test() -> None:
    stays, event = cohort(30)
    with pytest.raises(InputError, match=r"split\.site=B: every patient has a stay there"):
        splits.assign(stays.filter(site="B"), event.filter(stays["site"] == "B"), REST, site="B")


def dated(days: list[int | None], year: int = 2020) -> tuple[pl.DataFrame, pl.Series]:
    """Return one patient per day with two stays, the later one a year after the first, given in reverse."""
    first = [None if day is None else datetime(year, 1, 1) + timedelta(day) for day in days]
    later = [None if day is None else day + timedelta(365) for day in first]
    stays, event = cohort(len(days))
    admission = pl.Series([at for pair in zip(first, later) for at in pair], dtype=pl.Datetime("us"))
    return stays.with_columns(admission=admission).reverse(), event.reverse()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_the_latest_patients_are_the_test(days: list[int]) -> None:
    stays, event = dated(days)
    table = splits.assign(stays, event, FRACTIONS, temporal=True)
    assert table.drop("split").equals(stays)
    of = of_patients(table)
    in_time = sorted(of, key=lambda patient: (days[int(patient[1:])], patient))
    found = [SPLITS.index(of[patient]) for patient in in_time]
    assert found == sorted(found), "train, val, calib, test in the order of time; of equals, of the patient's id"
    for number, split in enumerate(SPLITS):
        assert abs(found.count(number) - FRACTIONS[split] * len(found)) <= 1
    for other in ({"seed": 9}, {"stratify": False}):
        assert splits.assign(stays, ~event, FRACTIONS, temporal=True, **other).equals(table)


def test_a_patient_is_where_the_first_stay_is() -> None:
    of = of_patients(splits.assign(*dated([0, 100, 200, 300]), dict.fromkeys(SPLITS, 0.25), temporal=True))
    assert of == {"p0": "train", "p1": "val", "p2": "calib", "p3": "test"}  # p0 returns on day 365, after p3's first


@pytest.mark.parametrize(
    ("stays_and_event", "message"),
    [
        (cohort(3), "needs the instant of every admission: 6 of 6 stay"),
        (dated([0, None, 2]), "needs the instant of every admission: 2 of 6 stay"),
        (dated([0, 1, 2], year=2150), "needs true dates: 6 of 6 stay.*2100 or later"),
    ],
)
def test_times_that_order_nothing_are_refused(stays_and_event: tuple[pl.DataFrame, pl.Series], message: str) -> None:
    with pytest.raises(InputError, match=message):
        splits.assign(*stays_and_event, FRACTIONS, temporal=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fractions": {"train": 1.0}}, "split.fractions must name train, val, calib, test and sum to 1"),
        ({"fractions": FRACTIONS | {"test": 0.2}}, "sum to 1"),
        ({"fractions": FRACTIONS | {"train": 0.9, "test": -0.1}}, "sum to 1"),
        ({"site": "C"}, r"split\.site=C is no site of this data; there are: A, B"),
        ({"fold": 5}, r"split\.fold must be in 0\.\.4, not 5"),
        ({"fold": -1}, r"split\.fold must be in 0\.\.4, not -1"),
        ({"fold": 1, "site": "A"}, r"split\.site=A and split\.fold=1 each choose the test patients"),
        ({"fold": 1, "temporal": True}, r"split\.fold=1 and split\.temporal=True each choose"),
    ],
)
def test_impossible_splits_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        splits.assign(*cohort(30), **{"fractions": FRACTIONS, **arguments})


@pytest.mark.parametrize("key", ["patient_id", "stay_id"])
def test_given_table_is_used_as_it_is(tmp_path: Path, key: str) -> None:
    stays, event = cohort(40)
    wanted = stays.select("patient_id").with_columns(split=pl.Series([SPLITS[i // 2 % 4] for i in range(80)]))
    given = wanted.with_columns(stays["stay_id"]).select(key, "split").unique()
    given.sample(fraction=1, shuffle=True, seed=0).write_csv(tmp_path / "mine.csv")
    table = splits.assign(stays, event, {}, table=str(tmp_path / "mine.csv"))
    assert table["split"].cast(pl.String).to_list() == wanted["split"].to_list()


@pytest.mark.parametrize("text", ["p0,train\n", "p0,train\np1,\n"])
def test_a_stay_without_a_split_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.csv").write_text("patient_id,split\n" + text)
    with pytest.raises(InputError, match=r"no split for 2 stay\(s\), the first is p1s0; split\.unlisted=leave_out"):
        splits.assign(*cohort(2), {}, table=str(tmp_path / "mine.csv"))


def given_table(folder: Path, stays: pl.DataFrame, names: list[str]) -> str:
    """Write a table that gives the patients `names` in turn; return its path."""
    patients = stays["patient_id"].unique(maintain_order=True)
    table = pl.DataFrame({"patient_id": patients, "one": [names[i % len(names)] for i in range(len(patients))]})
    table.write_parquet(folder / "mine.parquet")
    return str(folder / "mine.parquet")


@pytest.mark.parametrize(
    ("names", "drawn"),
    [(["train", "train", "val", "test"], {"calib": 1 / 4}), (["train", "test"], {"val": 1 / 8, "calib": 2 / 8})],
)
def test_what_a_table_does_not_name_is_drawn_from_its_train_patients(
    tmp_path: Path, names: list[str], drawn: dict[str, float]
) -> None:
    stays, event = cohort(800)
    fractions = {"train": 1 - sum(drawn.values()), "val": 0.0, "calib": 0.0, "test": 0.0} | drawn
    path = given_table(tmp_path, stays, names)
    found = of_patients(splits.assign(stays, event, fractions, table=path, column="one"))
    given = dict(pl.read_parquet(path).rows())
    assert all(found[patient] == split for patient, split in given.items() if split != "train")
    trained = [patient for patient, split in given.items() if split == "train"]
    for split, share in drawn.items():
        assert sum(found[p] == split for p in trained) / len(trained) == pytest.approx(share, abs=0.01)
    assert {found[p] for p in trained} == {"train", *drawn}
    moved = of_patients(splits.assign(stays, event, fractions, table=path, column="one", seed=7))
    assert moved != found and all(moved[p] == found[p] for p in given if given[p] != "train")


def test_what_is_drawn_does_not_depend_on_patients_outside_train(tmp_path: Path) -> None:
    stays, event = cohort(300)
    path = given_table(tmp_path, stays, ["train", "train", "val", "test"])
    fractions = {"train": 0.8, "val": 0.0, "calib": 0.2, "test": 0.0}
    whole = of_patients(splits.assign(stays, event, fractions, table=path, column="one"))
    own = pl.Series([whole[p] != "test" for p in stays["patient_id"]])
    part = of_patients(splits.assign(stays.filter(own), event.filter(own), fractions, table=path, column="one"))
    turned = of_patients(splits.assign(stays, event ^ ~own, fractions, table=path, column="one"))
    assert part == {p: split for p, split in whole.items() if split != "test"} and turned == whole


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"foldd": 1}, "split takes no 'foldd': .*fold"),
        ({"positive": 1}, "split takes no 'positive'"),
        ({"table": "nowhere.csv"}, "no split table nowhere.csv"),
        ({"table": "physionet2012", "column": "split9"}, "split9"),
    ],
)
def test_a_wrong_split_is_refused_before_anything_is_read(split: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        splits.check({"fractions": FRACTIONS, **split})
    splits.check({"fractions": FRACTIONS, "table": "physionet2012", "column": "split1", "unlisted": "leave_out"})


def test_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("stay_id,split\np0s0,train\np0s1,test\np1s0,train\np1s1,train\n")
    torn = splits.assign(
        *cohort(2), {**FRACTIONS, "val": 0.0, "calib": 0.0, "train": 0.85}, table=str(tmp_path / "mine.csv")
    )
    with pytest.raises(InputError, match=r"1 patient\(s\) are in two splits, the first is p0"):
        splits.check_disjoint(torn)
