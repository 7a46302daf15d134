"""The loss of a group of stays: what the model itself is for, and what it learns beside that."""

from __future__ import annotations

from torch import Tensor, nn

from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.heads import HazardHead
from clinical_lstm.training.data import TrainingData
from clinical_lstm.training.datamodule import Group, Taught
from clinical_lstm.training.losses import masked_squares, survival_loss, weighted_bce, weighted_focal
from clinical_lstm.training.settings import TrainerSettings
from clinical_lstm.training.truncation import truncated


class Objective(nn.Module):
    """Sums of losses over the rows of a group; the heads of auxiliary targets live here, not in the saved model.

        forecast:  y_t = W_f h_t + b_f     mean of every variable in the next hours
        outcomes:  z_t = W_o h_t + b_o     outcomes of the whole stay (`lessons.OF_STAY`): the same at every step

    Source: auxiliary targets of an early-warning model, Tomasev et al., Nature 572:116-119 (2019), doi
    10.1038/s41586-019-1390-1.
    """

    def __init__(self, settings: TrainerSettings, model: SequenceModel, data: TrainingData) -> None:
        super().__init__()
        self.settings = settings
        width = model.head.width
        if settings.forecast_weight:
            self.forecast = nn.Linear(width, len(data.scaler.variables))
        if settings.outcomes_weight and data.outcomes is not None:
            self.outcomes = nn.Linear(width, data.outcomes.shape[1])

    def forward(self, model: SequenceModel, group: Group | Taught) -> tuple[Tensor, Tensor | None]:
        """Return the sum of the main loss over the rows of a group, and that of the auxiliary ones (None: none)."""
        with truncated(model, self.settings.tbptt_steps):
            seen = model.hidden(group.batch)  # (B, T, H)
        main = self._main(model, seen, group)
        beside = []
        if self.settings.forecast_weight:
            found = self.forecast(seen).float()  # (B, T, V)
            squares = masked_squares(found, group.more["ahead"], group.more["ahead_known"])
            beside.append(self.settings.forecast_weight * squares)
        if self.settings.outcomes_weight:
            found = self.outcomes(seen).float()  # (B, T, O)
            squares = masked_squares(found, group.more["outcomes"], group.more["outcomes_known"])
            beside.append(self.settings.outcomes_weight * squares)
        return main, sum(beside[1:], beside[0]) if beside else None

    def _main(self, model: SequenceModel, seen: Tensor, group: Group | Taught) -> Tensor:
        if self.settings.loss == "survival":
            assert isinstance(model.head, HazardHead)
            hazards = model.head.hazards(seen).float()  # (B, T, C, J)
            return survival_loss(hazards, group.more["hours"], group.more["event"])
        logits = model.head(seen).float()  # (B, T, K)
        if self.settings.loss == "focal":
            return weighted_focal(logits, group.target, group.weight, self.settings.focal_gamma)
        return weighted_bce(logits, group.target, group.weight)
