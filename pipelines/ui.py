"""The MLflow UI on this project's store, with one worker process.

clinical-lstm ui
clinical-lstm ui tracking.port=5050
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path

from omegaconf import DictConfig

from clinical_lstm.errors import InputError
from pipelines import places, stage
from pipelines.tracking import store_uri

KEYS = ["tracking"]


def main(config: DictConfig) -> None:
    """Replace this process by `mlflow server`."""
    tracking = places.plain(config.tracking)
    if tracking["name"] == "none":
        raise InputError("tracking=none has no UI")
    uri = store_uri(tracking, config.paths.artifacts)
    if not uri.startswith("sqlite:"):
        raise InputError(f"the store is a server already: open {uri}")
    port = str(tracking["port"])
    print(f"ui: http://127.0.0.1:{port}/{_page(uri, tracking['experiment'])} on {uri} (Ctrl-C stops it)", flush=True)
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        uri,
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--workers",
        "1",
    ]
    os.execve(sys.executable, command, environment)


def _page(uri: str, experiment: str) -> str:
    """Return the page of this project's runs, in MLflow's view for models (its own default is the one for chats)."""
    view = "workflowType=machine_learning"
    store = Path(uri.removeprefix("sqlite:///"))
    if not store.is_file():
        return f"#/experiments?{view}"
    with contextlib.closing(sqlite3.connect(store)) as database:
        found = database.execute("SELECT experiment_id FROM experiments WHERE name = ?", [experiment]).fetchone()
    return f"#/experiments/{found[0]}/runs?{view}" if found else f"#/experiments?{view}"


if __name__ == "__main__":
    sys.exit(stage.launch("ui", sys.argv[1:]))
