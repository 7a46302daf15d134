"""Only rows at risk with a known outcome count, and a table from elsewhere is checked before it is believed."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import rows as r


def _table() -> pl.DataFrame:
    hours = [1.0, 2.0, 3.0, 1.0, 2.0, 1.0]
    table = pl.DataFrame(
        {
            "stay_id": ["s1", "s1", "s1", "s2", "s2", "s3"],
            "patient_id": ["p1", "p1", "p1", "p1", "p1", "p0"],
            "site": ["A", "A", "A", "A", "A", "B"],
            "split": ["test"] * 6,
            "hours": hours,
            "complication": ["sepsis"] * 6,
            "horizon_hours": [6.0] * 6,
            "risk": [0.3, 0.2, 0.9, 0.1, 0.4, 0.5],
            "label": pl.Series([0, 1, 1, 0, None, 0], dtype=pl.Int8),
            "at_risk": [True, True, True, False, True, True],
            "after_onset": [False, False, True, False, False, False],
        }
    )
    return table.cast({"split": schemas.Predictions.split.dtype})


def test_unknown_outcomes_and_rows_not_at_risk_are_left_out() -> None:
    kept = r.scored(_table(), "test", "the table")
    assert kept.select("stay_id", "hours").rows() == [("s1", 1.0), ("s1", 2.0), ("s1", 3.0), ("s3", 1.0)]


def test_rows_ascend_by_risk_with_codes_by_id() -> None:
    rows = r.rows_of(r.scored(_table(), "test", "the table"), ("sepsis", 6.0))
    assert rows.risk.tolist() == [0.2, 0.3, 0.5, 0.9]
    assert rows.patient.tolist() == [1, 1, 0, 1]
    assert rows.counts == {"n_rows": 4, "n_stays": 2, "n_positives": 2}
    # onset of s1 = first label 1 at hour 2, plus 6: gains at dt = -6, -7, (none), -5
    np.testing.assert_allclose(rows.gain, [1, 5 / 6, -0.05, 10 / 9])


def test_subsets_recode_their_patients_but_keep_the_gain_of_the_whole_stay() -> None:
    rows = r.rows_of(r.scored(_table(), "test", "the table"), ("sepsis", 6.0))
    parts = {name: rows.where(mask) for name, mask in rows.subsets()}
    assert list(parts) == ["all", "pre_onset", "site=A", "site=B"]
    assert parts["pre_onset"].risk.tolist() == [0.2, 0.3, 0.5]
    assert parts["site=A"].patient.tolist() == [0, 0, 0]
    np.testing.assert_allclose(parts["pre_onset"].gain, [1, 5 / 6, -0.05])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop("risk"), "lacks the column.*risk"),
        (lambda t: pl.concat([t, t.head(1)]), "primary_key"),
        (lambda t: t.with_columns(risk=pl.lit(1.0)), "risk"),
        (lambda t: t.with_columns(risk=pl.lit(float("nan"))), "risk"),
        (lambda t: t.with_columns(label=pl.lit(2, pl.Int8)), "label"),
        (lambda t: t.with_columns(hours=pl.lit("one")), "hours"),
        (lambda t: t.clear(), "no row at risk"),
        (lambda t: t.with_columns(at_risk=pl.lit(False)), "no row at risk.*test: 6"),
    ],
)
def test_faults_of_a_table_are_told(spoil: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        r.scored(spoil(_table()), "test", "the table")  # type: ignore[operator]
