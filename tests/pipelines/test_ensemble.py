"""`ensemble` in real processes: two seeds averaged, then every later stage on the average."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import write_page

TRAINED = ["experiment=demo", "cohort=tiny", "model.hidden=8", "trainer.epochs=1", "trainer.batch_size=32"]
EVALUATED = ["baseline=[elapsed_time]", "evaluation.replicates=5", "tracking=none"]


@pytest.fixture(scope="module")
def averaged(project, cli, tmp_path_factory) -> Path:
    """A folder with the tiny run, another seed of it, and their evaluated average `mean`."""
    folder = tmp_path_factory.mktemp("averaged")
    shutil.copytree(project / "artifacts/cohorts/tiny", folder / "artifacts/cohorts/tiny")
    shutil.copytree(project / "artifacts/runs/tiny", folder / "artifacts/runs/tiny")
    for arguments in (
        ["train", *TRAINED, "runtime.threads=1", "run=second", "seed=2", "tracking=none"],
        ["ensemble", "runs=[tiny,second]", "run=mean"],
        ["evaluate", "run=mean", *EVALUATED],
    ):
        done = cli(folder, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "failed" not in done.stdout, done.stdout
    return folder


def test_the_average_is_judged_like_any_run(averaged):
    scores = Run(averaged / "artifacts/runs/mean").table("scores.parquet")
    found = scores.filter(predictor="model", subset="all", metric="auroc")
    assert 0.5 < found["value"].item() < 1
    runs = [pl.read_parquet(averaged / f"artifacts/runs/{name}/predictions.parquet") for name in ("tiny", "mean")]
    assert runs[0].drop("risk").equals(runs[1].drop("risk"))


def test_the_same_average_is_not_made_twice(averaged, cli):
    done = cli(averaged, "ensemble", "runs=[tiny,second]", "run=mean", "tracking=none")
    assert done.returncode == 0 and "up to date" in done.stdout


def test_it_is_explained_reported_and_exported(averaged, cli, tmp_path):
    explained = ["explanation.per_reason=1", "explanation.cohort_sample=4", "tracking=none"]
    done = cli(averaged, "explain", "run=mean", *explained)
    assert done.returncode == 0, done.stdout + done.stderr
    page = write_page(Run(averaged / "artifacts/runs/mean"), tmp_path / "index.html", identifiers=False)
    text = page.read_text(encoding="utf-8")
    assert "ensemble" in text
    done = cli(averaged, "export", "run=mean", f"out={tmp_path / 'risks'}")
    assert done.returncode == 0, done.stderr


def test_it_predicts_new_data(averaged, cli, tiny_source, tmp_path):
    out = tmp_path / "risks.parquet"
    done = cli(averaged, "predict", "run=mean", f"source.root={tiny_source}", f"out={out}")
    assert done.returncode == 0, done.stderr
    new, known = pl.read_parquet(out), Run(averaged / "artifacts/runs/mean").table("predictions.parquet")
    both = known.join(new, on=["stay_id", "hours", "complication", "horizon_hours"], suffix="_new")
    assert both.height == known.height
    assert (both["risk"] == both["risk_new"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say which runs to average"),
        (["runs=[tiny,tinny]"], "there is no run"),
        (["runs=[tiny,second]", "run=second"], "one of its members"),
        (["runs=[tiny,second]", "seed=3"], "ensemble takes no 'seed'"),
    ],
)
def test_mistakes_get_one_line(averaged, cli, arguments, message):
    done = cli(averaged, "ensemble", *arguments, "tracking=none")
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert "Traceback" not in done.stderr
