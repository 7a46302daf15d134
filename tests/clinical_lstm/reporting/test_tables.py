"""The tables: order, intervals, differences, and undefined scores."""

from __future__ import annotations

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import tables

SIX = ("sepsis", 6.0)


def table(*rows: tuple[str, str, float | None, float | None, float | None]) -> pl.DataFrame:
    key = {"complication": "sepsis", "horizon_hours": 6.0, "subset": "all"}
    counts = {"n_rows": 10, "n_stays": 5, "n_positives": 2}
    content = [
        {"predictor": p, "metric": m, "value": v, "low": low, "high": high} | key | counts
        for p, m, v, low, high in rows
    ]
    scores = pl.DataFrame(content, schema_overrides=dict.fromkeys(("value", "low", "high"), pl.Float64))
    return schemas.check(schemas.Scores, scores.select(schemas.Scores.column_names()), "scores")


def test_model_first_differences_last_known_metrics_before_others(run: Run) -> None:
    grid = tables.performance(run.table("scores.parquet"), SIX)
    assert grid.columns == [
        "Model",
        "Elapsed time",
        "Gradient boosting",
        "Logistic regression",
        "Model − gradient boosting",
    ]
    names = [row.name for row in grid.rows]
    assert names[:4] == ["AUROC", "AUPRC", "Prevalence", "Calibration slope"]
    assert names[-2:] == ["False alarms per patient day", "Lead time hours"]
    assert [row.group for row in grid.rows if row.group] == [
        "Ranking",
        "Calibration",
        "Alarms at the threshold",
        "Utility",
        "Other",
    ]
    assert grid.rows[0].cells[0] == tables.Cell("0.815", "0.804–0.826")
    assert grid.rows[0].cells[4] == tables.Cell("+0.020", "+0.011 to +0.029")
    assert grid.rows[-1].cells[1] == tables.Cell("–")  # undefined, not zero


def test_subsets_have_the_whole_first_and_their_own_counts(run: Run) -> None:
    grid = tables.subsets(run.table("scores.parquet"), SIX)
    assert [row.name for row in grid.rows] == ["All predictions", "Before onset only", "Site A", "Site B"]
    assert "Prevalence" in grid.columns
    assert grid.columns.index("Prevalence") == grid.columns.index("AUPRC") + 1


def test_a_verdict_needs_an_interval_without_zero() -> None:
    def verdict(low: float | None, high: float | None) -> list[str]:
        return tables.verdicts(table(("model - logistic_regression", "auroc", 0.01, low, high)), SIX)

    assert "ranks better than logistic regression" in verdict(0.001, 0.02)[0]
    assert "ranks worse than logistic regression" in verdict(-0.02, -0.001)[0]
    assert "cannot be told apart" in verdict(0.0, 0.02)[0]
    assert verdict(None, None) == []


def test_any_set_of_metrics_is_a_page() -> None:
    few = table(("model", "my_metric", 2.0, None, None), ("model", "auroc", None, None, None))
    grid = tables.performance(few, SIX)
    assert [(row.name, row.cells[0].value) for row in grid.rows] == [("AUROC", "–"), ("My metric", "2.000")]
    assert tables.headlines(few, SIX) == []
    assert tables.performance(few, ("sepsis", 99.0)).rows == []


def test_channel_shares_add_to_one(run: Run) -> None:
    shares = dict(tables.channel_shares(run.table("importance.parquet"), SIX))
    weight = sum(1 / (1 + rank) for rank in range(12))
    whole = 1.4 * weight + 0.24
    expected = {"value": 0.9, "missingness": 0.3, "staleness": 0.2}
    for channel, size in expected.items():
        assert abs(shares[channel] - size * weight / whole) < 1e-12
    assert abs(sum(shares.values()) - 1) < 1e-12
    assert next(iter(shares)) == "value"


def test_coverage_follows_the_model_and_keeps_strangers(run: Run) -> None:
    cohort = {"coverage": {"stranger": {"observations": 3, "stays_share": 0.5, "steps_share": 0.1}}}
    rows = tables.coverage(cohort, ["platelets", "male"])
    assert [row["label"] for row in rows] == ["Platelets", "Male sex", "stranger"]
    assert rows[0]["unit"] == "10⁹/L"
    assert rows[0]["observations"] == "–"
    assert rows[1]["plausible"] == "no or yes"
    assert rows[2]["plausible"] == ""
    assert rows[2]["observations"] == "3"


def test_splits_in_order_with_the_share_of_positives() -> None:
    counts = {"stays": 2, "patients": 2, "rows": 0, "positives": 0, "events": 0}
    full = counts | {"rows": 2000, "positives": 30, "events": 4}
    rows = tables.splits({"splits": {"test": counts, "train": full}})
    assert [row[0] for row in rows] == ["train", "test"]
    assert rows[0][4].replace("\N{NO-BREAK SPACE}", " ") == "30 (1.5 %)"
    assert rows[1][4] == "0 (–)"
