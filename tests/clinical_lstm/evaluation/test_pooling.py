"""Cross-validated scores against plain loops: pooled, mean and sd of folds, sites, paired differences, folds gained."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import Protocol
from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.evaluation.out_of_fold import pooled
from clinical_lstm.evaluation.pooling import sample_folds, summarise
from clinical_lstm.metrics.alarms import Policy
from clinical_lstm.metrics.bootstrap import draws

SEPSIS, DEATH = ("sepsis", 6.0), ("death", 24.0)
FOLDS = ["split.fold=0", "split.fold=1", "split.fold=2"]
PLAIN = {"auroc": roc_auc_score, "auprc": average_precision_score, "brier": brier_score_loss}
PROTOCOL = Protocol(replicates=40, seed=3, utility=True)


def operated(shift: float) -> dict[str, dict[Any, Operation]]:
    """Thresholds of their own for every fold."""
    return {
        name: dict.fromkeys((SEPSIS, DEATH), Operation(0.1 + shift * k, Policy(0.2, silence_hours=4.0)))
        for k, name in enumerate(FOLDS)
    }


@pytest.fixture(scope="module")
def tables(ward: Any) -> dict[str, pl.DataFrame]:
    """The pooled rows of two predictors."""
    found = {}
    for name, noise in {"lstm": 0.2, "trees": 1.5}.items():
        table = ward(patients=120, targets=(SEPSIS, DEATH), noise=noise).predictions
        part = pl.col("patient_id").str.slice(1).cast(pl.Int64) % 3
        found[name] = pooled({fold: table.filter(part == k) for k, fold in enumerate(FOLDS)}, "test", name)
    return found


@pytest.fixture(scope="module")
def summary(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    samples = {name: sample_folds(table, operated(0.05), name, PROTOCOL) for name, table in tables.items()}
    return summarise(samples, ["trees", "lstm"])


def own(table: pl.DataFrame, **asked: Any) -> dict[str, Any]:
    return table.filter(**{"complication": "sepsis", **asked}).row(0, named=True)


def plain(table: pl.DataFrame, metric: str, weight: np.ndarray | None = None) -> float:
    return float(PLAIN[metric](table["label"].to_numpy(), table["risk"].to_numpy(), sample_weight=weight))


@pytest.mark.parametrize("metric", PLAIN)
def test_values_are_those_of_plain_loops_over_the_folds(tables: Any, summary: pl.DataFrame, metric: str) -> None:
    schemas.check(schemas.Pooled, summary, "it")
    rows = {name: table.filter(complication="sepsis") for name, table in tables.items()}
    each = {name: [plain(table.filter(fold=fold), metric) for fold in FOLDS] for name, table in rows.items()}
    for name, table in rows.items():
        found = own(summary, predictor=name, subset="all", metric=metric)
        assert found["value"] == pytest.approx(plain(table, metric))
        assert (found["n_rows"], found["n_positives"]) == (table.height, table["label"].sum())
        assert found["prevalence"] == pytest.approx(table["label"].mean()) and found["folds"] == 3
        mean = own(summary, predictor=name, subset="mean_of_folds", metric=metric)
        assert mean["value"] == pytest.approx(np.mean(each[name]))
        assert mean["fold_sd"] == pytest.approx(np.std(each[name], ddof=1)) and mean["better"] is None
        single = own(summary, predictor=name, subset=FOLDS[1], metric=metric)
        assert single["value"] == pytest.approx(each[name][1]) and single["fold_sd"] is None
        site = own(summary, predictor=name, subset="site=B", metric=metric)
        assert site["value"] == pytest.approx(plain(table.filter(site="B"), metric))
    gained = np.array(each["lstm"]) - np.array(each["trees"])
    difference = own(summary, predictor="lstm - trees", subset="all", metric=metric)
    assert difference["value"] == pytest.approx(plain(rows["lstm"], metric) - plain(rows["trees"], metric))
    assert difference["better"] == (gained < 0 if metric == "brier" else gained > 0).sum()
    assert difference["fold_sd"] == pytest.approx(gained.std(ddof=1))


def test_intervals_are_of_the_same_patients_drawn_for_both(tables: Any, summary: pl.DataFrame) -> None:
    rows = {name: table.filter(complication="sepsis") for name, table in tables.items()}
    patient, patients = rows["lstm"]["patient"].to_numpy(), int(rows["lstm"]["patients"][0])
    counts = np.concatenate(draws(patients, 40, 3), axis=1).astype(float)
    drawn = {"all": [], "mean_of_folds": []}
    for column in counts.T:
        weight = column[patient]
        change, folds = {}, []
        for name, table in rows.items():
            change[name] = plain(table, "auroc", weight)
        for fold in FOLDS:
            kept = (rows["lstm"]["fold"] == fold).to_numpy()
            one, other = (plain(rows[name].filter(kept), "auroc", weight[kept]) for name in ("lstm", "trees"))
            folds.append(one - other)
        drawn["all"].append(change["lstm"] - change["trees"])
        drawn["mean_of_folds"].append(np.mean(folds))
    for subset, values in drawn.items():
        found = own(summary, predictor="lstm - trees", subset=subset, metric="auroc")
        assert [found["low"], found["high"]] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=1e-9)


def test_all_targets_and_subsets_are_there_and_a_pair_stands_once(summary: pl.DataFrame) -> None:
    assert set(summary["predictor"]) == {"lstm", "trees", "lstm - trees"}
    assert set(summary["complication"]) == {"sepsis", "death"}
    assert set(summary["subset"]) == {"all", "mean_of_folds", "site=A", "site=B", *FOLDS}
    assert {"utility_cinc2019", "utility_pre_onset", "min_se_ppv", "event_recall"} <= set(summary["metric"])


def test_the_threshold_of_another_fold_changes_decisions_and_no_area(tables: Any) -> None:
    one, other = (sample_folds(tables["lstm"], operated(shift), "it", PROTOCOL)[SEPSIS] for shift in (0.05, 0.2))
    assert one.every.values["auroc"] == other.every.values["auroc"]
    assert one.every.values["utility_cinc2019"] != other.every.values["utility_cinc2019"]
    assert one.folds[FOLDS[0]].values == other.folds[FOLDS[0]].values


def test_what_one_fold_does_not_define_has_no_mean(tables: Any) -> None:
    healthy = (pl.col("fold") != FOLDS[0]) | (pl.col("label") == 0)
    samples = {"lstm": sample_folds(tables["lstm"].filter(healthy), operated(0.05), "lstm", PROTOCOL)}
    table = summarise(samples, [])
    assert own(table, predictor="lstm", subset="mean_of_folds", metric="auroc")["value"] is None
    assert own(table, predictor="lstm", subset="all", metric="auroc")["value"] > 0.5


def test_a_fold_that_operates_nothing_is_refused(tables: Any) -> None:
    operations = operated(0.05) | {FOLDS[2]: {SEPSIS: Operation(0.1, Policy(0.2))}}
    with pytest.raises(InputError, match=r"lstm in split.fold=2 has no alarm threshold for \[\('death', 24.0\)\]"):
        sample_folds(tables["lstm"], operations, "lstm", PROTOCOL)
