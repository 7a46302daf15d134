"""The Optuna study on disk: what it proposes next follows from its seed and the trials before, no less, no more."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clinical_lstm.artifacts import digest
from clinical_lstm.errors import InputError
from pipelines.spaces import Choices, Range, Space

try:
    import optuna
    from optuna.trial import FrozenTrial, Trial, TrialState
except ModuleNotFoundError as missing:
    raise InputError(f"sweep needs optuna ({missing}): pip install 'clinical-lstm[sweep]'") from None

STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
Pruned = optuna.TrialPruned


class Study:
    """The trials of a search in `study.db`; one that was interrupted leaves no trace in what is counted or proposed.

    Optuna numbers every attempt. Here a trial's number is its place, from 1, among those that finished: complete,
    pruned, or failed with a message. The sampler is seeded anew by that number, so that a search that was resumed
    proposes what an uninterrupted one would have.
    """

    def __init__(self, folder: Path, key: str, space: Space, dimensions: dict[str, Range | Choices]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self.space = space
        self.distributions = {name: distribution(dimension) for name, dimension in dimensions.items()}
        folder.mkdir(parents=True, exist_ok=True)
        self.study = optuna.create_study(
            storage=f"sqlite:///{(folder / 'study.db').resolve()}",
            study_name="sweep",
            direction="maximize" if space.direction == "maximize" else "minimize",
            pruner=_pruner(space),
            load_if_exists=True,
        )
        if self.study.user_attrs.setdefault("key", key) != key:
            raise InputError(f"{folder} holds a search of other settings or data; give another out=FOLDER")
        self.study.set_user_attr("key", key)
        for stopped in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(stopped.number, state=TrialState.FAIL)

    @property
    def trials(self) -> list[FrozenTrial]:
        """The trials that finished, in their order."""
        found = self.study.get_trials(deepcopy=False, states=tuple(STATES))
        return [trial for trial in found if trial.state != TrialState.FAIL or "message" in trial.user_attrs]

    @property
    def ranking(self) -> list[tuple[int, FrozenTrial]]:
        """The complete trials with their numbers, best first; of equal ones the earlier."""
        sign = -1 if self.space.direction == "maximize" else 1
        complete = [(n, trial) for n, trial in enumerate(self.trials, 1) if trial.state == TrialState.COMPLETE]
        return sorted(complete, key=lambda item: (sign * float(item[1].value or 0.0), item[0]))

    def attempt(self, score: Callable[[Trial], float]) -> FrozenTrial:
        """Propose one trial, let `score` judge it and return it finished.

        `score` raises `Pruned` to give the trial up and InputError where its values cannot be combined; anything else
        that it raises, Ctrl-C among it, leaves the search as it was before.
        """
        # Hashed: the first draws of numbers beside each other are alike.
        seed = int(digest([self.space.sampler["seed"], len(self.trials) + 1])[:8], 16)
        self.study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=self.space.sampler["startup_trials"], multivariate=True, constant_liar=False, seed=seed
        )
        trial = self.study.ask(self.distributions)
        try:
            return self.study.tell(trial, score(trial))
        except Pruned:
            return self.study.tell(trial, state=TrialState.PRUNED)
        except InputError as fault:
            trial.set_user_attr("message", str(fault))
            return self.study.tell(trial, state=TrialState.FAIL)
        except BaseException:
            self.study.tell(trial, state=TrialState.FAIL)
            raise


def distribution(dimension: Range | Choices) -> optuna.distributions.BaseDistribution:
    """Return Optuna's form of a dimension."""
    if isinstance(dimension, Choices):
        return optuna.distributions.CategoricalDistribution(dimension.values)
    low, high, log, step = dimension.low, dimension.high, dimension.log, dimension.step
    if dimension.whole:
        return optuna.distributions.IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    return optuna.distributions.FloatDistribution(float(low), float(high), log=log, step=step)


def _pruner(space: Space) -> Any:
    if space.pruner is None:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(
        n_startup_trials=space.pruner["startup_trials"], n_warmup_steps=space.pruner["warmup_epochs"]
    )
