"""Which configurations `compare` trains: those of `train`, keys where they fit, mistakes before any training."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from clinical_lstm.errors import InputError
from pipelines.candidates import candidates
from pipelines.config import CONF, register

MANIFEST = {
    "variables": ["heart_rate", "map"],
    "statics": ["age_years"],
    "targets": [["sepsis_label", 6.0]],
    "task": {"at_hours": None, "lookback_hours": None},
}
Chosen = Callable[..., dict[str, DictConfig]]


@pytest.fixture
def chosen() -> Chosen:
    """`chosen("models=[lstm]", ...)` returns the candidates of a command line."""
    register()

    def call(*overrides: str, **task: float | None) -> dict[str, DictConfig]:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            HydraConfig.instance().set_config(compose("config", list(overrides), return_hydra_config=True))
            config = compose("config", list(overrides))
            return candidates(config, MANIFEST | {"task": MANIFEST["task"] | task})

    yield call
    HydraConfig.instance().cfg = None


def test_each_model_is_what_train_composes(chosen: Chosen) -> None:
    shared = ["experiment=demo", "source.root=x", "trainer.epochs=3", "++model.hidden=8"]
    found = chosen(*shared, "models=[gru,residual_lstm,gru]", "seeds=[1,2]")
    assert list(found) == ["gru", "residual_lstm"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for name, own in found.items():
            assert own == compose("config", [*shared, f"model={name}"])


def test_a_key_reaches_the_models_that_take_it(chosen: Chosen, capsys) -> None:
    found = chosen("models=[lstm,residual_lstm]", "++model.every_layer=true", "++model.inputs.variable_dropout=0.5")
    assert "every_layer" not in found["lstm"].model and found["residual_lstm"].model.every_layer is True
    assert {own.model.inputs.variable_dropout for own in found.values()} == {0.5}
    assert "lstm takes no model.every_layer" in capsys.readouterr().out


def test_models_that_see_ahead_need_a_task_whose_windows_end(chosen: Chosen, capsys) -> None:
    assert list(chosen("models=[lstm,bilstm]")) == ["lstm"]
    assert "bilstm is left out" in capsys.readouterr().out
    assert list(chosen("models=[lstm,bilstm]", at_hours=48.0)) == ["lstm", "bilstm"]
    assert list(chosen("models=bilstm", lookback_hours=12.0)) == ["bilstm"]
    with pytest.raises(InputError, match="no model is left"):
        chosen("models=bilstm")


def test_engineered_inputs_know_the_variables_of_the_cohort(chosen: Chosen) -> None:
    found = chosen("models=[lstm,gru]", "model.inputs.engineered=[windows,counts]", step_hours=1.0)
    assert [list(own.model.inputs.engineered) for own in found.values()] == [["windows", "counts"]] * 2
    with pytest.raises(InputError, match="native event times"):
        chosen("models=[lstm,gru]", "model.inputs.engineered=[windows]", step_hours=None)


def test_all_is_every_model_that_is_trained_on_a_cohort(chosen: Chosen) -> None:
    found = chosen("models=all", at_hours=48.0)
    assert {"lstm", "gru", "bilstm"} <= set(found) and "ensemble" not in found


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["models=[lsmt]"], "did you mean 'lstm'"),
        (["models=[]"], "names no model"),
        (["models=lstm", "model=gru"], "not from model="),
        (["models=[lstm,gru]", "++model.hiden=8"], "did you mean 'hidden'"),
    ],
)
def test_a_mistake_is_told_before_any_training(chosen: Chosen, overrides: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        chosen(*overrides)
