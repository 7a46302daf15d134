from __future__ import annotations

import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.training.settings import TrainerSettings


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ({"loss": "focl"}, "did you mean 'focal'"),
        ({"smoothing": "exp"}, "exponential"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"keep": "first"}, "best, last"),
        ({"loss": "survival", "weighting": "class"}, "weighting=uniform"),
        ({"loss": "survival", "smoothing": "step"}, "smoothing=none"),
        ({"loss": "survival", "distil_weight": 0.5}, "distil_weight=0"),
        ({"smoothing": "step", "weighting": "cinc2019"}, "sign of a gain"),
        ({"smoothing": "step", "smoothing_strength": 1.0}, "below 1"),
        ({"smoothing": "exponential", "smoothing_strength": 0}, "above 0"),
        ({"distil_weight": 1.5}, "0..1"),
        ({"distil_weight": 0.5, "teacher": "gradient_bosting"}, "did you mean 'gradient_boosting'"),
        ({"distil_weight": 0.5, "teacher": "news2"}, "learns nothing"),
        ({"distil_weight": 0.5, "teacher": {"leaves": 3}}, "trainer.teacher.name"),
        ({"teacher_folds": 2}, "at least 3"),
        ({"ema_decay": 1.0}, "below 1"),
        ({"ema_decay": 0.9, "swa_epochs": 2}, "choose one"),
        ({"epochs": 2, "swa_epochs": 3}, "more than trainer.epochs"),
        ({"forecast_weight": 1.0, "forecast_hours": 0}, "forecast_hours"),
        ({"accumulate": 0}, "at least 1"),
        ({"tbptt_steps": -1}, "negative"),
        ({"focal_gamma": -0.5}, "negative"),
    ],
)
def test_what_makes_no_sense_is_refused(spec: dict, advice: str) -> None:
    with pytest.raises(InputError, match=advice):
        TrainerSettings.of(spec)


@pytest.mark.parametrize(
    ("spec", "model", "causal", "proceeds", "advice"),
    [
        ({"loss": "survival"}, {"name": "lstm"}, True, True, "model.head=hazard"),
        ({"loss": "survival"}, {"name": "lstm", "head": "cumulative"}, True, True, "model.head=hazard"),
        ({"forecast_weight": 0.1}, {"name": "bilstm"}, False, True, "causal model"),
        ({"tbptt_steps": 8}, {"name": "tcn"}, True, False, "proceed"),
    ],
)
def test_what_a_model_cannot_do_is_refused(spec: dict, model: dict, causal: bool, proceeds: bool, advice: str) -> None:
    with pytest.raises(InputError, match=advice):
        TrainerSettings.of(spec).refuse_model(model, causal, proceeds)
    TrainerSettings().refuse_model(model, causal, proceeds)
    TrainerSettings.of(spec).refuse_model({"name": "lstm", "head": "hazard"}, True, True)
