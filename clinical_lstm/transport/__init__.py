"""Does a model travel to another hospital or another year? What differs there, and how few local patients repair it.

`recalibration` judges a model on a target site after 0, 25, 50, ... of its patients were used to refit the last step;
`domain_shift` says by how much the patients and the habits of measuring differ.
"""

from clinical_lstm.transport.recalibration import recalibration
from clinical_lstm.transport.shift import Population, domain_shift

__all__ = ["Population", "domain_shift", "recalibration"]
