"""From predictions to scores and curves: every number is a function of the table `schemas.Predictions`.

`evaluate` scores one predictor, `paired_difference` compares two on identical rows. Intervals come from resampling
patients, never rows: the rows of a patient are anything but independent.
"""

from clinical_lstm.evaluation.comparison import paired_difference
from clinical_lstm.evaluation.scoring import evaluate

__all__ = ["evaluate", "paired_difference"]
