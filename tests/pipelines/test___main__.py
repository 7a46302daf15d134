"""The front page of the command line, and that asking for help stays cheap."""

from __future__ import annotations

import subprocess
import sys

from pipelines import __main__ as front
from pipelines import stage


def test_the_overview_names_stages_groups_and_examples():
    text = front.overview()
    for name in [*stage.STAGES, *stage.groups(), "Examples:"]:
        assert name in text


def test_help_loads_no_framework():
    code = (
        "import sys; sys.argv = ['clinical-lstm', 'train', '--help']\n"
        "from pipelines.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'hydra', 'polars', 'mlflow', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_the_package_s(cli, tmp_path):
    import clinical_lstm

    assert cli(tmp_path, "--version").stdout.strip() == clinical_lstm.__version__
