"""Time of the complications that are derived from measurements, and how frequent they are in a data set.

    python reports/benchmarks/labels.py SOURCE root=FOLDER [KEY=VALUE of the source ...] [runs=3]

The data are read and cleaned once; each complication, with its default thresholds, then runs over all shards.
"""

from __future__ import annotations

import statistics
import sys
import time

import polars as pl
from machine import describe

from clinical_lstm import plugins
from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.data.labels import judged
from clinical_lstm.data.task import Task, needs
from clinical_lstm.sources.base import Extract
from clinical_lstm.variables import dynamic_names


def main(source: str, *options: str) -> None:
    """Measure and print a Markdown table."""
    told = dict(o.split("=", 1) for o in options)
    runs = int(told.pop("runs", 3))
    data = plugins.build("sources", {"name": source} | told)
    begin = time.perf_counter()
    shards = [
        extract._replace(stays=clean_stays(extract.stays), observations=clean(extract)[0])
        for extract in data.extracts()
    ]
    took = time.perf_counter() - begin
    rows, stays = (sum(getattr(shard, name).height for shard in shards) for name in ("observations", "stays"))
    print(f"\n{describe()}, polars {pl.__version__}; median of {runs} runs; {data.title}")
    print(f"{rows:,} observations of {stays:,} stays, read and cleaned in {took:.1f} s\n")
    print("| complication | rows used | stays judged | episodes | stays with an onset | of those judged | s |")
    print("|---|---|---|---|---|---|---|")
    measured = [name for name in plugins.names("complications") if needs(name)]
    known = [
        name for name in measured if any(set(one) & set(dynamic_names()) <= set(data.variables) for one in needs(name))
    ]
    seconds = [row(name, shards, runs) for name in known]
    print(f"| all | | | | | | {sum(seconds):.2f} |")


def row(name: str, shards: list[Extract], runs: int) -> float:
    """Print the row of one complication; return its median time."""
    seconds = []
    for _ in range(runs):
        begin = time.perf_counter()
        found = pl.concat(
            plugins.build("complications", {"name": name}, stays=s.stays, observations=s.observations, given=s.episodes)
            for s in shards
        )
        seconds.append(time.perf_counter() - begin)
    used = pl.col("variable").is_in({variable for one in needs(name) for variable in one})
    rows = sum(shard.observations.filter(used).height for shard in shards)
    task = Task("labels", [name], [6.0])
    able = sum(len(judged(task, shard.stays, shard.observations)[name]) for shard in shards)
    hit = found["stay_id"].n_unique()
    share = f"{hit / able:.1%}" if able else "-"
    took = statistics.median(seconds)
    print(f"| {name} | {rows:,} | {able:,} | {found.height:,} | {hit:,} | {share} | {took:.2f} |")
    return took


if __name__ == "__main__":
    main(*sys.argv[1:])
