"""How far does the latest chart entry alone go? What every window, count and memory has to improve on."""

from __future__ import annotations

from collections.abc import Sequence

from clinical_lstm.baselines.logistic_regression import LogisticRegression


class LastValue(LogisticRegression):
    """Ridge logistic regression on the last known value of every variable, and nothing else.

        logit P = a + sum_v b_v z_v,    z_v = the last value of v at or before t, standardised; 0 (the mean) before it

    No window, no count, no time since, no statics. Penalty, standardisation and rows as in `logistic_regression`.
    """

    def __init__(
        self, strengths: Sequence[float] = (1e-4, 1e-3, 1e-2), max_rows: int = 200_000, max_iter: int = 200
    ) -> None:
        super().__init__(strengths, max_rows, max_iter)
        self.features = "last"
