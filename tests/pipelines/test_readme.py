"""Every `clinical-lstm` command of the README runs: as it stands, made small by overrides, on real stays."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import polars as pl
import pytest

from pipelines import stage

README = Path(stage.CONF).parent / "README.md"
TRAINER = ["model.hidden=4", "trainer.epochs=1", "runtime.threads=1", "tracking=none"]
SMALLER = {
    "run": ["evaluation.replicates=5", "explanation.cohort_sample=2", "explanation.per_reason=1",
            "baseline=[elapsed_time]", *TRAINER],
    "train": TRAINER,
    "transport": ["evaluation.replicates=5", "baseline=[elapsed_time]", *TRAINER,
                  "split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}"],
    "crossvalidate": ["evaluation.replicates=5", "baseline=[elapsed_time]", "blend=[elapsed_time]", "seeds=[1]",
                      "split.folds=2", "split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}", *TRAINER],
    "compare": ["evaluation.replicates=5", "baseline=[elapsed_time]", *TRAINER],
    "sweep": ["sweep.trials=1", "trainer.epochs=1", "runtime.threads=1", "tracking=none"],
    "evaluate": ["evaluation.replicates=5", "baseline=[elapsed_time]", "tracking=none"],
    "explain": ["explanation.cohort_sample=2", "explanation.per_reason=1", "tracking=none"],
    "report": ["tracking=none"],
}  # fmt: skip
ELSEWHERE = {"ui", "completion", "ensemble"}  # have tests of their own
RECIPES = {"p12_onset", "mimic_iv_demo", "yaib_sepsis", "yaib_mortality24"}  # test_recipes.py runs them


def commands() -> list[str]:
    """Return the commands of the README's shell blocks, without comments."""
    if not README.is_file():
        return []
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("clinical-lstm")]


def test_there_are_commands_for_every_stage():
    named = {shlex.split(command)[1] for command in commands()}
    assert set(stage.STAGES) <= named


@pytest.fixture(scope="module")
def place(project, tmp_path_factory):
    """A copy of the finished project, to be changed by the commands in their order."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(project / "artifacts", folder / "artifacts")
    shutil.copytree(project / "artifacts/runs/tiny", folder / "artifacts/runs/second")
    risks = pl.read_parquet(project / "artifacts/runs/tiny/predictions.parquet")
    risks.select("stay_id", "hours", "risk").write_csv(folder / "risks.csv")
    return folder


@pytest.mark.parametrize("command", commands())
def test_the_command_runs(command, place, cli, tiny_source, small):
    _, name, *arguments = shlex.split(command)
    if name in ELSEWHERE:
        pytest.skip("has a test of its own")
    if "source=table" in arguments or RECIPES & {argument.removeprefix("experiment=") for argument in arguments}:
        assert stage._checked(name, arguments)  # other files than those of this test
        return
    values = {"FOLDER_OR_ARCHIVE": str(tiny_source), "FOLDER": str(tiny_source), "NEW_DATA": str(tiny_source)}
    values |= {"RUN": "tiny", "[RUN,RUN]": "[tiny,second]", "FILE": "risks.csv"}
    if "stay=ID" in arguments:
        explained = pl.read_parquet(place / "artifacts/runs/tiny/explained.parquet")
        values["ID"] = explained.filter(~pl.col("reason").str.ends_with("_sample"))["stay_id"][0]
    arguments = [
        re.sub(r"=(\w+|\[RUN,RUN\])$", lambda m: "=" + values.get(m[1], m[1]), argument) for argument in arguments
    ]
    arguments = [argument.replace("run=NAME", "run=last").replace("=NAME", "=tiny") for argument in arguments]
    if name in ("run", "prepare"):
        arguments.append("split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}")
    if any(argument.startswith("experiment=") for argument in arguments) and name != "train":
        arguments.append(f"source.root={tiny_source}")
    if "resume=true" in arguments:
        done = cli(place, name, *arguments, *TRAINER, "run=never_begun")
        assert done.returncode == 2 and "nothing to resume" in done.stderr
        return
    done = cli(place, name, *arguments, *SMALLER.get(name, []))
    assert done.returncode == 0, done.stdout + done.stderr
