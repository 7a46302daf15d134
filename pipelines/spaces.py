"""What a search may vary: a file of conf/sweep, read and held against the model and the trainer before any training."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

from clinical_lstm import plugins
from clinical_lstm.errors import InputError, closest
from clinical_lstm.models.inputs.features import ENCODINGS, Inputs, make_inputs
from clinical_lstm.training.settings import MONITORS, TrainerSettings

DEFAULTS: dict[str, Any] = {
    "name": "",
    "model": "",
    "trials": 20,
    "seeds": [1],
    "keep": 3,
    "objective": {"metric": "val_auroc", "direction": "maximize"},
    "sampler": {"seed": 1, "startup_trials": 10},
    "pruner": {"startup_trials": 5, "warmup_epochs": 1},
    "fixed": {},
    "space": {},
}
LEAST = {"trials": 1, "keep": 0, "seed": 0, "startup_trials": 0, "warmup_epochs": 0}
DIRECTIONS = {"max": "maximize", "min": "minimize"}
MARKS = ["low", "high", "log", "step", "choices"]
SCALARS = (str, int, float, bool)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; `whole` ones, evenly in their logarithm (`log`), or by `step`."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    @property
    def ends(self) -> list[Any]:
        """The values that show whether all are allowed."""
        return [int(end) if self.whole else float(end) for end in (self.low, self.high)]


@dataclass(frozen=True)
class Choices:
    """One of some values."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> list[Any]:
        """The values that show whether all are allowed."""
        return list(self.values)


@dataclass(frozen=True)
class Space:
    """A declared search; see conf/sweep/lstm_small.yaml for what each word means. Keys are dotted: `model.hidden`."""

    name: str
    model: str
    trials: int
    seeds: list[int]
    keep: int
    metric: str
    sampler: dict[str, int]
    pruner: dict[str, int] | None
    fixed: dict[str, Any]
    searched: dict[str, dict[str, Any]]

    @property
    def direction(self) -> str:
        """Whether the metric is better when larger (`maximize`) or smaller (`minimize`)."""
        return DIRECTIONS[MONITORS[self.metric]]

    @staticmethod
    def of(spec: dict[str, Any], models: list[str]) -> Space:
        """Return the search that a file describes; raises InputError on an unknown word, model, metric or number."""
        _refuse_words(spec, DEFAULTS, "sweep")
        given = {key: default if spec.get(key) is None else spec[key] for key, default in DEFAULTS.items()}
        if given["model"] not in models:
            raise InputError(f"sweep.model={given['model']}: {closest(str(given['model']), models)}")
        for part in ("objective", "sampler", "pruner"):
            _refuse_words(given[part], DEFAULTS[part], f"sweep.{part}")
            given[part] = DEFAULTS[part] | given[part]
        _refuse_numbers(given)
        metric, direction = given["objective"]["metric"], given["objective"]["direction"]
        if metric not in MONITORS:
            raise InputError(f"sweep.objective.metric={metric}: {closest(str(metric), list(MONITORS))}")
        if direction != (right := DIRECTIONS[MONITORS[metric]]):
            raise InputError(f"sweep.objective.direction={direction}: {metric} is better the other way; say {right}")
        fixed, searched = flat(given["fixed"]), flat(given["space"], MARKS)
        if both := sorted(set(fixed) & set(searched)):
            raise InputError(f"{', '.join(both)} cannot be both fixed and searched; leave one of them out")
        if not searched:
            raise InputError("sweep.space is empty: name at least one key to search, e.g. model.hidden: {choices: [8]}")
        if metric == "val_loss" and "trainer.weighting" in searched:
            raise InputError("val_loss means another thing under each trainer.weighting; search by val_auroc")
        pruner = given["pruner"] if spec.get("pruner", True) is not None else None
        words = {key: given[key] for key in ("name", "model", "trials", "seeds", "keep", "sampler")}
        return Space(**words, metric=metric, pruner=pruner, fixed=fixed, searched=searched)

    def dimensions(self, base: dict[str, Any]) -> dict[str, Range | Choices]:
        """Return what is searched, in the order of its keys; raises InputError on what no trial could use.

        Args:
            base: the configuration that all trials share, with `model` and `trainer` as plain dictionaries.

        """
        encoding = self.searched.get("model.inputs.encoding", {}).get("choices")
        allowed = accepted(self.model, encoding or [base["model"].get("inputs", {}).get("encoding", "flat")])
        for key in [*self.fixed, *self.searched]:
            if key not in allowed:
                raise InputError(f"no trial of {self.model} takes {key!r}: {closest(key, list(allowed))}")
        found = {key: _dimension(key, self.searched[key], allowed[key]) for key in sorted(self.searched)}
        for key, dimension in found.items():
            for value in dimension.ends:
                _refuse_value(key, value, allowed[key], base)
        return found


def flat(node: dict[str, Any], marks: list[str] | None = None, above: str = "") -> dict[str, Any]:
    """Return a nested mapping with dotted keys; one that has any of `marks` is a value; None is left out.

    >>> flat({"model": {"hidden": {"low": 8, "high": 64}, "heads": None}}, ["low"])
    {'model.hidden': {'low': 8, 'high': 64}}
    """
    found: dict[str, Any] = {}
    for name, value in node.items():
        key = f"{above}{name}"
        if isinstance(value, dict) and not set(value) & set(marks or []):
            found |= flat(value, marks, f"{key}.")
        elif marks and value is not None and not isinstance(value, dict):
            raise InputError(
                f"sweep.space.{key}={value}: give {{low, high}} or {{choices}}; one value belongs to fixed"
            )
        elif value is not None:
            found[key] = value
    return found


def accepted(model: str, encodings: list[str]) -> dict[str, Any]:
    """Return every key that a trial of a model can set, with its default."""
    own = _defaults(plugins.load("models", model))
    inputs: dict[str, Any] = {}
    if "inputs" in own:
        inputs = _defaults(Inputs)
        for encoding in encodings:
            inputs |= _defaults(ENCODINGS[encoding]) if encoding in ENCODINGS else {}
    settings = {name: field.default for name, field in TrainerSettings.__dataclass_fields__.items()}
    found = {f"model.{name}": default for name, default in own.items() if name != "inputs"}
    found |= {f"model.inputs.{name}": default for name, default in inputs.items()}
    return found | {f"trainer.{name}": default for name, default in settings.items()}


def _defaults(made: Any) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(made).parameters.items() if p.default is not p.empty}


def _dimension(key: str, spec: dict[str, Any], default: Any) -> Range | Choices:
    """Return one dimension; raises InputError where it is no range and no choice, or empty."""
    _refuse_words(spec, dict.fromkeys(MARKS), f"sweep.space.{key}")
    if "choices" in spec:
        values = spec["choices"]
        if len(spec) > 1 or not isinstance(values, list) or len({repr(v) for v in values}) < max(len(values), 2):
            raise InputError(f"sweep.space.{key}={spec}: choices is a list of two or more values, each once, and alone")
        return Choices(tuple(values))
    low, high, log, step = spec.get("low", ""), spec.get("high", ""), spec.get("log", False), spec.get("step")
    numbers = [low, high] + ([step] if step is not None else [])
    if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers) or type(log) is not bool:
        raise InputError(f"sweep.space.{key}={spec}: a range has the numbers low and high, and log: true or a step")
    whole = all(isinstance(n, int) for n in numbers) and not isinstance(default, float)
    if not low < high:
        raise InputError(f"sweep.space.{key}={spec} is empty: low must be below high")
    if log and (low <= 0 or step is not None):
        raise InputError(f"sweep.space.{key}={spec}: log needs low above 0 and no step")
    if step is not None and (step <= 0 or abs((high - low) / step - round((high - low) / step)) > 1e-9):
        raise InputError(f"sweep.space.{key}={spec}: from low to high must be a whole number of steps above 0")
    return Range(low, high, log, step, whole)


def _refuse_value(key: str, value: Any, default: Any, base: dict[str, Any]) -> None:
    """Raise InputError where a value is of the wrong type, or none that the key takes in any combination."""
    group, _, name = key.rpartition(".")
    kinds = (int, float) if isinstance(default, float) else (type(default),) if default is not None else SCALARS
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise InputError(f"sweep.space.{key}: {value!r} is not of the type of the default {default!r}")
    if group == "trainer":
        TrainerSettings.of({"epochs": base["trainer"]["epochs"], name: value})
    elif group == "model.inputs":
        encoding = next((e for e in ENCODINGS if name in _defaults(ENCODINGS[e])), "flat")
        make_inputs(1, 1, {"encoding": encoding, name: value})
    elif type(default) is int and isinstance(value, int) and value < 1:
        raise InputError(f"sweep.space.{key}: {value} must be at least 1")


def _refuse_words(spec: Any, known: dict[str, Any], where: str) -> None:
    if not isinstance(spec, dict):
        raise InputError(f"{where}={spec} must be a mapping of {', '.join(known)}")
    for word in spec:
        if word not in known:
            raise InputError(f"{where} takes no {word!r}: {closest(str(word), list(known))}")


def _refuse_numbers(given: dict[str, Any]) -> None:
    """Raise InputError on a count that is no whole number, or too small, and on seeds that are none."""
    counts = {key: given[key] for key in ("trials", "keep")}
    for part in ("sampler", "pruner"):
        counts |= {f"{part}.{key}": value for key, value in given[part].items()}
    for key, value in counts.items():
        least = LEAST[key.rpartition(".")[2]]
        if type(value) is not int or value < least:
            raise InputError(f"sweep.{key}={value!r} must be a whole number of at least {least}")
    seeds = given["seeds"]
    if (
        not isinstance(seeds, list)
        or not seeds
        or any(type(s) is not int for s in seeds)
        or len(set(seeds)) < len(seeds)
    ):
        raise InputError(f"sweep.seeds={seeds}: name at least one whole number, each once")
