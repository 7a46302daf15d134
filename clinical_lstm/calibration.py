"""Post-hoc calibration: a map logit -> risk per target, fitted on the `calib` split, stored as JSON.

Every map is applied to each logit alone: a risk never depends on what else is in the call. Risks lie strictly inside
(0, 1) and rise with the logit (equal only beyond |logit| = 30), so that calibration never destroys a ranking.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from clinical_lstm.errors import InputError, closest

Target = tuple[str, float]
EXTREME = 30.0  # sigmoid(30) = 1 - 1e-13 is still below 1 in float64
BLEND = 1e-3  # share of the plain sigmoid in an isotonic map
FEWEST_POSITIVES = 50  # a free-form curve through fewer events is noise


@dataclass(frozen=True)
class Calibrator:
    """The map of one target.

        identity:    risk = sigmoid(l)
        temperature: risk = sigmoid(b l)
        platt:       risk = sigmoid(a + b l)
        isotonic:    risk = (1 - e) g(l) + e sigmoid(l),    e = 0.001

    g joins the blocks (mean logit, event rate) of the isotonic regression by lines and is constant outside them.
    Source: Guo et al., ICML 2017, arXiv 1706.04599; Platt, Advances in Large Margin Classifiers 1999;
    Oron & Flournoy, Stat Biopharm Res 9:258-267 (2017), doi 10.1080/19466315.2017.1286256.

    Attributes:
        kind: one of `KINDS`. slope, intercept: b > 0 and a. knots, rates: the blocks of an isotonic map, ascending.
        note: why the map is not the one that was asked for; else empty.

    """

    kind: str = "identity"
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    note: str = ""

    def apply(self, logit: np.ndarray) -> np.ndarray:
        """Return the risks (float64, inside (0, 1)) of logits of any shape.

        >>> Calibrator("platt", slope=1.0, intercept=-1.0).apply(np.array([1.0, 50.0])).round(6).tolist()
        [0.5, 1.0]
        """
        logit = np.ascontiguousarray(logit, dtype=np.float64)
        risk = _sigmoid(self.intercept + self.slope * logit)
        if self.kind == "isotonic":
            risk = (1 - BLEND) * self._curve(logit) + BLEND * risk
        return risk

    def _curve(self, logit: np.ndarray) -> np.ndarray:
        knots, rates = np.array(self.knots), np.array(self.rates)
        if len(knots) == 1:
            return np.full(logit.shape, rates[0])
        rise = np.diff(rates) / np.diff(knots)
        inside = np.clip(logit, knots[0], knots[-1])
        block = np.clip(np.searchsorted(knots, inside, side="right") - 1, 0, len(rise) - 1)
        return np.minimum(rates[block] + rise[block] * (inside - knots[block]), rates[block + 1])

    def to_json(self) -> dict[str, Any]:
        """Return plain types that `from_json` turns into an equal calibrator."""
        return json.loads(json.dumps(asdict(self)))

    @staticmethod
    def from_json(content: dict[str, Any]) -> Calibrator:
        """Return the calibrator that `to_json` wrote; raises InputError on an unknown kind or missing knots."""
        known = Calibrator.__dataclass_fields__
        foreign = [key for key in content if key not in known]
        if foreign or content.get("kind") not in KINDS:
            raise InputError(f"a calibrator is of one of the kinds {', '.join(KINDS)}; found {content}")
        lists = {key: tuple(content.get(key, ())) for key in ("knots", "rates")}
        if len(lists["knots"]) != len(lists["rates"]) or (content["kind"] == "isotonic" and not lists["knots"]):
            raise InputError(f"an isotonic calibrator needs as many knots as rates, at least one; found {content}")
        return Calibrator(**(content | lists))


def fit(kind: str, logit: np.ndarray, label: np.ndarray) -> Calibrator:
    """Return the calibrator of `kind` with the highest likelihood of labels (N,) given logits (N,).

    One class or equal logits give the identity, fewer than 50 positives (or negatives) no isotonic map but `platt`;
    the calibrator's note says so. Raises InputError on an unknown kind or logits that are not finite.
    """
    if kind not in KINDS:
        raise InputError(f"there is no calibration {kind!r}: {closest(kind, list(KINDS))}")
    logit = np.asarray(logit, np.float64)
    wrong = int((~np.isfinite(logit)).sum())
    if wrong:
        raise InputError(f"{wrong} of {len(logit)} logits to calibrate are not finite; train the model again")
    positives = int((label == 1).sum())
    if kind == "identity":
        return Calibrator()
    if positives in (0, len(label)):
        return Calibrator(note=f"not calibrated: {positives} positives in {len(label)} rows")
    if np.ptp(logit) == 0:
        return Calibrator(note="not calibrated: all logits are equal")
    rarer = min(positives, len(label) - positives)
    if kind == "isotonic" and rarer < FEWEST_POSITIVES:
        return _platt(
            logit, label, note=f"isotonic refused: {rarer} rows of the rarer class, {FEWEST_POSITIVES} needed"
        )
    return KINDS[kind](logit, label)


def choose(logit: np.ndarray, label: np.ndarray, patient: np.ndarray, folds: int = 5, seed: int = 0) -> Calibrator:
    """Return the calibrator, fitted on all rows, of the kind with the lowest cross-validated log loss.

    The folds are by patient (N,), deterministic, and hold about equally many patients with an event. Of equals, and
    where fewer than two patients have an event, the simplest kind wins.
    """
    fold, with_event = _folds(label, patient, folds, seed)
    if with_event < 2:
        return Calibrator(note=f"not calibrated: {with_event} patients with an event in {len(label)} rows")
    loss = dict.fromkeys(KINDS, 0.0)
    for kind in KINDS:
        for k in range(folds):
            held = fold == k
            if held.any() and not held.all():
                loss[kind] += _log_loss(label[held], fit(kind, logit[~held], label[~held]).apply(logit[held]))
    return fit(min(KINDS, key=lambda kind: loss[kind]), logit, label)


def apply_all(calibrators: Sequence[Calibrator], logits: np.ndarray, targets: Sequence[Target]) -> np.ndarray:
    """Return the risks (N, K) of logits (N, K): each target's own map, then monotone in the horizon.

        risk(horizon k) = max over horizons h <= k of the same complication of risk(h)

    >>> two = [Calibrator("platt", intercept=1.0), Calibrator()]
    >>> apply_all(two, np.zeros((1, 2)), [("sepsis", 6.0), ("sepsis", 12.0)]).round(3).tolist()
    [[0.731, 0.731]]
    """
    if not len(calibrators) == logits.shape[1] == len(targets):
        counts = f"{len(calibrators)} calibrators, {logits.shape[1]} columns of logits, {len(targets)} targets"
        raise InputError(f"each target needs one calibrator and one column: {counts}")
    risks = np.stack([one.apply(logits[:, k]) for k, one in enumerate(calibrators)], axis=1)  # (N, K)
    for complication in dict.fromkeys(name for name, _ in targets):
        columns = sorted((k for k, t in enumerate(targets) if t[0] == complication), key=lambda k: targets[k][1])
        risks[:, columns] = np.maximum.accumulate(risks[:, columns], axis=1)
    return risks


def _identity(logit: np.ndarray, label: np.ndarray) -> Calibrator:
    return Calibrator()


def _temperature(logit: np.ndarray, label: np.ndarray) -> Calibrator:
    def loss(log_slope: float) -> float:
        return _log_loss(label, _sigmoid(np.exp(log_slope) * logit))

    best = minimize_scalar(loss, bounds=(-4.0, 4.0), method="bounded", options={"xatol": 1e-8})
    return Calibrator("temperature", slope=float(np.exp(best.x)))


def _platt(logit: np.ndarray, label: np.ndarray, note: str = "") -> Calibrator:
    # A touch of ridge (C = 1e4 on standardised logits) keeps the fit finite where a threshold separates the classes.
    location, scale = logit.mean(), logit.std()
    line = LogisticRegression(C=1e4, tol=1e-8, max_iter=1000).fit(((logit - location) / scale)[:, None], label)
    slope = float(line.coef_[0, 0] / scale)
    if slope <= 0:
        return Calibrator(note="not calibrated: the risk does not rise with the logit")
    return Calibrator("platt", slope=slope, intercept=float(line.intercept_[0] - slope * location), note=note)


def _isotonic(logit: np.ndarray, label: np.ndarray) -> Calibrator:
    fitted = IsotonicRegression(y_min=0, y_max=1).fit(logit, label).predict(logit)
    rates, block = np.unique(fitted, return_inverse=True)
    knots = np.bincount(block, logit) / np.bincount(block)
    return Calibrator("isotonic", knots=tuple(knots.tolist()), rates=tuple(rates.tolist()))


KINDS: dict[str, Callable[[np.ndarray, np.ndarray], Calibrator]] = {
    "identity": _identity,
    "temperature": _temperature,
    "platt": _platt,
    "isotonic": _isotonic,
}


def _folds(label: np.ndarray, patient: np.ndarray, folds: int, seed: int) -> tuple[np.ndarray, int]:
    """Return the fold (N,) of every row and the number of patients with an event; one patient is in one fold."""
    names, code = np.unique(patient, return_inverse=True)
    events = np.bincount(code, label == 1, minlength=len(names)) > 0
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(~events[order], kind="stable")]
    fold = np.empty(len(names), np.int64)
    fold[order] = np.arange(len(names)) % folds
    return fold[code], int(events.sum())


def _log_loss(label: np.ndarray, risk: np.ndarray) -> float:
    """Return the summed log loss of risks inside (0, 1)."""
    return float(-np.log(np.where(label == 1, risk, 1 - risk)).sum())


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -EXTREME, EXTREME)))
