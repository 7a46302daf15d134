"""Which predictions are in which level, and that means and replicates are those of the drawn patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.explanation.evidence import Evidence
from clinical_lstm.explanation.keys import KEY


def _members(entry: Evidence) -> dict[tuple[str, str], set[tuple]]:
    rows = entry.found.keys.rows()
    return {(part.dimension, part.level): {rows[n] for n in part.rows} for part in entry.parts}


def test_levels_by_hand(tables: Any, entries: list[Evidence]) -> None:
    facts = {row["stay_id"]: row for row in tables.stays.to_dicts()}
    onsets = {tuple(row[name] for name in KEY): row["onset_hours"] for row in tables.predictions.to_dicts()}
    reasons: dict[tuple, set[str]] = {}
    for *key, reason in tables.chosen.select(*KEY, "reason").rows():
        reasons.setdefault(tuple(key), set()).add(reason)
    assert [entry.target for entry in entries] == [("sepsis", 6.0), ("sepsis", 12.0)]
    for entry in entries:
        found, expected = _members(entry), {}
        for key in entry.found.keys.rows():
            names = []
            age, male, onset = facts[key[0]]["age_years"], facts[key[0]]["male"], onsets[key]
            if "cohort_sample" in reasons[key]:
                names.append(("all", "all"))
                if age is not None:
                    names.append(
                        ("age", "<45" if age < 45 else "45-64" if age < 65 else "65-79" if age < 80 else "80+")
                    )
                if male is not None:
                    names.append(("sex", "male" if male else "female"))
            if "before_onset_sample" in reasons[key] and onset is not None and 0 < onset - key[1] <= 48:
                low, high = next(
                    (a, b)
                    for a, b in [(0, 1), (1, 2), (2, 4), (4, 6), (6, 12), (12, 24), (24, 48)]
                    if onset - key[1] <= b
                )
                names.append(("to_onset", f"{low}-{high} h"))
            names += [
                ("outcome", reason.removesuffix("_sample"))
                for reason in reasons[key]
                if reason[:5] in ("true_", "misse", "false")
            ]
            for name in names:
                expected.setdefault(name, set()).add(key)
        assert found == expected
        assert len(found) > 12


def test_a_prediction_of_several_samples_is_in_each(tables: Any, entries: list[Evidence]) -> None:
    first = tables.explained.filter("explained")["reason"].value_counts()
    listed = dict(first.rows())
    counted = sum(len(part.rows) for entry in entries for part in entry.parts if part.dimension == "all")
    assert counted > listed["cohort_sample"], "explained has only the first reason"


def test_without_a_cohort_sample_everything_counts(tables: Any) -> None:
    shown = tables._replace(chosen=tables.chosen.with_columns(reason=pl.lit("typical")))
    for entry in shown.evidence():
        assert [part.dimension for part in entry.parts] == ["all"] + ["age"] * 4 + ["sex"] * 2
        assert entry.parts[0].rows.tolist() == list(range(entry.found.keys.height))


def test_means_are_those_of_the_drawn_patients(tables: Any, entries: list[Evidence]) -> None:
    entry = entries[0]
    patient_of = dict(tables.predictions.select("stay_id", "patient_id").rows())
    everyone = sorted({patient_of[key[0]] for each in entries for key in each.found.keys.rows()})
    names = [patient_of[key[0]] for key in entry.found.keys.rows()]
    rows = entry.parts[1].rows
    mean, replicates = entry.means(entry.net, rows)
    assert replicates.shape == (len(entry.groups), 20)
    np.testing.assert_allclose(mean, entry.net[rows].mean(axis=0), atol=1e-12)
    for r in range(20):
        drawn = [everyone[p] for p in np.random.default_rng([5, r]).integers(len(everyone), size=len(everyone))]
        own = [entry.net[n] for patient in drawn for n in rows if names[n] == patient]
        expected = np.mean(own, axis=0) if own else np.full(len(entry.groups), np.nan)
        np.testing.assert_allclose(replicates[:, r], expected, atol=1e-12)


def test_patients_are_counted_once(tables: Any, entries: list[Evidence]) -> None:
    patient_of = dict(tables.predictions.select("stay_id", "patient_id").rows())
    for entry in entries:
        ids = entry.found.keys["stay_id"].replace_strict(patient_of).to_list()
        for part in entry.parts:
            assert entry.patients(part.rows) == len({ids[n] for n in part.rows})


def test_a_stay_without_facts_is_in_no_subgroup(tables: Any) -> None:
    for stays in (tables.stays.select("stay_id"), tables.stays.clear()):
        entry = tables._replace(stays=stays).evidence()[0]
        assert {part.dimension for part in entry.parts} == {"all", "to_onset", "outcome"}
    predictions = tables.predictions.drop("onset_hours")
    entry = tables._replace(predictions=predictions).evidence()[0]
    assert "to_onset" not in {part.dimension for part in entry.parts}


def test_predictions_of_another_run_are_refused(tables: Any) -> None:
    lost = tables._replace(predictions=tables.predictions.filter(pl.col("stay_id") != "s04"))
    n = tables.explained.filter(pl.col("explained"), pl.col("stay_id") == "s04").height
    assert n > 0
    with pytest.raises(InputError, match=rf"{n} of \d+ explained predictions are not among .* first: \('s04'"):
        lost.evidence()


def test_nothing_explained_is_no_evidence(tables: Any) -> None:
    assert tables._replace(explained=tables.explained.clear()).evidence() == []
    assert tables._replace(explained=tables.explained.with_columns(explained=False)).evidence() == []
