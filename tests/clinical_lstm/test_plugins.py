"""The loader: names are files, arguments are checked, and every fault says what exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clinical_lstm import plugins
from clinical_lstm.errors import InputError

FOLDERS = ["sources", "models", "complications", "baselines", "explainers"]
SHIPPED = [(folder, name) for folder in FOLDERS for name in plugins.names(folder)]


@pytest.mark.parametrize(("folder", "name"), SHIPPED, ids=[f"{folder}-{name}" for folder, name in SHIPPED])
def test_every_shipped_plugin_loads_and_has_a_docstring(folder: str, name: str) -> None:
    plugin = plugins.load(folder, name)
    assert callable(plugin)
    assert plugin.__doc__


def test_shared_parts_are_no_plugins() -> None:
    assert "lstm" in plugins.names("models")
    assert not {"base", "heads", "inputs", "archive", "samples", "features"} & {name for _, name in SHIPPED}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "lstn"}, r"no models/lstn: did you mean 'lstm'"),
        ({"name": "base"}, "no models/base"),
        ({}, "needs a name: there are .*lstm"),
        ({"name": None}, "needs a name"),
        ({"name": ""}, "no models/"),
        ({"name": "../lstm"}, "no models/../lstm"),
        ({"name": ".lstm"}, "no models/.lstm"),
        ({"name": "no_such_package.model"}, "'no_such_package.model' could not be imported"),
        ({"name": "lstm", "hiden": 4}, r"models/lstm takes no 'hiden': did you mean 'hidden'"),
        ({"name": "lstm", "hidden": 4}, "models/lstm needs a value for n_variables, n_static, targets"),
    ],
)
def test_faults_say_what_exists(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plugins.build("models", spec)


def test_offers_that_nobody_asked_for_are_left_out_and_orders_win() -> None:
    plugin, arguments = plugins.bind("sources", {"name": "physionet2019", "root": "mine"}, root="offered", n_static=3)
    assert arguments == {"root": "mine"}
    assert plugin(**arguments).root == "mine"


def test_dotted_name_loads_a_module_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hospital").mkdir()
    module = "from pathlib import Path\ndef _hidden(): ...\ndef ours(beds=1, *rest, **more): return beds, Path\n"
    (tmp_path / "hospital" / "wards.py").write_text(module)
    (tmp_path / "hospital" / "crowd.py").write_text("class One: ...\nclass Two: ...\n")
    (tmp_path / "hospital" / "desert.py").write_text("from pathlib import Path\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert plugins.build("models", {"name": "hospital.wards", "beds": 7}) == (7, Path)
    with pytest.raises(InputError, match="exactly one public class or function; it has One, Two"):
        plugins.load("models", "hospital.crowd")
    with pytest.raises(InputError, match="it has none"):
        plugins.load("models", "hospital.desert")
