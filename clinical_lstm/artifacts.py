"""Every name on disk: cohort and run directories, manifests, content hashes, atomic writes, done-markers.

A directory or file appears under its final name only when it is complete. What a stage wrote is listed with its
SHA-256 in that stage's marker (`done/<stage>.json`), written last; readers refuse what does not match.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm.errors import InputError

SCHEMA_VERSION = 2


def digest(thing: Any) -> str:
    """Return the SHA-256 of `thing` as canonical JSON.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(json.dumps(thing, sort_keys=True, default=str).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable JSON, atomically."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; raises InputError when it is missing or malformed."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except ValueError as fault:
        raise InputError(f"{path} is not valid JSON ({fault}); delete it and run its stage again") from None


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write `table` as Parquet, atomically; raises OSError where the disk refuses."""
    with atomic_file(path) as partial:
        try:
            table.write_parquet(partial, compression="zstd", statistics=False)
        except pl.exceptions.ComputeError as fault:  # polars' name for a full disk
            raise OSError(str(fault)) from fault


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` on success, remove it on any failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Give a temporary directory beside `path`; put it in the place of `path` on success, remove it on any failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f".{path.name}.partial-*"):
        shutil.rmtree(stale, ignore_errors=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            shutil.rmtree(path)
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class Directory:
    """A directory of artefacts with one marker per finished stage; the base of `Cohort` and `Run`."""

    kind = "directory"

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.path.name

    def marker(self, stage: str) -> dict[str, Any] | None:
        """Return the marker of `stage`, or None when the stage has not finished here."""
        path = self.path / "done" / f"{stage}.json"
        return read_json(path) if path.is_file() else None

    def is_done(self, stage: str, key: str) -> bool:
        """Say whether `stage` finished with the same inputs and configuration and its files are still unaltered."""
        marker = self.marker(stage)
        return marker is not None and marker["key"] == key and not self._altered(marker)

    def mark(self, stage: str, key: str, files: list[str], **facts: Any) -> None:
        """Write the marker of `stage`: the key of its inputs and the SHA-256 of the files it wrote."""
        outputs = {name: sha256(self.path / name) for name in sorted(files)}
        write_json(self.path / "done" / f"{stage}.json", {"stage": stage, "key": key, "outputs": outputs, **facts})

    def require(self, stage: str, command: str) -> dict[str, Any]:
        """Return the marker of `stage`; raises InputError when it has not run or its files were altered since."""
        if not self.path.is_dir():
            raise InputError(f"there is no {self.kind} {self.path}{self._siblings()}; make it with: {command}")
        marker = self.marker(stage)
        if marker is None:
            raise InputError(f"{self.kind} {self.path} has no finished stage {stage!r}; make it with: {command}")
        faults = self._altered(marker)
        if faults:
            raise InputError(f"{self.kind} {self.path} is damaged: {'; '.join(faults)}; make it again with: {command}")
        return marker

    def table(self, name: str) -> pl.DataFrame:
        """Return a table: a Parquet file, or a directory of shards in the order of their names."""
        path = self.path / name
        if not path.exists():
            raise InputError(f"{path} is missing")
        if path.is_dir():
            return pl.concat([pl.read_parquet(shard) for shard in sorted(path.glob("*.parquet"))])
        return pl.read_parquet(path)

    def array(self, name: str) -> np.ndarray:
        """Return the array of a `.npy` file of this directory."""
        return np.load(self.path / name)

    def json(self, name: str) -> Any:
        """Return the content of a JSON file of this directory."""
        return read_json(self.path / name)

    def files(self, *folders: str) -> list[str]:
        """Return the relative names of all files below the given folders (or files), sorted."""
        found: list[str] = []
        for folder in folders:
            path = self.path / folder
            inside = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
            found += [str(p.relative_to(self.path)) for p in inside]
        return sorted(found)

    def _altered(self, marker: Mapping[str, Any]) -> list[str]:
        faults = []
        for name, expected in marker["outputs"].items():
            path = self.path / name
            if not path.is_file():
                faults.append(f"{name} is missing")
            elif sha256(path) != expected:
                faults.append(f"{name} was altered after {marker['stage']} wrote it")
        return faults

    def _siblings(self) -> str:
        folder = self.path.parent
        names = sorted(p.name for p in folder.iterdir() if (p / "done").is_dir()) if folder.is_dir() else []
        return f" (there are: {', '.join(names)})" if names else ""


class Cohort(Directory):
    """`artifacts/cohorts/<cohort>/`, written by `prepare`."""

    kind = "cohort"

    def verify(self) -> dict[str, Any]:
        """Return the manifest of a complete, unaltered cohort."""
        self.require("prepare", "clinical-lstm prepare source=... source.root=...")
        return self.json("manifest.json")


class Run(Directory):
    """`artifacts/runs/<run>/`, written by `train` and enriched by `evaluate`, `explain` and `report`."""

    kind = "run"

    def verify(self) -> dict[str, Any]:
        """Return the manifest of a complete, unaltered training."""
        self.require("train", "clinical-lstm train cohort=...")
        return self.json("manifest.json")
