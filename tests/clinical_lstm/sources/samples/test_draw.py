from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import pytest

from clinical_lstm.sources import archive
from clinical_lstm.sources.samples.draw import draw


def kinds(root: Path) -> Counter[tuple[str, bool]]:
    """Return how many records each (hospital folder, septic) has."""
    return Counter(
        (name.split("/")[-2], any(line.endswith(b"|1") for line in content.splitlines()[1:]))
        for name, content in archive.records(root, ".psv")
    )


@pytest.fixture(scope="module")
def drawn(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("draw") / "sample.tar.xz"
    draw(str(tiny_source), str(out), stays=60)
    return out


def test_sample_keeps_the_proportions_of_hospital_and_outcome(drawn: Path, tiny_source: Path) -> None:
    whole, sample = kinds(tiny_source), kinds(drawn)
    assert sum(sample.values()) == 60
    assert sample == {kind: count // 4 for kind, count in whole.items()}


def test_records_are_copied_byte_for_byte(drawn: Path, tiny_source: Path) -> None:
    for name, content in archive.records(drawn, ".psv"):
        folder, base = name.split("/")[-2:]
        assert content == (tiny_source / folder / base).read_bytes()


def test_same_records_give_the_same_bytes_wherever_they_lie(drawn: Path, tmp_path: Path) -> None:
    """A draw of a draw takes all of it, and is it."""
    with tarfile.open(drawn) as sample:
        sample.extractall(tmp_path / "elsewhere", filter="data")
    draw(str(tmp_path / "elsewhere"), str(tmp_path / "again.tar.xz"), stays=60)
    assert (tmp_path / "again.tar.xz").read_bytes() == drawn.read_bytes()


def test_shipped_sample_has_the_size_and_the_outcomes_of_a_draw(sample: Path) -> None:
    found = kinds(sample)
    assert 3990 <= sum(found.values()) <= 4010
    septic = sum(count for (_, is_septic), count in found.items() if is_septic)
    assert 0.06 < septic / sum(found.values()) < 0.09
