"""The geometry that can be, and the words for the one that cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import clinical_lstm
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError

SHIPPED = sorted((Path(clinical_lstm.__file__).parents[1] / "conf" / "task").glob("*.yaml"))
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"complications": []}, "needs at least one complication and one horizon"),
    ({"horizons_hours": []}, "needs at least one complication and one horizon"),
    ({"horizons_hours": [12, 6]}, r"horizons_hours must ascend from above 0, not \[12, 6\]"),
    ({"horizons_hours": [6, 6]}, "must ascend"),
    ({"horizons_hours": [0, 6]}, "must ascend from above 0"),
    ({"step_hours": 0.0}, "step_hours must be above 0"),
    ({"every_hours": 0.0}, "every_hours must be above 0"),
    ({"every_hours": 0.5}, "every_hours must be a multiple of step_hours"),
    ({"at_hours": 48.5}, "at_hours must be a multiple of step_hours"),
    ({"gap_hours": -1.0}, "gap_hours must not be negative"),
    ({"after_onset_hours": -1.0}, "after_onset_hours must not be negative"),
    ({"horizon": 6}, "unexpected keyword argument 'horizon'"),
    ({"complications": ["deth"]}, r"no complications/deth: did you mean 'death'"),
    ({"complications": [{"name": "death", "when": 3}]}, "complications/death takes no 'when'"),
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_task_survives_the_manifest(path: Path) -> None:
    loaded = OmegaConf.merge({"complication": {"death": {"name": "death"}}}, {"task": OmegaConf.load(path)})
    task = Task.of(OmegaConf.to_container(loaded, resolve=True)["task"])  # type: ignore[index]
    assert task.name == path.stem
    record = json.loads(json.dumps(task.record()))
    assert Task.of(record).record() == task.record()
    assert Task.of(record).targets == task.targets


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_impossible_geometry_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Task.of({"name": "mine", "complications": ["death"], "horizons_hours": [6]} | change)


@pytest.mark.parametrize(("every", "step"), [(0.3, 0.1), (1.0, 1 / 12), (6.0, 2.0), (0.7, None)])
def test_spacing_may_be_any_multiple_in_spite_of_rounding(every: float, step: float | None) -> None:
    Task("mine", ["death"], [6.0], every_hours=every, step_hours=step)


def test_targets_are_complications_by_horizons_in_order() -> None:
    task = Task("mine", ["death", {"name": "sepsis_label"}], [6, 12])
    assert task.targets == [("death", 6.0), ("death", 12.0), ("sepsis_label", 6.0), ("sepsis_label", 12.0)]
