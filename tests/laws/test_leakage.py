"""Nothing learns from what it must not see: other splits, other patients' splits, the future. End to end."""

from __future__ import annotations

import dataclasses
import inspect
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from omegaconf import OmegaConf

from clinical_lstm import plugins
from clinical_lstm.artifacts import Cohort, Run, write_table
from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.data import tensors
from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.inference import Predictor, logits
from clinical_lstm.metrics.rules import RULES
from clinical_lstm.prediction import predict
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.physionet2019 import PhysioNet2019
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.training import operating
from clinical_lstm.training.baseline import baseline, thresholds_of
from clinical_lstm.training.data import training_data
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.train import train

SETTINGS = TrainerSettings(
    epochs=1, batch_size=32, weighting="cinc2019", threshold="cinc2019", calibration="temperature"
)
# Everything at once that learns from data besides labels: quantile edges, a teacher, auxiliary targets, an average.
LEARNING = dataclasses.replace(
    SETTINGS, distil_weight=0.3, teacher="logistic_regression", teacher_folds=3, forecast_weight=0.1,
    outcomes_weight=0.1, ema_decay=0.9,
)  # fmt: skip
MODEL = {"name": "lstm", "hidden": 8, "inputs": {"encoding": "piecewise", "decay": True, "statistics": True}}
Change = Callable[[Extract], Extract]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def of_splits(cohort: Cohort, *splits: str) -> list[str]:
    return cohort.table("stays.parquet").filter(pl.col("split").cast(pl.String).is_in(splits))["stay_id"].to_list()


# --- scaler and splits ------------------------------------------------------------------------------------------------


class Changed(PhysioNet2019):
    """The records, other values in the measurements and statics of the stays `chosen`."""

    chosen: tuple[str, ...] = ()

    def extracts(self) -> Iterator[Extract]:
        for extract in super().extracts():
            hit = pl.col("stay_id").is_in(self.chosen)
            values = pl.when(hit).then(pl.col("value") * 1.07).otherwise(pl.col("value")).alias("value")
            ages = pl.when(hit).then(18.0).otherwise(pl.col("age_years")).alias("age_years")
            yield extract._replace(
                observations=extract.observations.with_columns(values), stays=extract.stays.with_columns(ages)
            )


@pytest.mark.parametrize("split", ["train", "others"])
def test_scaler_depends_on_the_train_split_alone(
    split: str, tiny_cohort: Cohort, tiny_source: Path, tmp_path: Path
) -> None:
    source = Changed(str(tiny_source), shard_stays=100)
    source.chosen = tuple(of_splits(tiny_cohort, *(["train"] if split == "train" else ["val", "calib", "test"])))
    manifest = tiny_cohort.json("manifest.json")
    other = prepare(source, Task.of(manifest["task"]), manifest["split"], tmp_path / "c", "", {}, say=lambda line: None)
    assert other.table("stays.parquet")["split"].equals(tiny_cohort.table("stays.parquet")["split"])
    assert not other.table("observations").equals(tiny_cohort.table("observations"))
    same = (other.path / "scaler.parquet").read_bytes() == (tiny_cohort.path / "scaler.parquet").read_bytes()
    assert same == (split == "others")


class Families(Synthetic):
    """Synthetic stays, three to a patient, some of them in other shards."""

    def extracts(self) -> Iterator[Extract]:
        for extract in super().extracts():
            patient = pl.format("p{}", pl.col("stay_id").str.slice(1).cast(pl.Int64) % (self.stays // 3))
            yield extract._replace(stays=extract.stays.with_columns(patient.alias("patient_id")))


@pytest.mark.parametrize("way", [{}, {"fold": 1}, {"stratify": False, "seed": 4}])
def test_no_patient_is_in_two_splits(way: dict, tmp_path: Path) -> None:
    source = Families(stays=300, mean_hours=12, variables=["map"], effects={"map": -1}, onset_per_hour=0.01)
    source.shard_stays = 70
    shares = {"train": 0.4, "val": 0.2, "calib": 0.2, "test": 0.2}
    task = Task("t", ["planted"], [6.0])
    cohort = prepare(source, task, {"fractions": shares, **way}, tmp_path / "c", "", {}, say=lambda line: None)
    stays = cohort.table("stays.parquet")
    assert stays["patient_id"].n_unique() < stays.height / 2
    assert stays["split"].n_unique() == 4
    assert stays.group_by("patient_id").agg(pl.col("split").n_unique())["split"].max() == 1


# --- training, calibration, thresholds --------------------------------------------------------------------------------


def altered(cohort: Cohort, path: Path, *splits: str) -> Cohort:
    """Return a copy of a cohort, other measurements and turned labels in the stays of `splits`."""
    shutil.copytree(cohort.path, path)
    stays = of_splits(cohort, *splits)
    tensors = Ragged.load(path / "tensors")
    hit = np.repeat(cohort.table("stays.parquet")["stay_id"].is_in(stays).to_numpy(), np.diff(tensors.cell_offsets))
    value = np.where(hit, tensors.cell_value * 1.5, tensors.cell_value).astype(np.float32)
    (path / "tensors" / "cell_value.npy").unlink()
    np.save(path / "tensors" / "cell_value.npy", value)
    return turned(Cohort(path), stays)


def turned(cohort: Cohort, stays: list[str]) -> Cohort:
    """Turn the labels of `stays` in a cohort, mark it whole again and return it."""
    other = pl.when(pl.col("stay_id").is_in(stays) & pl.col("at_risk")).then(1 - pl.col("label"))
    for shard in cohort.files("labels"):
        path = cohort.path / shard
        labels = pl.read_parquet(path)
        write_table(path, labels.with_columns(other.otherwise(pl.col("label")).cast(pl.Int8).alias("label")))
    marker = cohort.marker("prepare")
    assert marker is not None
    cohort.mark("prepare", marker["key"], list(marker["outputs"]))
    return cohort


@pytest.fixture(scope="module")
def one_epoch(tiny_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    folder = tmp_path_factory.mktemp("leakage")

    def trained(*splits: str) -> Run:
        """Return a training of one epoch on the cohort with the stays of `splits` altered; made once."""
        name = "-".join(splits) or "as_it_is"
        path = folder / name / "runs" / "tiny"
        if not path.is_dir():
            cohort = altered(tiny_cohort, folder / name / "cohorts" / "tiny", *splits)
            train(cohort, MODEL, LEARNING, 1, path, "key", say=lambda line: None)
        return Run(path)

    return trained


OF = {"weights.safetensors": ["train"], "calibrator.json": ["train", "calib"]}
OF["thresholds.json"] = [*OF["calibrator.json"], "val"]


@pytest.mark.parametrize("changed", ["train", "calib", "val", "test"])
def test_files_of_a_run_depend_on_their_splits_alone(changed: str, one_epoch: Callable[..., Run]) -> None:
    before, after = one_epoch(), one_epoch(changed)
    for name, splits in OF.items():
        same = (before.path / name).read_bytes() == (after.path / name).read_bytes()
        assert same or changed in splits, f"{name} learnt from {changed}"
        assert not same or changed not in splits, f"{name} ignores {changed}"


OUTCOMES = ["hospital_hours", "survival_hours", "saps_points", "sofa_points"]


@pytest.mark.parametrize(("weight", "changed"), [(0.1, "train"), (0.1, "others"), (0.0, "train")])
def test_outcomes_of_stays_are_no_input_and_teach_of_train_alone(
    weight: float, changed: str, tiny_cohort: Cohort, tmp_path: Path
) -> None:
    rest = ["val", "calib", "test"]
    settings = dataclasses.replace(SETTINGS, outcomes_weight=weight)
    weights, risks = [], []
    for name in ("as_it_is", "changed"):
        cohort = Cohort(shutil.copytree(tiny_cohort.path, tmp_path / name / "cohorts" / "tiny"))
        hit = cohort.table("stays.parquet")["stay_id"].is_in(
            of_splits(cohort, *(["train"] if changed == "train" else rest))
        )
        stays = cohort.table("stays.parquet")
        told = [pl.Series(column, np.arange(stays.height) * (k + 1.0) % 97) for k, column in enumerate(OUTCOMES)]
        if name == "changed":
            told = [column.set(hit, 3.0 * (k + 1)) if k % 2 else column.set(hit, None) for k, column in enumerate(told)]
        write_table(cohort.path / "stays.parquet", stays.with_columns(told))
        cohort = turned(cohort, [])
        run = train(cohort, MODEL, settings, 1, tmp_path / name / "runs" / "tiny", "key", say=lambda line: None)
        weights.append((run.path / "weights.safetensors").read_bytes())
        tensors = Ragged.load(cohort.path / "tensors")
        risks.append(
            Predictor.load(Run(tmp_path / "as_it_is" / "runs" / "tiny")).risks(tensors, np.arange(stays.height))
        )
    assert np.array_equal(*risks, equal_nan=True), "an outcome is an input"
    assert (weights[0] == weights[1]) == (weight == 0.0 or changed == "others")


@pytest.fixture(scope="module")
def judged(tiny_cohort: Cohort, tiny_run: Run) -> tuple[np.ndarray, operating.Rows]:
    data, _ = training_data(tiny_cohort, "uniform")
    found = logits(Predictor.load(tiny_run).model, data.tensors, data.scaler)
    return found, operating.rows_of(data.tensors, tiny_cohort.table("stays.parquet"), data.label)


def changed_outside(
    found: np.ndarray, rows: operating.Rows, split: str, inside: bool = False
) -> tuple[np.ndarray, operating.Rows]:
    """Return other logits and labels in the rows of the other splits (or, `inside`, in those of this one)."""
    hit = (rows.split == split) == inside
    draw = np.random.default_rng(3)
    label = np.where(hit[:, None] & (rows.label >= 0), draw.integers(0, 2, rows.label.shape), rows.label)
    logit = np.where(hit[:, None], label + draw.normal(size=found.shape), found)
    return logit, rows._replace(label=label.astype(np.int8))


@pytest.mark.parametrize("kind", ["auto", "platt", "isotonic", "temperature"])
def test_calibrators_depend_on_calib_alone(kind: str, judged: tuple[np.ndarray, operating.Rows]) -> None:
    expected = operating.calibrate(*judged, kind)
    assert operating.calibrate(*changed_outside(*judged, "calib"), kind) == expected
    assert operating.calibrate(*changed_outside(*judged, "calib", inside=True), kind) != expected


@pytest.mark.parametrize("rule", RULES)
def test_thresholds_depend_on_val_alone(rule: str, judged: tuple[np.ndarray, operating.Rows]) -> None:
    targets = [("sepsis_label", 6.0)]
    calibrators = operating.calibrate(*judged, "platt")
    expected = operating.thresholds(*judged, calibrators, targets, rule)
    assert operating.thresholds(*changed_outside(*judged, "val"), calibrators, targets, rule) == expected
    assert operating.thresholds(*changed_outside(*judged, "val", inside=True), calibrators, targets, rule) != expected


# --- the future -------------------------------------------------------------------------------------------------------


def risks_of(run: Run, predictor: Predictor, extract: Extract) -> pl.DataFrame:
    [(found, _)] = predict(run, predictor, [extract])
    return found.select("stay_id", "hours", "risk")


def other_future(extract: Extract, hours: float) -> Extract:
    """Return the extract with what was measured after `hours` changed, dropped and added to."""
    past = extract.observations.filter(pl.col("hours") <= hours)
    future = extract.observations.filter(pl.col("hours") > hours).with_row_index("row")
    changed = future.filter(pl.col("row") % 3 > 0).drop("row").with_columns(pl.col("value") * 1.05)
    added = extract.stays.filter(pl.col("length_hours") > hours).select(
        "stay_id", pl.lit(hours + 1e-3).alias("hours"), pl.lit("lactate").alias("variable"), pl.lit(19.0).alias("value")
    )
    onsets = extract.episodes.filter(pl.col("onset_hours") <= hours)
    return extract._replace(observations=pl.concat([past, changed, added]), episodes=onsets)


@pytest.mark.parametrize("hours", [1.0, 7.0, 20.0])
def test_the_future_does_not_change_a_bit_of_the_past(hours: float, tiny_run: Run, tiny_source: Path) -> None:
    extract = next(iter(PhysioNet2019(str(tiny_source), shard_stays=100).extracts()))
    predictor = Predictor.load(tiny_run)
    one = risks_of(tiny_run, predictor, extract)
    other = risks_of(tiny_run, predictor, other_future(extract, hours))
    until, after = pl.col("hours") <= hours, pl.col("hours") > hours
    assert one.filter(until).height > 90 * hours / 2
    assert one.filter(until).equals(other.filter(until))
    assert (one.filter(after)["risk"] != other.filter(after)["risk"]).mean() > 0.9


def test_a_refused_measurement_does_not_change_a_bit(tiny_run: Run, tiny_source: Path) -> None:
    extract = next(iter(PhysioNet2019(str(tiny_source), shard_stays=100).extracts()))
    predictor = Predictor.load(tiny_run)
    expected = risks_of(tiny_run, predictor, extract)
    for variable, value in [("lactate", float("nan")), ("heart_rate", 9e9), ("shoe_size", 44.0)]:
        refused = extract.stays.select(
            "stay_id", pl.lit(0.7).alias("hours"), pl.lit(variable).alias("variable"), pl.lit(value).alias("value")
        )
        more = extract._replace(observations=pl.concat([extract.observations, refused]))
        assert risks_of(tiny_run, predictor, more).equals(expected), variable
    plausible = refused.with_columns(pl.lit("lactate").alias("variable"), pl.lit(9.0).alias("value"))
    more = extract._replace(observations=pl.concat([extract.observations, plausible]))
    assert not risks_of(tiny_run, predictor, more).equals(expected)


# --- baselines --------------------------------------------------------------------------------------------------------

HOURS = 7.0
BASELINES = [
    *({"name": name} for name in plugins.names("baselines")),
    *(
        {"name": name, "observation_process": False}
        for name in plugins.names("baselines")
        if "observation_process" in inspect.signature(plugins.load("baselines", name)).parameters
    ),
]


class Later(PhysioNet2019):
    """The records, another future after `HOURS` in the measurements of the stays `chosen`."""

    chosen: tuple[str, ...] = ()

    def extracts(self) -> Iterator[Extract]:
        for extract in super().extracts():
            stays, rows = (part.filter(pl.col("stay_id").is_in(self.chosen)) for part in extract[:2])
            others = extract.observations.filter(pl.col("stay_id").is_in(self.chosen).not_())
            hit = other_future(extract._replace(stays=stays, observations=rows), HOURS)
            yield extract._replace(observations=pl.concat([others, hit.observations]))


@pytest.fixture(scope="module")
def futures(tiny_cohort: Cohort, tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Cohort, Cohort]:
    """The cohort, and one whose test stays have another future and turned labels; copies: they store the baselines."""
    folder = tmp_path_factory.mktemp("futures")
    one = Cohort(shutil.copytree(tiny_cohort.path, folder / "one", ignore=shutil.ignore_patterns("baselines")))
    source = Later(str(tiny_source), shard_stays=100)
    source.chosen = tuple(of_splits(one, "test"))
    manifest = one.json("manifest.json")
    task = Task.of(manifest["task"])
    other = prepare(source, task, manifest["split"], folder / "other", "", {}, say=lambda line: None)
    assert other.table("stays.parquet").equals(one.table("stays.parquet"))
    return one, turned(other, list(source.chosen))


@pytest.mark.parametrize("spec", BASELINES, ids=lambda spec: "-".join(map(str, spec.values())))
def test_a_baseline_knows_neither_the_future_nor_the_test_split(spec: dict, futures: tuple[Cohort, Cohort]) -> None:
    made = [baseline(cohort, spec, "uniform", "platt", "youden", 1) for cohort in futures]
    one, other = (each.table("predictions.parquet").drop("label") for each in made)
    past = pl.col("hours") <= HOURS
    known = past | (pl.col("split").cast(pl.String) != "test")
    assert one.filter(known.not_()).height > 500
    assert one.filter(known).equals(other.filter(known))
    assert thresholds_of(made[0].path) == thresholds_of(made[1].path)
    changed = one.filter(known.not_())["risk"] != other.filter(known.not_())["risk"]
    assert changed.any() == (spec["name"] != "elapsed_time"), "the other future reached the risks after it"


# --- every task -------------------------------------------------------------------------------------------------------

TASKS = sorted((Path(__file__).parents[2] / "conf" / "task").glob("*.yaml"))


@pytest.mark.parametrize("path", TASKS, ids=[path.stem for path in TASKS])
def test_inputs_of_every_task_at_t_do_not_know_what_comes_after(path: Path) -> None:
    loaded = OmegaConf.merge({"complication": {"death": {"name": "death"}}}, {"task": OmegaConf.load(path)})
    task = Task.of(OmegaConf.to_container(loaded, resolve=True)["task"])
    source = Synthetic(stays=60, mean_hours=60, rate_per_hour=2.0)
    extract = next(iter(source.extracts()))
    scaler = Scaler([*source.variables], [*source.statics], *identity(len(source.variables) + len(source.statics)))
    hours = 20.0
    one, other = (inputs(part, source, task, scaler) for part in (extract, other_future(extract, hours)))
    seen = one.hours[one.hours <= hours].size
    assert seen > 60 * 10
    for name, part, again in zip(Batch._fields, one, other):
        if name == "static":
            assert np.array_equal(part, again)
        elif name != "lengths":
            until, until_again = (
                (x.hours <= hours) & (np.arange(x.hours.shape[1]) < x.lengths[:, None]) for x in (one, other)
            )
            assert np.array_equal(part[until], again[until_again]), name
    assert not np.array_equal(one.values[:, : other.values.shape[1]], other.values[:, : one.values.shape[1]])


def identity(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros(n, bool), np.zeros(n), np.ones(n)


def inputs(extract: Extract, source: Synthetic, task: Task, scaler: Scaler) -> Batch:
    stays = clean_stays(extract.stays)
    observations, _ = clean(extract._replace(stays=stays))
    ragged = tensors.ragged(stays, observations, source.variables, source.statics, task.step_hours)
    return assemble(ragged, np.arange(stays.height), scaler)
