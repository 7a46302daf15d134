"""What keeps the house simple: who may import whom, where frameworks live, what belongs together, how long things are.

A law is a function of a file's name and text that returns its faults; each is tried on a text that breaks it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import clinical_lstm
from clinical_lstm import plugins

REPOSITORY = Path(clinical_lstm.__file__).parents[1]
MODULES = sorted(p for folder in ("clinical_lstm", "pipelines") for p in (REPOSITORY / folder).rglob("*.py"))
TEXTS = {str(p.relative_to(REPOSITORY)): p.read_text(encoding="utf-8") for p in MODULES}

LEVELS = [
    ["errors"],
    ["variables"],
    ["schemas", "artifacts", "batch", "plugins"],
    ["features"],
    ["sources", "scores", "models", "lookback"],
    ["complications", "baselines", "explainers", "metrics", "calibration"],
    ["data", "inference", "interchange"],
    ["training", "evaluation", "explanation", "prediction", "reporting", "streaming", "transport"],
    ["pipelines"],
]
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}
HOMES = {
    "pytorch_lightning": "clinical_lstm/training/",
    "captum": "clinical_lstm/explainers/",
    "altair": "clinical_lstm/reporting/",
    "jinja2": "clinical_lstm/reporting/",
    "vl_convert": "clinical_lstm/reporting/",
    "hydra": "pipelines/",
    "omegaconf": "pipelines/",
    "mlflow": "pipelines/",
    "optuna": "pipelines/",
    "ray": "pipelines/",
    "lightning": "nowhere: use pytorch_lightning",
}
UNSAFE = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib.dump", "joblib.load", "torch.save"}
FOLDERS = {
    "sources": "source",
    "complications": "complication",
    "models": "model",
    "baselines": "baseline",
    "explainers": "explainer",
}


def imports(text: str) -> Iterator[str]:
    """Yield the dotted name of everything that a module imports anywhere in it, functions included."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def part_of(name: str) -> str:
    """Return the top-level part that a path or a dotted name belongs to; '' for `clinical_lstm` itself and others."""
    first, *rest = re.split(r"[./]", name.removesuffix(".py").removesuffix("/__init__"))
    if first == "pipelines":
        return first
    return rest[0] if first == "clinical_lstm" and rest else ""


def import_faults(path: str, text: str) -> list[str]:
    """A module imports only parts of a lower level, and its own part."""
    own = part_of(path)
    if own not in LEVEL and own:
        return [f"{path}: {own} has no import level"]
    faults = []
    for name in imports(text):
        part = part_of(name)
        if name.startswith("."):
            faults.append(f"{path} imports {name}: relative")
        elif part in LEVEL and part != own and (not own or LEVEL[part] >= LEVEL[own]):
            faults.append(f"{path} imports {name}: {'a sibling' if own and LEVEL[part] == LEVEL[own] else 'upwards'}")
    return faults


def framework_faults(path: str, text: str) -> list[str]:
    """A framework is imported in its home only."""
    found = ((name, HOMES.get(name.split(".")[0])) for name in imports(text))
    return [
        f"{path} imports {name}, whose home is {home}" for name, home in found if home and not path.startswith(home)
    ]


def pickle_faults(path: str, text: str) -> list[str]:
    """Nothing is stored in, or read from, a format that runs code."""
    found = [name for name in imports(text) if name in UNSAFE or name.split(".")[0] in UNSAFE]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            called, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called in UNSAFE or options.get("allow_pickle") == "True":
                found.append(ast.unparse(node))
            if called == "torch.load" and options.get("weights_only") != "True":
                found.append(ast.unparse(node))
    return [f"{path}: {name}" for name in found]


def length_faults(path: str, text: str) -> list[str]:
    """A file has at most 250 lines, a function at most 40 without its docstring."""
    faults = [f"{path} has {len(text.splitlines())} lines"] if len(text.splitlines()) > 250 else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            documented = node.body[0] if ast.get_docstring(node) else None
            told = (documented.end_lineno or 0) - documented.lineno + 1 if documented else 0
            lines = (node.end_lineno or 0) - node.lineno + 1 - told
            faults += [f"{path}: {node.name} has {lines} lines"] if lines > 40 else []
    return faults


def has_code(text: str) -> bool:
    """Say whether a module does more than document itself, import, name its exports and declare types."""
    return not all(_declares(node) for node in ast.parse(text).body)


def _declares(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        return all(_declares(inner) for inner in node.body)
    if isinstance(node, ast.FunctionDef):
        return len(node.body) == 1 and ast.get_docstring(node) is not None
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]).startswith("__")
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant or isinstance(node, (ast.Import, ast.ImportFrom))


def mirror_faults(path: str, text: str, tests: set[str]) -> list[str]:
    """A module that has code is tested in the file that mirrors it.

    - `a/b/c.py` in `tests/a/b/test_c.py`; a package's own code, `a/b/__init__.py`, in `tests/a/test_b.py`;
    - or together with its neighbours, in the test file of the package it lies in: `a/b/c.py` in `tests/a/test_b.py`.
      The two top packages are no such package.
    - A module of imports, docstrings, `__names__` and declared types (no value, no statement) needs none.
    """
    module = Path(path)
    whole = f"tests/{module.parent.parent}/test_{module.parent.name}.py"
    own = whole if module.name == "__init__.py" else f"tests/{module.parent}/test_{module.name}"
    accepted = {own} if len(module.parts) == 2 else {own, whole}
    return [] if accepted & tests or not has_code(text) else [f"{path} lacks {' or '.join(sorted(accepted))}"]


def plugin_faults(path: str, text: str) -> list[str]:
    """A plug-in has exactly one public class or function."""
    defined = [node for node in ast.parse(text).body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    public = [node.name for node in defined if not node.name.startswith("_")]
    return [] if len(public) == 1 else [f"{path} has {len(public)} public things: {', '.join(public)}"]


def config_faults(folder: str, existing: list[str], files: dict[str, str]) -> list[str]:
    """Every plug-in has a configuration that bears its name, and every configuration a plug-in."""
    faults = [f"{folder}/{name} has no conf/{FOLDERS[folder]}/{name}.yaml" for name in existing if name not in files]
    for stem, text in files.items():
        name = (yaml.safe_load(text) or {}).get("name")
        if name != stem or stem not in existing:
            faults.append(f"conf/{FOLDERS[folder]}/{stem}.yaml means {name!r}; there is {', '.join(existing)}")
    return faults


def machine_faults(path: str, content: bytes) -> list[str]:
    """A tracked text holds no path below somebody's home directory: it would be true on one machine only."""
    if b"\0" in content[:8192]:
        return []
    text = content.decode("utf-8", errors="replace")
    return [f"{path}: {name}" for name in re.findall(r"(?<![\w.)}])/(?:home|root|Users)/[\w./-]*", text)]


Law = Callable[[str, str], list[str]]
BREAKERS: list[tuple[Law, str, str]] = [
    (import_faults, "clinical_lstm/models/x.py", "def f():\n    from clinical_lstm.data.task import Task"),
    (import_faults, "clinical_lstm/models/x.py", "from clinical_lstm import sources"),
    (import_faults, "clinical_lstm/evaluation/x.py", "import clinical_lstm.reporting.page"),
    (import_faults, "clinical_lstm/prediction.py", "from pipelines import stage"),
    (import_faults, "clinical_lstm/__init__.py", "from clinical_lstm.batch import Batch"),
    (import_faults, "clinical_lstm/errors.py", "from clinical_lstm.plugins import names"),
    (import_faults, "clinical_lstm/models/x.py", "from . import base"),
    (import_faults, "clinical_lstm/odds/x.py", ""),
    (framework_faults, "clinical_lstm/models/x.py", "import pytorch_lightning"),
    (framework_faults, "clinical_lstm/training/x.py", "from lightning.pytorch import Trainer"),
    (framework_faults, "clinical_lstm/explanation.py", "def f():\n    from captum.attr import IntegratedGradients"),
    (framework_faults, "clinical_lstm/training/x.py", "import mlflow.pytorch"),
    (framework_faults, "clinical_lstm/data/x.py", "from omegaconf import DictConfig"),
    (framework_faults, "pipelines/report.py", "import altair as alt"),
    (pickle_faults, "clinical_lstm/x.py", "import pickle"),
    (pickle_faults, "clinical_lstm/x.py", "from torch import save"),
    (pickle_faults, "clinical_lstm/x.py", "def f(x):\n    joblib.dump(x, 'x')"),
    (pickle_faults, "clinical_lstm/x.py", "torch.load('x')"),
    (pickle_faults, "clinical_lstm/x.py", "np.load('x', allow_pickle=True)"),
    (length_faults, "clinical_lstm/x.py", "#\n" * 251),
    (length_faults, "clinical_lstm/x.py", "class A:\n  def f(self):\n" + "    pass\n" * 40),
    (plugin_faults, "clinical_lstm/models/x.py", "class A: pass\nclass B: pass"),
    (plugin_faults, "clinical_lstm/models/x.py", "class _A: pass"),
]


@pytest.mark.parametrize(("law", "path", "text"), BREAKERS)
def test_law_catches_a_module_that_breaks_it(law: Law, path: str, text: str) -> None:
    assert law(path, text)


def test_mirror_law_catches_a_module_without_a_test() -> None:
    code = "def f() -> None: ..."
    assert mirror_faults("clinical_lstm/models/x.py", code, {"tests/clinical_lstm/models/test_y.py"})
    assert mirror_faults("pipelines/x.py", code, {"tests/test_pipelines.py"})
    assert mirror_faults("clinical_lstm/models/__init__.py", code, {"tests/clinical_lstm/models/test_x.py"})
    assert mirror_faults("clinical_lstm/models/x.py", "LEVEL = 3", set())
    assert not mirror_faults("clinical_lstm/models/x.py", code, {"tests/clinical_lstm/test_models.py"})
    contract = 'class A(Protocol):\n    size: int\n    def f(self) -> int:\n        """Return it."""'
    assert not mirror_faults("clinical_lstm/models/x.py", contract, set())
    assert mirror_faults("clinical_lstm/models/x.py", contract + "\n        return 3", set())
    assert mirror_faults("clinical_lstm/models/x.py", "class A:\n    size: int = 3", set())
    assert not mirror_faults("clinical_lstm/models/__init__.py", '"""Tour."""\nfrom a import b\n__all__ = ["b"]', set())


def test_config_law_catches_a_lonely_plugin_and_a_lonely_file() -> None:
    assert config_faults("models", ["gru"], {})
    assert config_faults("models", ["gru"], {"gru": "name: gru", "rnn": "name: rnn"})
    assert config_faults("models", ["gru"], {"gru": "name: grru"})
    assert not config_faults("complications", ["death"], {"death": "name: death"})


def test_machine_law_catches_a_home_directory() -> None:
    for text in ['open("/' + 'root/x")', "cd /" + "home/me/project", "/" + "Users/me"]:
        assert machine_faults("README.md", text.encode())
    assert not machine_faults("README.md", b"see a/home/b and docs/root/index.md")


@pytest.mark.parametrize("law", [import_faults, framework_faults, pickle_faults, length_faults])
def test_every_module_keeps_the_law(law: Law) -> None:
    assert len(TEXTS) > 60
    assert not [fault for path, text in TEXTS.items() for fault in law(path, text)]


def test_every_module_with_code_has_its_test() -> None:
    tests = {str(p.relative_to(REPOSITORY)) for p in (REPOSITORY / "tests").rglob("test_*.py")}
    assert not [fault for path, text in TEXTS.items() for fault in mirror_faults(path, text, tests)]


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_every_plugin_has_one_public_thing_and_a_configuration(folder: str) -> None:
    existing, faults = plugins.names(folder), []
    assert existing
    for name in existing:
        single, package = (f"clinical_lstm/{folder}/{name}{end}" for end in (".py", "/__init__.py"))
        path = single if single in TEXTS else package
        faults += plugin_faults(path, TEXTS[path])
    conf = REPOSITORY / "conf"
    files = {p.stem: p.read_text(encoding="utf-8") for p in (conf / FOLDERS[folder]).glob("*.yaml")}
    assert not faults + config_faults(folder, existing, files)


def test_tracked_files_name_no_machine() -> None:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("no git checkout: nothing says which files are tracked")
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    files = [path for path in listed if (REPOSITORY / path).is_file()]
    assert len(files) > len(TEXTS)
    assert not [fault for path in files for fault in machine_faults(path, (REPOSITORY / path).read_bytes())]


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh Python has loaded after running `code`."""
    report = "import sys\nprint('\\n' + ' '.join({name.split('.')[0] for name in sys.modules}))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    return set(ran.stdout.splitlines()[-1].split())


HELP = """
import sys
sys.argv = ["clinical-lstm", {arguments}]
from pipelines.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code
"""
HEAVY = {"torch", "pytorch_lightning", "mlflow", "captum", "altair", "hydra"}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import clinical_lstm", HEAVY | {"polars", "numpy", "sklearn"}),
        ("import pipelines.prepare, clinical_lstm.data.prepare", HEAVY),
        ("import pipelines.report, clinical_lstm.reporting", HEAVY - {"altair"}),
        (HELP.format(arguments="'--help'"), HEAVY | {"polars", "omegaconf"}),
        (HELP.format(arguments="'train', '--help'"), HEAVY | {"polars", "omegaconf"}),
    ],
)
def test_heavy_packages_are_loaded_only_where_they_are_needed(code: str, absent: set[str]) -> None:
    assert not loaded_by(code) & absent


def test_loaded_by_sees_what_a_function_loads() -> None:
    assert "jinja2" in loaded_by("def f():\n    import jinja2\nf()")
