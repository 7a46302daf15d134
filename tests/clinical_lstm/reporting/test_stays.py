"""The cards of explained stays: nothing from after the prediction, sums that agree, the order of reading."""

from __future__ import annotations

import dataclasses
from math import fsum

import polars as pl
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import stays
from clinical_lstm.reporting.changes import read_changes
from clinical_lstm.reporting.contents import Contents, read


@pytest.fixture(scope="module")
def contents(run: Run) -> Contents:
    return read(run)


def test_reasons_in_the_order_of_reading(contents: Contents) -> None:
    cards = stays.cards(contents)
    assert [card.reason for card in cards] == ["Highest risk", "Missed event", "False alarm", "Typical"]
    assert [card.title for card in cards] == ["Stay 1", "Stay 2", "Stay 3", "Stay 4"]
    assert [card.complete for card in cards] == [True, True, False, True]


def test_drivers_and_the_rest_add_up_to_the_logit(contents: Contents) -> None:
    for card in stays.cards(contents):
        assert len(card.drivers) == stays.CARD.drivers
        total = card.baseline + fsum(driver.contribution for driver in card.drivers) + card.rest
        assert total == pytest.approx(card.logit, abs=1e-12)
        sizes = [abs(driver.contribution) for driver in card.drivers]
        assert sizes == sorted(sizes, reverse=True)


def test_sentences_know_nothing_after_the_prediction(contents: Contents) -> None:
    """Other measurements after the explained time: the same sentences."""
    tables = contents.explanations
    assert tables is not None
    later = pl.col("hours") > 48.0
    altered = tables.observations.with_columns(value=pl.when(later).then(299.0).otherwise(pl.col("value")))
    changed = dataclasses.replace(contents, explanations=dataclasses.replace(tables, observations=altered))
    for before, after in zip(stays.cards(contents), stays.cards(changed)):
        assert before.drivers == after.drivers
        assert before.lanes != after.lanes
    earlier = tables.observations.with_columns(value=pl.when(~later).then(299.0).otherwise(pl.col("value")))
    changed = dataclasses.replace(contents, explanations=dataclasses.replace(tables, observations=earlier))
    assert stays.cards(changed)[0].drivers != stays.cards(contents)[0].drivers


def test_row_order_of_the_tables_does_not_matter(contents: Contents) -> None:
    tables = contents.explanations
    assert tables is not None
    mixed = {
        field: table.sample(fraction=1.0, shuffle=True, seed=5)
        for field, table in vars(tables).items()
        if isinstance(table, pl.DataFrame)
    }
    changed = dataclasses.replace(contents, explanations=dataclasses.replace(tables, **mixed))
    assert stays.cards(changed) == stays.cards(contents)


def test_lanes_are_observed_variables_and_cells_end_at_the_prediction(contents: Contents) -> None:
    card = stays.cards(contents)[0]
    assert 0 < len(card.lanes) <= stays.CARD.lanes
    assert len(card.rows) == stays.CARD.rows
    assert not {"age_years", "male"} & set(card.rows)
    assert all(hours <= card.now for _, hours in card.cells)
    assert len(card.cells) <= stays.MAX_CELLS


def test_outcome_and_alarm_in_words(contents: Contents) -> None:
    card = stays.cards(contents)[0]
    assert card.outcome == "onset 4 h later"
    assert dataclasses.replace(card, onsets=[]).outcome == "no onset in this record"
    assert dataclasses.replace(card, onsets=[2.0]).outcome == "onset before this time"
    assert dataclasses.replace(card, risk=0.08).alarm.startswith("above the threshold of 8")
    assert dataclasses.replace(card, risk=0.07).alarm.startswith("below the threshold of 8")
    assert dataclasses.replace(card, threshold=None).alarm == "no alarm threshold"
    assert card.window == (48.0, 54.0)


def test_what_a_long_stay_leaves_out_is_said(contents: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stays.cards(contents)[0]
    assert whole.left_out == ""
    monkeypatch.setattr(stays, "MAX_CELLS", 20)
    monkeypatch.setattr(stays, "MAX_MEASUREMENTS", 30)
    monkeypatch.setattr(stays, "MAX_RISKS", 40)
    card = stays.cards(contents)[0]
    assert len(card.cells) == 20
    assert f"the {len(whole.cells) - 20} weakest contributions" in card.left_out
    assert "all but 30 evenly chosen of up to 60 points" in card.left_out
    assert "all but 40 evenly chosen of 60 risks" in card.left_out
    kept = min(abs(fsum(shares.values())) for shares in card.cells.values())
    lost = [abs(fsum(shares.values())) for cell, shares in whole.cells.items() if cell not in card.cells]
    assert max(lost) <= kept


def test_one_stay_is_its_card_and_larger(contents: Contents) -> None:
    every = stays.cards(contents)
    (stay, _), *_ = stays.pseudonyms(contents).items()
    assert stays.cards(contents, stay=stay) == every[:1]
    (large,) = stays.cards(contents, stay=stay, size=stays.ALONE)
    assert len(large.lanes) > len(every[0].lanes)
    assert large.drivers[: stays.CARD.drivers] == every[0].drivers
    assert large.height > every[0].height


def test_a_judged_and_explained_run_fills_the_whole_card(told_run: Run, run: Run) -> None:
    for card in stays.cards(read(told_run), read_changes(told_run)):
        assert card.observed is not None and card.change is not None and card.ringing is not None
        assert card.change.risk == card.risk
        assert card.quality.recent == card.quality.known == 12
        assert 0 < (card.quality.charting or 0) < 1
    bare = stays.cards(read(run), read_changes(run))[0]
    assert (bare.observed, bare.change, bare.ringing) == (None, None, None)


def test_the_data_box_knows_nothing_after_the_prediction(told_run: Run) -> None:
    contents = read(told_run)
    assert contents.explanations is not None
    early = contents.explanations.observations.filter(pl.col("hours") <= 48.0)
    cut = dataclasses.replace(contents, explanations=dataclasses.replace(contents.explanations, observations=early))
    for whole, known in zip(
        stays.cards(contents, read_changes(told_run)), stays.cards(cut, read_changes(told_run)), strict=True
    ):
        assert (whole.quality, whole.change, whole.contributions) == (known.quality, known.change, known.contributions)
