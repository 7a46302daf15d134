"""A cohort adds up, is the same bits wherever it is made, and leaves nothing when it cannot be made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, sha256
from clinical_lstm.batch import Ragged
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.sources.base import Extract, Source, stays_table
from clinical_lstm.sources.physionet2019 import PhysioNet2019

FRACTIONS = {"train": 0.4, "val": 0.2, "calib": 0.2, "test": 0.2}
TASK = Task("mine", ["death"], [6.0], censoring=False)


class Held(Source):
    """Extracts held in memory."""

    title, citation, licence = "held", "none", "none"
    variables = ["heart_rate", "ph"]  # type: ignore[assignment]
    statics = ["age_years"]  # type: ignore[assignment]

    def __init__(self, *extracts: Extract, files: tuple[Path, ...] = ()) -> None:
        self.held, self.paths = extracts, files

    def fingerprint(self) -> str:
        return "held"

    def files(self) -> list[Path]:
        return list(self.paths)

    def extracts(self) -> Iterator[Extract]:
        yield from self.held


def shard(numbers: range, **change: Any) -> Extract:
    """Return twelve-hour stays; every third dies at hour 10; each has one heart rate an hour and a pH out of range."""
    ids = [f"s{n:03d}" for n in numbers]
    stays = pl.DataFrame({"stay_id": ids, "patient_id": ids, "age_years": [60.0 + n for n in numbers]})
    stays = stays.with_columns(site=pl.lit("A"), start_hours=pl.lit(0.0), length_hours=pl.lit(12.0))
    hours = pl.DataFrame({"hours": np.arange(1.0, 13.0)})
    rows = stays.select("stay_id").join(hours, how="cross").with_columns(variable=pl.lit("heart_rate"), value=80.0)
    odd = stays.select("stay_id", hours=1.0, variable=pl.lit("ph"), value=pl.lit(74.0))
    dying = stays.filter(pl.Series([n % 3 == 0 for n in numbers]))
    episodes = dying.select("stay_id", complication=pl.lit("death"), onset_hours=10.0, end_hours=10.0)
    none = schemas.empty(schemas.Rejects)
    return Extract(stays_table(stays), pl.concat([rows, odd]), episodes, none)._replace(**change)


def made(path: Path, *extracts: Extract, task: Task = TASK, **arguments: Any) -> Cohort:
    source = Held(*extracts, **arguments)
    return prepare(source, task, {"fractions": FRACTIONS}, path, "key", {"from": "memory"}, say=lambda line: None)


def refused(tmp_path: Path, message: str, *extracts: Extract, task: Task = TASK) -> None:
    with pytest.raises(InputError, match=message):
        made(tmp_path / "cohorts" / "it", *extracts, task=task)
    assert list((tmp_path / "cohorts").iterdir()) == [], "nothing is left behind"


def test_funnel_and_rejects_add_up(tmp_path: Path) -> None:
    whole = shard(range(30))
    silent = pl.col("stay_id") == "s029"
    brief = whole.stays.with_columns(length_hours=pl.when(pl.col("stay_id") == "s028").then(0.5).otherwise(12.0))
    early = pl.when(pl.col("stay_id") == "s028").then(0.25).otherwise("hours").alias("hours")
    rows = whole.observations.filter(~silent | (pl.col("variable") == "ph")).with_columns(early)
    before = pl.DataFrame([("s000", 1.0, None, 3.0, "empty_variable")], schema=whole.rejects.schema, orient="row")
    cohort = made(tmp_path / "it", whole._replace(stays=brief, observations=rows, rejects=before))
    manifest = cohort.verify()
    assert [(row["stays"], row["observations"]) for row in manifest["funnel"]] == [
        (30, 29 * 12 + 30 + 1),
        (30, 28 * 12 + 1),
        (29, 28 * 12 + 1),
        (28, 28 * 12),
        (28, 0),
    ]
    assert manifest["rejects"] == {"duplicate": 11, "empty_variable": 1, "implausible": 30}
    assert manifest["funnel"][0]["observations"] == 28 * 12 + 1 + sum(manifest["rejects"].values())
    tables = {name: cohort.table(name) for name in ("rejects", "observations", "stays.parquet", "labels")}
    assert tables["rejects"].height == sum(manifest["rejects"].values())
    assert tables["observations"].height == manifest["funnel"][3]["observations"]
    assert tables["stays.parquet"].height == sum(split["stays"] for split in manifest["splits"].values()) == 28
    assert tables["labels"].height == 28 * 12
    assert manifest["coverage"]["heart_rate"] == {"observations": 336, "stays_share": 1.0, "steps_share": 1.0}
    assert manifest["source"] == {"title": "held", "citation": "none", "licence": "none", "files": {}, "from": "memory"}


def test_one_class_stay_twice_and_emptiness_are_refused(tmp_path: Path) -> None:
    whole = shard(range(30))
    nobody = whole._replace(episodes=whole.episodes.clear())
    refused(tmp_path, r"train: death within 6 h has 0 positive of 144 rows in 12 stays", nobody)
    refused(tmp_path, r"1 stay\(s\) stand twice in the source, the first is s029", whole, shard(range(29, 40)))
    refused(
        tmp_path,
        r"no stay is left: .*'with any measurement': \[0, 0\]",
        shard(range(30), observations=whole.rejects.select("stay_id", "hours", "variable", "value")),
    )
    refused(tmp_path, "stays of the source breaks its contract", whole._replace(stays=pl.concat([whole.stays] * 2)))


def test_data_without_outcomes_are_refused(tmp_path: Path) -> None:
    whole = shard(range(30))
    nothing = whole._replace(episodes=whole.episodes.clear(), labelled=False)
    refused(tmp_path, "the source states no outcomes, so death cannot be learnt from it", nothing)
    refused(tmp_path, "the source states no outcomes, so death", shard(range(30, 60)), nothing)


def test_labels_of_a_file_take_the_place_of_the_geometry(tmp_path: Path) -> None:
    """Every stay labelled at 5.5 h and 9 h, positive at 9 h where the number is odd: labels of steps 5 and 9."""
    admission = datetime(2130, 1, 1, 7, 30)
    parts = [
        whole._replace(stays=whole.stays.with_columns(admission=admission, patient_id=pl.col("stay_id").str.slice(1)))
        for whole in (shard(range(100, 130)), shard(range(130, 160)))
    ]
    times = [(n, admission + timedelta(hours=h), h > 6 and n % 2 == 1) for n in range(100, 165) for h in (5.5, 9.0)]
    columns = ["subject_id", "prediction_time", "boolean_value"]
    pl.DataFrame(times, schema=columns, orient="row").write_parquet(tmp_path / "labels.parquet")
    task = Task("mine", ["odd"], [24.0], labels=str(tmp_path / "labels.parquet"))
    cohort = made(tmp_path / "it", *parts, task=task)
    labels = cohort.table("labels")
    assert labels.group_by("hours", "label").len().sort("hours", "label").rows() == [(5, 0, 60), (9, 0, 30), (9, 1, 30)]
    ragged = Ragged.load(cohort.path / "tensors")
    assert ragged.hours[cohort.array("asked.npy")].tolist() == [5.0, 9.0] * 60
    manifest = cohort.verify()
    assert manifest["external_labels"]["used"] == 120
    assert manifest["complications"][0]["stays_with_onset"] == 30
    assert manifest["splits"]["test"]["positives"] > 0
    elsewhere = Task("mine", ["odd"], [24.0], labels=str(tmp_path / "none.parquet"))
    pl.DataFrame(times[-4:], schema=columns, orient="row").write_parquet(tmp_path / "none.parquet")
    refused(
        tmp_path, r"no label of .*none\.parquet is of a step of a stay of this data: no patient", *parts, task=elsewhere
    )


def test_a_complication_that_cannot_be_measured_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    task = Task("mine", ["hyperkalaemia"], [6.0])
    with pytest.raises(InputError, match="hyperkalaemia needs potassium; the source measures none of these"):
        made(tmp_path / "it", task=task)


def test_values_that_are_no_number_are_kept_as_rejects(tmp_path: Path) -> None:
    whole = shard(range(30))
    worse = whole.observations.with_columns(
        value=pl.when(pl.col("hours") == 2)
        .then(float("inf"))
        .when(pl.col("hours") == 3)
        .then(float("nan"))
        .otherwise("value")
    )
    cohort = made(tmp_path / "it", whole._replace(observations=worse))
    assert cohort.verify()["rejects"] == {"implausible": 30, "not_finite": 60}
    assert cohort.table("rejects").filter(rule="not_finite")["value"].is_infinite().sum() == 30


def test_shards_hold_their_stays_in_order_and_tensors_match(tiny_cohort: Cohort) -> None:
    manifest = tiny_cohort.verify()
    stays = tiny_cohort.table("stays.parquet")
    ragged = Ragged.load(tiny_cohort.path / "tensors")
    assert tiny_cohort.files("observations") == [f"observations/part-{n:05d}.parquet" for n in range(3)]
    assert (
        stays["stay_id"].to_list() == tiny_cohort.table("observations")["stay_id"].unique(maintain_order=True).to_list()
    )
    np.testing.assert_array_equal(ragged.lengths, (stays["length_hours"] - stays["start_hours"]).to_numpy())
    labels = tiny_cohort.table("labels")
    np.testing.assert_array_equal(labels["hours"].to_numpy(), ragged.hours)
    assert labels["stay_id"].to_list() == np.repeat(stays["stay_id"].to_numpy(), ragged.lengths).tolist()
    assert sum(c["observations"] for c in manifest["coverage"].values()) == len(ragged.cell_value)
    assert manifest["targets"] == [["sepsis_label", 6.0]]
    assert manifest["splits"]["train"]["events"] == 24
    for name, schema in {"stays.parquet": "SplitStays", "labels": "Labels", "episodes": "Episodes"}.items():
        schemas.check(getattr(schemas, schema), tiny_cohort.table(name), name)


def _hashes(cohort: Cohort) -> dict[str, str]:
    return {name: sha256(cohort.path / name) for name in cohort.files(".")}


def test_second_run_in_another_folder_gives_the_same_bits(
    tiny_source: Path, tiny_cohort: Cohort, tmp_path: Path
) -> None:
    task = Task.of(tiny_cohort.verify()["task"])
    source = PhysioNet2019(str(tiny_source), shard_stays=100)
    path = tmp_path / "elsewhere" / "tiny"
    again = prepare(source, task, {"fractions": FRACTIONS}, path, "tiny", {}, say=lambda line: None)
    made = {name: digest for name, digest in _hashes(tiny_cohort).items() if not name.startswith("teachers/")}
    assert _hashes(again) == made, "teachers are of trainings that other tests ran on the shared cohort"


def test_shard_size_changes_no_number(tiny_source: Path, tiny_cohort: Cohort, tmp_path: Path) -> None:
    task = Task.of(tiny_cohort.verify()["task"])
    whole = prepare(PhysioNet2019(str(tiny_source)), task, {"fractions": FRACTIONS}, tmp_path / "w", "w", {}, say=str)
    for name in ("stays.parquet", "labels", "scaler.parquet", "observations", "episodes"):
        assert whole.table(name).equals(tiny_cohort.table(name)), name
    for name in whole.files("tensors"):
        assert sha256(whole.path / name) == sha256(tiny_cohort.path / name), name


def test_files_of_one_name_in_two_folders_are_both_recorded(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "part.csv" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    files = made(tmp_path / "it", shard(range(30)), files=tuple(paths)).verify()["source"]["files"]
    assert files == {"a/part.csv": sha256(paths[0]), "b/part.csv": sha256(paths[1])}
    single = made(tmp_path / "it", shard(range(30)), files=(paths[0],)).verify()["source"]["files"]
    assert list(single) == ["part.csv"]


def test_prepare_imports_no_torch(tiny_source: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.sources.physionet2019 import PhysioNet2019
task = Task.of({{"name": "t", "complications": ["sepsis_label"], "horizons_hours": [6.0], "censoring": False}})
source = PhysioNet2019({str(tiny_source)!r})
prepare(source, task, {{"fractions": {FRACTIONS}}}, Path({str(tmp_path)!r}) / "it", "key", {{}})
heavy = {{"torch", "pytorch_lightning", "captum", "mlflow", "hydra", "altair"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "240 stays so far" in ended.stdout


def test_stays_outside_the_split_table_take_no_part_and_are_counted(tmp_path: Path) -> None:
    extracts = shard(range(60)), shard(range(60, 90)), shard(range(90, 120))
    listed = [f"s{n:03d}" for n in [*range(60), *range(90, 110)]]  # the second shard has none
    names = ["train", "val", "calib", "test"]
    pl.DataFrame({"stay_id": listed, "mine": [names[n % 4] for n in range(80)]}).write_csv(tmp_path / "mine.csv")
    split = {"fractions": FRACTIONS, "table": str(tmp_path / "mine.csv"), "column": "mine"}
    with pytest.raises(InputError, match=r"no split for 40 stay\(s\), the first is s060"):
        prepare(Held(*extracts), TASK, split, tmp_path / "c", "", {}, say=lambda line: None)
    split["unlisted"] = "leave_out"
    cohort = prepare(Held(*extracts), TASK, split, tmp_path / "c", "", {}, say=lambda line: None)
    assert cohort.table("stays.parquet")["stay_id"].to_list() == listed
    funnel = {row["step"]: (row["stays"], row["observations"]) for row in cohort.json("manifest.json")["funnel"]}
    assert funnel["in the source"] == (120, 120 * 13)
    assert funnel["in the split table"] == (80, 80 * 13)
    assert funnel["after cleaning"] == (80, 80 * 12)
    assert cohort.table("labels")["stay_id"].unique().sort().to_list() == listed
    assert cohort.json("manifest.json")["rejects"] == {"implausible": 80}
    (tmp_path / "mine.csv").write_text("stay_id,mine\nx,train\n")
    with pytest.raises(InputError, match=r"no stay is left: .*in the split table"):
        prepare(Held(*extracts), TASK, split, tmp_path / "d", "", {}, say=lambda line: None)


def test_a_misspelt_split_is_refused_before_the_source_is_read(tmp_path: Path) -> None:
    class Unread(Held):
        def extracts(self) -> Iterator[Extract]:
            raise AssertionError("read")

    with pytest.raises(InputError, match="split takes no 'fractons'"):
        prepare(Unread(), TASK, {"fractons": FRACTIONS}, tmp_path / "c", "", {}, say=lambda line: None)
