"""Time and memory of `prepare` on millions of measurements: random hospital tables, three complications.

    python reports/benchmarks/scale.py [millions=100]

The floor is a process that reads every row once (the count of each variable).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from machine import describe
from prepare import measure

RANGES = {
    "heart_rate": (60, 120), "map": (60, 110), "respiratory_rate": (10, 30), "spo2": (92, 100), "temperature": (36, 39),
    "potassium": (3, 5.8), "platelets": (80, 300), "creatinine": (0.6, 2), "lactate": (0.8, 3), "glucose": (70, 200),
}  # fmt: skip
ROWS, HOURS, FILE_STAYS = 500, 100.0, 2000  # rows and hours of a stay, stays in a file


def main(*options: str) -> None:
    """Measure and print a Markdown table."""
    millions = int(dict(o.split("=") for o in options).get("millions", 100))
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch), millions * 2000)
        count = f"import polars as pl; pl.scan_parquet('{scratch}/rows/*').group_by('variable').len().collect()"
        command = [sys.executable, "-m", "pipelines.prepare", "source=table", f"source.root={scratch}", "task=onset",
                   "source.observations=rows/*.parquet", "complication=[hypotension,hyperkalaemia,thrombocytopenia]",
                   "task.horizons_hours=[12]", "task.whole_horizon=true", f"paths.artifacts={scratch}/a"]  # fmt: skip
        figures = {"read every row": measure([sys.executable, "-c", count]), "prepare": measure(command)}
        size = subprocess.run(["du", "-sm", f"{scratch}/rows"], capture_output=True, text=True, check=True).stdout
    print(f"\n{describe()}; {millions} million rows, {size.split()[0]} MB of Parquet\n")
    print("| process | wall s | CPU s | peak memory GB |\n|---|---|---|---|")
    for name, (wall, cpu, memory) in figures.items():
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {memory:.2f} |")


def write(folder: Path, stays: int) -> None:
    """Write a hospital of `stays` stays, ROWS measurements each."""
    (folder / "rows").mkdir()
    ids = pl.Series("stay_id", np.arange(stays)).cast(pl.String).str.zfill(7)
    pl.DataFrame({"stay_id": ids, "length_hours": HOURS, "age_years": 60.0}).write_csv(folder / "stays.csv")
    low, high = np.array(list(RANGES.values())).T
    for begin in range(0, stays, FILE_STAYS):
        random, own = np.random.default_rng(begin), ids[begin : begin + FILE_STAYS]
        n = len(own) * ROWS
        which = random.integers(0, len(RANGES), n)
        pl.DataFrame(
            {
                "stay_id": own.gather(np.repeat(np.arange(len(own)), ROWS)),
                "hours": np.sort(random.uniform(0, HOURS, (len(own), ROWS)), axis=1).ravel().round(2),
                "variable": pl.Series(list(RANGES)).gather(which),
                "value": random.uniform(low[which], high[which]).round(2),
            }
        ).write_parquet(folder / "rows" / f"{begin:07d}.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
