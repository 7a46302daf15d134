"""The model as MLflow serves it: a long observation table in, risks out. Code, not a pickle."""

from __future__ import annotations

from typing import Any

import mlflow
import pandas as pd
import polars as pl
from mlflow.pyfunc.model import PythonModel

from clinical_lstm.artifacts import Run
from clinical_lstm.inference import Predictor
from clinical_lstm.prediction import extract_of, predict


class EarlyWarning(PythonModel):
    """Rows (stay_id, hours since admission, variable, value in its canonical unit) -> a risk per stay and hour.

    Static variables (age_years, male, ...) are rows like any other. See `variables.csv` for names and units.
    """

    def load_context(self, context: Any) -> None:
        """Load the run directory that was logged with the model."""
        self.run = Run(context.artifacts["run"])
        self.predictor = Predictor.load(self.run)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return stay_id, hours, complication, horizon_hours and risk."""
        table = pl.DataFrame({name: model_input[name].to_numpy() for name in model_input.columns}, strict=False)
        (found, _), *_ = predict(self.run, self.predictor, [extract_of(table)])
        columns = ["stay_id", "hours", "complication", "horizon_hours", "risk"]
        return pd.DataFrame({name: found[name].to_list() for name in columns})


mlflow.models.set_model(EarlyWarning())
