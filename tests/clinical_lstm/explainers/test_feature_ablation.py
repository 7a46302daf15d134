"""Feature ablation: literal loops over groups and fresh assemblies, names and shares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from clinical_lstm import plugins
from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.feature_ablation import FeatureAblation
from clinical_lstm.models.lstm import LSTM
from clinical_lstm.variables import vocabulary

TARGETS = [("sepsis", 6.0), ("death", 24.0)]
NAMES = ["heart_rate", "map", "lactate", "creatinine", "platelets", "age_years", "male", "height_cm"]
ROWS = np.arange(6)
Without = Callable[[Ragged, np.ndarray], Ragged]


@pytest.fixture(scope="module")
def model() -> LSTM:
    torch.manual_seed(2)
    made = LSTM(5, 3, TARGETS, hidden=8).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight += 0.4 * torch.randn_like(weight)
    return made


def asked(batch: Batch) -> tuple[Tensor, Tensor]:
    return batch.lengths - 1 - torch.tensor([0, 4, 0, 2, 0, 0]), torch.arange(len(batch.lengths)) % len(TARGETS)


def members(groups: str, hours: np.ndarray, end: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return by name which cells (B, T, V) and static variables (B, S) a group has, measured or not."""
    cells, statics = np.zeros((*hours.shape, 5), bool), np.zeros((6, 3), bool)
    found = {}
    if groups == "window":
        for k in range(5):
            inside = (hours > end - 3 * (k + 1)) & (hours <= end - 3 * k)
            found[f"{3 * k} to {3 * (k + 1)} h before"] = (cells | inside[:, :, None], statics)
        return found | {"static": (cells, ~statics)}
    labels = NAMES if groups == "variable" else [vocabulary()[name].system for name in NAMES]
    for label in dict.fromkeys(labels):
        own = np.array([other == label for other in labels])
        found[label] = (cells | own[:5], statics | own[5:])
    return found


@pytest.mark.parametrize("groups", ["variable", "system", "window"])
def test_equals_loops_over_groups_and_assemblies(
    groups: str, model: LSTM, ward: Ragged, scaler: Scaler, stays: Batch, without: Without
) -> None:
    step, target = asked(stays)
    hours = stays.hours.numpy()
    until = (np.arange(14) <= step.numpy()[:, None])[:, :, None]
    seen = (stays.mask.numpy() > 0) & until

    def logits(hidden: np.ndarray, away: np.ndarray) -> np.ndarray:
        batch = assemble(without(ward, hidden & until), ROWS, scaler, 14).tensors()
        with torch.no_grad():
            shown = batch._replace(static=batch.static * torch.from_numpy(~away))
            return model(shown)[ROWS, step, target].double().numpy()

    explainer = FeatureAblation(groups=groups, window_hours=3.0)
    names, effects = explainer.effects(model, stays, step, target, NAMES)
    found = explainer(model, stays, step, target, variables=NAMES)
    own = members(groups, hours, hours[ROWS, step][:, None])
    assert sorted(names) == sorted(own)
    full = logits(np.zeros_like(seen), np.zeros((6, 3), bool))
    known = stays.static.numpy() != 0
    assert np.abs(effects).max() > 0.3
    for name, (cells, away) in own.items():
        effect = effects[:, names.index(name)]
        np.testing.assert_allclose(effect, full - logits(cells, away), atol=2e-6, err_msg=name)
        number = (cells & seen).sum((1, 2)) + (away & known).sum(1)
        share = effect / np.maximum(number, 1)
        assert not effect[number == 0].any()
        np.testing.assert_allclose(found.values[cells & seen], (share[:, None, None] * (cells & seen))[cells & seen])
        np.testing.assert_allclose(found.static[away & known], (share[:, None] * (away & known))[away & known])
    assert not found.values[~seen].any()
    assert not found.static[~known].any()
    np.testing.assert_allclose(found.gap, np.abs(effects.sum(1) - (found.logit - found.baseline_logit)), atol=1e-9)
    assert (found.explained == (found.gap < 0.01)).all()
    np.testing.assert_allclose(found.logit, full, atol=2e-6)


def test_names_follow_the_order_they_are_given_in(model: LSTM, stays: Batch) -> None:
    step, target = asked(stays)
    names, effects = FeatureAblation().effects(model, stays, step, target, NAMES)
    assert names == NAMES
    assert effects.shape == (6, 8)
    assert not effects[:, 4].any(), "platelets were never measured"
    systems, _ = FeatureAblation(groups="system").effects(model, stays, step, target, NAMES)
    assert systems == ["cardiovascular", "renal", "general", "acid-base", "haematological"]
    windows, _ = FeatureAblation(groups="window").effects(model, stays, step, target, NAMES)
    assert windows == ["0 to 6 h before", "6 to 12 h before", "12 to 18 h before", "static"]


@pytest.mark.parametrize("groups", ["variable", "system", "window"])
def test_batch_mates_chunks_and_the_future_do_not_matter(groups: str, model: LSTM, stays: Batch) -> None:
    step, target = asked(stays)
    explainer = FeatureAblation(groups=groups, window_hours=3.0)
    names, together = explainer.effects(model, stays, step, target, NAMES)
    for row in ROWS:
        only = slice(row, row + 1)
        one = Batch(*(part[only] for part in stays))
        own, alone = explainer.effects(model, one, step[only], target[only], NAMES)
        for name in names:
            expected = together[row, names.index(name)]
            assert abs(expected - (alone[0, own.index(name)] if name in own else 0)) < 2e-6
    small = FeatureAblation(groups=groups, window_hours=3.0, batch_steps=20)
    np.testing.assert_allclose(small.effects(model, stays, step, target, NAMES)[1], together, atol=2e-6)
    later = torch.arange(14)[None, :, None] > step[:, None, None]
    altered = stays._replace(values=torch.where(later, 9, stays.values), mask=torch.where(later, 1, stays.mask))
    assert np.array_equal(explainer.effects(model, altered, step, target, NAMES)[1], together)


def test_faults_are_said(model: LSTM, stays: Batch) -> None:
    step, target = asked(stays)
    with pytest.raises(InputError, match="did you mean 'system'"):
        plugins.build("explainers", {"name": "feature_ablation", "groups": "systems"})
    with pytest.raises(InputError, match="window_hours and tolerance must be above 0"):
        FeatureAblation(window_hours=0.0)
    with pytest.raises(InputError, match="groups = system needs the names of the variables"):
        FeatureAblation(groups="system")(model, stays, step, target)
    with pytest.raises(InputError, match="5 names were given for 5 measured and 3 static variables"):
        FeatureAblation().effects(model, stays, step, target, NAMES[:5])
    with pytest.raises(InputError, match=r"1 variables have no organ system, first 'lactat': did you mean 'lactate'"):
        FeatureAblation(groups="system").effects(model, stays, step, target, [*NAMES[:2], "lactat", *NAMES[3:]])
    with pytest.raises(InputError, match=r"call model\.eval\(\) first"):
        FeatureAblation()(LSTM(5, 3, TARGETS), stays, step, target)
