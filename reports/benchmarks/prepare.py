"""Time and memory of `prepare`, against its floor: opening and reading the same files.

    python reports/benchmarks/prepare.py FOLDER_OR_ARCHIVE [runs=3]

Every run is a fresh process into an empty folder; the floor is a process that only opens and reads every input.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe

from clinical_lstm.sources import archive


def main(root: str, *options: str) -> None:
    """Measure and print a Markdown table."""
    runs = int(dict(o.split("=") for o in options).get("runs", 3))
    rows = {"floor": [], "prepare": []}
    for _ in range(runs):
        rows["floor"].append(measure([sys.executable, __file__, "--floor", root]))
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "pipelines.prepare", "source=physionet2019", f"source.root={root}",
                       "task=sepsis_6h", f"paths.artifacts={scratch}"]  # fmt: skip
            rows["prepare"].append(measure(command))
    print(f"\n{describe()}; median of {runs} runs; {root}\n")
    print("| process | wall s | CPU s | peak memory GB |\n|---|---|---|---|")
    for name, label in (("floor", "open and read every record"), ("prepare", "prepare")):
        wall, cpu, memory = (statistics.median(figures) for figures in zip(*rows[name]))
        print(f"| {label} | {wall:.1f} | {cpu:.1f} | {memory:.2f} |")


def measure(command: list[str]) -> tuple[float, float, float]:
    """Return (wall s, CPU s, peak GB) of a process, by the operating system's account."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed")
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


if __name__ == "__main__":
    if sys.argv[1] == "--floor":
        print(sum(len(content) for _, content in archive.records(Path(sys.argv[2]), ".psv")))
    else:
        main(*sys.argv[1:])
