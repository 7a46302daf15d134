"""The prepare stage: a source and a task become a cohort directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import SCHEMA_VERSION, Cohort, atomic_directory, sha256, write_json, write_table
from clinical_lstm.batch import Ragged
from clinical_lstm.data import labels, manifest, split_tables, splits, tensors
from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.data.scaling import fit_scaler
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.sources.base import Extract, Source

Say = Callable[[str], None]


@dataclass
class _Shards:
    """What is gathered while the shards pass by."""

    stays: list[pl.DataFrame] = field(default_factory=list)
    counts: list[pl.DataFrame] = field(default_factory=list)
    hours: list[pl.DataFrame] = field(default_factory=list)
    found: list[pl.DataFrame] = field(default_factory=list)
    external: dict[str, int] = field(default_factory=dict)
    tensors: list[Ragged] = field(default_factory=list)
    asked: list[np.ndarray] = field(default_factory=list)
    rejects: dict[str, int] = field(default_factory=dict)
    funnel: dict[str, list[int]] = field(default_factory=dict)

    def count(self, step: str, stays: int, observations: int) -> None:
        total = self.funnel.setdefault(step, [0, 0])
        total[0], total[1] = total[0] + stays, total[1] + observations


def prepare(
    source: Source,
    task: Task,
    split: Mapping[str, Any],
    path: Path,
    key: str,
    record: Mapping[str, Any],
    say: Say = print,
) -> Cohort:
    """Write the cohort directory `path` and return it; nothing is left behind on failure.

    Args:
        split: arguments of `splits.assign`. key: hash of inputs and configuration, for the done-marker.
        record: what the manifest tells of the source besides its title, citation and licence.

    """
    manifest.refuse_unmeasured(task, source.variables)
    splits.check(split)
    listed = split_tables.left_out(split)
    with atomic_directory(path) as partial:
        shards = _Shards()
        for number, extract in enumerate(source.extracts()):
            shards.count("in the source", extract.stays.height, extract.observations.height + extract.rejects.height)
            if listed is not None:
                extract = split_tables.only_listed(extract, listed)
                shards.count("in the split table", extract.stays.height, extract.observations.height)
            if extract.stays.height:
                _shard(extract, source, task, partial, number, shards)
            say(f"prepare: shard {number}: {sum(len(s) for s in shards.stays):,} stays so far")
        told = _finish(shards, source, task, split, partial)
        told |= {"name": path.name, "schema_version": SCHEMA_VERSION}
        told["source"] |= dict(record)
        write_json(partial / "manifest.json", told)
        cohort = Cohort(partial)
        cohort.mark("prepare", key, [name for name in cohort.files(".") if not name.startswith("done")])
    return Cohort(path)


def _shard(extract: Extract, source: Source, task: Task, folder: Path, number: int, shards: _Shards) -> None:
    """Clean, label and tensorise one shard; write its tables."""
    manifest.refuse_unlabelled(task, extract.labelled)
    stays = schemas.check(schemas.Stays, clean_stays(extract.stays), "stays of the source")
    observations, rejects = clean(extract._replace(stays=stays))
    shards.count("after cleaning", stays.height, observations.height)
    stays = stays.join(observations, on="stay_id", how="semi", maintain_order="left")
    shards.count("with any measurement", stays.height, observations.height)
    ragged = tensors.ragged(stays, observations, source.variables, source.statics, task.step_hours)
    long_enough = ragged.lengths > 0
    if not long_enough.all():
        stays = stays.filter(pl.Series(long_enough))
        observations = observations.join(stays.select("stay_id"), on="stay_id", how="semi", maintain_order="left")
        ragged = tensors.ragged(stays, observations, source.variables, source.statics, task.step_hours)
    shards.count("at least one step long", stays.height, observations.height)
    given = extract.episodes.join(stays.select("stay_id"), on="stay_id", how="semi", maintain_order="left")
    times = tensors.step_times(stays, ragged)
    outcome = labels.outcome(task, stays, observations, given, times)
    shards.asked.append(outcome.asked)
    shards.counts.append(manifest.stay_counts(outcome.labels))
    for what, count in outcome.external.items():
        shards.external[what] = shards.external.get(what, 0) + count
    shards.hours.append(manifest.hour_counts(outcome.labels))
    shards.found.append(manifest.found(task, outcome, stays))
    shards.stays.append(stays)
    shards.tensors.append(ragged)
    for rule, count in rejects["rule"].value_counts().sort("rule").iter_rows():
        shards.rejects[rule] = shards.rejects.get(rule, 0) + count
    name = f"part-{number:05d}.parquet"
    write_table(folder / "observations" / name, schemas.check(schemas.Observations, observations, "observations"))
    write_table(folder / "rejects" / name, schemas.check(schemas.Rejects, rejects, "rejects"))
    write_table(folder / "episodes" / name, schemas.check(schemas.Episodes, outcome.episodes, "episodes"))
    write_table(folder / "labels" / name, schemas.check(schemas.Labels, outcome.labels, "labels"))


def _finish(shards: _Shards, source: Source, task: Task, split: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Split, scale and write what needs all shards; return the manifest."""
    if not any(part.height for part in shards.stays):
        raise InputError(f"no stay is left: {shards.funnel}; rejects by rule: {shards.rejects}")
    stays = pl.concat(shards.stays)
    if stays.height != stays["stay_id"].n_unique():
        twice = stays.filter(pl.col("stay_id").is_duplicated())["stay_id"].unique().sort()
        raise InputError(f"{len(twice)} stay(s) stand twice in the source, the first is {twice[0]}")
    manifest.refuse_unused(task, shards.external)
    per_stay = pl.concat(shards.counts)
    with_event = per_stay.filter(pl.col("positives") > 0)["stay_id"].unique()
    stays = splits.assign(stays, stays["stay_id"].is_in(with_event.implode()), **split)
    torn = splits.check_disjoint(stays)
    counts = manifest.split_counts(per_stay, stays)
    manifest.refuse_degenerate(counts, task.min_events)
    ragged = tensors.concatenate(shards.tensors)
    train = np.flatnonzero((stays["split"] == "train").to_numpy())
    scaler = fit_scaler(ragged, train, source.variables, source.statics)
    shards.count("with a prediction time at risk", per_stay.filter(pl.col("rows") > 0)["stay_id"].n_unique(), 0)
    write_table(folder / "stays.parquet", schemas.check(schemas.SplitStays, stays, "stays"))
    write_table(folder / "scaler.parquet", schemas.check(schemas.ScalerTable, scaler.table(), "scaler"))
    ragged.save(folder / "tensors")
    np.save(folder / "asked.npy", np.concatenate(shards.asked))
    return {
        "source": _about(source),
        "task": task.record(),
        "complications": manifest.complications(pl.concat(shards.found), stays.height),
        "targets": task.targets,
        "variables": source.variables,
        "statics": source.statics,
        "split": dict(split),
        "splits": counts,
        "external_labels": shards.external,
        "one_sided": manifest.one_sided(pl.concat(shards.hours)),
        "rejects": shards.rejects,
        "conversions": source.conversions().to_dicts(),
        "funnel": [{"step": step, "stays": n, "observations": m} for step, (n, m) in shards.funnel.items()],
        "coverage": manifest.coverage(ragged, source.variables),
        "leakage": {"patients_in_two_splits": torn, "fitted_on": "train"},
    }


def _about(source: Source) -> dict[str, Any]:
    about = {"title": source.title, "citation": source.citation, "licence": source.licence}
    return about | {"files": _hashes(source)}


def _hashes(source: Source, listed: int = 20) -> dict[str, Any]:
    """Return the SHA-256 of the input files; of many, one over all of them."""
    import hashlib

    files = source.files()
    base = os.path.commonpath([file.parent for file in files]) if files else ""  # two folders may hold one name
    hashes = [(file.relative_to(base).as_posix(), sha256(file)) for file in files]
    if len(files) <= listed:
        return dict(hashes)
    return {f"all {len(files)} files": hashlib.sha256("\n".join(h for _, h in hashes).encode()).hexdigest()}
