"""The ward: who is in it, what is accepted, what the risks are now, and what rings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from clinical_lstm.artifacts import Run
from clinical_lstm.data.labels import predicted
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError, closest
from clinical_lstm.inference import Predictor, policies_of
from clinical_lstm.metrics.alarms import Policy, rings
from clinical_lstm.streaming import snapshot
from clinical_lstm.streaming.beds import Bed, Beds
from clinical_lstm.streaming.grid import Grid
from clinical_lstm.streaming.rules import Rules
from clinical_lstm.streaming.stepping import Cells, Stepper

MOST_STEPS = 10_000  # in one call: hourly steps of more than a year


class LiveRisk(NamedTuple):
    """A risk at a prediction time, as a row of `schemas.Predictions`; `alarm` is None for a target without a policy."""

    stay_id: str
    hours: float
    complication: str
    horizon_hours: float
    risk: float
    alarm: bool | None


class Ward:
    """Many stays of one predictor, step by step.

    Raises InputError where the model or the task cannot be streamed (`obstacle`).

    Attributes:
        refused: how many measurements each rule has refused (`observe`).

    """

    def __init__(
        self, predictor: Predictor, task: Task, policies: Mapping[tuple[str, float], Policy] | None = None
    ) -> None:
        if told := obstacle(predictor):
            raise InputError(told)
        self.predictor, self.task, self.refused = predictor, task, Counter[str]()
        self._policies = [(policies or {}).get(target) for target in predictor.targets]
        self._grid, self._rules, self._stepper = Grid(task.step_hours), Rules(predictor.scaler), Stepper(predictor)
        self._mark = snapshot.fingerprint(predictor, task)
        never = np.full(len(predictor.targets), np.nan)
        self._beds = Beds({**self._stepper.blank, "rang": never, "ended": never})

    @staticmethod
    def load(run: Run) -> Ward:
        """Return the empty ward of a run directory; its alarms are those of `alarms.json`, if it has been evaluated."""
        task = Task.of(run.verify()["task"])
        return Ward(Predictor.load(run), task, policies_of(run))

    @property
    def stays(self) -> list[str]:
        """The stays in the ward, in the order of their admission."""
        return list(self._beds.of)

    @property
    def bytes_each(self) -> int:
        """The bytes kept of a stay; beside them, until its step is closed, about 200 for every observed variable."""
        return self._beds.bytes_each

    def admit(
        self, stay_id: str, static: Mapping[str, float | None] | None = None, start_hours: float = 0.0
    ) -> dict[str, str]:
        """Take in a stay and return the static variables that were refused, each with its rule; they are unknown.

        Args:
            static: name -> value in the canonical unit; None or NaN: unknown.
            start_hours: hours from admission to the beginning of the record; there is no step before it.

        Raises InputError on an id that is none, or is in the ward already, and on hours that are none.
        """
        if not isinstance(stay_id, str) or not stay_id or stay_id in self._beds.of:
            there = "is in the ward already; discharge it first" if stay_id in self._beds.of else "is no name"
            raise InputError(f"stay {stay_id!r} {there}")
        begin = self._grid.start(_hours(start_hours, f"admit {stay_id}"))
        values, refused = self._rules.statics(static or {})
        self.refused.update(refused.values())
        row = self._beds.take(stay_id, begin).row
        for name, part in self._stepper.start(values).items():
            self._beds.arrays[name][row] = part[0]
        return refused

    def observe(self, stay_id: str, hours: float, variable: str, value: float) -> str | None:
        """Take in a measurement in the canonical unit; return None, or the rule that refuses it (`rules.RULES`).

        It counts from the step on that ends at or after its stamp. Within a step the last stamp of a variable counts,
        of equal stamps the last to arrive; the order of calls does not matter otherwise.
        """
        bed = self._beds.of.get(stay_id)
        rule, code = self._rules.judge(bed is not None, hours, variable, value)
        if rule is None and bed is not None:
            end = self._grid.end(hours)
            rule = self._rules.place(end, bed)
            if rule is None:
                bed.keep(end, code, hours, value)
                return None
        self.refused[str(rule)] += 1
        return rule

    def advance(self, now: Mapping[str, float]) -> list[LiveRisk]:
        """Close every step that has ended by `now` (stay -> hours since its admission) and return the risks.

        One row per stay, step that is a prediction time, and target: in the order of `now`, then of time. A stay none
        of whose steps has ended gives no row. Raises InputError, and closes nothing, on a stay that is not in the ward,
        hours that are none, and more than 10,000 steps of a stay at once.
        """
        beds = [self._bed(stay_id) for stay_id in now]
        due = [self._due(bed, now[bed.stay_id]) for bed in beds]
        found: list[list[LiveRisk]] = [[] for _ in beds]
        for turn in range(max(map(len, due), default=0)):
            left = [place for place, ends in enumerate(due) if turn < len(ends)]
            rows = self._close([beds[place] for place in left], [due[place][turn] for place in left])
            for place, own in zip(left, rows):
                found[place] += own
        return [row for own in found for row in own]

    def onset(self, stay_id: str, complication: str) -> None:
        """Say that an episode has begun: nothing rings for it before it is `over`, if the task waits for another."""
        self._tell(stay_id, complication, np.inf)

    def over(self, stay_id: str, complication: str, hours: float) -> None:
        """Say when an episode ended: alarms rest for the reset of the policy, or for good after a task's only event."""
        hours = _hours(hours, f"over {stay_id}")
        self._tell(stay_id, complication, hours if self.task.recurrent else np.inf)

    def discharge(self, stay_id: str) -> None:
        """Forget a stay, with what has arrived for steps that are still open."""
        self._beds.leave(self._bed(stay_id).stay_id)

    def state(self) -> dict[str, np.ndarray]:
        """Return all that the ward knows as plain arrays, copies, which e.g. safetensors can store."""
        return snapshot.pack(self._beds, self.refused, self._mark)

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Replace all that the ward knows by what `state` returned; raises InputError on that of another run."""
        self._beds, self.refused = snapshot.unpack(state, self._beds.blank, self._mark)

    def _bed(self, stay_id: str) -> Bed:
        bed = self._beds.of.get(stay_id)
        if bed is None:
            raise InputError(f"stay {stay_id!r} is not in the ward; {closest(str(stay_id), self.stays)}")
        return bed

    def _due(self, bed: Bed, now: Any) -> list[float]:
        hours = _hours(now, f"advance {bed.stay_id}")
        count = self._grid.count(bed.closed, hours, bed.waiting)
        if count > MOST_STEPS:
            raise InputError(
                f"advance {bed.stay_id} to {hours:g} h would close {count:,} steps at once, more than {MOST_STEPS:,}; "
                "hours count from the admission of the stay: give hours, no seconds and no calendar time"
            )
        return self._grid.due(bed.closed, hours, bed.waiting)

    def _close(self, beds: Sequence[Bed], ends: Sequence[float]) -> list[list[LiveRisk]]:
        """Return the rows of the step of each of B stays that ends at `ends`, and remember what comes after."""
        arrays, rows, hours = self._beds.arrays, self._beds.rows(beds), np.array(ends)
        cells = Cells.of([bed.waiting.get(end, {}) for bed, end in zip(beds, ends)])
        before = {name: arrays[name][rows] for name in self._stepper.blank}
        risks, after = self._stepper.step(before, hours, cells)  # (B, K)
        asked = predicted(self.task, hours)
        alarms = self._ring(rows[asked], hours[asked], risks[asked])
        for name, part in after.items():
            arrays[name][rows] = part
        for bed, end in zip(beds, ends):
            bed.close(end)
        found: list[list[LiveRisk]] = [[] for _ in beds]
        for place, own, rung in zip(np.flatnonzero(asked).tolist(), risks[asked].tolist(), alarms):
            named = zip(self.predictor.targets, own, rung)
            found[place] = [LiveRisk(beds[place].stay_id, ends[place], *target, *told) for target, *told in named]
        return found

    def _ring(self, rows: np.ndarray, hours: np.ndarray, risks: np.ndarray) -> list[list[bool | None]]:
        """Return which targets of which rows ring now, and remember it."""
        told: list[list[bool | None]] = [[None] * len(self._policies) for _ in rows]
        rang, ended = self._beds.arrays["rang"], self._beds.arrays["ended"]  # (C, K)
        for k, policy in enumerate(self._policies):
            if policy is not None:
                alarm = rings(hours, risks[:, k], rang[rows, k], ended[rows, k], policy)
                rang[rows[alarm], k] = hours[alarm]
                for own, rung in zip(told, alarm.tolist()):
                    own[k] = rung
        return told

    def _tell(self, stay_id: str, complication: str, ended: float) -> None:
        own = [k for k, (name, _) in enumerate(self.predictor.targets) if name == complication]
        if not own:
            known = list(dict.fromkeys(name for name, _ in self.predictor.targets))
            raise InputError(f"the run predicts no {complication!r}; {closest(complication, known)}")
        self._beds.arrays["ended"][self._bed(stay_id).row, own] = ended


def obstacle(predictor: Predictor) -> str | None:
    """Return why a predictor cannot go step by step, and what to do; None: it can."""
    if not predictor.model.causal:
        return "the model reads the window from its end as well: it has no stream; train a causal one, such as lstm"
    if predictor.lookback_hours is not None:
        return (
            "the task has a lookback or a fixed hour (task.lookback_hours, task.at_hours): every prediction begins a "
            "window of its own, so nothing can be carried on; use `clinical-lstm predict`, or a task without them"
        )
    return None


def _hours(given: Any, what: str) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float, np.number)) or not math.isfinite(given):
        raise InputError(f"{what}: {given!r} is no time; give hours since admission")
    return float(given)
