"""The loader of plug-ins: a file's name is the plug-in's name, its one public class or function is the plug-in.

`{"name": "lstm", "hidden": 64}` in the folder `models` means `clinical_lstm/models/lstm.py`, called with `hidden=64`.
A dotted name (`my_hospital.models.lstm`) loads a user's own module instead.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from clinical_lstm.errors import InputError, closest

PACKAGE = Path(__file__).parent
SHARED_PARTS = {
    "base",
    *("inputs", "heads", "recurrent", "convolution", "window_attention", "transformer_layers"),  # of models
    *("xlstm", "scalar_scan"),  # of models
    *("archive", "samples"),  # of sources
    "features",  # of baselines
    *("course", "engineered"),  # of features
    *("hiding", "paths", "traces"),  # of explainers
}


def names(folder: str) -> list[str]:
    """Return the names of the plug-ins in a plural folder; shared parts (`base`, ...) are none.

    >>> "lstm" in names("models")
    True
    """
    found = [module.name for module in pkgutil.iter_modules([str(PACKAGE / folder)])]
    return sorted(name for name in found if not name.startswith("_") and name not in SHARED_PARTS)


def load(folder: str, name: str) -> Callable[..., Any]:
    """Return the public class or function of the plug-in `name`; raises InputError naming what exists."""
    if not all(part.isidentifier() for part in name.split(".")) or ("." not in name and name not in names(folder)):
        raise InputError(f"there is no {folder}/{name}: {closest(name, names(folder))}")
    path = name if "." in name else f"clinical_lstm.{folder}.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as missing:
        raise InputError(f"the module {path!r} could not be imported: {missing}") from missing
    return _public(module)


def build(folder: str, spec: Mapping[str, Any], **sizes: Any) -> Any:
    """Call the plug-in that `spec["name"]` names with the other keys of `spec` and `sizes` as keyword arguments."""
    plugin, arguments = bind(folder, spec, **sizes)
    return plugin(**arguments)


def bind(folder: str, spec: Mapping[str, Any], **sizes: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the plug-in and its checked keyword arguments; raises InputError on an argument it does not take.

    `sizes` that the plug-in does not ask for are left out: they are offers, the keys of `spec` are orders.
    """
    if not isinstance(spec.get("name"), str):
        raise InputError(f"a plug-in of {folder} needs a name: there are {', '.join(names(folder))}")
    plugin = load(folder, spec["name"])
    accepted = inspect.signature(plugin).parameters
    ordered = {key: value for key, value in spec.items() if key != "name"}
    for key in ordered:
        if key not in accepted:
            options = [p for p in accepted if p not in sizes]
            raise InputError(f"{folder}/{spec['name']} takes no {key!r}: {closest(key, options)}")
    arguments = {key: value for key, value in sizes.items() if key in accepted} | ordered
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [key for key, p in accepted.items() if p.default is p.empty and p.kind not in optional]
    lacking = [key for key in needed if key not in arguments]
    if lacking:
        raise InputError(f"{folder}/{spec['name']} needs a value for {', '.join(lacking)}")
    return plugin, arguments


def _public(module: ModuleType) -> Callable[..., Any]:
    found = [
        thing
        for key, thing in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == module.__name__
    ]
    if len(found) != 1:
        listed = ", ".join(thing.__name__ for thing in found) or "none"
        raise InputError(f"{module.__name__} must have exactly one public class or function; it has {listed}")
    return found[0]
