"""Each rule is the metric that it names."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.discrimination import decisions, min_se_ppv
from clinical_lstm.metrics.rules import chosen_threshold
from clinical_lstm.metrics.utility import normalised_utility

RANDOM = np.random.default_rng(0)
RISK = RANDOM.random(200).round(2)
LABEL = (RANDOM.random(200) < RISK).astype(int)
GAIN = np.where(LABEL == 1, RANDOM.random(200), -0.3)


def test_no_other_threshold_is_better() -> None:
    tried = np.unique(RISK)
    youden = chosen_threshold("youden", LABEL, RISK, GAIN)
    scores = {t: sum(decisions(LABEL, RISK, t)[:2]) for t in tried}
    assert scores[youden] == pytest.approx(max(scores.values()), abs=1e-12)
    utility = chosen_threshold("cinc2019", LABEL, RISK, GAIN)
    values = {t: normalised_utility(GAIN, t <= RISK) for t in tried}
    assert values[utility] == pytest.approx(max(values.values()), abs=1e-12)
    assert youden != utility
    smaller = chosen_threshold("min_se_ppv", LABEL, RISK, GAIN)
    found = {t: min_se_ppv(LABEL, RISK, t) for t in tried}
    assert found[smaller] == pytest.approx(max(found.values()), abs=1e-12)
    assert found[smaller] > max(found[youden], found[utility])


def test_another_rule_is_refused() -> None:
    with pytest.raises(InputError, match="threshold rule 'yuden': did you mean 'youden'"):
        chosen_threshold("yuden", LABEL, RISK, GAIN)
