"""Declared searches: the shipped ones mean something, and every mistake is told before a trial."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir

from clinical_lstm.errors import InputError
from pipelines import places, stage
from pipelines.config import CONF, register
from pipelines.spaces import Choices, Range, Space, accepted, flat

MODELS = stage.groups()["model"]
BASE = {"model": {"name": "lstm", "inputs": {"encoding": "flat"}}, "trainer": {"epochs": 8}}
GOOD = {"name": "x", "model": "lstm", "space": {"model": {"hidden": {"choices": [8, 16]}}}}


def dimensions(key: str, spec: object) -> Range | Choices:
    return Space.of(GOOD | {"space": {key: spec}}, MODELS).dimensions(BASE)[key]


@pytest.mark.parametrize("name", stage.groups()["sweep"])
def test_every_shipped_search_fits_its_model(name):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        found = places.plain(compose("config", [f"sweep={name}"]).sweep)
        space = Space.of(found, MODELS)
        base = {key: places.plain(value) for key, value in compose("config", [f"model={space.model}"]).items()
                if key in ("model", "trainer")}  # fmt: skip
    assert space.name == name
    assert set(space.dimensions(base)) == set(flat(found["space"], ["low", "choices"]))
    assert {"model.hidden", "model.dropout", "trainer.learning_rate"} <= set(space.dimensions(base))


def test_a_range_has_the_kind_of_the_default():
    assert dimensions("model.dropout", {"low": 0, "high": 0.5}).ends == [0.0, 0.5]
    whole = dimensions("model.hidden", {"low": 8, "high": 64, "step": 8})
    assert whole == Range(8, 64, step=8, whole=True) and [type(end) for end in whole.ends] == [int, int]
    assert not dimensions("trainer.gradient_clip", {"low": 1, "high": 2}).whole
    assert dimensions("model.inputs.decay", {"choices": [False, True]}) == Choices((False, True))


def test_keys_of_an_encoding_are_taken_where_it_is_searched():
    assert "model.inputs.bins" not in accepted("lstm", ["flat"])
    assert "model.inputs.bins" in accepted("lstm", ["flat", "piecewise"])
    both = {"model": {"inputs": {"encoding": {"choices": ["flat", "piecewise"]}, "bins": {"low": 4, "high": 9}}}}
    assert "model.inputs.bins" in Space.of(GOOD | {"space": both}, MODELS).dimensions(BASE)


def test_null_leaves_a_key_or_the_pruner_out():
    searched = {"model": {"hidden": None, "dropout": {"low": 0.0, "high": 0.5}}}
    space = Space.of(GOOD | {"space": searched, "pruner": None}, MODELS)
    assert list(space.searched) == ["model.dropout"] and space.pruner is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"trails": 3}, "did you mean 'trials'"),
        ({"model": "lsmt"}, "did you mean 'lstm'"),
        ({"trials": 0}, "sweep.trials=0"),
        ({"trials": True}, "sweep.trials=True"),
        ({"seeds": [1, 1]}, "each once"),
        ({"seeds": []}, "at least one"),
        ({"sampler": {"sed": 1}}, "did you mean 'seed'"),
        ({"pruner": {"warmup_epochs": -1}}, "pruner.warmup_epochs=-1"),
        ({"objective": {"metric": "val_auc"}}, "did you mean 'val_auroc'"),
        ({"objective": {"metric": "test_auroc"}}, "there|mean"),
        ({"objective": {"metric": "val_loss", "direction": "maximize"}}, "say minimize"),
        ({"fixed": {"model": {"hidden": 8}}}, "both fixed and searched"),
        ({"space": {}}, "space is empty"),
        ({"space": {"model.hidden": 8}}, "belongs to fixed"),
        ({"objective": {"metric": "val_loss", "direction": "minimize"},
          "space": {"trainer.weighting": {"choices": ["uniform", "class"]}}}, "another thing"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_rules_is_told(changed, said):
    with pytest.raises(InputError, match=said):
        Space.of(GOOD | changed, MODELS)


@pytest.mark.parametrize(
    ("key", "spec", "said"),
    [
        ("model.hiden", {"choices": [8, 16]}, "did you mean 'model.hidden'"),
        ("task.gap", {"low": 1, "high": 2}, "takes 'task.gap'"),
        ("model.every_layer", {"choices": [True, False]}, "no trial of lstm"),
        ("model.hidden", {"choices": [8]}, "two or more"),
        ("model.hidden", {"choices": [8, 8]}, "each once"),
        ("model.hidden", {"choices": [8, "x"]}, "type of the default 64"),
        ("model.hidden", {"low": 8.5, "high": 9.5}, "type of the default 64"),
        ("model.hidden", {"low": 0, "high": 8}, "at least 1"),
        ("model.hidden", {"low": 8, "high": 8}, "is empty"),
        ("model.hidden", {"low": 8, "high": 16, "step": 3}, "whole number of steps"),
        ("model.hidden", {"low": 8}, "low and high"),
        ("model.hidden", {"low": 8, "hight": 16}, "did you mean 'high'"),
        ("model.dropout", {"low": 0.0, "high": 0.5, "log": True}, "low above 0"),
        ("model.dropout", {"low": 0.0, "high": float("inf")}, "low and high"),
        ("model.inputs.variable_dropout", {"low": 0.0, "high": 1.0}, "below 1"),
        ("model.inputs.encoding", {"choices": ["flat", "flut"]}, "did you mean 'flat'"),
        ("trainer.loss", {"choices": ["bce", "focl"]}, "did you mean 'focal'"),
        ("trainer.learning_rate", {"low": -1, "high": 1}, "must not be negative"),
    ],
)
def test_a_dimension_that_no_trial_could_use_is_told(key, spec, said):
    with pytest.raises(InputError, match=said):
        dimensions(key, spec)
