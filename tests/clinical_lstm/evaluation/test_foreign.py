"""Risks of another tool are joined to the labels of a cohort row by row, or refused with what, where and how many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.foreign import foreign_predictions

SEPSIS, DEATH = ("sepsis", 6.0), ("death", 24.0)
FIVE = ["stay_id", "hours", "complication", "horizon_hours", "risk"]
SPLITS = ["val", "test"]


class Case:
    """A cohort of 30 stays, its last five in the train split, and the risks that a tool gives its rows."""

    def __init__(self, ward: Any, targets: tuple[tuple[str, float], ...] = (SEPSIS,)) -> None:
        predictions, stays = ward(patients=26, hours=6, targets=targets)
        split = pl.Series(["test", "val"] * 12 + ["test"] + ["train"] * 5, dtype=pl.Enum(schemas.SPLITS))
        self.stays = stays.with_columns(split=split)
        self.labels = predictions.select(schemas.Labels.column_names())
        self.risks = predictions.select(FIVE)

    def read(self, path: Path) -> pl.DataFrame:
        return foreign_predictions(path, self.labels, self.stays, SPLITS)

    def written(self, table: pl.DataFrame, folder: Path, name: str = "risks.csv") -> Path:
        path = folder / name
        table.write_csv(path) if name.endswith(".csv") else table.write_parquet(path)
        return path


@pytest.fixture(scope="module")
def case(ward: Any) -> Case:
    """A cohort with one target."""
    return Case(ward)


@pytest.mark.parametrize("name", ["risks.csv", "risks.parquet"])
@pytest.mark.parametrize("targets", [(SEPSIS,), (SEPSIS, DEATH)])
def test_the_risks_of_the_file_stand_beside_the_labels(
    ward: Any, tmp_path: Path, name: str, targets: tuple[tuple[str, float], ...]
) -> None:
    case = Case(ward, targets)
    found = case.read(case.written(case.risks.sample(fraction=1, shuffle=True, seed=1), tmp_path, name))
    schemas.check(schemas.Predictions, found, "foreign predictions")
    assert set(found["split"]) == {"val", "test"}
    kept = case.stays.filter(pl.col("split") != "train")["stay_id"].to_list()
    expected = case.labels.join(case.risks, on=FIVE[:4]).filter(pl.col("stay_id").is_in(kept))
    order = FIVE[:4]
    assert found.select(expected.columns).sort(order).equals(expected.sort(order)), (
        "labels, onsets and risks, row by row"
    )


def test_a_cohort_with_one_target_needs_no_name_of_it(case: Case, ward: Any, tmp_path: Path) -> None:
    bare = case.risks.drop("complication", "horizon_hours")
    named = case.read(case.written(case.risks, tmp_path))
    assert case.read(case.written(bare, tmp_path, "bare.csv")).equals(named)
    assert case.read(case.written(bare, tmp_path, "bare.parquet")).equals(named)
    two = Case(ward, (SEPSIS, DEATH))
    with pytest.raises(InputError, match=r"lacks the column.*complication, horizon_hours; it has stay_id, hours, risk"):
        two.read(two.written(bare, tmp_path))


def test_times_that_went_through_text_are_the_same_times(case: Case, tmp_path: Path) -> None:
    thirds = case.labels.with_columns(pl.col("hours") / 3)
    shown = case.risks.with_columns((pl.col("hours") / 3).round(7))
    path = case.written(shown, tmp_path)
    found = foreign_predictions(path, thirds, case.stays, SPLITS)
    assert found["hours"].is_in(thirds["hours"].implode()).all(), "the hours are those of the labels"
    assert found.filter("at_risk").height > 50


def test_certain_risks_are_clipped_and_others_are_not_touched(case: Case, tmp_path: Path) -> None:
    sure = case.risks.with_columns(
        risk=pl.when(pl.col("hours") < 3).then(0.0).when(pl.col("hours") < 5).then(1.0).otherwise("risk")
    )
    found = case.read(case.written(sure, tmp_path))
    assert found.filter(pl.col("hours") < 3)["risk"].unique().to_list() == [1e-6]
    assert found.filter(pl.col("hours").is_between(3, 4))["risk"].unique().to_list() == [1 - 1e-6]
    plain = found.filter(pl.col("hours") >= 5).join(case.risks, on=FIVE[:4], suffix="_given")
    assert plain["risk"].equals(plain["risk_given"])


def test_rows_of_nobody_are_ignored_and_rows_not_at_risk_need_no_risk(case: Case, tmp_path: Path) -> None:
    more = pl.concat(
        [
            case.risks,
            case.risks.head(3).with_columns(stay_id=pl.lit("unheard of")),
            case.risks.head(3).with_columns(hours=pl.lit(77.5) + pl.col("hours")),
            case.risks.head(3).with_columns(complication=pl.lit("gout")),
        ]
    ).with_columns(colour=pl.lit("red"))
    every = case.read(case.written(case.risks, tmp_path))
    assert case.read(case.written(more, tmp_path)).equals(every)
    waiting = case.labels.filter("at_risk").select(FIVE[:4])
    few = case.read(case.written(case.risks.join(waiting, on=FIVE[:4], how="semi"), tmp_path))
    assert few.equals(every.filter("at_risk"))
    assert few.height < every.height


def first(table: pl.DataFrame, **spoilt: Any) -> pl.DataFrame:
    """Return the table with the first row's values replaced."""
    now = pl.int_range(pl.len()) == 0
    return table.with_columns(
        pl.when(now).then(pl.lit(value)).otherwise(name).alias(name) for name, value in spoilt.items()
    )


@pytest.mark.parametrize("name", ["risks.csv", "risks.parquet"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop("risk"), r"lacks the column\(s\) risk; it has stay_id, hours, complication, horizon_hours"),
        (lambda t: t.drop("stay_id", "hours"), r"lacks the column\(s\) stay_id, hours; it has"),
        (lambda t: pl.concat([t, t.head(2)]), "4 rows that stand twice, the first is .*'s000'"),
        (lambda t: pl.concat([t, t.head(1).with_columns(pl.col("hours") + 1e-8)]), "2 rows that stand twice"),
        (
            lambda t: first(t, risk=float("nan")),
            r"1 row\(s\) whose risk is no number in \[0, 1\].*the first is .*'s000'",
        ),
        (lambda t: first(t, risk=1.2), r"1 row\(s\) whose risk.*1.2"),
        (lambda t: first(t, risk=-1e-9), r"1 row\(s\) whose risk"),
        (lambda t: first(t, risk=None), r"1 row\(s\) whose risk"),
        (lambda t: first(t, hours=None), r"1 row\(s\) whose.*hours are no number"),
        (lambda t: first(t, hours=float("nan")), r"1 row\(s\) whose.*hours are no number"),
        (lambda t: first(t, hours=float("inf")), r"1 row\(s\) whose.*hours are no number"),
        (lambda t: t.with_columns(risk=pl.lit("high")), r"180 row\(s\) whose risk"),
        (lambda t: t.with_columns(hours=pl.lit("noon")), r"180 row\(s\) whose.*hours are no number"),
        (
            lambda t: t.slice(1),
            r"has no risk for 1 of \d+ rows at risk of the splits val and test, the first is .'s000', 1.0",
        ),
        (lambda t: t.filter(pl.col("stay_id") == "none"), r"has no risk for (\d+) of \1 rows at risk"),
        (
            lambda t: t.with_columns(complication=pl.lit("gout")),
            r"has no risk for (\d+) of \1 rows at risk.*'sepsis', 6.0",
        ),
    ],
)
def test_faults_of_a_file_are_told(
    case: Case, tmp_path: Path, name: str, spoil: Callable[[pl.DataFrame], pl.DataFrame], message: str
) -> None:
    path = case.written(spoil(case.risks), tmp_path, name)
    with pytest.raises(InputError, match=message) as told:
        case.read(path)
    assert name in str(told.value)


def test_files_that_are_none_are_told(case: Case, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file of predictions .*nowhere.csv"):
        case.read(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="there is no file of predictions"):
        case.read(tmp_path)
    for name, content in {"risks.csv": "", "risks.parquet": "stay_id,hours,risk", "risks.tsv": "stay_id"}.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=f"{name} cannot be read as {Path(name).suffix}"):
            case.read(tmp_path / name)
    nested = case.risks.with_columns(pl.concat_list("risk", "risk").alias("risk"))
    with pytest.raises(InputError, match=r"no single numbers or names:.*risk List"):
        case.read(case.written(nested, tmp_path, "nested.parquet"))
    (tmp_path / "latin.csv").write_bytes(b"stay_id,hours,risk\nm\xfcller,1,0.5\n")
    with pytest.raises(InputError, match=r"latin\.csv"):
        case.read(tmp_path / "latin.csv")
