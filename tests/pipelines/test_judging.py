"""What is judged is made once: predictions of a run, baselines of a cohort."""

from __future__ import annotations

import shutil

from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.evaluation.operation import AlarmBudget
from pipelines import judging


def test_predictions_are_made_once_and_again_after_damage(tiny_run, tiny_cohort, tmp_path):
    run = Run(tmp_path / "run")
    shutil.copytree(tiny_run.path, run.path)
    first = judging.predictions_of(run, tiny_cohort)
    assert set(first["split"]) == {"val", "calib", "test"}
    stamp = (run.path / "predictions.parquet").stat().st_mtime_ns
    assert judging.predictions_of(run, tiny_cohort).equals(first)
    assert (run.path / "predictions.parquet").stat().st_mtime_ns == stamp
    (run.path / "predictions.parquet").write_bytes(b"")
    assert judging.predictions_of(run, tiny_cohort).equals(first)


def test_a_run_is_judged_at_its_own_threshold_and_with_a_policy_for_the_budget(tiny_run, tiny_cohort, tmp_path):
    run, cohort = Run(tmp_path / "run"), Cohort(tiny_cohort.path)
    shutil.copytree(tiny_run.path, run.path)
    loud, quiet = (judging.judged(run, cohort, AlarmBudget(budget)) for budget in (5.0, 0.1))
    [target] = loud.operation
    assert loud.operation[target].threshold == run.json("thresholds.json")[0]["threshold"]
    assert loud.operation[target].policy.threshold < quiet.operation[target].policy.threshold
