"""Values that fade towards the train median while they grow old."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch


class Decay(nn.Module):
    """Let each variable fade from what was last observed to 0, the train median, at a pace that is learned.

        gamma_t = exp(-max(0, w delta_t + b))                                                  w, b per variable  (1)
        v^_t    = m_t v_t + (1 - m_t) (gamma_t v_last + (1 - gamma_t) 0)                                           (2)

    In a batch v_t is v_last already where m_t = 0. Delta counts in days here, so that w has the size of other weights;
    w starts at 0.5 (half is left after 33 hours) and b at 0: nothing is drawn.
    Source: Che et al., GRU-D, Scientific Reports 8:6085 (2018), doi 10.1038/s41598-018-24271-9.
    """

    HOURS = 24.0

    def __init__(self, n_variables: int) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.full((n_variables,), 0.5))  # w
        self.bias = nn.Parameter(torch.zeros(n_variables))  # b

    def forward(self, batch: Batch) -> Tensor:
        """Return the values (B, T, V) as they have faded."""
        gamma = torch.exp(-torch.relu(self.rate * (batch.delta / self.HOURS) + self.bias))  # 1
        return batch.values * (batch.mask + (1 - batch.mask) * gamma)  # 2
