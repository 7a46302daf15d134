"""The same records come out of every packing; nothing is lost in silence from a damaged one."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources import archive

RECORDS = {f"r{n}.psv": bytes(str(n), "ascii") * 400 for n in range(5)}


def _folder(root: Path) -> Path:
    for name, content in RECORDS.items():
        (root / "deep").mkdir(parents=True, exist_ok=True)
        (root / "deep" / name).write_bytes(content)
    (root / "notes.txt").write_text("no record")
    (root / "deep" / "._r0.psv").write_bytes(b"a resource fork of macOS")
    return root


def _pack(folder: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if to.suffix == ".zip":
        with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in files:
                packed.write(path, path.relative_to(folder))
    else:
        mode = {".xz": "w:xz", ".gz": "w:gz", ".tgz": "w:gz", ".tar": "w"}[to.suffix]
        with tarfile.open(to, mode) as packed:  # type: ignore[call-overload]
            packed.add(folder, "all")
    return to


def _contents(root: Path) -> dict[str, bytes]:
    return {name.rsplit("/", 1)[-1]: content for name, content in archive.records(root, ".psv")}


@pytest.mark.parametrize("name", ["it.tar.xz", "it.tar.gz", "it.tgz", "it.tar", "it.zip"])
def test_all_packings_hold_the_same_records(tmp_path: Path, name: str) -> None:
    folder = _folder(tmp_path / "loose")
    loose = _contents(folder)
    packed = _pack(folder, tmp_path / "packed" / "inner" / name)
    assert loose == _contents(packed) == _contents(tmp_path / "packed") == RECORDS


def test_records_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    names = [name for name, _ in archive.records(_folder(tmp_path), ".psv")]
    assert [name.rsplit("/", 1)[-1] for name in names] == sorted(RECORDS)
    only = tmp_path / "deep" / "r3.psv"
    assert [name for name, _ in archive.records(only, ".psv")] == [str(only)]


def test_chunks_hold_all_records_once(tmp_path: Path) -> None:
    _folder(tmp_path)
    sizes = [[name for name, _ in chunk] for chunk in archive.chunks(tmp_path, ".psv", 2)]
    assert [len(chunk) for chunk in sizes] == [2, 2, 1]
    assert [name for chunk in sizes for name in chunk] == [name for name, _ in archive.records(tmp_path, ".psv")]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "nowhere", r"there is no file or folder .*nowhere; give the data with source\.root"),
        (lambda p: p / "notes.txt", r"notes\.txt is neither a \*\.psv file nor an archive"),
        (lambda p: p / "empty", r"empty holds no \*\.psv file"),
        (lambda p: _pack(p / "empty", p / "it.tar.gz"), r"it\.tar\.gz holds no \*\.psv file"),
        (lambda p: _pack(p / "empty", p / "it.zip"), r"it\.zip holds no \*\.psv file"),
    ],
)
def test_wrong_path_and_emptiness_are_told(tmp_path: Path, make: object, message: str) -> None:
    _folder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        list(archive.records(make(tmp_path), ".psv"))  # type: ignore[operator]


@pytest.mark.parametrize("share", [0.0, 1e-5, 0.013, 0.2, 0.37, 0.5, 0.77, 0.999, 0.999999])
def test_truncated_download_of_the_sample_is_refused(sample: Path, tmp_path: Path, share: float) -> None:
    whole = sample.read_bytes()
    cut = tmp_path / "sample.tar.xz"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"sample\.tar\.xz is damaged or truncated \(.*\); fetch it again"):
        for _ in archive.records(cut, ".psv"):
            pass


@pytest.mark.parametrize("name", ["it.tar.xz", "it.tar.gz", "it.tar", "it.zip"])
def test_no_cut_loses_a_record_in_silence(tmp_path: Path, name: str) -> None:
    whole = _pack(_folder(tmp_path / "loose"), tmp_path / name).read_bytes()
    refused = 0
    for end in range(0, len(whole), max(len(whole) // 60, 1)):
        (tmp_path / name).write_bytes(whole[:end])
        try:
            assert _contents(tmp_path / name) == RECORDS, "only padding behind the last record may be missing"
        except InputError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("name", ["it.tar.xz", "it.tar.gz", "it.zip"])
def test_no_flipped_bit_alters_a_record_in_silence(tmp_path: Path, name: str) -> None:
    whole = _pack(_folder(tmp_path / "loose"), tmp_path / name).read_bytes()
    refused = 0
    for at in range(0, len(whole), max(len(whole) // 60, 1)):
        (tmp_path / name).write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            found = _contents(tmp_path / name)
            assert all(RECORDS.get(key, content) == content for key, content in found.items())
        except InputError:
            refused += 1
    assert refused > 10


def test_fingerprint_follows_names_sizes_and_times_alone(tmp_path: Path) -> None:
    one, two = _folder(tmp_path / "one"), _folder(tmp_path / "two")
    for folder in (one, two):
        for path in folder.rglob("*.psv"):
            path.touch()
    before = archive.fingerprint(one, ".psv")
    assert archive.fingerprint(one, ".psv") == before
    (one / "notes.txt").write_text("still no record")
    assert archive.fingerprint(one, ".psv") == before
    (one / "deep" / "r0.psv").write_bytes(b"other")
    assert archive.fingerprint(one, ".psv") != before
