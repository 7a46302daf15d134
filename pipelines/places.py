"""Which cohort or run a configuration means: names derived from content, so that equal settings share a directory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

import clinical_lstm
from clinical_lstm.artifacts import Cohort, Run, digest, read_json
from clinical_lstm.data import split_tables
from clinical_lstm.errors import InputError, closest
from clinical_lstm.sources.archive import fingerprint as fingerprint_of

FOLDED = ["source", "task", "split"]  # what a cohort is made from
WAYS = ["fold", "site"]  # of choosing the test patients, of which a split takes one


def plain(node: Any) -> Any:
    """Return a configuration node as plain dictionaries and lists, interpolations resolved, `???` refused."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)


def cohort_of(config: DictConfig) -> Cohort:
    """Return the cohort directory of a configuration: `cohort`, or the name that `prepare` derives."""
    return named_cohort(config, config.cohort or _cohort_name(config))


def named_cohort(config: DictConfig, name: str) -> Cohort:
    """Return the cohort that a name or path means."""
    return Cohort(_folder(config, "cohorts", name))


def folds_name(config: DictConfig) -> str:
    """Return the name with which the cohorts of all folds begin; what a fold sets may be missing here."""
    return config.cohort or _cohort_name(config, complete=False)


def folds_of(config: DictConfig) -> dict[str, DictConfig]:
    """Return the configuration of every fold by its override: `folds`, or split.fold = 0, 1, ... of `split.folds`.

    Each has a cohort of its own, NAME-fold0 for split.fold=0. Raises InputError on an override that says nothing that a
    cohort is made from, or that stands twice.
    """
    given = config.folds if config.folds is not None else [f"split.fold={k}" for k in range(config.split.folds)]
    if not isinstance(given, (list, ListConfig)) or not given:
        raise InputError(f"folds={given}: give a list of KEY=VALUE, e.g. folds=[split.site=A,split.site=B]")
    base, jobs = folds_name(config), {}
    for override in map(str, given):
        key, _, value = override.partition("=")
        _require_key(config, override, key)
        job = config.copy()
        with open_dict(job):
            if key.startswith("split."):
                job.split.update(dict.fromkeys(WAYS))
            OmegaConf.update(job, key, OmegaConf.select(OmegaConf.from_dotlist([override]), key))
            short = re.sub(r"[^\w.-]+", "-", key.rpartition(".")[2] + value)
            job.cohort = f"{base}-{short}"
        jobs[override] = job
    if len({job.cohort for job in jobs.values()}) < len(given):
        raise InputError(f"folds=[{', '.join(map(str, given))}]: name each fold once")
    return jobs


def _require_key(config: DictConfig, override: str, key: str) -> None:
    """Raise InputError unless a fold's override names a key of source, task or split that exists."""
    if "=" not in override or "." not in key:
        raise InputError(f"folds: {override!r} is no KEY=VALUE of a dotted key, e.g. split.site=A")
    node: Any = {name: OmegaConf.to_container(config[name]) for name in FOLDED}
    for part in key.split("."):
        known = list(node) if isinstance(node, dict) else []
        if part not in known:
            raise InputError(f"folds: {override}: there is no {part!r}: {closest(part, known)}")
        node = node[part]


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
    listed = split_tables.fingerprint(plain(config.split))
    parts = [plain(config.source), task, plain(config.split), fingerprint, given, listed, clinical_lstm.__version__]
    return digest(parts)


def run_key(config: DictConfig, cohort: Cohort) -> str:
    """Return the hash of everything a training depends on."""
    outputs = (cohort.marker("prepare") or {}).get("outputs")
    return digest([plain(config.model), plain(config.trainer), config.seed, outputs, clinical_lstm.__version__])


def _cohort_name(config: DictConfig, complete: bool = True) -> str:
    parts = (config.source, config.task, config.split)
    made_of = digest([OmegaConf.to_container(part, resolve=True, throw_on_missing=complete) for part in parts])
    return f"{config.source.name}-{config.task.name}-{made_of[:6]}"


def _folder(config: DictConfig, kind: str, name: str) -> Path:
    """Return the path that `name` means: itself when it holds a separator, else below the artefacts."""
    return Path(name) if "/" in name else Path(config.paths.artifacts) / kind / name
