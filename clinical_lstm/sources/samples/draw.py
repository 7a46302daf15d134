"""Draw the sample of PhysioNet/CinC 2019 that is shipped: `python -m clinical_lstm.sources.samples.draw ROOT OUT`.

Stays are stratified by hospital and outcome in the proportions of the release and taken in the order of a hash of their
name, so that the draw depends on the names alone. Records are copied byte for byte into one `.tar.xz`.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from pathlib import Path

from clinical_lstm.sources import archive

STAYS = 4000


def draw(root: str, out: str, stays: int = STAYS) -> None:
    """Write about `stays` records of `root` to the archive `out`; times and owners are fixed: same bytes always."""
    strata: dict[tuple[str, bool], list[tuple[str, bytes]]] = {}
    for name, content in archive.records(root, ".psv"):
        base = name.rsplit("/", 1)[-1]
        site = "A" if base < "p1" else "B"
        septic = any(line.endswith(b"|1") for line in content.splitlines()[1:])
        strata.setdefault((site, septic), []).append((base, content))
    total = sum(len(records) for records in strata.values())
    chosen = []
    for (site, _), records in sorted(strata.items()):
        ranked = sorted(records, key=lambda record: hashlib.sha256(record[0].encode()).digest())
        chosen += [
            (f"training_set{site}/{name}", content) for name, content in ranked[: round(stays * len(records) / total)]
        ]
    with tarfile.open(out, "w:xz", preset=9) as sample:
        for name, content in sorted(chosen):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            sample.addfile(entry, io.BytesIO(content))
    print(f"{out}: {len(chosen)} of {total} stays, {Path(out).stat().st_size:,} bytes")


if __name__ == "__main__":
    draw(sys.argv[1], sys.argv[2])
