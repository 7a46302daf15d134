"""A chart in native units, and what is read off it by loops: the last value, the window, the scaled number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.features import Engineered, Vocabulary
from clinical_lstm.variables import vocabulary

LEVELS = {  # name -> (usual value, spread), in its unit
    "heart_rate": (85.0, 20.0), "sbp": (118.0, 22.0), "map": (78.0, 14.0), "dbp": (61.0, 12.0),
    "sbp_noninvasive": (120.0, 22.0), "map_noninvasive": (80.0, 14.0), "dbp_noninvasive": (63.0, 12.0),
    "respiratory_rate": (18.0, 5.0), "spo2": (95.0, 3.0), "temperature": (37.0, 0.9), "gcs": (12.0, 3.0),
    "fio2": (0.5, 0.15), "bicarbonate": (24.0, 4.0), "lactate": (2.0, 0.5), "paco2": (40.0, 8.0),
    "pao2": (110.0, 0.4), "sao2": (95.0, 3.0), "creatinine": (1.4, 0.4), "bun": (25.0, 0.5),
    "sodium": (138.0, 5.0), "chloride": (105.0, 5.0), "albumin": (3.0, 0.6), "alt": (40.0, 0.8), "ast": (45.0, 0.8),
    "bilirubin_total": (1.1, 0.5), "bilirubin_direct": (0.5, 0.4), "platelets": (190.0, 0.5), "wbc": (11.0, 0.4),
    "neutrophils": (70.0, 10.0), "lymphocytes": (20.0, 5.0),
}  # fmt: skip
STATICS = ["age_years", "male"]


@dataclass(frozen=True)
class Chart:
    """Stays of hourly (or slower) steps in native units; NaN where nothing was measured.

    Attributes:
        dense: (T, V) of each stay. ages: of each stay, NaN where unknown. step_hours: width of a step.

    """

    variables: list[str]
    dense: list[np.ndarray]
    ages: list[float]
    step_hours: float = 1.0

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(tuple(self.variables), tuple(STATICS), self.step_hours)

    @property
    def scaler(self) -> Scaler:
        log = np.array([vocabulary()[name].skewed for name in self.variables] + [False, False])
        level = np.array([LEVELS[name] for name in self.variables] + [(62.0, 15.0), (0.5, 0.5)])
        return Scaler(self.variables, STATICS, log, np.where(log, np.log1p(level[:, 0]), level[:, 0]), level[:, 1])

    @property
    def ragged(self) -> Ragged:
        cells = [np.argwhere(~np.isnan(stay)) for stay in self.dense]  # (M, 2), by step
        lengths = [len(stay) for stay in self.dense]
        steps = np.concatenate([np.arange(length) + 1.0 for length in lengths])
        return Ragged(
            step_offsets=np.append(0, np.cumsum(lengths)).astype(np.int64),
            cell_offsets=np.append(0, np.cumsum([len(own) for own in cells])).astype(np.int64),
            hours=steps * self.step_hours,
            cell_step=np.concatenate([own[:, 0] for own in cells]).astype(np.int32),
            cell_variable=np.concatenate([own[:, 1] for own in cells]).astype(np.uint16),
            cell_value=np.concatenate([stay[tuple(own.T)] for stay, own in zip(self.dense, cells)]).astype(np.float32),
            cell_age=np.zeros(sum(len(own) for own in cells), np.float32),
            static=np.array([[age, 1.0] for age in self.ages], np.float32),
        )

    def arrays(self) -> Batch:
        return assemble(self.ragged, np.arange(len(self.dense)), self.scaler)

    def batch(self) -> Batch:
        return self.arrays().tensors()

    def engineered(self, *blocks: str, observation_process: bool = True) -> Engineered:
        made = Engineered(list(blocks), self.vocabulary, observation_process)
        made.know(self.scaler)
        return made

    # --- what a loop reads off the chart ---

    def steps(self) -> list[tuple[int, int]]:
        return [(b, t) for b, stay in enumerate(self.dense) for t in range(len(stay))]

    def when(self, b: int, t: int, name: str) -> list[int]:
        """Return the steps up to t at which a variable was measured."""
        column = self.dense[b][: t + 1, self.variables.index(name)]
        return [s for s in range(t + 1) if not math.isnan(column[s])]

    def scaled(self, name: str, value: float) -> float:
        place, scaler = self.variables.index(name), self.scaler
        seen = math.log1p(value) if scaler.log[place] else value
        return (seen - scaler.location[place]) / scaler.scale[place]

    def last(self, b: int, t: int, name: str) -> float:
        """Return the last value in its unit; the train median before the first measurement."""
        at = self.when(b, t, name)
        return self.dense[b][at[-1], self.variables.index(name)] if at else LEVELS[name][0]

    def z(self, b: int, t: int, name: str) -> float:
        return self.scaled(name, self.last(b, t, name))

    def measured(self, b: int, t: int, name: str) -> list[float]:
        """Return the scaled values measured up to t, in order."""
        column = self.dense[b][:, self.variables.index(name)]
        return [self.scaled(name, column[s]) for s in self.when(b, t, name)]

    def window(self, b: int, t: int, name: str, hours: float) -> list[float]:
        """Return the scaled values at the steps of (t - hours, t]; before the first measurement, that one."""
        since = self.when(b, t, name)[0]
        return [self.z(b, max(s, since), name) for s in range(t - round(hours / self.step_hours) + 1, t + 1)]


def charted(
    variables: Sequence[str] = tuple(LEVELS),
    lengths: Sequence[int] = (40, 3, 1, 28),
    observed: float = 0.3,
    seed: int = 0,
    step_hours: float = 1.0,
) -> Chart:
    """Return stays at random: lactate and fio2 are first measured late, sodium never in the second stay."""
    draw, dense = np.random.default_rng(seed), []
    for number, length in enumerate(lengths):
        stay = np.empty((length, len(variables)))
        for place, name in enumerate(variables):
            level, spread = LEVELS[name]
            drawn = draw.standard_normal(length) * spread
            stay[:, place] = level * np.exp(drawn) if vocabulary()[name].skewed else level + drawn
            stay[:, place] = np.clip(stay[:, place], vocabulary()[name].low, vocabulary()[name].high)
            missing = draw.random(length) > observed
            missing[: length // 2] |= name in ("lactate", "fio2")
            stay[missing | ((name == "sodium") & (number == 1)), place] = np.nan
        dense.append(stay.astype(np.float32).astype(np.float64))
    return Chart(list(variables), dense, [70.0, math.nan, 33.0, 81.0][: len(lengths)], step_hours)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_chart() -> Callable[..., Chart]:
    return charted


@pytest.fixture(scope="session", params=[1.0, 2.0], ids=["hourly", "every_2_hours"])
def chart(request: pytest.FixtureRequest) -> Chart:
    return charted(step_hours=request.param)


@pytest.fixture(scope="session")
def compared() -> Callable[..., None]:
    """Return what compares the columns of a block with a loop `expected(chart, b, t) -> {name: number}`."""

    def compare(chart: Chart, block: str, expected: Callable[[Chart, int, int], dict[str, float]]) -> None:
        made = chart.engineered(block)
        found = made.plain(chart.batch())[0].double().numpy()
        names = [feature.name for feature in made.features]
        assert len(set(names)) == len(names) == found.shape[2]
        for b, t in chart.steps():
            row = expected(chart, b, t)
            assert sorted(row) == sorted(names)
            np.testing.assert_allclose(
                found[b, t], [row[name] for name in names], rtol=2e-4, atol=2e-4, err_msg=f"stay {b} step {t}"
            )

    return compare
