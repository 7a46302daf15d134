"""A run directory -> risks. No Lightning, Hydra, MLflow, cohort or pickle; the same bits however stays are grouped.

Floating-point sums depend on the shape of a matrix product. So every stay (or window of one, with a lookback) is always
computed in the same shape: `ROWS` at a time (padded with empty ones) and its own length rounded up to a multiple of
`STEPS`. Neither its batch mates nor its place among them can then change a bit; a test holds every model to that.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from clinical_lstm import plugins
from clinical_lstm.artifacts import Run
from clinical_lstm.batch import Batch, Ragged, Scaler, Sequences, assemble
from clinical_lstm.calibration import Calibrator, apply_all
from clinical_lstm.errors import InputError
from clinical_lstm.lookback import reach_hours, sequences
from clinical_lstm.metrics.alarms import Policy

if TYPE_CHECKING:
    from clinical_lstm.models.base import SequenceModel

ROWS = 64
STEPS = 16
POLICY = ["threshold", "silence_hours", "reset_hours"]


def canonical_batches(
    seen: Sequences, rows: np.ndarray | Sequence[int], scaler: Scaler
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yield (n <= ROWS of the sequences `rows`, batch of exactly ROWS): the first n are theirs, the others empty."""
    for chunk, steps in canonical_chunks(seen, rows):
        yield chunk, canonical_batch(seen, chunk, scaler, steps)


def canonical_chunks(seen: Sequences, rows: np.ndarray | Sequence[int]) -> Iterator[tuple[np.ndarray, int]]:
    """Yield (n <= ROWS of the sequences `rows`, steps of the batch that holds them)."""
    rows = np.asarray(rows, dtype=np.int64)
    padded = -(-np.maximum(seen.lengths[rows], 1) // STEPS) * STEPS
    for steps in np.unique(padded):
        group = rows[padded == steps]
        for begin in range(0, len(group), ROWS):
            yield group[begin : begin + ROWS], int(steps)


def canonical_batch(seen: Sequences, chunk: np.ndarray, scaler: Scaler, steps: int) -> Batch:
    """Return the batch of a chunk, exactly ROWS rows."""
    return _fill_up(assemble(seen, chunk, scaler, steps))


def logits(
    model: SequenceModel, seen: Sequences, scaler: Scaler, stays: np.ndarray | Sequence[int] | None = None
) -> np.ndarray:
    """Return the logits (N, K) float64 of every step of `stays` (default: all) that `seen` answers, else NaN."""
    import torch

    rows = np.arange(len(seen.lengths)) if stays is None else seen.of(np.asarray(stays, dtype=np.int64))
    device = next(model.parameters()).device
    found = np.full((len(seen.hours), model.head.n_targets), np.nan)
    model.eval()
    with torch.inference_mode():
        for chunk, batch in canonical_batches(seen, rows, scaler):
            out = model(batch.tensors().to(device)).double().cpu().numpy()  # (ROWS, T, K)
            row, step, at = seen.answered(chunk)
            found[at] = out[row, step]
    return found


def build_model(description: dict[str, Any]) -> SequenceModel:
    """Return the untrained model that `model.json` describes; raises InputError when its numbers make no net."""
    sizes, spec = description["sizes"], description["model"]
    targets = [(complication, float(horizon)) for complication, horizon in sizes["targets"]]
    model, arguments = plugins.bind("models", spec, **{**sizes, "targets": targets})
    for key, parameter in inspect.signature(model).parameters.items():
        value, counts = arguments.get(key), type(parameter.default) is int
        if key in spec and counts and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise InputError(f"model.{key} must be a whole number of at least 1, not {value!r}")
    try:
        return model(**arguments)
    except (TypeError, ValueError, RuntimeError) as fault:
        told = ", ".join(f"{key}={value}" for key, value in spec.items() if key not in ("name", "inputs"))
        raise InputError(f"model {spec['name']} cannot be built with {told}: {str(fault).splitlines()[0]}") from None


def ready_threads(threads: int) -> None:
    """Set torch's thread count; must come before the first tensor operation (waiting threads must not spin)."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    import torch

    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Predictor:
    """A trained model with everything it needs to turn tensors into calibrated risks."""

    model: SequenceModel
    scaler: Scaler
    targets: list[tuple[str, float]]
    calibrators: list[Calibrator]
    lookback_hours: float | None = None

    @staticmethod
    def load(run: Run) -> Predictor:
        """Return the predictor of a complete, unaltered run directory."""
        from safetensors.torch import load_file

        run.verify()
        description = run.json("model.json")
        model = build_model(description)
        model.load_state_dict(load_file(run.path / "weights.safetensors"))
        return Predictor(
            model=model.eval(),
            scaler=Scaler.from_table(run.table("scaler.parquet")),
            targets=[(c, float(h)) for c, h in description["sizes"]["targets"]],
            calibrators=[Calibrator.from_json(item["map"]) for item in run.json("calibrator.json")],
            lookback_hours=reach_hours(run.json("manifest.json")["task"]),
        )

    def risks(
        self, ragged: Ragged, stays: np.ndarray | Sequence[int] | None = None, asked: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the calibrated risks (N, K), strictly inside (0, 1); NaN in the rows of stays not asked for.

        `asked` (N,) says which steps are prediction times: with a lookback the others cost as much, and get NaN.
        """
        found = logits(self.model, sequences(ragged, self.lookback_hours, asked), self.scaler, stays)
        known = ~np.isnan(found).any(axis=1)
        found[known] = apply_all(self.calibrators, found[known], self.targets)
        return found


def policies_of(run: Run) -> dict[tuple[str, float], Policy]:
    """Return the alarm policy of every target of a run; none where it has not been evaluated."""
    if not (run.path / "alarms.json").is_file():
        return {}
    return {
        (row["complication"], float(row["horizon_hours"])): Policy(**{name: row[name] for name in POLICY})
        for row in run.json("alarms.json")
    }


def predictions_table(labels: pl.DataFrame, stays: pl.DataFrame, risks: np.ndarray) -> pl.DataFrame:
    """Return `schemas.Predictions`: `labels` (rows ordered by time, then target) with the risks (P, K) of their times.

    Args:
        labels: `schemas.Labels`. stays: stay_id, patient_id, site, split. risks: one row per prediction time.

    """
    facts = stays.select("stay_id", "patient_id", "site", pl.col("split").cast(pl.String))
    joined = labels.with_columns(pl.Series("risk", risks.reshape(-1), pl.Float64)).join(
        facts, on="stay_id", how="inner", maintain_order="left"
    )
    splits = pl.Enum(["train", "val", "calib", "test", "new"])
    return joined.select(
        "stay_id",
        "patient_id",
        "site",
        pl.col("split").cast(splits),
        "hours",
        "complication",
        "horizon_hours",
        "risk",
        "label",
        "at_risk",
        "after_onset",
        *[name for name in ("onset_hours", "follow_up_hours") if name in joined.columns],
    )


def _fill_up(batch: Batch) -> Batch:
    """Return the batch with empty stays appended up to ROWS."""
    lacking = ROWS - len(batch.lengths)
    return Batch(*(np.concatenate([part, np.zeros((lacking, *part.shape[1:]), part.dtype)]) for part in batch))
