"""The planted risk is the risk: it separates, it is calibrated, and nothing is left of it after shuffling."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sklearn.metrics import roc_auc_score

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.synthetic import Synthetic


def read(source: Synthetic) -> Extract:
    *tables, labelled = zip(*source.extracts(), strict=True)
    return Extract(*(pl.concat(shards) for shards in tables), all(labelled))


def labelled(source: Synthetic) -> pl.DataFrame:
    """Return true_risk and label at every hour before the onset whose horizon lies within the stay."""
    extract = read(source)
    known = extract.stays.select("stay_id", "length_hours")
    rows = source.truth().join(extract.episodes, on="stay_id", how="left").join(known, on="stay_id")
    ahead = pl.col("hours") + source.horizon_hours
    onset = pl.col("onset_hours").fill_null(float("inf"))
    rows = rows.filter((onset > pl.col("hours")) & (ahead <= pl.col("length_hours")))
    return rows.with_columns((onset <= ahead).alias("label"))


def test_true_risk_separates_and_is_calibrated() -> None:
    rows = labelled(Synthetic(stays=6000, seed=1))
    assert roc_auc_score(rows["label"], rows["true_risk"]) > 0.85
    expected, observed = rows["true_risk"].mean(), rows["label"].mean()
    assert abs(observed / expected - 1) < 0.1
    top = rows.filter(pl.col("true_risk") > rows["true_risk"].quantile(0.95))
    assert abs(top["label"].mean() / top["true_risk"].mean() - 1) < 0.15


def test_shuffled_labels_are_unpredictable() -> None:
    source = Synthetic(stays=8000, seed=1, shuffle_labels=True)
    rows = labelled(source)
    assert abs(roc_auc_score(rows["label"], rows["true_risk"]) - 0.5) < 0.03
    plain, shuffled = read(Synthetic(stays=8000, seed=1)), read(source)
    assert plain.episodes.height == shuffled.episodes.height
    assert_frame_equal(plain.observations, shuffled.observations)
    schemas.check(schemas.Episodes, shuffled.episodes, "episodes")


def test_only_the_named_variables_move_before_the_onset() -> None:
    source = Synthetic(
        stays=3000, seed=2, variables=["heart_rate", "map", "sodium"], effects={"heart_rate": 1, "map": -1}
    )
    extract = read(source)
    rows = extract.observations.join(extract.episodes, on="stay_id", how="left")
    near = (pl.col("onset_hours") - pl.col("hours")).is_between(0, 8)
    means = rows.group_by("variable").agg(
        pl.col("value").filter(near).mean().alias("near"),
        pl.col("value").filter(pl.col("onset_hours").is_null()).mean().alias("never"),
    )
    shift = {variable: near - never for variable, near, never in means.rows()}
    assert shift["heart_rate"] > 5
    assert shift["map"] < -5
    assert abs(shift["sodium"]) < 0.3


def test_signal_comes_lead_hours_before_the_onset() -> None:
    source = Synthetic(stays=4000, seed=3, variables=["map"], effects={"map": -1}, lead_hours=12, memory_hours=3)
    extract = read(source)
    rows = extract.observations.join(extract.episodes, on="stay_id")
    before = (pl.col("onset_hours") - pl.col("hours")).round().alias("before")
    by_hour = dict(rows.group_by(before).agg(pl.col("value").mean()).rows())
    assert min(range(25), key=by_hour.__getitem__) in (11, 12, 13)
    with pytest.raises(InputError, match="1 <= horizon_hours <= lead_hours"):
        Synthetic(lead_hours=5, horizon_hours=6)


def test_bits_depend_on_the_arguments_only() -> None:
    once, again = read(Synthetic(stays=300, seed=7)), read(Synthetic(stays=300, seed=7))
    for table, same in zip(once[:4], again[:4], strict=True):
        assert_frame_equal(table, same)
    assert_frame_equal(Synthetic(stays=300).truth(), Synthetic(stays=300).truth())
    assert Synthetic(seed=7).fingerprint() == Synthetic(seed=7).fingerprint()
    assert Synthetic(seed=7).fingerprint() != Synthetic(seed=8).fingerprint()
    assert not read(Synthetic(stays=300, seed=8)).observations.equals(once.observations)


def test_shards_are_disjoint_and_keep_their_contracts() -> None:
    source = Synthetic(stays=250, shard_stays=100)
    parts = list(source.extracts())
    extract = read(source)
    assert [part.stays.height for part in parts] == [100, 100, 50]
    assert extract.stays["stay_id"].n_unique() == 250
    schemas.check(schemas.Stays, extract.stays, "stays")
    schemas.check(schemas.Episodes, extract.episodes, "episodes")
    inside = extract.observations.join(extract.stays.select("stay_id", "length_hours"), on="stay_id")
    assert inside.select(pl.col("hours").is_between(0, pl.col("length_hours")).all()).item()
    assert set(extract.observations["variable"]) == set(source.variables)
    truth = source.truth()
    assert truth["stay_id"].unique().sort().to_list() == extract.stays["stay_id"].to_list()


def test_rate_and_missingness_are_as_asked() -> None:
    source = Synthetic(stays=2000, mean_hours=50, rate_per_hour=2, variables=["map", "lactate"], effects={"map": 1})
    source_counts = dict(read(source).observations["variable"].value_counts().rows())
    assert source_counts["map"] == pytest.approx(2000 * 50 * 2 * 0.8, rel=0.03)
    assert source_counts["lactate"] == pytest.approx(2000 * 50 * 2 * 0.15, rel=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variables": ["heart_rat"], "effects": {}}, "did you mean 'heart_rate'"),
        ({"variables": ["sodium"], "effects": {"map": 1.0}}, "which `variables` leaves out"),
        ({"missing": {"labs": 0.1}}, "did you mean 'lab'"),
        ({"missing": {"lab": 1.0}}, "probabilities"),
        ({"stays": 0}, "stays is 0; it must be above 0"),
        ({"onset_per_hour": -1.0}, "onset_per_hour is -1.0"),
    ],
)
def test_faulty_argument_is_named(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Synthetic(**arguments)
