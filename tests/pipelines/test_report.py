"""`report`: one page from the run directory alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import polars as pl
import pytest


def test_the_page_needs_nothing_but_the_run(project, cli, tmp_path):
    shutil.copytree(project / "artifacts/runs/tiny", tmp_path / "artifacts/runs/tiny")
    done = cli(tmp_path, "report", "run=tiny", "tracking=none")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reports/tiny/index.html").read_bytes()
    assert page == (project / "reports/tiny/index.html").read_bytes()
    assert b"http://" not in page.split(b"<body")[0]


@pytest.mark.parametrize("also", ["report.identifiers=false", 'stay="Stay 1"'])
def test_the_report_never_loads_torch(project, also, tmp_path):
    shutil.copytree(project / "artifacts/runs/tiny", tmp_path / "artifacts/runs/tiny")
    arguments = ["run=tiny", "tracking=none", also]
    code = "import sys; from pipelines import stage; status = stage.launch('report', sys.argv[1:]); "
    code += "print(status, 'torch' in sys.modules)"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr


def test_pages_of_single_stays(project, cli, tmp_path):
    shutil.copytree(project / "artifacts/runs/tiny", tmp_path / "artifacts/runs/tiny")
    explained = pl.read_parquet(tmp_path / "artifacts/runs/tiny/explained.parquet")
    ids = explained.filter(~pl.col("reason").str.ends_with("_sample"))["stay_id"].unique().sort().to_list()
    done = cli(tmp_path, "report", "run=tiny", "tracking=none", f"stay=[{ids[0]},{ids[1]}]")
    assert done.returncode == 0, done.stderr
    pages = sorted((tmp_path / "reports/tiny/stays").iterdir())
    assert len(pages) == 2
    assert all(page.name.startswith("stay-") and ids[0].encode() not in page.read_bytes() for page in pages)
    assert not (tmp_path / "reports/tiny/index.html").exists()
    named = cli(tmp_path, "report", "run=tiny", "tracking=none", f"stay={ids[0]}", "report.identifiers=true")
    assert named.returncode == 0, named.stderr
    assert (tmp_path / f"reports/tiny/stays/{ids[0]}.html").exists()


def test_a_stay_that_was_not_explained_is_refused_in_one_line(project, cli):
    refused = cli(project, "report", "run=tiny", "tracking=none", "stay=nobody")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "1 of 1 stays were not explained, the first is 'nobody': run tiny explains " in line
    assert line.endswith("explain more with: clinical-lstm explain run=tiny explanation.per_reason=...")


def test_the_model_card_lies_beside_the_page_and_keeps_what_people_say(project, cli, tmp_path):
    shutil.copytree(project / "artifacts/runs/tiny", tmp_path / "artifacts/runs/tiny")
    folder = tmp_path / "reports/tiny"
    done = cli(tmp_path, "report", "run=tiny", "tracking=none", 'card.contact="Ward 3, <b>"')
    assert done.returncode == 0, done.stderr
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("card: ")]
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert told.startswith(f"card: {card['summary']['filled']} of {card['summary']['applicable']} items filled, ")
    assert "card.funding=..." in told and "contact" not in told  # experiment=demo filled the rest, and the run kept it
    before = (folder / "card.md").read_bytes()
    assert b"Ward 3, &lt;b&gt;" in before
    assert cli(tmp_path, "report", "run=tiny", "tracking=none").returncode == 0
    assert (folder / "card.md").read_bytes() == before


def test_a_misspelt_key_of_the_card_is_refused(project, cli):
    refused = cli(project, "report", "run=tiny", "tracking=none", "card.fundin=x")
    assert refused.returncode == 2
    assert "card takes no 'fundin': did you mean 'funding'?" in refused.stderr
