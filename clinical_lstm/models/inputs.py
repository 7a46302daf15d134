"""From a `Batch` to the features of one step: what every model sees."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch


class Inputs(nn.Module):
    """Concatenate value, mask, log delta, static variables and log hours of a step; no weights, nothing looks ahead.

        x_t = [ v_t ; m_t ; log(1 + delta_t) / 4 ; s ; log(1 + t) / 4 ]                                  (F = `width`)

    `log(1 + 48 h) / 4` is about 1, so that all channels have the scale of a standardised value. While training, each
    variable of a stay is hidden with probability `variable_dropout`, as if it had never been measured: value 0, mask 0,
    delta = hours since admission. A model that must do without some labs leans less on any one of them.
    """

    SCALE = 0.25

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        mask: bool = True,
        delta: bool = True,
        hours: bool = True,
        variable_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.mask, self.delta, self.hours = mask, delta, hours
        self.variable_dropout = variable_dropout
        self.width = n_variables * (1 + mask + delta) + n_static + hours

    def forward(self, batch: Batch) -> Tensor:
        """Return the features (B, T, F)."""
        if self.training and self.variable_dropout > 0:
            batch = self._hide(batch)
        steps = batch.values.shape[1]
        parts = [batch.values]  # (B, T, V)
        if self.mask:
            parts.append(batch.mask)
        if self.delta:
            parts.append(torch.log1p(batch.delta) * self.SCALE)
        parts.append(batch.static[:, None, :].expand(-1, steps, -1))  # (B, T, S)
        if self.hours:
            parts.append(torch.log1p(batch.hours)[:, :, None] * self.SCALE)  # (B, T, 1)
        return torch.cat(parts, dim=2)  # (B, T, F)

    def _hide(self, batch: Batch) -> Batch:
        """Return the batch with random variables of each stay hidden."""
        size, _, width = batch.values.shape
        kept = torch.rand(size, 1, width, device=batch.values.device) >= self.variable_dropout  # (B, 1, V)
        waited = torch.where(kept, batch.delta, batch.hours[:, :, None])  # (B, T, V)
        return batch._replace(values=batch.values * kept, mask=batch.mask * kept, delta=waited)
