"""The tables: order, intervals, differences, and undefined scores."""

from __future__ import annotations

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import tables
from clinical_lstm.reporting.names import METRICS

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


def test_model_first_known_metrics_before_others(run: Run) -> None:
    grid = tables.performance(run.table("scores.parquet"), SIX)
    assert grid.columns == ["Model", "Elapsed time", "Gradient boosting", "Logistic regression"]
    names = [row.name for row in grid.rows]
    assert names[:4] == ["AUROC", "AUPRC", "Prevalence", "Calibration slope"]
    assert names[-3:] == ["False alarms per patient-day", "Utility (CinC 2019)", "Lead time hours"]
    assert [row.group for row in grid.rows if row.group] == [
        "Discrimination",
        "Calibration",
        "Decisions at the threshold",
        "Alarms under the policy",
        "Utility",
        "Other",
    ]
    assert grid.rows[0].cells[0] == tables.Cell("0.815", "0.804–0.826")
    assert grid.rows[-1].cells[1] == tables.Cell("–")  # undefined, not zero


def test_differences_carry_their_sign(run: Run) -> None:
    grid = tables.differences(run.table("scores.parquet"), SIX)
    assert grid.columns == ["Gradient boosting"]
    assert [row.name for row in grid.rows] == ["AUROC", "AUPRC"]
    assert grid.rows[0].cells[0] == tables.Cell("+0.020", "+0.011 to +0.029")


def test_a_difference_says_which_side_is_better() -> None:
    scores = table(("model - b", "brier", -0.01, -0.02, -0.005), ("model - b", "auroc", 0.1, 0.0, 0.2))
    hints = {row.name: row.hint for row in tables.differences(scores, SIX).rows}
    assert hints == {"AUROC": "above 0 the model is better", "Brier score": "below 0 the model is better"}


def test_a_metric_has_its_own_digits() -> None:
    scores = table(("model", "ici", 0.00213, 0.001, 0.003), ("model", "events", 1790.0, 1710.2, 1871.0))
    rows = tables.performance(scores, SIX).rows
    assert [row.cells[0] for row in rows] == [
        tables.Cell("0.0021", "0.0010–0.0030"),
        tables.Cell("1\u202f790", "1\u202f710–1\u202f871"),
    ]


def test_the_main_table_is_a_part_of_all(judged_run: Run) -> None:
    scores = judged_run.table("scores.parquet")
    every, main = tables.performance(scores, SIX), tables.performance(scores, SIX, ["model", "news2"], main=True)
    assert main.columns == ["Model", "NEWS2"]
    assert len(every.columns) == 5
    cells = {row.name: row.cells[0] for row in every.rows}
    assert all(cells[row.name] == row.cells[0] for row in main.rows)
    assert 20 < len(main.rows) < len(every.rows)
    assert not [row for row in every.rows if row.name not in {known.name for known in METRICS.values()}]


def test_the_overview_has_a_row_per_target(judged_run: Run) -> None:
    grid = tables.overview(judged_run.table("scores.parquet"), [("sepsis", 6.0), ("sepsis", 12.0), ("death", 6.0)])
    assert [row.name for row in grid.rows] == ["Sepsis within 6 h", "Sepsis within 12 h", "Death within 6 h"]
    assert "False alarms per patient-day" in grid.columns
    assert "positive" in grid.rows[0].hint
    assert {cell.value for cell in grid.rows[2].cells} == {"–"}


def test_the_headline_difference_is_with_the_best_baseline() -> None:
    scores = table(
        ("model", "auroc", 0.7, 0.6, 0.8),
        ("weak", "auroc", 0.6, 0.5, 0.7),
        ("strong", "auroc", 0.8, 0.7, 0.9),
        ("uncompared", "auroc", 0.9, 0.8, 0.95),
        ("model - weak", "auroc", 0.1, 0.05, 0.15),
        ("model - strong", "auroc", -0.1, -0.15, -0.05),
    )
    rows = tables.headlines(scores, SIX)
    assert [row.name for row in rows] == ["AUROC", "Difference"]
    assert rows[1].cells == [tables.Cell("−0.100", "−0.150 to −0.050")]
    assert rows[1].hint == "AUROC beside strong, the best baseline"


def test_subsets_have_the_whole_first_and_their_own_counts(run: Run) -> None:
    grid = tables.subsets(run.table("scores.parquet"), SIX)
    assert [row.name for row in grid.rows] == ["All predictions", "Before onset only"]
    assert grid.rows[1].hint.startswith("4\u202f033 stays, 92\u202f110 predictions")
    assert "Prevalence" in grid.columns
    assert grid.columns.index("Prevalence") == grid.columns.index("AUPRC") + 1


def test_any_set_of_metrics_is_a_page() -> None:
    few = table(("model", "my_metric", 2.0, None, None), ("model", "auroc", None, None, None))
    grid = tables.performance(few, SIX)
    assert [(row.name, row.cells[0].value) for row in grid.rows] == [("AUROC", "–"), ("My metric", "2.000")]
    assert tables.headlines(few, SIX) == []
    assert tables.performance(few, ("sepsis", 99.0)).rows == []


def test_predictions_before_onset_are_told_apart_where_there_are_others(run: Run) -> None:
    scores = run.table("scores.parquet")
    assert tables.has_early(scores, SIX)
    same = scores.with_columns(n_rows=pl.lit(184_220, pl.Int64))
    assert not tables.has_early(same, SIX)
    assert not tables.has_early(scores, ("death", 6.0))


def test_a_comparison_is_ranked_and_says_its_reference_and_costs() -> None:
    scores = table(
        ("lstm", "auroc", 0.7, 0.6, 0.8), ("lstm", "auprc", 0.1, 0.05, 0.2), ("clock", "auroc", 0.75, 0.7, 0.8)
    )
    more = {
        "rank": [None, 2, 1], "seeds": 1, "seed_sd": None, "reference": "lstm", "difference": [0.0, 0.0, 0.05],
        "difference_low": [0.0, 0.0, -0.01], "difference_high": [0.0, 0.0, 0.1], "simultaneous_low": None,
        "simultaneous_high": None, "comparisons": 1, "model": [True, True, False], "causal": None,
        "parameters": [1234, 1234, None], "epoch_seconds": None, "step_milliseconds": [0.25, 0.25, None],
    }  # fmt: skip
    scores = scores.sort("metric", "predictor", descending=[False, True])
    kinds = schemas.empty(schemas.Comparison).schema
    columns = [
        pl.Series(name, value if isinstance(value, list) else [value] * 3, kinds[name]) for name, value in more.items()
    ]
    ranking = schemas.check(schemas.Comparison, scores.with_columns(columns), "a comparison")
    grid = tables.comparison(ranking, SIX)
    assert [row.name for row in grid.rows] == ["Clock", "LSTM"]
    assert [cell.value for cell in grid.rows[1].cells] == ["0.700", "reference", "0.100", "1\u202f234", "0.25"]
    assert grid.rows[0].cells[1] == tables.Cell("+0.050", "−0.010 to +0.100")
    assert [cell.value for cell in grid.rows[0].cells[2:]] == ["–", "–", "–"]
    assert tables.comparison(None, SIX).rows == []
