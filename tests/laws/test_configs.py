"""Every shipped configuration composes and means something, and a misspelt key is refused."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from clinical_lstm import plugins
from clinical_lstm.data import splits
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.training.fit import TrainerSettings
from pipelines import stage
from pipelines.config import CONF, register

GROUPS = stage.groups()
OPTIONS = [(group, option) for group, options in GROUPS.items() for option in options if group != "experiment"]
PLUGINS = {"source": "sources", "model": "models", "explainer": "explainers"}
LISTED = {"baseline": "baselines", "complication": "complications"}  # groups of which any number may be chosen
SIZES = {"n_variables": 3, "n_static": 2, "targets": [("sepsis_label", 6.0)]}
FRAMES = ["stays", "observations", "given"]  # what a complication is called with


@contextmanager
def hydra_on(conf: Path = CONF) -> Iterator[None]:
    register()
    with initialize_config_dir(str(conf), version_base="1.3"):
        yield


def composed(*overrides: str, conf: Path = CONF) -> DictConfig:
    with hydra_on(conf):
        return compose("config", overrides=list(overrides))


def plain(node: Any) -> Any:
    """Return a node as plain types; an answer that the user owes (`???`) stays as it is."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=False)


def bind_all(config: DictConfig) -> None:
    """Bind every plug-in, task, split and trainer that a configuration describes to its signature."""
    for group, folder in PLUGINS.items():
        plugin, arguments = plugins.bind(folder, plain(config[group]), **SIZES)
        inspect.signature(plugin).bind(**arguments)
    assert plain(config.baseline)
    for name, spec in plain(config.baseline).items():
        assert spec["name"] == name
        plugin, arguments = plugins.bind("baselines", spec)
        inspect.signature(plugin).bind(**arguments)
    task = plain(config.task)
    assert Task.of(task | ({} if task["complications"] else {"complications": ["death"]})).targets
    TrainerSettings.of(plain(config.trainer))
    inspect.signature(splits.assign).bind(stays=None, positive=None, **plain(config.split))


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_binds(group: str, option: str) -> None:
    config = composed(f"{group}={option}")
    bind_all(config)
    if group not in config:
        assert OmegaConf.select(config, group.replace("/", ".")), "a nested group fills a part of its parent"
    elif group in [*PLUGINS, "task", "tracking"]:
        assert config[group].name == option
    if group in LISTED:
        assert list(config[group]) == [option]
        assert config[group][option].name == option


@pytest.mark.parametrize("experiment", GROUPS["experiment"])
def test_every_experiment_composes_and_binds(experiment: str) -> None:
    config = composed(f"experiment={experiment}")
    bind_all(config)
    assert config != composed()


@pytest.mark.parametrize(("group", "folder"), [*PLUGINS.items(), *LISTED.items()])
def test_every_argument_of_a_plugin_stands_in_its_file(group: str, folder: str) -> None:
    """The file is where a plug-in's arguments are explained and their defaults read."""
    for option in GROUPS[group]:
        node = composed(f"{group}={option}")[group]
        spec = plain(node[option] if group in LISTED else node)
        accepted = set(inspect.signature(plugins.load(folder, option)).parameters) - set(SIZES)
        accepted -= set(FRAMES if folder == "complications" else [])
        assert accepted == set(spec) - {"name"}, option


@pytest.mark.parametrize("name", stage.STAGES)
def test_every_key_of_a_stage_exists(name: str) -> None:
    keys = stage.documentation(name)[1]
    assert keys
    assert set(keys) <= set(composed())


def test_every_group_but_the_experiments_is_a_key() -> None:
    assert {group.split("/")[0] for group in GROUPS} - {"experiment"} <= set(composed())


def test_trainer_file_is_the_default_of_the_settings() -> None:
    assert TrainerSettings.of(plain(composed().trainer)) == TrainerSettings()


@pytest.mark.parametrize(
    "override",
    ["sed=1", "modle=lstm", "model.hiden=8", "trainer.epoch=3", "evaluation.replicate=9", "source.rot=x", "model=lstn"],
)
def test_misspelt_override_is_refused(override: str) -> None:
    with hydra_on(), pytest.raises(ConfigCompositionException):
        compose("config", overrides=[override])


@pytest.mark.parametrize("override", ["seed=one", "runtime.threads=many", "resume=perhaps"])
def test_wrong_type_is_refused(override: str) -> None:
    with hydra_on(), pytest.raises(ConfigCompositionException):
        compose("config", overrides=[override])


@pytest.mark.parametrize("text", ["sede: 3", "evaluation:\n  replicate: 3", "seed: one"])
def test_misspelt_key_in_a_file_is_refused(text: str, tmp_path: Path) -> None:
    shutil.copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf" / "experiment" / "typo.yaml").write_text(f"# @package _global_\n{text}\n", encoding="utf-8")
    with pytest.raises(ConfigCompositionException):
        composed("experiment=typo", conf=tmp_path / "conf")


@pytest.mark.parametrize(
    "text",
    [
        "model:\n  hiden: 3",
        "source:\n  rot: x",
        "explainer:\n  tolerence: 1",
        "baseline:\n  elapsed_time:\n    knot: 3",
        "task:\n  horizon_hours: [6]",
        "trainer:\n  epoch: 3",
    ],
)
def test_misspelt_argument_in_a_file_is_refused_when_it_is_bound(text: str, tmp_path: Path) -> None:
    shutil.copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf" / "experiment" / "typo.yaml").write_text(f"# @package _global_\n{text}\n", encoding="utf-8")
    with pytest.raises(InputError):
        bind_all(composed("experiment=typo", conf=tmp_path / "conf"))
