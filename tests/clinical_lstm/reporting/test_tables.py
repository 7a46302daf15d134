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


def test_model_first_known_metrics_before_others(run: Run) -> None:
    grid = tables.performance(run.table("scores.parquet"), SIX)
    assert grid.columns == ["Model", "Elapsed time", "Gradient boosting", "Logistic regression"]
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
    assert grid.rows[-1].cells[1] == tables.Cell("–")  # undefined, not zero


def test_differences_carry_their_sign(run: Run) -> None:
    grid = tables.differences(run.table("scores.parquet"), SIX)
    assert grid.columns == ["AUROC", "AUPRC"]
    assert [row.name for row in grid.rows] == ["Gradient boosting"]
    assert grid.rows[0].cells[0] == tables.Cell("+0.020", "+0.011 to +0.029")


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


def test_parts_are_smaller_than_the_whole(run: Run) -> None:
    scores = run.table("scores.parquet")
    assert tables.parts(scores, SIX) == ["pre_onset", "site=A", "site=B"]
    one_site = scores.with_columns(n_rows=pl.when(pl.col("subset") == "site=A").then(184_220).otherwise("n_rows"))
    assert tables.parts(one_site, SIX) == ["pre_onset", "site=B"]


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
    assert [row.name for row in grid.rows] == ["Clock", "Lstm"]
    assert [cell.value for cell in grid.rows[1].cells] == ["0.700", "reference", "0.100", "1\u202f234", "0.25"]
    assert grid.rows[0].cells[1] == tables.Cell("+0.050", "−0.010 to +0.100")
    assert [cell.value for cell in grid.rows[0].cells[2:]] == ["–", "–", "–"]
    assert tables.comparison(None, SIX).rows == []
