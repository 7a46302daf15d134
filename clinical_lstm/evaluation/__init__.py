"""From predictions to scores and curves: every number is a function of the table `schemas.Predictions`.

`evaluate` judges predictors side by side on identical rows: all metrics, subgroups, paired differences. Intervals come
from resampling patients, never rows: the rows of a patient are anything but independent.
"""

from clinical_lstm.evaluation.protocol import Protocol
from clinical_lstm.evaluation.scoring import Evaluated, Judged, evaluate

__all__ = ["Evaluated", "Judged", "Protocol", "evaluate"]
