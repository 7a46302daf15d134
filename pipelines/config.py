"""The types and names of the configuration: a key that is not here is refused before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

import clinical_lstm

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"


@dataclass
class Paths:
    """Where things are written."""

    artifacts: str = MISSING
    reports: str = MISSING


@dataclass
class Evaluation:
    """How a run is judged."""

    replicates: int = MISSING
    split: str = MISSING
    subgroups: list[str] = MISSING
    least_patients: int = MISSING


@dataclass
class Alarm:
    """What a ward can bear."""

    budget: float = MISSING
    silence_hours: float = MISSING
    reset_hours: float = MISSING


@dataclass
class Explanation:
    """What is explained."""

    per_reason: int = MISSING
    cohort_sample: int = MISSING
    hours_back: float = MISSING


@dataclass
class Report:
    """What the page shows."""

    identifiers: bool = MISSING


@dataclass
class Runtime:
    """What the machine gives."""

    threads: int = MISSING


@dataclass
class Config:
    """Everything a stage can be told. Groups of plug-ins are checked against the plug-in's own signature."""

    source: dict[str, Any] = field(default_factory=dict)
    complication: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    explainer: dict[str, Any] = field(default_factory=dict)
    tracking: dict[str, Any] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    sweep: dict[str, Any] = field(default_factory=dict)
    paths: Paths = field(default_factory=Paths)
    evaluation: Evaluation = field(default_factory=Evaluation)
    alarm: Alarm = field(default_factory=Alarm)
    explanation: Explanation = field(default_factory=Explanation)
    report: Report = field(default_factory=Report)
    runtime: Runtime = field(default_factory=Runtime)
    cohort: str | None = None
    run: Any = None
    predictions: str | None = None
    out: str | None = None
    stay: Any = None
    sites: Any = None
    models: Any = None
    folds: Any = None
    blend: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [1])
    runs: list[str] = field(default_factory=list)
    seed: int = 1
    resume: bool = False


def register() -> None:
    """Make the schema and the resolver of shipped data files known to Hydra."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    ConfigStore.instance().store(name="schema", node=Config)
    samples = Path(clinical_lstm.__file__).parent / "sources" / "samples"
    OmegaConf.register_new_resolver("sample", lambda name: str(samples / name), replace=True)
