"""Rows of several folds: each at the threshold and by the policy of its own, a shared stay once for each fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.measures import Measures
from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.evaluation.out_of_fold import METRICS, OutOfFold, pooled
from clinical_lstm.evaluation.rows import rows_of
from clinical_lstm.metrics.alarms import Policy
from clinical_lstm.metrics.bootstrap import draws

SEPSIS = ("sepsis", 6.0)
LOW, HIGH = Operation(0.1, Policy(0.15, silence_hours=4.0)), Operation(0.3, Policy(0.4, silence_hours=4.0))
FOLDS = ["split.fold=0", "split.fold=1"]


@pytest.fixture(scope="module")
def halves(ward: Any) -> dict[str, pl.DataFrame]:
    """A ward whose patients are the test patients of two folds."""
    table = ward().predictions
    even = pl.col("patient_id").str.slice(1).cast(pl.Int64) % 2 == 0
    return {FOLDS[0]: table.filter(even), FOLDS[1]: table.filter(~even)}


def measured(table: pl.DataFrame, operations: dict[str, Operation], counts: np.ndarray | None = None) -> dict[str, Any]:
    rows = rows_of(table, SEPSIS)
    return OutOfFold(rows, table["fold"].to_numpy(), operations, with_utility=True)(counts)


def test_one_threshold_for_all_folds_gives_what_a_single_evaluation_gives(ward: Any, rows_in: Any, halves: Any) -> None:
    found = measured(pooled(halves, "test", "it"), dict.fromkeys(FOLDS, LOW))
    whole = Measures(rows_in(ward()), LOW, with_utility=True)()
    shared = [name for name in METRICS if name in whole]
    assert set(METRICS) - set(shared) == {"youden_index"}
    assert [found[name] for name in shared] == pytest.approx([whole[name] for name in shared], abs=1e-12)


def test_every_row_is_an_alarm_by_the_threshold_of_its_own_fold(halves: Any) -> None:
    table = pooled(halves, "test", "it")
    found = measured(table, {FOLDS[0]: LOW, FOLDS[1]: HIGH})
    alarm = table["risk"] >= pl.Series(np.where(table["fold"] == FOLDS[0], 0.1, 0.3))
    sick = table["label"] == 1
    sensitivity, ppv = (alarm & sick).sum() / sick.sum(), (alarm & sick).sum() / alarm.sum()
    assert found["sensitivity"] == pytest.approx(sensitivity) and found["ppv"] == pytest.approx(ppv)
    assert found["min_se_ppv"] == pytest.approx(min(sensitivity, ppv))
    assert found["youden_index"] == pytest.approx(sensitivity + (~alarm & ~sick).sum() / (~sick).sum() - 1)
    gain = rows_of(table, SEPSIS).gain
    won, best = gain[alarm.to_numpy()].sum(), np.maximum(gain, 0).sum()
    assert found["utility_cinc2019"] == pytest.approx(won / best)


def test_alarms_of_folds_add_up(halves: Any) -> None:
    table = pooled(halves, "test", "it")
    found, operations = measured(table, {FOLDS[0]: LOW, FOLDS[1]: HIGH}), {FOLDS[0]: LOW, FOLDS[1]: HIGH}
    events, heard = 0.0, 0.0
    for name, operation in operations.items():
        one = Measures(rows_of(table.filter(fold=name), SEPSIS), operation, with_utility=False)()
        events, heard = events + one["events"], heard + one["events"] * one["event_recall"]
    assert found["event_recall"] == pytest.approx(heard / events) and 0 < heard < events


def test_a_replicate_is_the_metric_of_the_rows_of_the_drawn_patients(halves: Any) -> None:
    table, operations = pooled(halves, "test", "it"), {FOLDS[0]: LOW, FOLDS[1]: HIGH}
    [block] = draws(int(table["patients"][0]), 3, seed=5)
    found = measured(table, operations, block.astype(float))
    times = block[table["patient"].to_numpy(), 1]
    copies = [
        table.filter(times > k).with_columns(pl.concat_str("stay_id", pl.lit(f"#{k}")).alias("stay_id"))
        for k in range(times.max())
    ]
    again = measured(pl.concat(copies).sort("stay_id", "hours"), operations)
    for name in ("auroc", "auprc", "brier", "utility_cinc2019", "utility_pre_onset", "min_se_ppv", "event_recall"):
        assert found[name][1] == pytest.approx(again[name], abs=1e-9), name


def test_a_stay_of_two_folds_counts_twice_and_its_patient_is_one(ward: Any) -> None:
    one = ward(patients=20).predictions
    table = pooled({FOLDS[0]: one, FOLDS[1]: one}, "test", "it")
    rows = rows_of(table, SEPSIS)
    single = rows_of(pooled({FOLDS[0]: one}, "test", "it"), SEPSIS)
    assert rows.counts["n_stays"] == 2 * single.counts["n_stays"] and rows.patients == single.patients
    assert table["stay_id"].str.starts_with(FOLDS[1] + "/").sum() == len(single.label)
    first = rows.where(table["fold"].to_numpy() == FOLDS[0])
    assert (first.gain == single.gain).all() and (first.label == single.label).all()


def test_a_fold_without_a_row_is_told_by_its_name(ward: Any) -> None:
    folds = {FOLDS[0]: ward().predictions, FOLDS[1]: ward(split="val").predictions}
    with pytest.raises(InputError, match=r"predictions of trees in split.fold=1 has no row at risk .* 'test'"):
        pooled(folds, "test", "trees")
