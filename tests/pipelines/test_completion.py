"""Shell completion, in the functions and in a real bash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.completion import words


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("clinical-lstm tra", ["track", "train"]),
        ("clinical-lstm train see", ["seed="]),
        ("clinical-lstm train model=", ["model=lstm"]),
        ("clinical-lstm train x=1 tracking=n", ["tracking=none"]),
        ("clinical-lstm nonsense a", []),
        ("clinical-lstm report mod", []),
    ],
)
def test_words(line, found):
    assert set(found) <= set(words(line)) and (found or not words(line))


def test_bash_completes(tmp_path):
    command = Path(sys.executable).parent / "clinical-lstm"
    if not command.exists():
        pytest.skip("the console script is not installed beside this Python")
    script = (
        f'export PATH="{command.parent}:$PATH"; eval "$(clinical-lstm completion bash)"\n'
        'COMP_LINE="clinical-lstm eval"; COMP_POINT=${#COMP_LINE}; _clinical_lstm; echo "${COMPREPLY[@]}"\n'
        'COMP_LINE="clinical-lstm train tracking=no"; COMP_POINT=${#COMP_LINE}; _clinical_lstm; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == ["evaluate", "none"]


def test_an_unknown_shell_is_refused(cli, tmp_path):
    assert cli(tmp_path, "completion", "fish").returncode == 2
