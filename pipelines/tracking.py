"""The only MLflow. The run directory is the truth, MLflow a view that can be rebuilt; losing it loses nothing."""

from __future__ import annotations

import contextlib
import csv
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clinical_lstm
from clinical_lstm.artifacts import Directory, Run, read_json, write_json
from pipelines.logged_model import log_model
from pipelines.logged_numbers import flatten, log_checks, log_scores

if TYPE_CHECKING:
    from mlflow import MlflowClient

LINK = "mlflow.json"
# Patient-level tables stay in the run directory: a tracking server may be shared.
SHARED = {
    "manifest.json",
    "cohort.json",
    "config.yaml",
    "environment.txt",
    "model.json",
    "calibrator.json",
    "thresholds.json",
    "history.csv",
    "scores.parquet",
    "curves.parquet",
    "gaps.parquet",
    "summary.json",
    "alarms.json",
    "recalibration.parquet",
    "domain_shift.parquet",
    "transport.json",
    "importance.parquet",
    "checks.json",
}


def store_uri(tracking: dict[str, Any], artifacts: str) -> str:
    """Return the MLflow tracking URI: the configured one, or the SQLite store below the artefacts."""
    return tracking.get("uri") or f"sqlite:///{Path(artifacts).resolve() / 'mlflow.db'}"


class Tracker:
    """Write a run to MLflow: live metrics while it trains, everything else after each stage.

    No failure here stops or loses a training: it is said once, with the command that writes the run later.
    """

    def __init__(self, tracking: dict[str, Any], artifacts: str, run: Directory, again: str = "") -> None:
        self.run, self.again = run, again or f"clinical-lstm track run={run.name}"
        self.active = tracking["name"] != "none"
        self.uri = store_uri(tracking, artifacts) if self.active else "none"
        self.experiment = tracking.get("experiment", "clinical_lstm")
        self.files = Path(artifacts).resolve() / "mlflow-artifacts"
        self._opened: tuple[MlflowClient, str] | None = None

    def begin(self, resume: bool) -> None:
        """Open a new MLflow run for a new training; a resumed one goes on in its own."""
        if not resume:
            (self.run.path / LINK).unlink(missing_ok=True)

    def epoch(self, row: dict[str, float]) -> None:
        """Log the metrics of one epoch while the training goes on."""
        self._try(lambda client, run_id: _log_epochs(client, run_id, [row]))

    def publish(self, report: Path | None = None) -> bool:
        """Write what the run directory holds, and the folder of its report; say whether that worked."""
        run = Run(self.run.path)

        def everything(client: MlflowClient, run_id: str) -> None:
            _describe(client, run_id, run)
            _log_epochs(client, run_id, _history(run))
            log_scores(client, run_id, run)
            log_checks(client, run_id, run)
            for name in sorted(SHARED & {path.name for path in run.path.iterdir()}):
                client.log_artifact(run_id, str(run.path / name), "run")
            for path in sorted(report.rglob("*")) if report else []:
                inside = path.relative_to(report or path).parent
                if path.is_file() and inside.parts[:1] != ("stays",):  # pages of single stays stay here
                    client.log_artifact(run_id, str(path), str(Path("report") / inside))
            if "model" not in client.get_run(run_id).data.tags:
                log_model(run, run_id)
                client.set_tag(run_id, "model", "logged")
            client.set_terminated(run_id)

        return self._try(everything)

    def compare(
        self,
        params: dict[str, Any],
        children: list[dict[str, Any]],
        files: list[str],
        metrics: dict[str, float] | None = None,
    ) -> bool:
        """Write a comparison or a search: one MLflow run with its files, below it one per child.

        A child has a name, params, metrics and, unless it is FINISHED, a status.
        """

        def everything(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Metric, Param

            known = client.get_run(run_id)
            params_now = [Param(key, str(value)) for key, value in params.items() if key not in known.data.params]
            now = int(time.time() * 1000)
            values = [Metric(key, value, now, 0) for key, value in (metrics or {}).items()]
            client.log_batch(run_id, metrics=values, params=params_now)
            _nest(client, known.info.experiment_id, run_id, children)
            for name in files:
                client.log_artifact(run_id, str(self.run.path / name))
            client.set_terminated(run_id)

        return self._try(everything)

    def _try(self, action: Callable[[MlflowClient, str], None]) -> bool:
        if not self.active:
            return False
        try:
            action(*self._open())
        except Exception as fault:  # whatever a server, a lock or a disk does must not cost a training
            self.active = False
            reason = next(iter(str(fault).strip().splitlines()), type(fault).__name__)
            print(
                f"tracking: MLflow at {self.uri} failed ({reason[:160]}). The run directory is complete without it; "
                f"write it later with: {self.again}"
            )
            return False
        return True

    def _open(self) -> tuple[MlflowClient, str]:
        """Return the client and the id of this run's MLflow run, made at the first call."""
        if self._opened is not None:
            return self._opened
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        client = mlflow.MlflowClient(self.uri)
        found = client.get_experiment_by_name(self.experiment)
        place = self.files.as_uri() if self.uri.startswith("sqlite:") else None
        experiment_id = found.experiment_id if found else client.create_experiment(self.experiment, place)
        self._opened = client, self._run_id(client, experiment_id)
        return self._opened

    def _run_id(self, client: MlflowClient, experiment_id: str) -> str:
        """Return the MLflow run that the run directory links to, or a new one linked both ways."""
        link = self.run.path / LINK
        if link.is_file():
            known = read_json(link)
            if known["uri"] == self.uri:
                with contextlib.suppress(Exception):  # a deleted store: make the run anew
                    if client.get_run(known["run_id"]).info.lifecycle_stage == "active":
                        return str(known["run_id"])
        tags = {"run_directory": str(self.run.path.resolve())}
        run_id = client.create_run(experiment_id, run_name=self.run.name, tags=tags).info.run_id
        write_json(link, {"uri": self.uri, "run_id": run_id, "experiment": self.experiment})
        return str(run_id)


def _nest(client: MlflowClient, experiment: str, parent: str, children: list[dict[str, Any]]) -> None:
    """Write the children of a run anew."""
    from mlflow.entities import Metric, Param

    for old in client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'", max_results=5000):
        client.delete_run(old.info.run_id)
    for child in children:
        run_id = client.create_run(experiment, run_name=child["name"], tags={"mlflow.parentRunId": parent}).info.run_id
        now = int(time.time() * 1000)
        metrics = [Metric(key, value, now, 0) for key, value in child["metrics"].items() if value is not None]
        client.log_batch(run_id, metrics=metrics, params=[Param(k, str(v)) for k, v in child["params"].items()])
        client.set_terminated(run_id, child.get("status", "FINISHED"))


def _describe(client: MlflowClient, run_id: str, run: Run) -> None:
    """Log parameters, tags and the data set."""
    from mlflow.entities import Dataset, DatasetInput, Param, RunTag

    manifest, cohort = run.json("manifest.json"), run.json("cohort.json")
    flat = flatten({key: manifest[key] for key in ("model", "training", "task", "seed", "parameters", "cohort")})
    known = client.get_run(run_id).data.params
    params = [Param(key, str(value)[:6000]) for key, value in flat.items() if key not in known]
    source = cohort["source"]
    tags = {
        "source": source["title"],
        "cohort_digest": manifest["cohort_outputs"],
        "best_epoch": manifest["best_epoch"],
        "mlflow.source.name": "clinical-lstm train",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": manifest.get("git_commit"),
        "clinical_lstm": clinical_lstm.__version__,
    }
    client.log_batch(run_id, params=params, tags=[RunTag(k, str(v)) for k, v in tags.items() if v is not None])
    inputs = client.get_run(run_id).inputs
    if not (inputs and inputs.dataset_inputs):
        counts = {name: {k: s[k] for k in ("stays", "rows", "events")} for name, s in cohort["splits"].items()}
        dataset = Dataset(
            name=manifest["cohort"],
            digest=manifest["cohort_outputs"][:16],
            source_type="local",
            source=json.dumps(source["files"]),
            profile=json.dumps(counts),
        )
        client.log_inputs(run_id, datasets=[DatasetInput(dataset)])


def _history(run: Run) -> list[dict[str, float]]:
    with (run.path / "history.csv").open(encoding="utf-8", newline="") as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


def _log_epochs(client: MlflowClient, run_id: str, rows: list[dict[str, float]]) -> None:
    """Log the epochs that MLflow does not have yet."""
    from mlflow.entities import Metric

    known = {metric.step for metric in client.get_metric_history(run_id, "val_loss")}
    now = int(time.time() * 1000)
    metrics = [
        Metric(name, value, now, int(row["epoch"]))
        for row in rows
        if int(row["epoch"]) not in known
        for name, value in row.items()
        if name != "epoch"
    ]
    client.log_batch(run_id, metrics=metrics)
