"""The chapter on what drives the risk: shares in words, fewer charts for many targets, nothing for old runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import drivers
from clinical_lstm.reporting.contents import read
from clinical_lstm.reporting.embedding import Charts

SIX = ("sepsis", 6.0)


def test_the_shares_are_those_of_the_whole_cohort_and_add_to_one(judged_run: Run) -> None:
    table = judged_run.table("drivers.parquet")
    found = drivers.shares(table, SIX)
    assert set(found) == {"value", "mask", "delta", "static"}
    assert {(row["dimension"], row["kind"]) for row in found.values()} == {("all", "all")}
    assert sum(row["share"] for row in found.values()) == pytest.approx(1)
    assert drivers.shares(table, ("sepsis", 12.0)) == {}


def test_the_words_begin_with_when_things_were_measured() -> None:
    def row(share: float) -> dict[str, float]:
        return {"share": share, "share_low": share - 0.015, "share_high": share + 0.015}

    text = drivers.told({"value": row(0.658), "mask": row(0.185), "delta": row(0.157)}).replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert text.startswith(
        "18.5 % (17.0 to 20.0) of what moves the risk is whether something was measured, "
        "15.7 % (14.2 to 17.2) how long ago: read that before trusting a value. 65.8 %"
    )
    assert "may not travel" in text
    little = drivers.told({"value": row(0.95), "mask": row(0.05)})
    assert "read that" not in little and "may not travel" not in little
    assert drivers.told({}) == ""


def test_a_chapter_has_all_parts_of_a_target_that_was_explained(judged_run: Run) -> None:
    charts = Charts()
    chapter = drivers.chapter(read(judged_run), charts)
    assert chapter is not None
    (target,) = chapter["targets"]  # the other one has no row
    assert target["name"].replace("\N{NO-BREAK SPACE}", " ") == "Sepsis within 6 h"
    assert all(target[part] for part in ("told", "variables", "systems", "before", "doses", "errors", "memory"))
    assert len(target["doses"]) == 5  # four that are measured, and age
    assert charts.count == 2 + 3 + 5 + 2 + 1


def test_many_targets_have_fewer_charts_each(judged_run: Run) -> None:
    contents = read(judged_run)
    targets = [["sepsis", 6.0], *([f"complication_{k}", 6.0] for k in range(3))]
    charts = Charts()
    chapter = drivers.chapter(replace(contents, manifest=contents.manifest | {"targets": targets}), charts)
    assert chapter is not None
    (target,) = chapter["targets"]
    assert (target["systems"], target["before"], target["half_lives"]) == (None, None, None)
    assert [error["chart"] for error in target["errors"]] == [None, None]
    assert charts.count == 2 + 1 + 4


def test_an_old_run_and_one_without_explanations(run: Run) -> None:
    contents, charts = read(run), Charts()
    chapter = drivers.chapter(contents, charts)
    assert chapter is not None
    assert (chapter["targets"], chapter["badges"], chapter["summarised"], charts.count) == ([], [], False, 0)
    assert drivers.chapter(replace(contents, explanations=None), charts) is None
