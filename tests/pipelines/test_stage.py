"""Help, and the mistakes of a command line: each one clear message, status 2, no traceback, nothing written."""

from __future__ import annotations

import pytest

from clinical_lstm.errors import InputError
from pipelines import stage


@pytest.mark.parametrize("name", stage.STAGES)
def test_help_names_what_a_stage_takes(name):
    text = stage.help_text(name)
    assert f"clinical-lstm {name}" in text
    for key in stage.documentation(name)[1]:
        assert key in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "modle=lstm"], "did you mean 'model'"),
        (["train", "model=lstn"], "did you mean 'lstm'"),
        (["train", "model.hiden=3", "cohort=x"], "no cohort"),
        (["train", "seed"], "no KEY=VALUE"),
        (["train", "~modle.hidden"], "did you mean 'model'"),
        (["train", "~model.nothing"], "'model.nothing' does not exist"),
        (["train", "cohort=x", "experiment=cinc2019_record", "model=lstm", "~model.encoder_dropout"], "no cohort"),
        (["report", "model=lstm"], "report takes no 'model'"),
        (["evaluate"], "say which run"),
        (["evaluate", "run=none_such"], "no run"),
        (["train", "cohort=none_such"], "clinical-lstm prepare"),
        (["prepare"], "source.root"),
        (["prepare", "source.root=/none/such"], "there is no file or folder /none/such"),
        (["prepare", "source.root=.", "source.rooot=3"], "did you mean 'root'"),
        (["prepare", "source.root=.", "task.horizon_hours=[3]"], "horizon_hours"),
        (["prepare", "source.root=.", "task.complications=[sepsi_label]"], "did you mean 'sepsis_label'"),
        (["predict", "run=x", "source.root=."], "out="),
        (["ui", "tracking=none"], "has no UI"),
    ],
)
def test_a_mistake_gets_one_message(cli, tmp_path, arguments, said):
    done = cli(tmp_path, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_plugin_argument_names_what_exists(cli, project):
    done = cli(project, "train", "cohort=tiny", "model.hiden=3", "tracking=none")
    assert done.returncode == 2
    assert "did you mean 'hidden'" in done.stderr
    done = cli(project, "train", "cohort=tiny", "trainer.epoch=3", "tracking=none")
    assert "did you mean 'epochs'" in done.stderr


@pytest.mark.parametrize("module", ["pipelines.train", "pipelines"])
def test_module_and_command_are_the_same(tmp_path, module):
    import subprocess
    import sys

    arguments = ["train", "--help"] if module == "pipelines" else ["--help"]
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.strip() == stage.help_text("train").strip()


@pytest.mark.parametrize("argument", ["complication=[hypotension,hypotensio]", "complication=[hypotensio]"])
def test_a_misspelt_option_in_a_list_is_refused_with_the_close_one(argument):
    with pytest.raises(InputError, match="there is no complication=hypotensio: did you mean 'hypotension'"):
        stage._checked("prepare", [argument])
    assert stage._checked("prepare", ["complication=[hypotension, aki_kdigo]"])


@pytest.mark.parametrize(
    ("argument", "passed"),
    [
        ("folds=[split.fold=0,split.site=A b]", "folds=['split.fold=0','split.site=A b']"),
        ("folds=[split.site=A, split.site=B]", "folds=['split.site=A','split.site=B']"),
        ("folds=['split.site=A']", "folds=['split.site=A']"),
        ("folds=null", "folds=null"),
    ],
)
def test_folds_need_no_quotes_within_quotes(argument, passed):
    assert stage._checked("crossvalidate", [argument]) == [passed]
