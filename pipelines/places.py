"""Which cohort or run a configuration means: names derived from content, so that equal settings share a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

import clinical_lstm
from clinical_lstm.artifacts import Cohort, Run, digest, read_json
from clinical_lstm.errors import InputError
from clinical_lstm.sources.archive import fingerprint as fingerprint_of


def plain(node: Any) -> Any:
    """Return a configuration node as plain dictionaries and lists, interpolations resolved, `???` refused."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)


def cohort_of(config: DictConfig) -> Cohort:
    """Return the cohort directory of a configuration: `cohort`, or the name that `prepare` derives."""
    return named_cohort(config, config.cohort or _cohort_name(config))


def named_cohort(config: DictConfig, name: str) -> Cohort:
    """Return the cohort that a name or path means."""
    return Cohort(_folder(config, "cohorts", name))


def new_run(config: DictConfig, cohort: Cohort) -> Run:
    """Return the directory that a training with this configuration writes."""
    settings = digest([plain(config.model), plain(config.trainer), cohort.name])[:6]
    return Run(_folder(config, "runs", config.run or f"{cohort.name}-{config.model.name}-s{config.seed}-{settings}"))


def existing_runs(config: DictConfig) -> list[Run]:
    """Return the runs that `run=[A,B]` names, each once; of one name, the one run."""
    if not isinstance(config.run, ListConfig):
        return [existing_run(config)]
    runs = []
    for name in config.run:
        job = config.copy()
        job.run = name
        runs.append(existing_run(job))
    if len({run.path for run in runs}) < max(len(runs), 1) or not runs:
        raise InputError(f"run=[{', '.join(map(str, config.run))}]: name at least one run, each once")
    return runs


def existing_run(config: DictConfig) -> Run:
    """Return the run that `run=` names: a name, path or MLflow run id, or `last` for the latest finished training."""
    if config.run is not None and not isinstance(config.run, str):
        raise InputError(f"run={config.run}: this stage takes one run; only evaluate takes several")
    folder = Path(config.paths.artifacts) / "runs"
    finished = [path.parent.parent for path in folder.glob("*/done/train.json")]
    latest = sorted(finished, key=lambda path: (path / "done" / "train.json").stat().st_mtime_ns)
    if not config.run:
        names = ", ".join(path.name for path in latest) or "none yet"
        raise InputError(f"say which run: run=NAME, or run=last; there are: {names}")
    if config.run == "last":
        if not latest:
            raise InputError(f"there is no finished run in {folder}; make one with: clinical-lstm train cohort=...")
        return Run(latest[-1])
    linked = [path.parent for path in folder.glob("*/mlflow.json") if read_json(path)["run_id"] == config.run]
    return Run(linked[0] if linked else _folder(config, "runs", config.run))


def named_run(config: DictConfig, name: str) -> Run:
    """Return the run that a name or path means."""
    return Run(_folder(config, "runs", name))


def new_ensemble(config: DictConfig, cohort: Cohort, members: list[Run]) -> tuple[Run, str]:
    """Return the directory that an average of `members` writes, and the hash of everything it depends on."""
    outputs = [(member.marker("train") or {}).get("outputs") for member in members]
    key = digest([outputs, [member.name for member in members], clinical_lstm.__version__])
    return Run(_folder(config, "runs", config.run or f"{cohort.name}-ensemble-{key[:6]}")), key


def cohort_key(config: DictConfig, fingerprint: str) -> str:
    """Return the hash of everything a cohort depends on."""
    task = plain(config.task)
    given = fingerprint_of(task["labels"], ".parquet") if task.get("labels") else ""
    return digest([plain(config.source), task, plain(config.split), fingerprint, given, clinical_lstm.__version__])


def run_key(config: DictConfig, cohort: Cohort) -> str:
    """Return the hash of everything a training depends on."""
    outputs = (cohort.marker("prepare") or {}).get("outputs")
    return digest([plain(config.model), plain(config.trainer), config.seed, outputs, clinical_lstm.__version__])


def _cohort_name(config: DictConfig) -> str:
    made_of = digest([plain(config.source), plain(config.task), plain(config.split)])
    return f"{config.source.name}-{config.task.name}-{made_of[:6]}"


def _folder(config: DictConfig, kind: str, name: str) -> Path:
    """Return the path that `name` means: itself when it holds a separator, else below the artefacts."""
    return Path(name) if "/" in name else Path(config.paths.artifacts) / kind / name
