"""Names of cohorts and runs: equal settings share a directory, other settings never do."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir

from clinical_lstm.artifacts import Run, write_json
from clinical_lstm.errors import InputError
from pipelines import places
from pipelines.config import CONF, register


@pytest.fixture
def composed():
    register()

    def call(*overrides: str):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", ["source.root=data", *overrides])

    return call


def test_a_cohort_s_name_says_source_and_task_and_follows_the_settings(composed):
    one = places.cohort_of(composed()).name
    assert one.startswith("physionet2019-sepsis_6h-")
    assert places.cohort_of(composed("seed=2")).name == one
    assert places.cohort_of(composed("task.gap_hours=1")).name != one
    assert places.cohort_of(composed("cohort=mine")).path.as_posix() == "artifacts/cohorts/mine"
    assert places.cohort_of(composed("cohort=elsewhere/mine")).path.as_posix() == "elsewhere/mine"


def test_every_fold_has_its_override_and_a_cohort_of_its_own(composed):
    jobs = places.folds_of(composed("cohort=c", "split.folds=3"))
    assert list(jobs) == ["split.fold=0", "split.fold=1", "split.fold=2"]
    assert [(job.split.fold, job.cohort) for job in jobs.values()] == [(0, "c-fold0"), (1, "c-fold1"), (2, "c-fold2")]
    sites = places.folds_of(composed("split=folds", "folds=['split.site=A','split.site=B c']"))
    assert [(job.split.site, job.split.fold) for job in sites.values()] == [("A", None), ("B c", None)]
    name = places.cohort_of(composed("split=folds")).name
    assert [job.cohort for job in sites.values()] == [f"{name}-siteA", f"{name}-siteB-c"]
    missing = places.folds_of(composed("split=by_site", "folds=['split.site=A']"))["split.site=A"]
    assert missing.split.site == "A" and missing.cohort.endswith("-siteA")
    assert (
        composed("cohort=d/c").folds is None
        and list(places.folds_of(composed("cohort=d/c")).values())[4].cohort == "d/c-fold4"
    )


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        ("['split.fol=0']", "folds: split.fol=0: there is no 'fol': did you mean 'fold'"),
        ("['splt.fold=0']", "there is no 'splt': did you mean 'split'"),
        ("['split.fold.x=0']", "there is no 'x': there are: none"),
        ("['model.hidden=3']", "there is no 'model'"),
        ("['split.fold=0','split.fold=0']", "name each fold once"),
        ("[0,1]", "folds: '0' is no KEY=VALUE"),
        ("['split=folds']", "'split=folds' is no KEY=VALUE of a dotted key"),
        ("3", "folds=3: give a list"),
        ("[]", r"folds=\[\]: give a list"),
    ],
)
def test_a_fold_that_changes_no_cohort_is_refused(composed, folds, said):
    with pytest.raises(InputError, match=said):
        places.folds_of(composed(f"folds={folds}"))


def test_a_run_s_name_follows_model_trainer_and_seed(composed):
    cohort = places.cohort_of(composed("cohort=c"))
    names = {
        places.new_run(composed("cohort=c", *change), cohort).name
        for change in ([], ["seed=2"], ["model.hidden=3"], ["trainer.epochs=2"])
    }
    assert len(names) == 4


def test_an_mlflow_run_id_means_the_run_that_links_to_it(composed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_json(tmp_path / "artifacts/runs" / name / "mlflow.json", {"run_id": name * 32, "uri": "sqlite:///x.db"})
    assert places.existing_run(composed(f"run={'b' * 32}")).name == "b"
    assert places.existing_run(composed(f"run={'c' * 32}")).name == "c" * 32


def test_last_is_the_latest_finished_run(composed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no finished run"):
        places.existing_run(composed("run=last"))
    for name in ("b", "a"):
        run = Run(tmp_path / "artifacts/runs" / name)
        run.path.mkdir(parents=True)
        run.mark("train", "k", [])
    assert places.existing_run(composed("run=last")).name == "a"
    with pytest.raises(InputError, match="there are: b, a"):
        places.existing_run(composed())
