"""Logistic regression on cells, for many weightings of the cells at once (one per replicate of a bootstrap)."""

from __future__ import annotations

import numpy as np

from clinical_lstm.metrics.calibration.logits import sigmoid

STEPS, HALVINGS = 100, 40
FAR = 1.0  # change of a logit from which on a full step of Newton's method may overshoot


class GroupedLogistic:
    """A regression of n_c rows, y_c of them positive, on the cells' basis (C, K), the same for every replicate.

        (1)  eta = offset + B theta,    p = sigmoid(eta)
        (2)  L(theta) = sum_c [y_c eta_c - n_c ln(1 + exp eta_c)] - sum_k ridge_k theta_k^2 / 2
        (3)  g = B' (y - n p) - ridge theta,    H = B' diag(n p (1 - p)) B + diag(ridge)
        (4)  theta <- theta + H^-1 g,   halved while L falls

    A replicate's arithmetic does not depend on which others are fitted with it: equal input, equal bits.
    """

    def __init__(self, basis: np.ndarray, offset: np.ndarray | None = None, ridge: np.ndarray | None = None) -> None:
        self.columns = np.ascontiguousarray(basis.T)  # (K, C)
        size = len(self.columns)
        self.offset = np.zeros(basis.shape[0]) if offset is None else offset
        self.ridge = np.zeros(size) if ridge is None else ridge
        self.reach = np.abs(self.columns).max(axis=1, initial=0.0)
        self.upper = [(i, j) for i in range(size) for j in range(i, size)]
        self.products = [self.columns[i] * self.columns[j] for i, j in self.upper]

    def fit(self, positives: np.ndarray, rows: np.ndarray, start: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
        """Return theta (R, K) of every replicate, from counts (R, C) of positives and of all rows.

        Newton's method begins at `start` (K,) and ends at a relative step of `tolerance`; the error left is about the
        square of that. NaN where there is no maximum.
        """
        theta = np.tile(np.asarray(start, np.float64), (len(rows), 1))  # (R, K)
        active = np.arange(len(rows))
        for _ in range(STEPS):
            if not len(active):
                return theta
            here: slice | np.ndarray = slice(None) if len(active) == len(rows) else active
            y, n, now = positives[here], rows[here], theta[here]
            step = self._step(y, n, now)
            far = np.flatnonzero((np.abs(step) * self.reach).sum(axis=1) > FAR)
            if len(far):
                step[far] = self._halved(y[far], n[far], now[far], step[far])
            now = now + step
            theta[active] = now
            moved = (np.abs(step) / (1 + np.abs(now))).max(axis=1)
            active = active[moved > tolerance]  # NaN, where H is singular, leaves too
        theta[active] = np.nan
        return theta

    def predict(self, theta: np.ndarray) -> np.ndarray:
        """Return the fitted risk (R, C) of every cell."""
        return sigmoid(self._eta(theta))

    def _eta(self, theta: np.ndarray) -> np.ndarray:
        eta = np.tile(self.offset, (len(theta), 1))  # (R, C)
        for k, column in enumerate(self.columns):
            eta += theta[:, k, None] * column
        return eta

    def _step(self, positives: np.ndarray, rows: np.ndarray, theta: np.ndarray) -> np.ndarray:
        p = self.predict(theta)  # (R, C)
        expected = rows * p
        residual = positives - expected
        spread = np.multiply(expected, 1 - p, out=p)
        # einsum, not a BLAS product: its order of summation depends on nothing but C
        gradient = np.stack([np.einsum("rc,c->r", residual, column) for column in self.columns], axis=1)
        information = np.empty((len(theta), len(self.columns), len(self.columns)))
        for (i, j), product in zip(self.upper, self.products, strict=True):
            information[:, i, j] = information[:, j, i] = np.einsum("rc,c->r", spread, product)
        information += np.diag(self.ridge)
        return solve_positive(information, gradient - self.ridge * theta)

    def _halved(self, y: np.ndarray, n: np.ndarray, theta: np.ndarray, step: np.ndarray) -> np.ndarray:
        before, step = self._likelihood(y, n, theta), step.copy()
        falls = np.arange(len(theta))
        for _ in range(HALVINGS):
            after = self._likelihood(y[falls], n[falls], theta[falls] + step[falls])
            falls = falls[after < before[falls]]
            if not len(falls):
                break
            step[falls] /= 2
        return step

    def _likelihood(self, y: np.ndarray, n: np.ndarray, theta: np.ndarray) -> np.ndarray:
        eta = self._eta(theta)
        term = y * eta - n * np.logaddexp(0, eta)
        return term.sum(axis=1) - (self.ridge * theta**2).sum(axis=1) / 2


def solve_positive(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return x (R, K) of matrix (R, K, K) x = right (R, K) by Cholesky's method; NaN where not positive definite.

    >>> solve_positive(np.array([[[4.0, 2.0], [2.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]]]), np.array([[2.0, 1.0]] * 2))
    array([[0.5, 0. ],
           [nan, nan]])
    """
    size = right.shape[1]
    low = np.zeros_like(matrix)
    x = right.astype(np.float64)
    for j in range(size):
        pivot = matrix[:, j, j] - (low[:, j, :j] ** 2).sum(axis=1)
        root = np.sqrt(np.where(pivot > 1e-14 * matrix[:, j, j], pivot, np.nan))
        for i in range(j, size):
            low[:, i, j] = (matrix[:, i, j] - (low[:, i, :j] * low[:, j, :j]).sum(axis=1)) / root
        x[:, j] = (x[:, j] - (low[:, j, :j] * x[:, :j]).sum(axis=1)) / root
    for j in reversed(range(size)):
        x[:, j] = (x[:, j] - (low[:, j + 1 :, j] * x[:, j + 1 :]).sum(axis=1)) / low[:, j, j]
    return np.where(np.isnan(low[:, range(size), range(size)]).any(axis=1)[:, None], np.nan, x)
