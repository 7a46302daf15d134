"""The settings of a training, checked: types, choices, and combinations that make no sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinical_lstm import plugins
from clinical_lstm.calibration import KINDS
from clinical_lstm.errors import InputError, closest
from clinical_lstm.metrics.rules import RULES
from clinical_lstm.training.smoothing import SMOOTHINGS
from clinical_lstm.training.weights import WEIGHTINGS

MONITORS = {"val_loss": "min", "val_auroc": "max", "val_auprc": "max"}
CHOICES = {
    "monitor": list(MONITORS),
    "keep": ["best", "last"],
    "schedule": ["cosine", "one_cycle", "constant"],
    "weighting": WEIGHTINGS,
    "loss": ["bce", "focal", "survival"],
    "smoothing": SMOOTHINGS,
    "calibration": ["auto", *KINDS],
    "threshold": RULES,
    "precision": ["32-true", "bf16-mixed", "16-mixed"],
    "accelerator": ["auto", "cpu", "gpu"],
}
AT_LEAST = {  # smallest value of each number
    **dict.fromkeys(("epochs", "batch_size", "length_groups", "accumulate"), 1),
    "teacher_folds": 3,
}


@dataclass(frozen=True)
class TrainerSettings:
    """How to train: see `conf/trainer/default.yaml` for what each number means."""

    epochs: int = 20
    patience: int = 5
    monitor: str = "val_loss"
    keep: str = "best"
    batch_size: int = 128
    length_groups: int = 4
    accumulate: int = 1
    schedule: str = "cosine"
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.15
    gradient_clip: float = 1.0
    ema_decay: float = 0.0
    swa_epochs: int = 0
    tbptt_steps: int = 0
    weighting: str = "uniform"
    loss: str = "bce"
    focal_gamma: float = 2.0
    smoothing: str = "none"
    smoothing_strength: float = 0.2
    smoothing_from_hours: float = 0.0
    distil_weight: float = 0.0
    teacher: Any = "gradient_boosting"
    teacher_folds: int = 5
    forecast_weight: float = 0.0
    forecast_hours: float = 6.0
    outcomes_weight: float = 0.0
    calibration: str = "auto"
    threshold: str = "youden"
    precision: str = "32-true"
    accelerator: str = "cpu"

    @staticmethod
    def of(spec: dict[str, Any]) -> TrainerSettings:
        """Return the settings that a configuration describes; raises InputError on an unknown key, type or choice."""
        known = TrainerSettings.__dataclass_fields__
        for key, value in spec.items():
            if key not in known:
                raise InputError(f"trainer takes no {key!r}: {closest(key, list(known))}")
            default: Any = known[key].default
            kinds = (int, float) if isinstance(default, float) else (type(default),)
            named = key == "teacher" and isinstance(value, Mapping)
            if named and "name" not in value:
                raise InputError("trainer.teacher: say which baseline, trainer.teacher.name=NAME, beside its settings")
            if not named and (not isinstance(value, kinds) or isinstance(value, bool)):
                raise InputError(f"trainer.{key} must be of the type of its default {default!r}, not {value!r}")
            if not named and value not in CHOICES.get(key, [value]):
                raise InputError(f"trainer.{key}={value}: {closest(str(value), CHOICES[key])}")
            if isinstance(value, (int, float)) and value < (least := AT_LEAST.get(key, 0)):
                raise InputError(
                    f"trainer.{key}={value} must be at least {least}"
                    if least
                    else f"trainer.{key} must not be negative"
                )
        settings = TrainerSettings(**spec)
        if settings.learning_rate == 0 or settings.warmup_share > 1:
            raise InputError("trainer.learning_rate must be above 0, trainer.warmup_share in 0..1")
        settings.refuse_contradictions()
        return settings

    @property
    def teacher_spec(self) -> dict[str, Any]:
        """The teacher as a plug-in specification: a baseline's name, or its name and arguments."""
        return {"name": self.teacher} if isinstance(self.teacher, str) else dict(self.teacher)

    def refuse_contradictions(self) -> None:
        """Raise InputError where two settings cannot both be meant."""
        survival = self.loss == "survival"
        if survival and (self.weighting != "uniform" or self.smoothing != "none" or self.distil_weight):
            raise InputError(
                "trainer.loss=survival learns hazards, not one label a row; it needs weighting=uniform, smoothing=none "
                f"and distil_weight=0, not {self.weighting}, {self.smoothing} and {self.distil_weight}"
            )
        if self.smoothing != "none" and self.weighting == "cinc2019":
            raise InputError(
                f"trainer.smoothing={self.smoothing} with weighting=cinc2019: its target is the sign of a gain, not a "
                "label that could be smoothed; use weighting=uniform or class"
            )
        if self.smoothing != "none" and self.smoothing_strength <= 0:
            raise InputError("trainer.smoothing_strength must be above 0")
        if self.smoothing == "step" and self.smoothing_strength >= 1:
            raise InputError("trainer.smoothing_strength of smoothing=step is a target: it must be below 1")
        if max(self.distil_weight, self.ema_decay) > 1 or self.ema_decay == 1:
            raise InputError("trainer.distil_weight must be in 0..1, trainer.ema_decay at least 0 and below 1")
        if self.ema_decay and self.swa_epochs:
            raise InputError("trainer.ema_decay and trainer.swa_epochs are two ways to average weights: choose one")
        if self.swa_epochs > self.epochs:
            raise InputError(f"trainer.swa_epochs={self.swa_epochs} is more than trainer.epochs={self.epochs}")
        if self.forecast_weight and not self.forecast_hours:
            raise InputError("trainer.forecast_weight needs trainer.forecast_hours above 0")
        if self.distil_weight and not plugins.build("baselines", self.teacher_spec).learns:
            raise InputError(f"trainer.teacher={self.teacher} learns nothing: name a baseline that is fitted")

    def refuse_model(self, spec: Mapping[str, Any], causal: bool, proceeds: bool) -> None:
        """Raise InputError where a model cannot be trained so.

        Args:
            spec: plug-in and arguments of the model. causal: whether it sees no step ahead. proceeds: whether it can
                go on from a state over several steps (`proceed`).

        """
        name, head = spec["name"], spec.get("head", "cumulative")
        if self.loss == "survival" and head != "hazard":
            raise InputError(f"trainer.loss=survival needs hazards: model.head=hazard, not {head}")
        if self.forecast_weight and not causal:
            raise InputError(
                f"trainer.forecast_weight: model {name} sees the whole window, so it need not foretell it; use a "
                "causal model or forecast_weight=0"
            )
        if self.tbptt_steps and not proceeds:
            raise InputError(
                f"trainer.tbptt_steps: model {name} cannot go on from a state over several steps (it has no method "
                "proceed); use tbptt_steps=0, or a recurrent model such as lstm"
            )
