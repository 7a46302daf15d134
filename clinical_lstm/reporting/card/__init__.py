"""The model card of a run: the items of TRIPOD+AI and PROBAST+AI, answered by what the run knows and people said.

`items.csv` holds one row per item; `study`, `outcome`, `model`, `results` and `bias` hold one function per fact. An
item that neither the run nor a person answers is MISSING, never left out; no risk of bias is rated.

Source: Collins et al., BMJ 385:e078378 (2024), doi 10.1136/bmj-2023-078378; Moons et al., BMJ 388:e082505 (2025),
doi 10.1136/bmj-2024-082505.
"""

from clinical_lstm.reporting.card.answers import keep, keys
from clinical_lstm.reporting.card.build import Card, card
from clinical_lstm.reporting.card.write import write_card

__all__ = ["Card", "card", "keep", "keys", "write_card"]
