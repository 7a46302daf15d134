"""The MLflow UI on this project's store, with one worker process.

clinical-lstm ui
clinical-lstm ui tracking.port=5050
"""

from __future__ import annotations

import os
import sys

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
    print(f"ui: http://127.0.0.1:{port} on {uri} (Ctrl-C stops it)", flush=True)
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


if __name__ == "__main__":
    sys.exit(stage.launch("ui", sys.argv[1:]))
