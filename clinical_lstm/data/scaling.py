"""The scaler, fitted on the train split only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clinical_lstm.batch import Ragged, Scaler
from clinical_lstm.variables import vocabulary


def fit_scaler(tensors: Ragged, train: np.ndarray, variables: Sequence[str], statics: Sequence[str]) -> Scaler:
    """Return location = median and scale = standard deviation of the train cells, after log1p for skewed variables.

    A variable without a train value, or a constant one, gets scale 1 (and location 0 or its constant): never NaN.

    Args:
        tensors: all stays. train: indices of the train stays.

    """
    chosen = np.zeros(len(tensors.lengths), bool)
    chosen[train] = True
    of_train = np.repeat(chosen, np.diff(tensors.cell_offsets))
    variable, value = tensors.cell_variable[of_train], tensors.cell_value[of_train]
    by_variable = np.argsort(variable, kind="stable")
    edges = np.searchsorted(variable[by_variable], np.arange(len(variables) + 1))
    columns = [value[by_variable[edges[v] : edges[v + 1]]] for v in range(len(variables))]
    columns += [column[~np.isnan(column)] for column in tensors.static[chosen].T]
    names = [*variables, *statics]
    log = np.array([vocabulary()[name].skewed for name in names], bool)
    moments = [_moments(column, skewed) for column, skewed in zip(columns, log)]
    return Scaler(
        variables=list(variables),
        statics=list(statics),
        log=log,
        location=np.array([location for location, _ in moments], np.float64),
        scale=np.array([scale for _, scale in moments], np.float64),
    )


def _moments(values: np.ndarray, log: bool) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    seen = values.astype(np.float64)
    seen = np.log1p(np.maximum(seen, 0)) if log else seen
    spread = float(seen.std())
    return float(np.median(seen)), spread if spread > 1e-6 else 1.0
