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
