"""What a comparison prints and hands to MLflow, of tables that a small cohort does not make."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.artifacts import Directory, Run, write_json
from pipelines import comparison

FACTS = {"split": "val", "reference": "lstm"}


def _row(predictor: str, **changes: object) -> dict[str, object]:
    known = {"predictor": predictor, "complication": "death", "horizon_hours": 24.0, "metric": "auroc"}
    known |= {"subset": "all", "seeds": 1, "reference": "lstm", "comparisons": 2}
    known |= {"n_rows": 1000, "n_stays": 100, "n_positives": 50, "model": True}
    known |= {"value": 0.8, "low": 0.7, "high": 0.9, "rank": 1, "parameters": 1234567, "causal": True}
    return known | changes


def _table(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=schemas.empty(schemas.Comparison).schema, orient="row")


def test_only_what_is_apart_at_once_gets_a_star(capsys) -> None:
    far = {"difference": 0.1, "difference_low": 0.05, "difference_high": 0.15}
    table = _table(
        _row("lstm"),
        _row("far", **far, simultaneous_low=0.01, simultaneous_high=0.2),
        _row("near", **far, simultaneous_low=-0.01, simultaneous_high=0.2),
    )
    comparison.show(FACTS, table)
    lines = {line.split()[0]: line for line in reversed(capsys.readouterr().out.splitlines()) if line}
    assert lines["far"].endswith("+0.100 (+0.050 to +0.150) *")
    assert lines["near"].endswith("+0.100 (+0.050 to +0.150)")
    assert lines["lstm"].endswith("reference")


def test_what_is_undefined_comes_last_and_says_so(capsys) -> None:
    table = _table(_row("none", value=None, low=None, high=None, rank=None, causal=False), _row("lstm"))
    comparison.show(FACTS, table)
    out = capsys.readouterr().out
    assert out.index("lstm    ") < out.index("none    ") and "undefined" in out
    assert "death within 24 h, val split: 100 stays" in out
    costs = {line.split()[0]: line.split() for line in out.splitlines() if "1,234,567" in line}
    assert costs == {"none": ["none", "1,234,567", "no"], "lstm": ["lstm", "1,234,567", "yes"]}


def test_a_run_without_timing_and_a_baseline_cost_nothing_known(tiny_run: Run) -> None:
    found = comparison.cost("lstm", [tiny_run])
    timing = tiny_run.json("timing.json")
    assert found["epoch_seconds"] == pytest.approx(timing["train_seconds"] / timing["epochs"])
    assert found["parameters"] == tiny_run.json("manifest.json")["parameters"] and found["step_milliseconds"] > 0
    assert comparison.cost("elapsed_time", []) == {"predictor": "elapsed_time", "model": False}


def test_mlflow_names_the_target_where_there_are_several(tmp_path) -> None:
    value = {"complication": "death", "horizon_hours": 24.0, "metric": "auroc", "value": 0.5}
    runs = [{"name": "r", "predictor": "lstm", "values": [value]}]
    for rows, name in (([value], "val/auroc"), ([value, value | {"horizon_hours": 6.0}], "val/death_24h/auroc")):
        write_json(tmp_path / "comparison.json", FACTS | {"cohort": "c", "runs": runs, "table": rows})
        params, children = comparison.tracked(Directory(tmp_path))
        assert params == FACTS | {"cohort": "c"}
        assert children == [{"name": "r", "params": {"predictor": "lstm", "run": "r"}, "metrics": {name: 0.5}}]
