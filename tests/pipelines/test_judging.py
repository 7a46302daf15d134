"""What is judged is made once: predictions of a run, baselines of a cohort."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from omegaconf import OmegaConf

from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.operation import AlarmBudget
from pipelines import judging

TRAINING = {"weighting": "uniform", "calibration": "platt", "threshold": "min_se_ppv"}


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


def configured(*blend):
    baselines = {"elapsed_time": {"name": "elapsed_time", "knots": 4}}
    return OmegaConf.create({"blend": list(blend), "baseline": baselines, "seed": 1})


def test_a_blend_is_made_of_the_run_and_the_named_baselines(tiny_run, tiny_cohort, tmp_path, capsys):
    run, cohort = Run(tmp_path / "run"), Cohort(tmp_path / "cohort")
    shutil.copytree(tiny_run.path, run.path)
    shutil.copytree(tiny_cohort.path, cohort.path)
    made = judging.baselines_of(configured(), cohort, TRAINING, "evaluate")
    assert "evaluate: baseline elapsed_time" in capsys.readouterr().out
    assert made["elapsed_time"].json("timing.json")["fit_seconds"] >= 0
    assert judging.blend_of(configured(), cohort, run, made, TRAINING) == {}
    [(name, blend)] = judging.blend_of(configured("elapsed_time"), cohort, run, made, TRAINING).items()
    assert (name, blend.path) == ("blend", run.path / "blend")
    assert blend.json("thresholds.json")[0]["rule"] == "min_se_ppv"
    parts = (place.table("predictions.parquet").filter(split="test") for place in (run, made["elapsed_time"], blend))
    first, second, both = (np.log(one["risk"] / (1 - one["risk"])) for one in parts)
    assert np.corrcoef((first + second) / 2, both)[0, 1] == pytest.approx(1.0)  # platt: a line


def test_a_blend_with_what_is_no_baseline_is_refused():
    with pytest.raises(InputError, match="blend: 'elapsed' is no baseline of this run: did you mean 'elapsed_time'"):
        judging.require_blend(configured("elapsed"))
    with pytest.raises(InputError, match="name each baseline once"):
        judging.require_blend(configured("elapsed_time", "elapsed_time"))


def test_an_experiment_may_set_a_baseline_that_is_left_out():
    config = configured()
    config.baseline.gradient_boosting = {"leaves": 3}
    assert judging.chosen(config) == ["elapsed_time"]
    config.baseline.gradient_bosting = {"leaves": 3}
    with pytest.raises(InputError, match="there is no baseline 'gradient_bosting': did you mean 'gradient_boosting'"):
        judging.chosen(config)
