"""`sweep` in real processes: resumed, interrupted and killed it finds what one uninterrupted search finds."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from clinical_lstm.artifacts import Directory, Run
from clinical_lstm.errors import InputError
from pipelines import places, stage, sweep
from pipelines.config import CONF, register
from pipelines.spaces import Space

SMALL = [
    *("sweep", "cohort=tiny", "sweep=lstm_small", "sweep.space.model.hidden.choices=[2,4]", "trainer.batch_size=32"),
    *("sweep.sampler.startup_trials=2", "sweep.keep=1", "runtime.threads=1", "trainer.epochs=1"),
]


def found_in(folder: Path) -> tuple[Directory, str]:
    """Return the one search in a folder and its table."""
    place = Directory(next((folder / "artifacts/sweeps").iterdir()))
    return place, (place.path / "trials.csv").read_text()


@pytest.fixture(scope="module")
def ready(project, tmp_path_factory):
    """`ready()` makes a folder with the tiny cohort and a migrated MLflow store."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("sweep")
        shutil.copytree(project / "artifacts/cohorts", folder / "artifacts/cohorts")
        shutil.copy(project / "artifacts/mlflow.db", folder / "artifacts/mlflow.db")
        return folder

    return make


@pytest.fixture(scope="module")
def resumed(ready, cli):
    """A folder with a search of 3 trials that went on to 5, and what was printed."""
    folder = ready()
    first = cli(folder, *SMALL, "sweep.trials=3")
    assert first.returncode == 0, first.stdout + first.stderr
    then = cli(folder, *SMALL, "sweep.trials=5")
    assert then.returncode == 0, then.stdout + then.stderr
    return folder, first.stdout, then.stdout


def test_a_line_per_trial_and_the_second_command_goes_on(resumed):
    _, first, then = resumed
    assert [line.split()[2] for line in first.splitlines() if "sweep: trial" in line] == ["1/3", "2/3", "3/3"]
    assert [line.split()[2] for line in then.splitlines() if "sweep: trial" in line] == ["4/5", "5/5"]
    line = next(line for line in first.splitlines() if "trial 2/3" in line)
    for part in ("hidden ", "learning_rate ", "val_auroc 0.", "best 0.", "(trial ", " s left"):
        assert part in line
    assert "3 of 5 trials are there" in then and "test is not looked at" in then


def test_interrupted_and_killed_it_equals_a_search_in_one_go(resumed, ready, cli):
    folder = ready()
    command = [sys.executable, "-u", "-m", "pipelines", *SMALL, "sweep.trials=5", "tracking=none"]
    for number, how in ((1, signal.SIGINT), (3, signal.SIGKILL)):
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stderr is not None
        while f"trial {number}/5" not in (line := process.stdout.readline()):
            assert line, process.stderr.read()
        process.send_signal(how)
        _, said = process.communicate(timeout=60)
        if how == signal.SIGINT:
            assert process.returncode == 130 and "goes on after the last finished trial" in said, said
            assert "Traceback" not in said
    done = cli(folder, *SMALL, "sweep.trials=5", "tracking=none")
    assert done.returncode == 0, done.stderr
    place, table = found_in(folder)
    assert (place.name, table) == (found_in(resumed[0])[0].name, found_in(resumed[0])[1])
    assert len(table.splitlines()) == 6 and len(list((place.path / "runs").iterdir())) == 1
    facts = [json.loads((p / "sweep.json").read_text()) for p in (place.path, found_in(resumed[0])[0].path)]
    for one in facts:
        one.pop("machine_seconds"), one["best"].pop("seconds")
    assert facts[0] == facts[1]


def test_mlflow_has_one_parent_and_a_child_per_trial(resumed):
    folder, _, _ = resumed
    place, table = found_in(folder)
    client, link = mlflow.MlflowClient(f"sqlite:///{folder / 'artifacts/mlflow.db'}"), place.json("mlflow.json")
    parent = client.get_run(link["run_id"])
    rows = [line.split(",") for line in table.splitlines()[1:]]
    assert parent.info.run_name == place.name and parent.data.params["split"] == "val"
    assert parent.data.metrics["best_val_auroc"] == max(float(row[2]) for row in rows if row[2])
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{link['run_id']}'")
    told = {run.info.run_name: run.data.metrics.get("val_auroc") for run in children}
    assert told == {f"trial-{int(row[0]):03d}": float(row[2]) if row[2] else None for row in rows}
    states = {run.info.run_name: run.info.status for run in children}
    assert set(states.values()) <= {"FINISHED", "KILLED", "FAILED"} and "FINISHED" in states.values()
    assert {item.path for item in client.list_artifacts(link["run_id"])} >= {"trials.csv", "sweep.json", "best.yaml"}


def test_train_with_the_best_settings_gives_the_kept_run(resumed, cli):
    folder, _, _ = resumed
    place, _ = found_in(folder)
    experiment = f"experiment={place.path.relative_to(folder)}/experiment/best.yaml"
    done = cli(folder, "train", "cohort=tiny", experiment, "run=best", "tracking=none")
    assert done.returncode == 0, done.stderr
    kept = Run(next((place.path / "runs").iterdir()))
    mine = Run(folder / "artifacts/runs/best")
    for name in ("weights.safetensors", "history.csv", "thresholds.json"):
        assert (mine.path / name).read_bytes() == (kept.path / name).read_bytes()


def test_a_mistake_is_told_before_the_first_trial(project, cli):
    done = cli(project, *SMALL, "sweep.space.model.hiden={low: 2, high: 4}", "tracking=none")
    assert done.returncode == 2 and "did you mean 'model.hidden'" in done.stderr, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and not (project / "artifacts/sweeps").exists()


@pytest.fixture
def shared_by_all():
    """`shared_by_all("sweep=x", ...)` returns the configuration that all trials of a command share."""
    register()

    def call(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            HydraConfig.instance().set_config(compose("config", list(overrides), return_hydra_config=True))
            spec = places.plain(compose("config", list(overrides)).sweep)
            return sweep._base(Space.of(spec, stage.groups()["model"]))

    yield call
    HydraConfig.instance().cfg = None


def test_the_command_line_beats_fixed_and_fixed_the_experiment(shared_by_all):
    shared = shared_by_all("experiment=demo", "sweep=lstm_small", "trainer.patience=3")
    assert (shared.model.name, shared.trainer.epochs, shared.trainer.patience) == ("lstm", 8, 3)
    assert shared.trainer.weighting == "cinc2019"  # of the experiment


@pytest.mark.parametrize(
    ("override", "said"), [("model.hidden=8", "model.hidden is searched"), ("model=gru", "leave model=... out")]
)
def test_what_is_searched_cannot_be_given(shared_by_all, override, said):
    with pytest.raises(InputError, match=said):
        shared_by_all("sweep=lstm_small", override)


def test_two_processes_do_not_share_a_search(tmp_path):
    with (
        sweep._alone(tmp_path),
        pytest.raises(InputError, match="another process"),
        sweep._alone(tmp_path),
    ):
        raise AssertionError("let in")


def test_a_file_of_the_user_is_an_option(tmp_path):
    own = tmp_path / "it's" / "sweep" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("name: mine\n")
    checked = stage._checked("sweep", ["cohort=x", f"sweep={own}"])
    assert checked[:2] == ["cohort=x", "sweep=mine"] and checked[2].startswith("hydra.searchpath=")
    for path, said in (
        (tmp_path / "none.yaml", "no such file"),
        (shutil.copy(own, tmp_path / "mine.yaml"), "a folder of that name"),
        (shutil.copy(own, own.parent / "lstm_small.yaml"), "rename yours"),
    ):
        with pytest.raises(InputError, match=said):
            stage._checked("sweep", [f"sweep={path}"])
