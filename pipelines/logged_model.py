"""A run as an MLflow model: code and safetensors, no pickle; it brings the package along and needs no checkout."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

import clinical_lstm
from clinical_lstm.artifacts import Run

REQUIREMENTS = ["torch", "polars", "numpy", "scikit-learn", "scipy", "safetensors", "dataframely", "mlflow", "pandas"]


def log_model(run: Run, run_id: str) -> None:
    """Log the run as a models-from-code pyfunc that brings the package along: no pickle, no path to this checkout."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    texts = {"stay_id", "variable", "complication"}
    given = ["stay_id", "hours", "variable", "value"]
    found = ["stay_id", "hours", "complication", "horizon_hours", "risk"]
    inputs, outputs = (
        Schema([ColSpec("string" if name in texts else "double", name) for name in names]) for names in (given, found)
    )
    package = Path(clinical_lstm.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "clinical_lstm"
        shutil.copytree(package, code, ignore=shutil.ignore_patterns("__pycache__", "samples", "_shells"))
        own = Path(folder) / "run"
        for name in [*(run.marker("train") or {})["outputs"], "done/train.json"]:
            (own / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(run.path / name, own / name)
        with warnings.catch_warnings(), mlflow.start_run(run_id=run_id):
            warnings.filterwarnings("ignore", message=".*input example.*")
            mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).parent / "served_model.py"),
                artifacts={"run": str(own)},
                code_paths=[str(code)],
                signature=ModelSignature(inputs, outputs),
                pip_requirements=[f"{name}=={metadata.version(name).split('+')[0]}" for name in REQUIREMENTS],
            )
