"""The MLflow UI answers on the project's store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request


def test_the_ui_answers_and_the_printed_page_is_that_of_the_runs(project, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pipelines", "ui", f"tracking.port={port}"]
    with (tmp_path / "printed.txt").open("w") as printed:
        server = subprocess.Popen(command, cwd=project, stdout=printed, stderr=printed, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name?experiment_name=clinical_lstm"
        for _ in range(60):
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    assert b"clinical_lstm" in answer.read()
                break
            except OSError:
                time.sleep(1)
        else:
            raise AssertionError("the UI did not answer within a minute")
        line = (tmp_path / "printed.txt").read_text().splitlines()[0]
        assert f"http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning" in line
    finally:
        os.killpg(server.pid, 9)
        server.wait()
