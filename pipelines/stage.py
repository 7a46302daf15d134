"""What every stage shares: help, the check of keys, Hydra, and one clear message for every mistake of the user."""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clinical_lstm.errors import InputError, closest

CONF = Path(__file__).resolve().parent.parent / "conf"
STAGES = [
    *("run", "inspect", "prepare", "labels", "train", "compare", "crossvalidate", "sweep", "ensemble"),
    *("evaluate", "explain", "report", "predict", "transport", "export", "track", "ui"),
]
COMMON = ["experiment", "paths", "runtime", "hydra"]
_FOLD = re.compile(r"(?<=[\[,])\s*([\w.]+=[^\[\],'\"]+)")  # KEY=VALUE in a list, which Hydra takes in quotes only


def summary(stage: str) -> str:
    """Return the first line of a stage's docstring without importing it."""
    text = (Path(__file__).parent / f"{stage}.py").read_text(encoding="utf-8")
    return text.split('"""', 2)[1].split("\n", 1)[0]


def documentation(stage: str) -> tuple[str, list[str]]:
    """Return a stage's docstring and its `KEYS`, read from its source: help must not import torch."""
    import ast

    tree = ast.parse((Path(__file__).parent / f"{stage}.py").read_text(encoding="utf-8"))
    keys = next(ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and _names(n) == ["KEYS"])
    return ast.get_docstring(tree) or "", keys


def groups() -> dict[str, list[str]]:
    """Return every configuration group with its options."""
    folders = sorted(p for p in CONF.rglob("*") if p.is_dir())
    return {p.relative_to(CONF).as_posix(): sorted(f.stem for f in p.glob("*.yaml")) for p in folders}


def launch(stage: str, arguments: list[str]) -> int:
    """Run one stage with Hydra overrides and return the exit status: 0, 2 (a mistake), 130 (interrupted)."""
    try:
        if "--help" in arguments or "-h" in arguments:
            print(help_text(stage), flush=True)
            return 0
        return _compose_and_call(stage, _checked(stage, arguments))
    except InputError as fault:
        print(f"clinical-lstm {stage}: {fault}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1


def help_text(stage: str) -> str:
    """Return what a stage does, its keys with their defaults, and its groups with their options."""
    text, keys = documentation(stage)
    options = groups()
    own = [group for group in options if group.split("/")[0] in [*keys, *COMMON]]
    lines = [text.rstrip(), "", "Groups (GROUP=OPTION, then GROUP.KEY=VALUE):"]
    lines += [f"  {group:12} {', '.join(options[group])}" for group in own]
    plain = [key for key in [*keys, "runtime"] if key not in options]
    lines += ["", "Keys and defaults:"] + [f"  {line}" for line in _defaults(plain)]
    also = ["~KEY (takes out what an experiment sets)", "-m KEY=A,B (one job per value)"]
    lines += ["", f"Also: {', '.join(also)}, --cfg job (print the configuration), --hydra-help."]
    return "\n".join(lines)


def _defaults(keys: list[str]) -> list[str]:
    """Return the lines of config.yaml that belong to `keys`."""
    shown, keep = [], False
    for line in (CONF / "config.yaml").read_text(encoding="utf-8").splitlines():
        top = re.match(r"([a-z_]+):", line)
        keep = top.group(1) in keys if top else keep and line.startswith(" ")
        if keep:
            shown.append(line)
    return shown


def _checked(stage: str, arguments: list[str]) -> list[str]:
    """Return the overrides for Hydra; refuse a key that this stage does not use or that does not exist.

    Keys inside a group of plug-ins are passed on as they are (`++`): the plug-in's own signature judges them.
    """
    keys = [*documentation(stage)[1], *COMMON]
    options = groups()
    checked: list[str] = []
    folders: dict[str, None] = {}
    for argument in arguments:
        checked.append(argument)
        told = f"{argument}=" if re.fullmatch(r"~[\w/]+\.[\w.]+", argument) else argument  # ~KEY takes KEY out
        override = re.match(r"(?:\+\+|\+|~)?([A-Za-z_][\w/]*)(@[\w.]+)?([\w./-]*)=(.*)", told, re.DOTALL)
        if not override:
            if not argument.startswith("-") and "=" not in argument and arguments[0] != "--cfg" and argument != "job":
                raise InputError(f"{argument!r} is no KEY=VALUE; see: clinical-lstm {stage} --help")
            continue
        key, rest, value = override.group(1), override.group(3), override.group(4)
        if key.split("/")[0] not in keys and not key.startswith("hydra"):
            raise InputError(f"{stage} takes no {key!r}: {closest(key, keys)}")
        if key in options and not rest and value.endswith(".yaml"):
            checked[-1] = f"{key}={_own_option(key, Path(value), options)}"
            folders[str(Path(value).resolve().parents[1])] = None
        if key in options and not rest and re.fullmatch(r"[\w-]+|\[[\w, -]*\]", value):
            for name in re.findall(r"[\w-]+", value):
                if name not in [*options[key], "null"]:
                    raise InputError(f"there is no {key}={name}: {closest(name, options[key])}")
        if key == "folds":
            checked[-1] = _FOLD.sub(r"'\1'", argument)
        if rest.startswith(".") and key in options and key != "paths" and argument[0] not in "+~":
            checked[-1] = f"++{argument}"
    return checked + [f"hydra.searchpath=[{','.join(_quoted(folder) for folder in folders)}]"] * bool(folders)


def _own_option(group: str, file: Path, options: dict[str, list[str]]) -> str:
    """Return the name of an option that a user's own file holds; Hydra finds it beside the shipped ones."""
    if not file.is_file():
        raise InputError(f"{group}={file}: there is no such file")
    if file.resolve().parent.name != group:
        raise InputError(
            f"{group}={file}: a file of the group {group} lies in a folder of that name: {group}/{file.name}"
        )
    if file.stem in options[group]:
        raise InputError(f"{group}={file}: a shipped file is named {file.stem} too; rename yours")
    return file.stem


def _quoted(folder: str) -> str:
    return "'file://" + folder.replace("\\", "\\\\").replace("'", "\\'") + "'"


def given() -> list[str]:
    """Return the overrides of the running command, with which it can be composed again."""
    from hydra.core.hydra_config import HydraConfig

    overrides = HydraConfig.get().overrides
    return [*(own for own in overrides.hydra if own.startswith("hydra.searchpath=")), *overrides.task]


def _compose_and_call(stage: str, arguments: list[str]) -> int:
    """Hand over to Hydra; faults of the stage come back as they are, not as Hydra's traceback."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # waiting threads spin for microseconds, then sleep
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # what cannot be composed comes back as it is too
    import hydra
    from hydra.errors import HydraException
    from omegaconf import DictConfig

    from pipelines.config import register

    register()
    main: Callable[[Any], Any] = importlib.import_module(f"pipelines.{stage}").main
    status: list[int] = []

    def guarded(config: DictConfig) -> None:
        status.append(_call(stage, main, config))

    def interrupt(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once: what cleans up must not be interrupted too
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    sys.argv = [f"clinical-lstm {stage}", *arguments]
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(guarded)()
    except KeyboardInterrupt:
        return 130
    except HydraException as fault:
        print(f"clinical-lstm {stage}: {_first_line(fault)}", file=sys.stderr)
        return 2
    return max(status, default=0)


def _call(stage: str, main: Callable[[Any], Any], config: Any) -> int:
    """Run a stage with a composed configuration; say in one line what went wrong and return the exit status."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        main(config)
    except KeyboardInterrupt:
        goes = {
            "train": "starts again (resume=true continues at the last finished epoch)",
            "compare": "continues at the last finished epoch",
            "crossvalidate": "continues at the last finished epoch",
            "sweep": "goes on after the last finished trial",
        }
        goes["run"] = goes["train"]
        then = f"The same command {goes.get(stage, 'starts again')}."
        print(f"\nclinical-lstm {stage}: interrupted; nothing half-written is left. {then}", file=sys.stderr)
        return 130
    except InputError as fault:
        message = str(fault)
    except OSError as fault:
        message = _disk_fault(fault)
    except (HydraException, OmegaConfBaseException) as fault:
        message = _first_line(fault)
    else:
        return 0
    print(f"clinical-lstm {stage}: {message}", file=sys.stderr)
    return 2


def _disk_fault(fault: OSError) -> str:
    where = f" ({fault.filename})" if fault.filename else ""
    return f"the operating system refused{where}: {fault.strerror or fault}; nothing half-written is left"


def _first_line(fault: Exception) -> str:
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return "; ".join(lines[:2])


def _names(node: Any) -> list[str]:
    return [target.id for target in node.targets if hasattr(target, "id")]
