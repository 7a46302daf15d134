from __future__ import annotations

import numpy as np

from clinical_lstm.batch import Batch
from clinical_lstm.training.forecast import LIMIT, ahead

HOURS = np.array([[1.0, 2.0, 4.0, 5.0], [3.0, 4.0, 0.0, 0.0]], np.float32)
VALUES = np.array([[[1, 9], [3, 9], [5, 2], [7, 2]], [[4, 4], [60, 4], [0, 0], [0, 0]]], np.float32)
MASK = np.array([[[1, 0], [1, 1], [0, 1], [1, 0]], [[1, 1], [1, 0], [0, 0], [0, 0]]], np.float32)
BATCH = Batch(VALUES, MASK, MASK, HOURS, np.zeros((2, 0), np.float32), np.array([4, 2]))


def test_means_are_of_what_is_measured_in_the_next_hours() -> None:
    mean, known = ahead(BATCH, 3.0)
    # t = 1: steps 2 and 4;  t = 2: steps 4 and 5;  t = 4: step 5;  t = 5: none
    assert known[0].tolist() == [[1, 1], [1, 1], [1, 0], [0, 0]]
    assert mean[0].tolist() == [[3, 5], [5, 2], [5, 0], [0, 0]]  # 9 and 7 are cut at the limit
    assert LIMIT == 5.0


def test_nothing_is_known_after_the_end_and_in_the_padding() -> None:
    mean, known = ahead(BATCH, 100.0)
    assert known[1].tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]
    assert mean[1, 0, 0] == LIMIT and not mean[1, 1:].any()


def test_a_horizon_shorter_than_the_steps_foretells_nothing() -> None:
    assert not ahead(BATCH, 0.5)[1].any()
