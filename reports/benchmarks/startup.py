"""How long a user waits for help, and what an import costs: `python reports/benchmarks/startup.py`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from machine import describe

COMMANDS = {
    "python -c pass (the floor)": ["-c", "pass"],
    "import clinical_lstm": ["-c", "import clinical_lstm"],
    "clinical-lstm --help": ["-m", "pipelines", "--help"],
    "clinical-lstm train --help": ["-m", "pipelines", "train", "--help"],
}


def main(runs: int = 7) -> None:
    """Print the median wall time of fresh processes."""
    print(f"{describe()}; median of {runs} fresh processes\n\n| command | s |\n|---|---|")
    for name, arguments in COMMANDS.items():
        times = []
        for _ in range(runs):
            begin = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - begin)
        print(f"| {name} | {statistics.median(times):.3f} |")


if __name__ == "__main__":
    main()
