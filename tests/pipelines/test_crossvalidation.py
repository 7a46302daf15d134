"""What a cross-validation prints and hands to MLflow, of tables that a small cohort does not make."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Directory, write_json, write_table
from clinical_lstm.evaluation.pooling import Folded, summarise
from clinical_lstm.evaluation.sample import Sample
from pipelines import crossvalidation
from pipelines.crossvalidation import Fold

COUNTS = {"n_rows": 1000, "n_stays": 100, "n_positives": 50}
FOLDS = ["split.column=one", "split.column=two"]
DEATH, SHOCK = ("death", 48.0), ("shock", 12.0)


def _sample(value: float) -> Sample:
    names = ["auroc", "auprc", "brier", "min_se_ppv", "youden_index"]
    drawn = {name: np.array([value - 0.05, value + 0.05]) for name in names}
    return Sample(dict.fromkeys(names, value), drawn, COUNTS)


def _folded(*values: float) -> Folded:
    return Folded(_sample(values[0]), {name: _sample(value) for name, value in zip(FOLDS, values[1:])}, {})


@pytest.fixture
def place(tmp_path):
    """A cross-validation of two targets without a utility, whose folds share stays."""
    samples = {
        "model seed 1": {DEATH: _folded(0.75, 0.5, 1.0), SHOCK: _folded(0.5, 0.5, 0.5)},
        "trees": {DEATH: _folded(0.5, 0.25, 0.75), SHOCK: _folded(float("nan"), 0.5, float("nan"))},
    }
    made = Directory(tmp_path / "made")
    write_table(made.path / "crossvalidation.parquet", summarise(samples, ["trees", "model seed 1"]))
    facts = {"references": ["trees", "model seed 1"], "split": "val", "distinct_stays": 60, "seeds": [1], "blend": []}
    folds = [{"fold": name, "cohort": name[-3:]} for name in FOLDS]
    write_json(made.path / "crossvalidation.json", facts | {"folds": folds})
    return made


def _fold(folder, seconds: float) -> Fold:
    run, trees = Directory(folder / "run"), Directory(folder / "trees")
    write_json(run.path / "timing.json", {"train_seconds": seconds, "epochs": 3})
    return Fold(Cohort(folder / "cohort"), {"model seed 1": run, "trees": trees})


def test_the_terminal_shows_every_target_and_what_it_cost(place, tmp_path, capsys):
    crossvalidation.show(place, {name: _fold(tmp_path / name, 4.0 * k) for k, name in enumerate(FOLDS, 1)})
    out = capsys.readouterr().out
    first, second = out.split("\nshock within 12 h: ")
    assert "death within 48 h: 2 folds, val split, 100 stays, 1,000 rows, prevalence 5.00%" in first
    assert "Folds share stays: there are 60" in first and "chosen on val" in second
    assert first.count("min(Se, +P)") == 1 and "utility" not in out
    lines = {line[:14].strip(): line for line in reversed(first.splitlines())}
    assert lines["model seed 1"].split("  ")[-1].strip() == "+.250 (+.250 to +.250) 2/2"
    assert ".750 (.702 to .797)     .750 +- .354" in lines["model seed 1"]
    assert "undefined" in second and "+-" not in second.split("trees")[2].splitlines()[0]
    assert [line.split() for line in second.splitlines() if "to 8.0" in line] == [
        ["model", "seed", "1", "6.0", "4.0", "to", "8.0"]
    ]
    assert place.json("timing.json") == {name: {"model seed 1": 4.0 * k} for k, name in enumerate(FOLDS, 1)}


def test_mlflow_names_the_target_where_there_are_several(place):
    params, children, files, metrics = crossvalidation.tracked(place)
    assert params["folds"] == FOLDS and files == crossvalidation.FILES
    assert metrics["val/death_48h/model_seed_1/auroc"] == 0.75
    assert metrics["mean_of_folds/val/death_48h/trees/auroc"] == 0.5
    assert metrics["val/death_48h/model_seed_1_-_trees/auprc"] == 0.25
    assert "val/shock_12h/trees/auroc" not in metrics  # not defined
    assert [child["params"] for child in children] == [{"cohort": "one"}, {"cohort": "two"}]
    assert children[1]["metrics"]["val/death_48h/trees/auroc"] == 0.75


def test_the_hashes_of_a_fold_are_of_all_that_is_judged(tmp_path):
    fold = _fold(tmp_path, 1.0)
    for made in fold.predictors.values():
        write_table(made.path / "predictions.parquet", schemas.empty(schemas.Predictions))
        write_json(made.path / "thresholds.json", [])
    before = fold.hashes()
    write_json(fold.predictors["trees"].path / "thresholds.json", [1])
    assert [name for name in before if before[name] != fold.hashes()[name]] == ["trees"]
