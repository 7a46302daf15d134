"""What is counted, and the gate for cohorts that nothing can be learnt from."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.batch import Ragged
from clinical_lstm.data.manifest import coverage, hour_counts, one_sided, refuse_degenerate, split_counts, stay_counts
from clinical_lstm.errors import InputError

STAYS = pl.DataFrame(
    {
        "stay_id": list("abcdefghi"),
        "patient_id": list("aacdefghi"),
        "split": ["train"] * 3 + ["val"] * 2 + ["calib"] * 2 + ["test"] * 2,
    }
)


def _labels(flags: dict[str, str], complication: str = "death", horizon: float = 6.0) -> pl.DataFrame:
    """Return labels from one letter per hour: 0 or 1 at risk, + after the onset, - not at risk."""
    rows = [
        (stay, float(t), complication, horizon, int(flag in "1+"), flag != "-", flag == "+", None, None)
        for stay, letters in flags.items()
        for t, flag in enumerate(letters, start=1)
    ]
    table = pl.DataFrame(rows, schema=schemas.empty(schemas.Labels).schema, orient="row")
    return schemas.check(schemas.Labels, table, "labels")


GOOD = {"a": "011+-", "b": "00", "c": "11", "d": "01", "e": "0", "f": "0", "g": "1", "h": "00", "i": "0011"}


def test_counts_are_of_rows_at_risk() -> None:
    counts = split_counts(stay_counts(_labels(GOOD)), STAYS)
    train = counts["train"]
    assert (train["stays"], train["patients"]) == (3, 2)
    assert train["targets"] == [
        {
            "complication": "death",
            "horizon_hours": 6.0,
            "rows": 8,
            "positives": 5,
            "events": 2,
            "positives_after_onset": 1,
            "prevalence": 0.625,
        }
    ]
    assert {split: (c["rows"], c["positives"], c["events"]) for split, c in counts.items()} == {
        "train": (8, 5, 2),
        "val": (3, 1, 1),
        "calib": (2, 1, 1),
        "test": (6, 2, 1),
    }
    refuse_degenerate(counts)
    with pytest.raises(InputError, match=r"fewer than 2 stays .* 3 time\(s\): val: death .* 1 of them with an event"):
        refuse_degenerate(counts, min_events=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"d": "00"},
            r"1 time\(s\): val: death within 6 h has 0 positive of 3 rows in 2 stays, 0 of them .* Use more stays",
        ),
        ({"h": "11", "i": "1"}, "test: death within 6 h has 3 positive of 3 rows in 2 stays"),
        ({"f": "-", "g": "--"}, "calib: death within 6 h has 0 positive of 0 rows in 2 stays"),
        (dict.fromkeys("abcdefghi", "0"), r"4 time\(s\): train: death within 6 h has 0 positive of 3 rows"),
        (dict.fromkeys("abcdefghi", "-"), r"4 time\(s\): train: death within 6 h has 0 positive of 0 rows"),
        (dict.fromkeys("abcdefghi", ""), r"4 time\(s\): train: any complication within 0 h has 0 positive of 0"),
    ],
)
def test_one_class_is_refused_with_counts(change: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        refuse_degenerate(split_counts(stay_counts(_labels(GOOD | change)), STAYS))


def test_hours_at_which_every_row_is_positive_are_found() -> None:
    censored = _labels({f"s{n}": "001---" if n % 2 else "000111" for n in range(40)} | {"z": "0001-1"})
    assert one_sided(hour_counts(censored)) == [
        {"complication": "death", "horizon_hours": 6.0, "hours": 3, "rows": 21 + 20 + 21}
    ]
    assert one_sided(hour_counts(_labels(GOOD))) == []


def test_every_target_must_have_both_classes() -> None:
    other = _labels(GOOD | {"d": "--", "e": "-"}, "sepsis_label", 12.0)
    never = _labels(dict.fromkeys("abcdefghi", "-"), "planted", 24.0)
    with pytest.raises(InputError, match=r"1 time.*: val: sepsis_label within 12 h has 0 positive of 0 rows"):
        refuse_degenerate(split_counts(stay_counts(pl.concat([_labels(GOOD), other])), STAYS))
    with pytest.raises(InputError, match=r"4 time.*: train: planted within 24 h has 0 positive of 0 rows"):
        refuse_degenerate(split_counts(stay_counts(pl.concat([_labels(GOOD), never])), STAYS))


def test_coverage_counts_cells_stays_and_steps() -> None:
    cells = [(0, 0, 0), (0, 1, 0), (0, 1, 2), (2, 0, 0)]  # stay, step, variable
    ragged = Ragged(
        step_offsets=np.array([0, 2, 3, 5]),
        cell_offsets=np.array([0, 3, 3, 4]),
        hours=np.array([1.0, 2.0, 1.0, 1.0, 2.0]),
        cell_step=np.array([step for _, step, _ in cells], np.int32),
        cell_variable=np.array([v for _, _, v in cells], np.uint16),
        cell_value=np.ones(4, np.float32),
        cell_age=np.zeros(4, np.float32),
        static=np.zeros((3, 0), np.float32),
    )
    assert coverage(ragged, ["ph", "lactate", "sodium"]) == {
        "ph": {"observations": 3, "stays_share": 0.6667, "steps_share": 0.6},
        "lactate": {"observations": 0, "stays_share": 0.0, "steps_share": 0.0},
        "sodium": {"observations": 1, "stays_share": 0.3333, "steps_share": 0.2},
    }
