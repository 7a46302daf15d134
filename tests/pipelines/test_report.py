"""`report`: one page from the run directory alone."""

from __future__ import annotations

import shutil
import subprocess
import sys


def test_the_page_needs_nothing_but_the_run(project, cli, tmp_path):
    shutil.copytree(project / "artifacts/runs/tiny", tmp_path / "artifacts/runs/tiny")
    done = cli(tmp_path, "report", "run=tiny", "tracking=none")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reports/tiny/index.html").read_bytes()
    assert page == (project / "reports/tiny/index.html").read_bytes()
    assert b"http://" not in page.split(b"<body")[0]


def test_the_report_never_loads_torch(project):
    code = "import sys; import pipelines.report; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
