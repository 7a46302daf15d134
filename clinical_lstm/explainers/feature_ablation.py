"""Feature ablation: what the logit would be without a variable, an organ system or some hours of everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError, closest
from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explainers.hiding import Hiding, blocks_back
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.variables import vocabulary

GROUPS = ["variable", "system", "window"]
Places = tuple[list[str], np.ndarray, np.ndarray]  # names of the groups; group of each cell (B, T, V), of a static (S,)


class FeatureAblation:
    """Attribute a logit F(x) to groups of observations by hiding each group over the whole stay.

        E_g = F(x) - F(x had nothing of the group g been observed)                                                   (1)
        A_i = E_g / |observations of g|                                         observation i of the group g         (2)

    Groups are the variables, the organ systems of `variables.csv`, or the windows (t - (k + 1) window, t - k window] of
    all variables together. Hidden means never made: values before are carried on, masks are 0, the time since the last
    observation grows (`hiding.unobserve`). Static variables are hidden as unknown, with their system or, of windows, as
    a group of their own. `effects` gives (1) as it is. In the contract `Explanation` (2) stands in `values`, and `mask`
    and `delta` are 0; effects need not add up to the difference from the baseline, where nothing is observed, so
    `explained` is true only where they do.

    Source: ablation of whole groups, Covert, Lundberg & Lee, Explaining by removing, JMLR 22(209):1-90 (2021),
    arXiv 2011.14878.

    Args:
        groups: variable, system or window.
        window_hours: length of the windows.
        tolerance: largest gap in logits that counts as explained.
        batch_steps: rows x steps of one forward pass; bounds the memory.

    """

    def __init__(
        self,
        groups: str = "variable",
        window_hours: float = 6.0,
        tolerance: float = 0.01,
        batch_steps: int = 16384,
    ) -> None:
        if groups not in GROUPS:
            raise InputError(f"there are no groups {groups!r}: {closest(str(groups), GROUPS)}")
        if not window_hours > 0 or not tolerance > 0 or batch_steps < 1:
            raise InputError("window_hours and tolerance must be above 0, and batch_steps at least 1")
        self.groups, self.window_hours = groups, window_hours
        self.tolerance, self.batch_steps = tolerance, batch_steps
        self.variables: Sequence[str] | None = None

    def name(self, variables: Sequence[str]) -> None:
        """Take in the names of the V measured variables, then of the S static ones: organ systems need them."""
        self.variables = variables

    def __call__(
        self,
        model: SequenceModel,
        batch: Batch,
        step: Tensor,
        target: Tensor,
        variables: Sequence[str] | None = None,
    ) -> Explanation:
        """Return the attributions (2) of the logits `model(batch)[b, step[b], target[b]]`, as `Explainer` asks.

        `variables` are the V + S names that organ systems are looked up by (None: those of `name`). Raises InputError
        when they are needed and lack, when the model is in training mode or when its logits are not finite.
        """
        _, place, statics = self._places(batch, step, self.variables if variables is None else variables)
        hiding = Hiding(model, batch, step, target, place, statics, self.batch_steps)
        sets = hiding.windows()
        return hiding.explanation(sets, hiding.effects(sets), 1, self.tolerance)

    def effects(
        self, model: SequenceModel, batch: Batch, step: Tensor, target: Tensor, variables: Sequence[str]
    ) -> tuple[list[str], np.ndarray]:
        """Return the names of the G groups and (1) in logits (B, G); 0 where nothing of a group was observed.

        `variables` are the names of the V measured variables, then of the S static ones.
        """
        names, place, statics = self._places(batch, step, variables)
        hiding = Hiding(model, batch, step, target, place, statics, self.batch_steps)
        sets = hiding.windows()
        found = np.zeros((len(place), len(names)))  # (B, G)
        found[sets.row, sets.place] = hiding.effects(sets)
        return names, found

    def _places(self, batch: Batch, step: Tensor, variables: Sequence[str] | None) -> Places:
        """Return the groups by name, and the number of the group of every cell and static variable."""
        shape, statics = tuple(batch.values.shape), batch.static.shape[1]
        if variables is not None and len(variables) != shape[2] + statics:
            raise InputError(
                f"{len(variables)} names were given for {shape[2]} measured and {statics} static variables; "
                "give the measured ones first, then the static ones"
            )
        if self.groups == "window":
            blocks = blocks_back(batch, step, self.window_hours)  # (B, T)
            count = int(blocks.max(initial=0)) + 1
            hours = [f"{k * self.window_hours:g} to {(k + 1) * self.window_hours:g} h before" for k in range(count)]
            return (
                [*hours, "static"] if statics else hours,
                np.broadcast_to(blocks[:, :, None], shape),
                np.full(statics, count),
            )
        if self.groups == "variable":
            names = list(variables or map(str, range(shape[2] + statics)))
            number = np.arange(len(names))
        else:
            names, number = _systems(variables)
        return names, np.broadcast_to(number[: shape[2]], shape), number[shape[2] :]


def _systems(variables: Sequence[str] | None) -> tuple[list[str], np.ndarray]:
    """Return the organ systems in the order of the vocabulary, and the number of each variable's.

    >>> _systems(["lactate", "heart_rate", "map"])
    (['cardiovascular', 'acid-base'], array([1, 0, 0]))
    """
    if variables is None:
        raise InputError("groups = system needs the names of the variables; choose groups = variable or window")
    known = vocabulary()
    if unknown := [name for name in variables if name not in known]:
        advice = closest(unknown[0], list(known))
        raise InputError(f"{len(unknown)} variables have no organ system, first {unknown[0]!r}: {advice}")
    own = [known[name].system for name in variables]
    names = [system for system in dict.fromkeys(v.system for v in known.values()) if system in own]
    return names, np.array([names.index(system) for system in own])
