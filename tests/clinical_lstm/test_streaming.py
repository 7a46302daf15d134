"""A stream gives the risks of the whole record, whoever else is in the ward, in any order, over any restart."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm import plugins
from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.batch import Ragged, Scaler, assemble
from clinical_lstm.calibration import Calibrator
from clinical_lstm.data import tensors
from clinical_lstm.data.cleaning import clean
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor, policies_of
from clinical_lstm.metrics.alarms import Policy, raised
from clinical_lstm.prediction import predict, with_alarms
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.physionet2019 import PhysioNet2019
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.streaming import LiveRisk, Ward, obstacle
from clinical_lstm.streaming.grid import Grid
from clinical_lstm.streaming.latency import step_seconds
from clinical_lstm.streaming.rules import MOST_WAITING, RULES
from clinical_lstm.streaming.stepping import Cells, observed

CLOSE = 1e-6  # of risks in 32 bits: a step and a whole stay are sums in another shape
TARGETS = [("death", 24.0), ("sepsis3", 6.0), ("sepsis3", 12.0)]
CALIBRATORS = [Calibrator("platt", slope=0.7, intercept=-0.3), Calibrator(), Calibrator("platt", intercept=-0.2)]
POLICIES = {TARGETS[0]: Policy(0.5, 3.0), TARGETS[1]: Policy(0.62, 2.0, 2.0)}
VARIABLES = ["heart_rate", "map", "respiratory_rate", "temperature", "lactate", "creatinine"]
CAUSAL = [name for name in plugins.names("models") if getattr(plugins.load("models", name), "causal", False)]
ROW = {"stay_id": pl.String, "hours": pl.Float64, "complication": pl.String, "horizon_hours": pl.Float64}
SCHEMA = {**ROW, "risk": pl.Float64, "alarm": pl.Boolean}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


class Played(NamedTuple):
    """Clean stays with irregular stamps, and a scaler for them."""

    stays: pl.DataFrame
    observations: pl.DataFrame
    scaler: Scaler

    def only(self, ids: Sequence[str]) -> Played:
        keep = pl.col("stay_id").is_in(list(ids))
        return Played(self.stays.filter(keep), self.observations.filter(keep), self.scaler)

    def ragged(self, step_hours: float | None) -> Ragged:
        return tensors.ragged(self.stays, self.observations, self.scaler.variables, self.scaler.statics, step_hours)


@pytest.fixture(scope="module")
def played() -> Played:
    extract = next(Synthetic(stays=45, mean_hours=14.0, variables=VARIABLES, missing={"lab": 0.5}).extracts())
    begins = (pl.col("stay_id").str.slice(-1).cast(pl.Int64) % 3).cast(pl.Float64) * 1.3
    stays = extract.stays.with_columns(begins.alias("start_hours"))
    observations, _ = clean(extract._replace(stays=stays))
    means = [observations.filter(variable=name)["value"].mean() for name in VARIABLES]
    spreads = [observations.filter(variable=name)["value"].std() for name in VARIABLES]
    log = np.array([False] * 4 + [True, True] + [False] * 2)
    location, scale = np.array([*means, 60.0, 0.5], float), np.array([*spreads, 15.0, 0.5], float)
    location[log], scale[log] = np.log1p(location[log]), 0.5
    return Played(stays, observations, Scaler(VARIABLES, ["age_years", "male"], log, location, scale))


def task_of(**geometry: Any) -> Task:
    return Task("t", ["death", "sepsis3"], [6.0, 12.0], **geometry)


def predictor_of(played: Played, name: str = "lstm", **options: Any) -> Predictor:
    """Return a predictor whose weights are away from where they start."""
    torch.manual_seed(1)
    spec = {"name": name, **options}
    model = plugins.build("models", spec, n_variables=len(VARIABLES), n_static=2, targets=TARGETS).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape)
    return Predictor(model, played.scaler, TARGETS, CALIBRATORS)


def ward_of(played: Played, name: str = "lstm", task: Task | None = None, **options: Any) -> Ward:
    return Ward(predictor_of(played, name, **options), task or task_of(), POLICIES)


def admit(ward: Ward, played: Played) -> None:
    for stay in played.stays.iter_rows(named=True):
        refused = ward.admit(stay["stay_id"], {name: stay[name] for name in ("age_years", "male")}, stay["start_hours"])
        assert not refused


def tell(ward: Ward, observations: pl.DataFrame) -> list[str]:
    """Observe every row and return the rules of those that were refused."""
    told = [ward.observe(*row) for row in observations.select("stay_id", "hours", "variable", "value").iter_rows()]
    return [rule for rule in told if rule]


def table(rows: Sequence[LiveRisk]) -> pl.DataFrame:
    found = pl.DataFrame(rows, SCHEMA, orient="row")
    return found.sort("stay_id", "hours", maintain_order=True)


def lived(ward: Ward, played: Played, spacing: float = 1.0) -> pl.DataFrame:
    """Return the rows of a ward that is told everything when it happens and advanced every `spacing` hours."""
    lengths = dict(played.stays.select("stay_id", "length_hours").iter_rows())
    rows: list[LiveRisk] = []
    for tick in range(int(max(lengths.values()) / spacing) + 1):
        begin, now = tick * spacing, (tick + 1) * spacing
        after = pl.col("hours") > begin if tick else pl.lit(True)
        tell(ward, played.observations.filter(after, pl.col("hours") <= now))
        rows += ward.advance({stay: min(now, length) for stay, length in lengths.items()})
    return table(rows)


def whole(predictor: Predictor, played: Played, step_hours: float | None = 1.0) -> np.ndarray:
    return predictor.risks(played.ragged(step_hours))  # (N, K)


# --- the stream is the whole, step by step ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CAUSAL)
def test_the_stream_of_every_model_gives_the_risks_of_the_whole(name: str, played: Played) -> None:
    ward = ward_of(played, name)
    admit(ward, played)
    found, expected = lived(ward, played), whole(ward.predictor, played)
    assert np.abs(found["risk"].to_numpy().reshape(-1, 3) - expected).max() <= CLOSE
    assert np.ptp(expected, axis=0).min() > 0.1, "the risks hardly move"
    assert set(ward.refused) == {"late"}, "stamped before the record begins, of which the whole has no step either"


@pytest.mark.parametrize("step_hours", [None, 1 / 12, 0.5, 1.5])
def test_on_any_grid(step_hours: float | None, played: Played) -> None:
    few = played.only(played.stays["stay_id"][:12].to_list())
    ward = ward_of(few, task=task_of(step_hours=step_hours))
    admit(ward, few)
    found, expected = lived(ward, few, spacing=0.75), whole(ward.predictor, few, step_hours)
    hours = found["hours"].to_numpy().reshape(-1, 3)[:, 0]
    ragged = few.ragged(step_hours)
    assert hours.tolist() == ragged.hours.tolist()
    assert np.abs(found["risk"].to_numpy().reshape(-1, 3) - expected).max() <= CLOSE


@pytest.mark.parametrize("inputs", [{"static": "state", "statistics": True}, {"decay": True, "encoding": "embedding"}])
def test_with_other_inputs(inputs: dict[str, Any], played: Played) -> None:
    ward = ward_of(played, "gru", inputs=inputs)
    admit(ward, played)
    found = lived(ward, played)["risk"].to_numpy().reshape(-1, 3)
    assert np.abs(found - whole(ward.predictor, played)).max() <= CLOSE


def test_the_batch_of_a_step_has_the_bits_of_assembly(tiny_cohort: Cohort) -> None:
    scaler, ragged = (
        Scaler.from_table(tiny_cohort.table("scaler.parquet")),
        Ragged.load(tiny_cohort.path / "tensors"),
    )
    stay = int(np.argmax(ragged.lengths))
    expected = assemble(ragged, [stay], scaler)
    cells = slice(int(ragged.cell_offsets[stay]), int(ragged.cell_offsets[stay + 1]))
    rows = {"static": scaler.fixed(ragged.static[stay : stay + 1])}
    rows |= {name: np.zeros((1, len(scaler.variables)), np.float32) for name in ("held", "stamp")}
    for t in range(12):
        now = ragged.cell_step[cells] == t
        end, age = expected.hours[:, t].astype(float), ragged.cell_age[cells][now]
        seen = zip((end - age).tolist(), ragged.cell_value[cells][now].tolist())
        observation = Cells.of([dict(zip(ragged.cell_variable[cells][now].tolist(), seen))])
        batch, after = observed(scaler, rows, end, observation)
        rows |= after
        for part, own in zip(batch[:4], expected[:4]):
            assert np.array_equal(part[:, 0], own[:, t])
        assert np.array_equal(batch.static, expected.static)
    assert expected.mask[0, :12].any()


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 30), st.sampled_from([1.0, 0.5, 1 / 12, 1.5, 0.1]), st.integers(0, 3), st.booleans())
def test_a_stamp_belongs_to_the_step_that_the_tensors_put_it_in(
    hours: float, width: float, begin: int, on_grid: bool
) -> None:
    hours = round(hours / width) * width if on_grid else hours
    stays = pl.DataFrame({"stay_id": ["a"], "start_hours": [begin / 2], "length_hours": [31.0]})
    row = pl.DataFrame({"stay_id": ["a"], "hours": [hours], "variable": ["lactate"], "value": [2.0]})
    ragged, grid = tensors.ragged(stays, row, ["lactate"], [], width), Grid(width)
    closed = grid.start(begin / 2)
    assert grid.due(closed, 31.0, []) == ragged.hours.tolist()
    end = grid.end(hours)
    assert (end > closed and end <= ragged.hours[-1]) == bool(len(ragged.cell_step))
    if len(ragged.cell_step):
        assert end == ragged.hours[ragged.cell_step[0]]


# --- bits: what may not matter does not -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference(played: Played) -> pl.DataFrame:
    """The rows of the LSTM when all stays live side by side."""
    ward = ward_of(played)
    admit(ward, played)
    return lived(ward, played)


@pytest.mark.parametrize("stay", [0, 31, 32, 44])
def test_alone_a_stay_has_the_same_bits(stay: int, played: Played, reference: pl.DataFrame) -> None:
    one = played.only([played.stays["stay_id"][stay]])
    ward = ward_of(played)
    admit(ward, one)
    assert lived(ward, one).equals(reference.filter(stay_id=one.stays["stay_id"][0]))


def test_the_order_of_calls_changes_no_bit(played: Played, reference: pl.DataFrame) -> None:
    """Other order of admission, of observations, all told before the first step, all steps closed at once."""
    shuffled = Played(
        played.stays.sample(fraction=1, shuffle=True, seed=3),
        played.observations.sample(fraction=1, shuffle=True, seed=4),
        played.scaler,
    )
    ward = ward_of(played)
    admit(ward, shuffled)
    assert set(tell(ward, shuffled.observations)) == {"late"}
    rows = ward.advance(dict(shuffled.stays.select("stay_id", "length_hours").iter_rows()))
    assert [row.stay_id for row in rows] == sorted(
        (row.stay_id for row in rows), key=shuffled.stays["stay_id"].to_list().index
    )
    assert table(rows).equals(reference)


def test_one_stay_after_the_other_has_the_same_bits(played: Played, reference: pl.DataFrame) -> None:
    """Each in the bed of the one before; a stay that comes again begins anew."""
    ward, rows = ward_of(played), []
    for stay in played.stays["stay_id"][:8]:
        one = played.only([stay])
        for _ in range(2):
            admit(ward, one)
            found = lived(ward, one)
            ward.discharge(stay)
        rows.append(found)
    ids = played.stays["stay_id"][:8].to_list()
    assert pl.concat(rows).equals(reference.filter(pl.col("stay_id").is_in(ids)))
    assert ward.stays == []


@pytest.mark.parametrize("hour", [2.0, 7.0])
def test_nothing_stamped_after_the_hour_changes_a_bit_up_to_it(
    hour: float, played: Played, reference: pl.DataFrame
) -> None:
    later = played.observations["hours"] > hour
    random = np.random.default_rng(0)
    noise = pl.when(pl.Series(later)).then(pl.Series(random.uniform(0.8, 1.2, len(later)))).otherwise(1.0)
    other = played._replace(observations=played.observations.with_columns(pl.col("value") * noise))
    ward = ward_of(played)
    admit(ward, other)
    tell(ward, other.observations)  # the future is in the ward before its first step
    found = table(ward.advance(dict(other.stays.select("stay_id", "length_hours").iter_rows())))
    until = pl.col("hours") <= hour
    assert found.filter(until).equals(reference.filter(until))
    assert not found.filter(~until).equals(reference.filter(~until)), "the perturbation reached the model"


def test_a_restart_loses_nothing(played: Played, reference: pl.DataFrame, tmp_path: Path) -> None:
    ward, lengths = ward_of(played), dict(played.stays.select("stay_id", "length_hours").iter_rows())
    admit(ward, played)
    early = pl.col("hours") <= 6.4  # some of it belongs to steps that are still open
    tell(ward, played.observations.filter(early))
    ward.observe(played.stays["stay_id"][0], 5.0, "lactate", -1.0)
    rows = ward.advance({stay: min(6.0, length) for stay, length in lengths.items()})
    safetensors.numpy.save_file(ward.state(), tmp_path / "ward.safetensors")
    again = ward_of(played)
    again.restore(safetensors.numpy.load_file(tmp_path / "ward.safetensors"))
    assert again.stays == ward.stays and again.refused == ward.refused and again.refused["implausible"] == 1
    ward.advance(lengths)  # what happens to the old one is no matter of the new one
    tell(again, played.observations.filter(~early))
    assert table(rows + again.advance(lengths)).equals(reference)


def test_a_state_of_another_run_or_a_damaged_one_is_refused(played: Played) -> None:
    ward = ward_of(played)
    ward.admit("a")
    state = ward.state()
    for other in (ward_of(played, "gru"), ward_of(played, hidden=8), ward_of(played, task=task_of(recurrent=True))):
        with pytest.raises(InputError, match="is that of another run"):
            other.restore(state)
    with pytest.raises(InputError, match=r"lacks bed\.held, closed"):
        ward.restore({name: part for name, part in state.items() if name not in ("closed", "bed.held")})
    with pytest.raises(InputError, match=r"has 1 stays, but not in bed\.held"):
        ward.restore(state | {"bed.held": state["bed.held"][:, :3]})
    with pytest.raises(InputError, match="stay_ids is damaged"):
        ward.restore(state | {"stay_ids": state["stay_ids"][1:]})
    assert ward.stays == ["a"]


# --- what is accepted -------------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("observation", "rule"),
    [
        (("a", 3.5, "lactate", 2.0), None),
        (("a", 99.0, "lactate", 2.0), None),
        (("a", 3.5, "aura", 2.0), "unknown_variable"),
        (("a", 3.5, "age_years", 60.0), "unknown_variable"),
        (("b", 3.5, "lactate", 2.0), "unknown_stay"),
        (("a", 3.5, "lactate", NAN), "not_finite"),
        (("a", 3.5, "lactate", None), "not_finite"),
        (("a", 3.5, "lactate", "2.0"), "not_finite"),
        (("a", 3.5, "lactate", 10**400), "not_finite"),
        (("a", INF, "lactate", 2.0), "not_finite"),
        (("a", None, "lactate", 2.0), "not_finite"),
        (("a", 1e300, "lactate", 2.0), "not_finite"),
        (("a", 3.5, "lactate", 1e4), "implausible"),
        (("a", -0.5, "lactate", 2.0), "before_admission"),
        (("a", 3.5, "gcs", 9.0), "unused_variable"),
        (("a", 3.0, "lactate", 2.0), "late"),
        (("a", 3.0 + 1e-8, "lactate", 2.0), "late"),
        (("a", 0.0, "lactate", 2.0), "late"),
    ],
)
def test_an_observation_is_taken_in_or_refused_with_its_rule(
    observation: tuple[Any, ...], rule: str | None, played: Played
) -> None:
    ward, other = ward_of(played), ward_of(played)
    for one in (ward, other):
        one.admit("a")
        one.observe("a", 0.5, "lactate", 3.0)
        assert [row.hours for row in one.advance({"a": 3.4})] == [hour for hour in (1.0, 2.0, 3.0) for _ in TARGETS]
    assert ward.observe(*observation) == rule
    assert ward.refused == ({rule: 1} if rule else {})
    same = ward.advance({"a": 100.0}) == other.advance({"a": 100.0})
    assert same == (rule is not None), "what is refused is not used, what is taken in is"
    assert rule is None or rule in RULES


def test_the_rules_are_those_of_cleaning(played: Played) -> None:
    stays = played.stays.head(1)
    stay = stays["stay_id"][0]
    rows = [(stay, 1.0, "aura", 2.0), ("z", 1.0, "lactate", 2.0), (stay, 1.0, "lactate", INF)]
    rows += [
        (stay, 1.0, "lactate", -3.0),
        (stay, -1.0, "lactate", 3.0),
        ("z", 1.0, "aura", NAN),
        (stay, 1.0, "map", 70.0),
    ]
    names = ["stay_id", "hours", "variable", "value"]
    extract = Extract(
        stays,
        pl.DataFrame(rows, names, orient="row"),
        pl.DataFrame(),
        pl.DataFrame(
            schema={
                "stay_id": pl.String,
                "hours": pl.Float64,
                "variable": pl.String,
                "value": pl.Float64,
                "rule": pl.String,
            }
        ),
    )
    kept, rejects = clean(extract)
    ward = ward_of(played)
    ward.admit(stay)
    told = [ward.observe(*row) for row in rows]
    assert sorted(filter(None, told)) == sorted(rejects["rule"]) and told.count(None) == kept.height == 1


def test_static_variables_are_known_unknown_or_refused(played: Played) -> None:
    ward, bare = ward_of(played), ward_of(played)
    given = {"age_years": 400.0, "male": None, "height_cm": 170.0, "aura": 1.0}
    expected = {"age_years": "implausible", "height_cm": "unused_variable", "aura": "unknown_variable"}
    assert ward.admit("a", given) == expected and ward.admit("b", {"male": NAN, "age_years": "old"}) == {
        "age_years": "not_finite"
    }
    bare.admit("a")
    bare.admit("b", {"age_years": 95.0})
    first, second = (one.advance({"a": 1.0, "b": 1.0}) for one in (ward, bare))
    assert first[:3] == second[:3] and first[3:] != second[3:]


def test_in_an_event_time_task_a_step_is_a_time(played: Played) -> None:
    ward = ward_of(played, task=task_of(step_hours=None))
    ward.admit("a")
    for hours, variable in [(2.5, "map"), (0.0, "lactate"), (2.5, "lactate"), (7.0, "map"), (1.0, "gcs")]:
        ward.observe("a", hours, variable, 9.0 if variable != "map" else 70.0)
    assert [row.hours for row in ward.advance({"a": 5.0})[::3]] == [0.0, 2.5]
    assert ward.observe("a", 2.5, "heart_rate", 80.0) == "late"
    assert ward.observe("a", 2.6, "heart_rate", 80.0) is None
    assert [row.hours for row in ward.advance({"a": 7.0})[::3]] == [2.6, 7.0]
    assert ward.advance({"a": 100.0}) == [] == ward.advance({"a": 3.0})


def test_prediction_times_are_those_of_the_task(played: Played) -> None:
    ward = ward_of(played, task=task_of(every_hours=4.0, min_history_hours=6.0))
    ward.admit("a")
    assert [row.hours for row in ward.advance({"a": 17.0})[::3]] == [8.0, 12.0, 16.0]


def test_a_stay_takes_bounded_memory(played: Played) -> None:
    for name, most in {"lstm": 1_000, "gru": 1_000, "transformer": 60_000}.items():
        ward = ward_of(played, name)
        ward.admit("a")
        size = {key: part.nbytes for key, part in ward.state().items()}
        assert ward.bytes_each == sum(bytes_ for key, bytes_ in size.items() if key.startswith("bed.")) < most
        for hour in range(60):
            ward.observe("a", hour + 0.5, "lactate", 2.0)
            ward.advance({"a": hour + 1.0})
        assert {key: part.nbytes for key, part in ward.state().items()} == size
    told = [ward.observe("a", 100.0 + n, "lactate", 2.0) for n in range(MOST_WAITING + 1)]
    assert told == [None] * MOST_WAITING + ["too_many_waiting"]


def test_a_hundred_stays_more_than_there_were_beds(played: Played) -> None:
    ward = ward_of(played)
    for n in range(100):
        ward.admit(f"{n}", {"age_years": 20.0 + n / 2})
        ward.observe(f"{n}", 0.5, "map", 60.0 + n / 10)
    many = ward.advance(dict.fromkeys(ward.stays, 1.0))
    assert len({row.risk for row in many}) > 250
    alone = ward_of(played)
    alone.admit("77", {"age_years": 58.5})
    alone.observe("77", 0.5, "map", 67.7)
    assert alone.advance({"77": 1.0}) == many[231:234]


# --- alarms -----------------------------------------------------------------------------------------------------------


def test_alarms_are_those_of_the_policy_on_the_whole_course(reference: pl.DataFrame) -> None:
    for target in TARGETS:
        own = reference.filter(complication=target[0], horizon_hours=target[1])
        if target not in POLICIES:
            assert own["alarm"].is_null().all()
            continue
        columns = (own["stay_id"].rank("dense").to_numpy(), own["hours"].to_numpy(), own["risk"].to_numpy())
        expected = raised(*columns, POLICIES[target])
        assert own["alarm"].to_list() == expected.tolist()
        assert 0 < expected.sum() < (columns[2] >= POLICIES[target].threshold).sum() < len(expected)


@pytest.mark.parametrize(("recurrent", "rung"), [(True, [1, 2, 3, 7, 8]), (False, [1, 2, 3])])
def test_nothing_rings_in_an_episode_nor_within_the_reset_after_it(
    recurrent: bool, rung: list[int], played: Played
) -> None:
    policies = {target: Policy(0.0, reset_hours=2.0) for target in TARGETS}
    ward = Ward(predictor_of(played), task_of(recurrent=recurrent), policies)
    ward.admit("a")
    rows = ward.advance({"a": 3.0})
    ward.onset("a", "sepsis3")
    rows += ward.advance({"a": 5.0})
    ward.over("a", "sepsis3", 5.0)
    rows += ward.advance({"a": 8.0})
    own = [row for row in rows if row.complication == "sepsis3" and row.horizon_hours == 6.0]
    assert [row.hours for row in own if row.alarm] == rung and len(own) == 8
    assert all(row.alarm for row in rows if row.complication == "death")


# --- faults of the caller ---------------------------------------------------------------------------------------------


def test_what_cannot_be_streamed_is_refused(played: Played) -> None:
    both_ways, lstm = predictor_of(played, "bilstm"), predictor_of(played)
    with pytest.raises(InputError, match="reads the window from its end"):
        Ward(both_ways, task_of())
    for hours in (6.0, INF):
        with pytest.raises(InputError, match=r"lookback or a fixed hour .* use `clinical-lstm predict`"):
            Ward(replace(lstm, lookback_hours=hours), task_of())
    assert obstacle(lstm) is None


def test_faults_of_calls_are_told_and_change_nothing(played: Played) -> None:
    ward = ward_of(played)
    ward.admit("alpha")
    for call, said in [
        (lambda: ward.admit("alpha"), "'alpha' is in the ward already"),
        (lambda: ward.admit(""), "is no name"),
        (lambda: ward.admit("b", start_hours=NAN), "nan is no time"),
        (lambda: ward.advance({"alpha": 2.0, "alhpa": 2.0}), "did you mean 'alpha'"),
        (lambda: ward.advance({"alpha": "2"}), "'2' is no time"),
        (lambda: ward.advance({"alpha": 1.7e9}), "would close 1,700,000,000 steps at once"),
        (lambda: ward.discharge("beta"), "not in the ward"),
        (lambda: ward.onset("alpha", "sepsis"), "did you mean 'sepsis3'"),
        (lambda: ward.over("alpha", "sepsis3", NAN), "no time"),
    ]:
        with pytest.raises(InputError, match=said):
            call()
    assert ward.stays == ["alpha"] and len(ward.advance({"alpha": 2.0})) == 2 * len(TARGETS)


def test_a_model_that_gives_no_number_is_told_and_closes_nothing(played: Played) -> None:
    ward = ward_of(played)
    ward.admit("a")
    with torch.no_grad():
        next(ward.predictor.model.head.parameters()).fill_(NAN)
    with pytest.raises(InputError, match="no risk for 1 of 1 stays"):
        ward.advance({"a": 1.0})
    assert ward.observe("a", 1.0, "lactate", 2.0) is None


# --- from a run directory ---------------------------------------------------------------------------------------------


def test_the_ward_of_a_run_says_what_predict_says(tiny_run: Run, tiny_source: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.path, tmp_path / "run")
    run = Run(tmp_path / "run")
    extract = next(PhysioNet2019(str(tiny_source)).extracts())
    extract = extract._replace(episodes=extract.episodes.clear(), labelled=False)
    expected, _ = next(predict(run, Predictor.load(run), [extract]))
    high = np.sort(expected["risk"].to_numpy())[-1000:]
    gap = int(np.argmax(np.diff(high)[:-100]))
    level = float(high[gap : gap + 2].mean())  # no risk is so close that its last bits decide
    record = {"complication": "sepsis_label", "horizon_hours": 6.0, **Policy(level, 6.0).to_json()}
    (run.path / "alarms.json").write_text(json.dumps([record]))
    expected = with_alarms(expected, policies_of(run)).sort("stay_id", "hours")
    found = _stream(Ward.load(run), extract)
    assert found.select("stay_id", "hours").equals(expected.select("stay_id", "hours"))
    assert np.abs(found["risk"].to_numpy() - expected["risk"].to_numpy()).max() <= CLOSE
    assert (expected["risk"] - level).abs().min() > CLOSE  # type: ignore[operator]
    assert found["alarm"].to_list() == expected["alarm"].to_list() and found["alarm"].sum() > 20


def _stream(ward: Ward, extract: Extract) -> pl.DataFrame:
    names = ward.predictor.scaler.statics
    for stay in extract.stays.iter_rows(named=True):
        ward.admit(stay["stay_id"], {name: stay[name] for name in names}, stay["start_hours"])
    tell(ward, extract.observations)
    return table(ward.advance(dict(extract.stays.select("stay_id", "length_hours").iter_rows())))


def test_a_run_that_was_not_evaluated_has_risks_and_no_alarms(tiny_run: Run) -> None:
    ward = Ward.load(tiny_run)
    ward.admit("a", {"age_years": 61.0})
    assert ward.observe("a", 0.2, "lactate", 4.1) is None
    [row] = ward.advance({"a": 1.0})
    assert row[:4] == ("a", 1.0, "sepsis_label", 6.0) and 0 < row.risk < 1 and row.alarm is None


def test_a_ward_needs_no_framework(tiny_run: Run) -> None:
    code = (
        "import sys; from clinical_lstm.artifacts import Run; from clinical_lstm.streaming import Ward;"
        "ward = Ward.load(Run(sys.argv[1])); ward.admit('a'); assert len(ward.advance({'a': 2.0})) == 2;"
        "print(sorted({n.split('.')[0] for n in sys.modules} & {'hydra', 'mlflow', 'pytorch_lightning', 'omegaconf'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tiny_run.path)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_step_is_timed_on_one_thread(tiny_run: Run) -> None:
    ward, before = Ward.load(tiny_run), torch.get_num_threads()
    seconds = step_seconds(ward, patients=3, steps=15)
    assert seconds.shape == (15, 2) and (seconds > 0).all()
    assert torch.get_num_threads() == before and not ward.stays and not ward.refused
    assert step_seconds(ward, patients=256, steps=15).sum(axis=1).min() > seconds.sum(axis=1).min()
