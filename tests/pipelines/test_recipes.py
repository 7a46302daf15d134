"""Every shipped recipe runs from raw files to a report in one command: real data, a smaller net, fewer replicates."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import polars as pl
import pytest

SMALLER = [
    "model.hidden=8",
    "model.layers=1",
    "trainer.epochs=2",
    "evaluation.replicates=5",
    "explanation.per_reason=1",
    "explanation.cohort_sample=2",
    "baseline=[elapsed_time]",
    "runtime.threads=1",
    "tracking=none",
]


def unpacked(archive: Path, folder: Path, members: int | None = None) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, members=tar.getmembers()[:members], filter="data")
    return folder


@pytest.fixture(scope="module")
def places(shared, tmp_path_factory) -> dict[str, list[str]]:
    """Return, per recipe, the arguments that name its data (a part of them for PhysioNet 2012)."""
    folder, data = tmp_path_factory.mktemp("data"), shared / "data"
    p12 = unpacked(data / "physionet2012" / "set-a.tar.xz", folder / "p12", 1501)
    (p12 / "Outcomes-a.txt").write_bytes((data / "physionet2012" / "Outcomes-a.txt").read_bytes())
    mimic = unpacked(next((data / "mimic-iv-demo").glob("*.tar")), folder / "mimic")
    yaib = unpacked(next((data / "yaib-demo").glob("*.tar.xz")), folder / "yaib")
    return {
        "p12_onset": [
            f"source.root={p12}", "task.horizons_hours=[12]", "task.min_events=1",
            "split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}",
        ],
        "mimic_iv_demo": [
            f"source.root={next(mimic.iterdir())}", "task.horizons_hours=[12]",
            f"source.chartevents={data / 'mimic-iv-demo' / 'mimic_iv_demo_meds_events.parquet'}",
        ],
        "yaib_sepsis": [f"source.root={yaib / 'sepsis' / 'eicu_demo'}"],
        "yaib_mortality24": [f"source.root={yaib / 'mortality24' / 'eicu_demo'}"],
    }  # fmt: skip


@pytest.mark.parametrize("recipe", ["p12_onset", "mimic_iv_demo", "yaib_sepsis", "yaib_mortality24"])
def test_recipe_runs_to_its_report(recipe, places, cli, tmp_path):
    done = cli(tmp_path, "run", f"experiment={recipe}", *places[recipe], *SMALLER, "run=it")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "reports" / "it" / "index.html").read_text(encoding="utf-8")
    targets = pl.read_parquet(tmp_path / "artifacts/runs/it/predictions.parquet")["complication"].unique()
    assert set(targets) == set(re.findall(r"prepare: (\w+) +onset in", done.stdout))
    assert len(page) > 100_000
    cohort = next((tmp_path / "artifacts" / "cohorts").iterdir()).name
    shown = cli(tmp_path, "labels", f"cohort={cohort}")
    assert shown.returncode == 0, shown.stderr
    stay = re.search(r"^\w+ .*%.* (\S+)$", shown.stdout, re.MULTILINE)
    assert stay
    told = cli(tmp_path, "labels", f"cohort={cohort}", f"stay={stay[1]}")
    assert told.returncode == 0, told.stderr
    assert "episode(s): " in told.stdout


def test_record_of_2012_is_made_by_one_command(places, cli, tmp_path):
    """Two of the fixed splits, on a part of set a; a smaller net and fewer trees."""
    root = places["p12_onset"][0]
    smaller = [
        "folds=[split.column=split1,split.column=split2]", "seeds=[1,2]", "model.hidden=8", "trainer.epochs=2",
        "task.min_events=1", "split.fractions={train: 0.7, val: 0.0, calib: 0.3, test: 0.0}", "evaluation.replicates=5",
        "baseline.gradient_boosting.max_rounds=20", "trainer.teacher_folds=3", "tracking=none",
    ]  # fmt: skip
    done = cli(tmp_path, "crossvalidate", "experiment=p12_record", root, *smaller, "out=made")
    assert done.returncode == 0, done.stdout + done.stderr
    table = pl.read_parquet(tmp_path / "made" / "crossvalidation.parquet")
    assert {"model seed 1", "model seed 2", "ensemble", "gradient_boosting", "blend"} <= set(table["predictor"])
    areas = table.filter(pl.col("metric") == "auroc", pl.col("predictor").is_in(["ensemble", "gradient_boosting"]))
    assert (areas.filter(subset="mean_of_folds")["value"] > 0.6).all()
    tested = [table.filter(subset=f"split.column=split{k}", metric="auroc")["n_stays"][0] for k in (1, 2)]
    assert all(100 < stays < 200 for stays in tested), "a tenth of the stays"
    for k in (1, 2):
        cohort = next((tmp_path / "artifacts" / "cohorts").glob(f"*split{k}"))
        manifest = json.loads((cohort / "manifest.json").read_text())
        assert manifest["split"]["column"] == f"split{k}" and manifest["task"]["step_hours"] == 2.0
        assert manifest["funnel"][1]["step"] == "in the split table"
        assert manifest["splits"]["calib"]["stays"] > 200
