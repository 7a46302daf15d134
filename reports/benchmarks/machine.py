"""One line on where and at which commit a figure was measured."""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path


def describe() -> str:
    """Return processor, cores, torch and commit."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "processor")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    return f"{processor}, {os.cpu_count()} cores, torch {metadata.version('torch')}, commit {commit.strip() or 'none'}"
