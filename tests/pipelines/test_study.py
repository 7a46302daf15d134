"""The study repeats: stopped anywhere, by an exception or by a kill, it proposes what it would have proposed."""

from __future__ import annotations

from pathlib import Path

import pytest

from clinical_lstm.errors import InputError
from pipelines.spaces import Choices, Range, Space
from pipelines.study import STATES, Pruned, Study

SPEC = {
    "name": "x",
    "model": "lstm",
    "sampler": {"seed": 3, "startup_trials": 4},
    "pruner": {"startup_trials": 2, "warmup_epochs": 1},
    "space": {"model.hidden": {"choices": [8, 16]}},
}
DIMENSIONS = {
    "a": Range(0.0, 1.0),
    "b": Choices(("p", "q")),
    "c": Range(1, 9, step=2, whole=True),
    "d": Range(1, 64, log=True),
}


def study(folder: Path, key: str = "k", **changed: object) -> Study:
    return Study(folder, key, Space.of(SPEC | changed, ["lstm"]), DIMENSIONS)


def score(trial) -> float:
    """A score of the values; a combination is refused, and the poor are given up in their second epoch."""
    value = trial.params["a"] - abs(trial.params["c"] - 5) / 10 + trial.params["d"] / 640
    if trial.params["b"] == "q" and trial.params["c"] == 1:
        raise InputError("q goes with no 1")
    for epoch in range(3):
        trial.report(value + epoch / 100, epoch)
        if trial.should_prune():
            raise Pruned
    return value


def told(found: Study) -> list[tuple]:
    return [(STATES[trial.state], trial.params, trial.value) for trial in found.trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Study:
    found = study(tmp_path_factory.mktemp("whole"))
    for _ in range(14):
        found.attempt(score)
    return found


def test_complete_pruned_and_failed_trials_count(whole):
    states = [state for state, _, _ in told(whole)]
    assert len(states) == 14 and set(states) == {"complete", "pruned", "failed"}
    messages = [trial.user_attrs.get("message") for trial in whole.trials]
    assert [message == "q goes with no 1" for message in messages] == [state == "failed" for state in states]
    ranked = [trial.value for _, trial in whole.ranking]
    assert ranked == sorted(ranked, reverse=True) and len(ranked) == states.count("complete")
    assert {type(trial.params["c"]) for trial in whole.trials} == {int}


def test_stopped_anywhere_it_goes_on_as_if_nothing_had_been(whole, tmp_path):
    def stop(trial):
        trial.report(0.9, 0)
        raise KeyboardInterrupt

    for number in range(14):
        found = study(tmp_path)
        if number % 3 == 0:
            with pytest.raises(KeyboardInterrupt):
                found.attempt(stop)
        if number % 4 == 0:
            found.study.ask(found.distributions)  # a process that was killed leaves this behind
        assert len(study(tmp_path).trials) == number
        found.attempt(score)
    assert told(study(tmp_path)) == told(whole)


def test_another_seed_proposes_otherwise(whole, tmp_path):
    assert study(tmp_path, sampler={"seed": 4}).attempt(score).params != whole.trials[0].params


def test_a_study_of_other_settings_is_refused(tmp_path):
    study(tmp_path)
    with pytest.raises(InputError, match="other settings"):
        study(tmp_path, key="other")


def test_without_a_pruner_nothing_is_given_up(tmp_path):
    found = study(tmp_path, pruner=None)
    for _ in range(8):
        found.attempt(score)
    assert "pruned" not in {state for state, _, _ in told(found)}
