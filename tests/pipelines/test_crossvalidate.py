"""`crossvalidate` in real processes: two folds x two seeds, killed, resumed, with the labels of test shuffled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import mlflow
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Directory, Run, write_table
from clinical_lstm.metrics.utility import gain, hours_from_onset
from clinical_lstm.training.baseline import thresholds_of

SMALL = [
    *("experiment=demo", "cohort=cv", "split.folds=2", "seeds=[1,2]", "blend=[logistic_regression]"),
    *("split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}", "model.hidden=4", "trainer.batch_size=32"),
    *("trainer.epochs=12", "trainer.patience=12", "runtime.threads=1", "evaluation.replicates=20"),
    "baseline=[elapsed_time,logistic_regression]",
]
PREDICTORS = ["model seed 1", "model seed 2", "ensemble", "blend", "elapsed_time", "logistic_regression"]
FOLDS = ["split.fold=0", "split.fold=1"]


@pytest.fixture(scope="module")
def validated(project, cli, tiny_source, tmp_path_factory):
    """A folder with a cross-validation, its place, and what was printed."""
    folder = tmp_path_factory.mktemp("validated")
    (folder / "artifacts").mkdir()
    shutil.copy(project / "artifacts/mlflow.db", folder / "artifacts/mlflow.db")  # migrated: saves seconds
    done = cli(folder, "crossvalidate", *SMALL, f"source.root={tiny_source}")
    assert done.returncode == 0, done.stdout + done.stderr
    [place] = (folder / "artifacts/crossvalidations").iterdir()
    return folder, Directory(place), done.stdout


def predictors(folder, place):
    """Return the directories of every predictor by fold."""
    found = {}
    for fold in place.json("crossvalidation.json")["folds"]:
        runs, cohort = folder / "artifacts/runs", folder / "artifacts/cohorts" / fold["cohort"]
        blend = runs / fold["predictors"]["ensemble"]["directory"] / "blend"
        for name, made in fold["predictors"].items():
            own = next((p for p in (runs, cohort / "baselines") if (p / made["directory"]).is_dir()), blend.parent)
            found.setdefault(name, {})[fold["fold"]] = blend if name == "blend" else own / made["directory"]
    return found


def test_every_stay_is_tested_once_and_every_predictor_pooled(validated):
    folder, place, _ = validated
    table = schemas.check(schemas.Pooled, place.table("crossvalidation.parquet"), "it")
    assert [name for name in table["predictor"].unique(maintain_order=True) if " - " not in name] == PREDICTORS
    assert set(table["subset"]) == {"all", "mean_of_folds", "site=A", "site=B", *FOLDS}
    assert table.filter(subset="all")["n_stays"].unique().to_list() == [240]
    places = predictors(folder, place)
    for name in ("model seed 2", "ensemble", "blend", "logistic_regression"):
        tests, won, best = [], 0.0, 0.0
        for made in places[name].values():
            own = pl.read_parquet(made / "predictions.parquet").filter("at_risk", split="test").sort("stay_id", "hours")
            gains = gain(hours_from_onset(*(own[c].to_numpy() for c in ("stay_id", "hours", "label"))))
            [threshold] = thresholds_of(made).values()
            won, best = won + gains[own["risk"].to_numpy() >= threshold].sum(), best + np.maximum(gains, 0).sum()
            tests.append(own)
        rows = pl.concat(tests)
        values = {row["metric"]: row for row in table.filter(predictor=name, subset="all").iter_rows(named=True)}
        assert values["auroc"]["value"] == pytest.approx(roc_auc_score(rows["label"], rows["risk"]))
        assert values["utility_cinc2019"]["value"] == pytest.approx(won / best)
        assert values["auroc"]["n_rows"] == rows.height and values["auroc"]["folds"] == 2
    assert pl.read_csv(place.path / "crossvalidation.csv").height == table.height


def test_each_is_what_the_single_stage_writes(validated, cli):
    folder, place, _ = validated
    facts, places = place.json("crossvalidation.json"), predictors(folder, place)
    assert facts["references"] == ["logistic_regression", "model seed 1"] and facts["seeds"] == [1, 2]
    for at, name in enumerate(FOLDS):
        run, cohort = Run(places["ensemble"][name]), Cohort(folder / f"artifacts/cohorts/cv-fold{at}")
        assert [member["seed"] for member in run.verify()["members"]] == [1, 2]
        assert cohort.verify()["split"]["fold"] == at
        said = facts["folds"][at]["predictors"]["ensemble"]["thresholds"]
        assert said == [["sepsis_label", 6.0, run.json("thresholds.json")[0]["threshold"]]]
    options = ["blend=[logistic_regression]", "evaluation.replicates=5", "tracking=none", "runtime.threads=1"]
    judged = cli(folder, "evaluate", f"run={run.name}", SMALL[-1], *options)
    assert judged.returncode == 0, judged.stderr
    scores = run.table("scores.parquet").filter(subset="all", predictor="blend", metric="auroc")
    own = place.table("crossvalidation.parquet").filter(subset=name, predictor="blend", metric="auroc")
    assert scores["value"].item() == pytest.approx(own["value"].item(), abs=1e-12)


def test_the_terminal_tells_each_step_and_shows_the_table(validated):
    _, place, printed = validated
    steps = [line for line in printed.splitlines() if line.startswith("crossvalidate: fold 2/2 split.fold=1: ")]
    told = ["prepare", "train seed 1", "train seed 2", "ensemble of 2"]
    told += ["baseline elapsed_time", "baseline logistic_regression", "predict"]
    assert [line.split(": ")[2].split(" [")[0] for line in steps] == told
    assert all(line.endswith(" min]") for line in steps)
    *shown, last = printed.partition("\nsepsis_label within 6 h: ")[2].splitlines()
    assert last.startswith(f"crossvalidate: wrote artifacts/crossvalidations/{place.name} [")
    assert shown[0] == "2 folds, test split, 240 stays, 9,761 rows, prevalence 5.80%"
    assert max(map(len, shown)) <= 132
    titles = [line.split("  ")[0] for line in shown if "  pooled  " in line]
    assert titles == ["utility", "utility pre-onset", "AUROC", "AUPRC", "Brier"]
    assert sum(line.startswith("  blend") and "+-" in line and line.endswith("/2") for line in shown) == 5
    seconds = place.json("timing.json")
    assert set(seconds["split.fold=1"]) == set(PREDICTORS) - {"blend"}
    assert "timing.json" not in place.marker("crossvalidate")["outputs"]


def test_mlflow_has_one_parent_and_a_child_per_fold(validated):
    folder, place, _ = validated
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'artifacts/mlflow.db'}")
    parent = client.get_run(place.json("mlflow.json")["run_id"])
    table = place.table("crossvalidation.parquet").filter(predictor="ensemble", metric="auroc")
    value = {row["subset"]: row["value"] for row in table.iter_rows(named=True)}
    assert parent.data.metrics["test/ensemble/auroc"] == pytest.approx(value["all"])
    assert parent.data.metrics["mean_of_folds/test/ensemble/auroc"] == pytest.approx(value["mean_of_folds"])
    found = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    children = {run.info.run_name.split()[-1]: run.data.metrics["test/ensemble/auroc"] for run in found}
    assert children == pytest.approx({name: value[name] for name in FOLDS})


def test_the_same_command_does_nothing(validated, cli, tiny_source):
    folder, place, printed = validated
    kept = [path for path in folder.rglob("*") if path.is_file() and path.name != "timing.json"]
    before = {path: path.stat().st_mtime_ns for path in kept if not path.name.startswith("mlflow.db")}
    again = cli(folder, "crossvalidate", *SMALL, f"source.root={tiny_source}")
    assert again.returncode == 0 and f"{place.path.name} is up to date" in again.stdout
    begin = "\nsepsis_label within 6 h: "
    assert again.stdout.partition(begin)[2].split("[")[0] == printed.partition(begin)[2].split("[")[0]
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_killed_it_goes_on_at_the_epoch_and_ends_with_the_same_bits(validated, cli, tiny_source, tmp_path):
    _, place, _ = validated
    options = ["crossvalidate", *SMALL, f"source.root={tiny_source}", "tracking=none"]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pipelines", *options], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    for awaited in ("split.fold=1: train seed 2", "epoch 3/12"):
        while awaited not in (line := process.stdout.readline()):
            assert line
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "artifacts/crossvalidations").exists()
    done = cli(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert "resuming" in done.stdout and "epoch 1/12" not in done.stdout
    [again] = (tmp_path / "artifacts/crossvalidations").iterdir()
    assert again.name == place.name
    for name in ("crossvalidation.parquet", "crossvalidation.csv"):
        assert (again / name).read_bytes() == (place.path / name).read_bytes()


def test_labels_of_test_change_nothing_but_the_scores(validated, cli, tiny_source, tmp_path):
    folder, place, _ = validated
    shutil.copytree(folder / "artifacts/cohorts", tmp_path / "artifacts/cohorts")
    for at in range(2):
        cohort = Cohort(tmp_path / f"artifacts/cohorts/cv-fold{at}")
        shutil.rmtree(cohort.path / "baselines")
        tested = cohort.table("stays.parquet").filter(split="test")["stay_id"].to_list()
        changed = pl.col("stay_id").is_in(tested) & pl.col("at_risk")
        for shard in cohort.files("labels"):
            table = pl.read_parquet(cohort.path / shard)
            shuffled = table["label"].to_numpy().copy()
            where = np.flatnonzero(table.select(changed).to_series())
            shuffled[where] = np.random.default_rng(at).permutation(shuffled[where])
            write_table(cohort.path / shard, table.with_columns(pl.Series("label", shuffled)))
        marker = cohort.marker("prepare")
        cohort.mark("prepare", marker["key"], list(marker["outputs"]))
    done = cli(tmp_path, "crossvalidate", *SMALL, f"source.root={tiny_source}", "tracking=none")
    assert done.returncode == 0, done.stderr
    [again] = (tmp_path / "artifacts/crossvalidations").iterdir()
    before, after = predictors(folder, place), predictors(tmp_path, Directory(again))
    for name in PREDICTORS:
        for fold in FOLDS:
            one, other = before[name][fold], after[name][fold]
            assert (one / "thresholds.json").read_bytes() == (other / "thresholds.json").read_bytes()
            risks = [pl.read_parquet(made / "predictions.parquet")["risk"] for made in (one, other)]
            assert risks[0].equals(risks[1]), (name, fold)
            for file in ("weights.safetensors", "calibrator.json"):
                assert not (one / file).exists() or (one / file).read_bytes() == (other / file).read_bytes()
    values = [Directory(path).table("crossvalidation.parquet")["value"] for path in (place.path, again)]
    assert not values[0].equals(values[1])


def test_folds_may_be_sites(cli, tiny_source, tmp_path):
    options = ["folds=[split.site=A,split.site=B]", "seeds=[1]", "blend=[]", "trainer.epochs=1", "tracking=none"]
    done = cli(tmp_path, "crossvalidate", *SMALL, f"source.root={tiny_source}", *options, "baseline=[]", "out=sites")
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "sites/crossvalidation.json").read_text())
    assert [fold["fold"] for fold in facts["folds"]] == ["split.site=A", "split.site=B"]
    for site, name in {"A": "cv-siteA", "B": "cv-siteB"}.items():
        stays = Cohort(tmp_path / "artifacts/cohorts" / name).table("stays.parquet")
        assert set(stays.filter(site=site)["split"]) == {"test"} == set(stays.filter(split="test")["split"])
    table = pl.read_parquet(tmp_path / "sites/crossvalidation.parquet")
    assert set(table["predictor"]) == {"model seed 1"} and facts["references"] == ["model seed 1"]
    assert "above" not in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["folds=[split.fol=0]"], "there is no 'fol': did you mean 'fold'"),
        (["blend=[logistic_regresion]"], "did you mean 'logistic_regression'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(cli, tiny_source, tmp_path, options, said):
    done = cli(tmp_path, "crossvalidate", *SMALL, f"source.root={tiny_source}", *options)
    assert done.returncode == 2 and said in done.stderr, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "artifacts/runs").exists()


def test_two_folds_of_the_same_stays_are_refused(cli, tiny_source, tmp_path):
    options = ["folds=[task.gap_hours=0,task.gap_hours=1]", "tracking=none"]
    done = cli(tmp_path, "crossvalidate", *SMALL, f"source.root={tiny_source}", *options)
    assert done.returncode == 2 and "have the same 48 test stays: they are one fold" in done.stderr
