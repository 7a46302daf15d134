"""What stands under its final name is complete; what was altered is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from clinical_lstm import artifacts
from clinical_lstm.artifacts import Cohort, Directory, Run
from clinical_lstm.errors import InputError

FULL_DISK = """
import resource, sys
from pathlib import Path
import polars as pl
from clinical_lstm import artifacts
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
folder, what = Path(sys.argv[1]), sys.argv[2]
big = pl.Series("x", range(50_000), pl.Int64).shuffle(seed=0).to_frame()
try:
    if what == "table":
        artifacts.write_table(folder / "it", big)
    elif what == "json":
        artifacts.write_json(folder / "it", big["x"].to_list())
    else:
        with artifacts.atomic_directory(folder / "it") as partial:
            (partial / "small.txt").write_text("fits")
            (partial / "big.bin").write_bytes(bytes(50_000))
except OSError as fault:
    sys.exit(f"OSError: {fault}")
"""


@pytest.fixture
def done(tmp_path: Path) -> Directory:
    """A cohort with one finished stage of two files."""
    cohort = Cohort(tmp_path / "mine")
    (cohort.path / "sub").mkdir(parents=True)
    (cohort.path / "sub" / "a.txt").write_text("a")
    (cohort.path / "b.txt").write_text("b")
    cohort.mark("prepare", "key", ["sub/a.txt", "b.txt"], seconds=3)
    return cohort


def test_atomic_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "it.txt"
    with artifacts.atomic_file(path) as partial:
        partial.write_text("one")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), artifacts.atomic_file(path) as partial:
        partial.write_text("two")
        _ = 1 / 0
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_atomic_directory_replaces_the_old_one_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "it"
    for content in ("old", "new"):
        with artifacts.atomic_directory(path) as partial:
            (partial / content).write_text(content)
    with pytest.raises(ZeroDivisionError), artifacts.atomic_directory(path) as partial:
        (partial / "half").write_text("half")
        _ = 1 / 0
    assert [p.name for p in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_directory_clears_what_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / ".it.partial-1").mkdir()
    (tmp_path / ".it.partial-1" / "half").write_text("half")
    with artifacts.atomic_directory(tmp_path / "it"):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["it"]


@pytest.mark.parametrize("what", ["table", "json", "directory"])
def test_full_disk_leaves_nothing_behind(tmp_path: Path, what: str) -> None:
    ended = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path), what], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("OSError")
    assert list(tmp_path.iterdir()) == []


def test_json_round_trip_is_canonical(tmp_path: Path) -> None:
    artifacts.write_json(tmp_path / "it.json", {"b": [1.5, None], "a": "é", "path": Path("x")})
    assert artifacts.read_json(tmp_path / "it.json") == {"a": "é", "b": [1.5, None], "path": "x"}
    assert (tmp_path / "it.json").read_text(encoding="utf-8").index('"a"') < 10
    assert artifacts.digest({"a": 1, "b": 2}) != artifacts.digest({"a": 1, "b": 3})


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_malformed_json_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match=r"it\.json is missing"):
        artifacts.read_json(tmp_path / "it.json")
    (tmp_path / "it.json").write_bytes(content)
    with pytest.raises(InputError, match=r"it\.json is not valid JSON"):
        artifacts.read_json(tmp_path / "it.json")


def test_finished_stage_is_done_with_its_own_key_only(done: Directory) -> None:
    assert done.is_done("prepare", "key")
    assert not done.is_done("prepare", "other key")
    assert not done.is_done("train", "key")
    assert done.require("prepare", "make")["seconds"] == 3
    assert list(done.require("prepare", "make")["outputs"]) == ["b.txt", "sub/a.txt"]


def test_altered_and_missing_files_are_named(done: Directory) -> None:
    (done.path / "sub" / "a.txt").write_text("A")
    (done.path / "b.txt").unlink()
    assert not done.is_done("prepare", "key")
    message = (
        r"mine is damaged: b\.txt is missing; sub/a\.txt was altered after prepare wrote it; make it again with: make"
    )
    with pytest.raises(InputError, match=message):
        done.require("prepare", "make")


def test_unfinished_and_absent_directories_say_how_to_make_them(done: Directory) -> None:
    with pytest.raises(InputError, match=r"no finished stage 'train'; make it with: clinical-lstm train"):
        Run(done.path).verify()
    with pytest.raises(InputError, match=r"there is no cohort .*other \(there are: mine\); make it with: .* prepare"):
        Cohort(done.path.with_name("other")).verify()
    with pytest.raises(InputError, match=r"there is no run .*x; make it"):
        Run(done.path / "nowhere" / "x").verify()


def test_table_is_a_file_or_shards_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = Directory(tmp_path)
    for number in (10, 2, 1):
        artifacts.write_table(tmp_path / "parts" / f"part-{number:05d}.parquet", pl.DataFrame({"x": [number]}))
    artifacts.write_table(tmp_path / "one.parquet", pl.DataFrame({"x": [7]}))
    assert folder.table("parts")["x"].to_list() == [1, 2, 10]
    assert folder.table("one.parquet")["x"].to_list() == [7]
    assert folder.files("parts", "one.parquet") == ["one.parquet", *(f"parts/part-{n:05d}.parquet" for n in (1, 2, 10))]
    with pytest.raises(InputError, match="none is missing"):
        folder.table("none")
