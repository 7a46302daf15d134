"""The ranking: means over seeds, paired differences as `evaluate` gives them, simultaneous intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import Protocol, evaluate
from clinical_lstm.evaluation.measures import COMPARED
from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.evaluation.ranking import Samples, rank, sample_all
from clinical_lstm.evaluation.rows import scored
from clinical_lstm.metrics.alarms import Policy

SEPSIS, DEATH = ("sepsis", 6.0), ("death", 24.0)
OPERATION = Operation(0.15, Policy(0.2, silence_hours=4.0))
PROTOCOL = Protocol(replicates=70, seed=3, utility=True)


@pytest.fixture(scope="module")
def sampled(ward: Any, judge: Any) -> Any:
    """The sample of a predictor whose risks are blurred by `noise`."""

    def of(noise: float, targets: tuple[tuple[str, float], ...] = (SEPSIS,), protocol: Protocol = PROTOCOL) -> Samples:
        table = scored(ward(patients=60, targets=targets, noise=noise).predictions, "test", "it")
        return sample_all(table, "it", {SEPSIS: OPERATION, DEATH: OPERATION}, protocol)

    return of


def row(table: pl.DataFrame, predictor: str, metric: str, complication: str = "sepsis") -> dict[str, Any]:
    return table.filter(predictor=predictor, metric=metric, complication=complication).row(0, named=True)


def test_with_one_seed_values_and_differences_are_those_of_an_evaluation(
    ward: Any, judge: Any, lines: Any, sampled: Any
) -> None:
    table = rank({"lstm": [sampled(0.1)], "gru": [sampled(1.0)]}, "lstm")
    tables = {name: ward(patients=60, noise=noise) for name, noise in {"gru": 1.0, "lstm": 0.1}.items()}
    scores = evaluate(
        {name: judge(one.predictions) for name, one in tables.items()}, tables["gru"].stays, PROTOCOL
    ).scores
    assert set(table["metric"]) == set(COMPARED)
    for metric in COMPARED:
        found = row(table, "gru", metric)
        for predictor, names in (
            ("gru", ("value", "low", "high")),
            ("gru - lstm", ("difference", "difference_low", "difference_high")),
        ):
            other = lines(scores, predictor)[metric]
            assert [found[name] for name in names] == [other[name] for name in ("value", "low", "high")]
        assert (found["n_stays"], found["comparisons"], found["seed_sd"]) == (other["n_stays"], 1, None)
        assert found["simultaneous_low"] <= found["difference"] <= found["simultaneous_high"]
    assert (row(table, "lstm", "auroc")["rank"], row(table, "gru", "auroc")["rank"]) == (1, 2)
    assert row(table, "lstm", "auroc")["difference"] is None


def test_seeds_are_averaged_within_each_replicate(sampled: Any) -> None:
    seeds, reference = [sampled(noise) for noise in (0.9, 1.0, 1.3)], sampled(0.1)
    found = row(rank({"lstm": [reference], "gru": seeds}, "lstm"), "gru", "auroc")
    values = [one[SEPSIS].values["auroc"] for one in seeds]
    assert len(set(values)) == 3
    assert found["value"] == pytest.approx(np.mean(values), abs=1e-15)
    assert found["seed_sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-15)
    mean = np.mean([one[SEPSIS].replicates["auroc"] for one in seeds], axis=0)
    assert (found["low"], found["high"]) == tuple(np.quantile(mean, [0.025, 0.975]))
    change = mean - reference[SEPSIS].replicates["auroc"]
    assert (found["difference_low"], found["difference_high"]) == tuple(np.quantile(change, [0.025, 0.975]))
    assert found["seeds"] == 3


def test_targets_are_ranked_by_themselves(sampled: Any) -> None:
    both = (SEPSIS, DEATH)
    table = rank({"lstm": [sampled(0.1, both)], "gru": [sampled(1.0, both)], "tcn": [sampled(2.0, both)]}, "gru")
    for complication in ("sepsis", "death"):
        ranks = {name: row(table, name, "auroc", complication)["rank"] for name in ("lstm", "gru", "tcn")}
        assert ranks == {"lstm": 1, "gru": 2, "tcn": 3}
        assert row(table, "lstm", "auroc", complication)["comparisons"] == 2
    assert row(table, "lstm", "auroc")["difference_low"] > 0 > row(table, "tcn", "auroc")["difference_high"]


def test_equal_predictors_share_a_rank_and_differ_by_nothing(sampled: Any) -> None:
    same = rank({"lstm": [sampled(0.5)], "copy": [sampled(0.5)]}, "lstm").filter(predictor="copy")
    assert same.select(pl.col("^(difference|simultaneous).*$").abs().max()).row(0) == (0, 0, 0, 0, 0)
    assert set(same["rank"]) == {1}


def test_what_is_undefined_or_alone_is_null(sampled: Any) -> None:
    one = sampled(0.5)
    nothing = one[SEPSIS]._replace(
        values=one[SEPSIS].values | {"auroc": float("nan")},
        replicates=one[SEPSIS].replicates | {"auroc": np.full(70, np.nan)},
    )
    found = row(rank({"lstm": [one], "gru": [{SEPSIS: nothing}]}, "lstm"), "gru", "auroc")
    assert [found[name] for name in ("value", "low", "rank", "difference", "simultaneous_low")] == [None] * 5
    alone = row(rank({"lstm": [one]}, "lstm"), "lstm", "auroc")
    assert (alone["rank"], alone["comparisons"], alone["difference"]) == (1, 0, None)


def test_without_replicates_there_are_values_and_ranks(sampled: Any) -> None:
    bare = Protocol(replicates=0, utility=True)
    found = row(
        rank({"lstm": [sampled(0.1, protocol=bare)], "gru": [sampled(1.0, protocol=bare)]}, "lstm"), "gru", "auroc"
    )
    assert found["rank"] == 2 and found["difference"] < 0
    assert [found[name] for name in ("low", "difference_low", "simultaneous_high")] == [None] * 3


def test_an_unknown_reference_and_a_missing_operation_are_refused(sampled: Any, ward: Any) -> None:
    with pytest.raises(InputError, match="'lstm' is not compared; there are: gru"):
        rank({"gru": [sampled(0.5)]}, "lstm")
    with pytest.raises(InputError, match="it has no alarm threshold"):
        sample_all(scored(ward().predictions, "test", "it"), "it", {}, PROTOCOL)
