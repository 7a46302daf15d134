"""The configurations that `compare` trains: for each model exactly what `clinical-lstm train model=NAME ...` composes.

Overrides of the command line (and of an experiment) reach every model that takes the key: `model.hidden=32` leaves a
model without `hidden` as it is, and says so. A key that no compared model takes is refused.
"""

from __future__ import annotations

import inspect
from typing import Any

from hydra import compose
from omegaconf import DictConfig, ListConfig, open_dict

from clinical_lstm import plugins
from clinical_lstm.errors import InputError, closest
from clinical_lstm.features.engineered import resolved
from clinical_lstm.inference import build_model
from clinical_lstm.lookback import reach_hours
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.truncation import proceeds
from pipelines import places, stage

COMBINED = {"ensemble"}  # several models in one: compared where it is named, no part of `all`
OWN = {"models", "seeds", "out"}


def candidates(config: DictConfig, manifest: dict[str, Any]) -> dict[str, DictConfig]:
    """Return the configuration of every model to compare; say which are left out and why.

    Every model is built once: a wrong argument costs a second here, not an hour of training others first. Raises
    InputError on an unknown model or key, and when no model is left.
    """
    overrides = _overrides()
    composed = {name: compose("config", [*overrides, f"model={name}"]) for name in _names(config.models)}
    _leave_out_foreign_keys(composed)
    kept = {}
    for name, own in composed.items():
        model = _untrained(own, manifest)
        if not model.causal and reach_hours(manifest["task"]) is None:
            print(
                f"compare: {name} is left out: it sees the whole window, so it needs a task with a fixed hour "
                "(at_hours) or a lookback (lookback_hours)"
            )
            continue
        settings = TrainerSettings.of(places.plain(own.trainer))
        settings.refuse_model(places.plain(own.model), model.causal, proceeds(model))
        kept[name] = own
    if not kept:
        raise InputError("no model is left to compare; name causal ones in models=[...]")
    return kept


def _names(given: Any) -> list[str]:
    """Return the models that `models` names, each once, in its order."""
    existing = stage.groups()["model"]
    names = [str(name) for name in given] if isinstance(given, ListConfig) else [str(given)]
    if names == ["all"]:
        return [name for name in existing if name not in COMBINED]
    for name in names:
        if name not in existing:
            raise InputError(f"models: there is no {name!r}: {closest(name, existing)}; all means every one")
    if not names:
        raise InputError(f"models=[] names no model; there are: {', '.join(existing)}; all means every one")
    return list(dict.fromkeys(names))


def _overrides() -> list[str]:
    """Return the overrides of the command line that reach every model."""
    given = stage.given()
    keys = [override.lstrip("+~").split("=", 1)[0] for override in given]
    if "model" in keys:
        raise InputError("compare takes its models from models=[...], not from model=...")
    return [override for override, key in zip(given, keys) if key not in OWN]


def _leave_out_foreign_keys(composed: dict[str, DictConfig]) -> None:
    """Drop from each model the keys that only others take."""
    taken = {name: {"name", *inspect.signature(plugins.load("models", name)).parameters} for name in composed}
    known = set().union(*taken.values())
    for name, own in composed.items():
        for key in [str(key) for key in own.model if key not in taken[name]]:
            if key not in known:
                raise InputError(f"no compared model takes {key!r}: {closest(key, sorted(known))}")
            print(f"compare: {name} takes no model.{key}; it is trained without")
            with open_dict(own.model):
                own.model.pop(key)


def _untrained(config: DictConfig, manifest: dict[str, Any]) -> SequenceModel:
    """Return the model of a configuration; raises InputError on an argument that it does not take."""
    sizes = {
        "n_variables": len(manifest["variables"]),
        "n_static": len(manifest["statics"]),
        "targets": manifest["targets"],
    }
    return build_model({"model": resolved(places.plain(config.model), manifest), "sizes": sizes})
