"""Records from a folder, nested folders or archives (.tar.xz, .tar.gz, .tgz, .tar, .zip), in a fixed order."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import IO, Self, cast

from clinical_lstm.artifacts import digest
from clinical_lstm.errors import InputError

ARCHIVES = (".tar.xz", ".tar.gz", ".tgz", ".tar", ".zip")
DAMAGED = (tarfile.ReadError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError)
UNREADABLE = (RuntimeError, NotImplementedError)  # zipfile: encrypted, unknown compression


class _Header(tarfile.TarInfo):
    """A tar header whose absence or damage is a fault: tarfile alone takes it for the end and drops what follows."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Return the next header; raises ReadError where neither a header nor the end mark stands."""
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # absent from the type stubs
            raise
        except tarfile.HeaderError as fault:
            raise tarfile.ReadError(str(fault)) from fault


def records(root: Path | str, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every file that ends with `suffix` below `root`, sorted by path.

    `root` is a folder (archives lying in it are opened too) or one archive. Files inside an archive come in the
    archive's own order. Raises InputError for a path that does not exist, holds no such file, or is truncated.
    """
    root = Path(root)
    found = 0
    for path in inputs(root, suffix):
        source = _members(path, suffix) if path.name.endswith(ARCHIVES) else iter([(str(path), path.read_bytes())])
        for name, content in source:
            found += 1
            yield name, content
    if not found:
        raise InputError(f"{root} holds no *{suffix} file, neither loose nor in an archive ({', '.join(ARCHIVES)})")


def chunks(root: Path | str, suffix: str, size: int) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the records in lists of `size`, reading the next list in a thread while the caller works on this one."""
    stream = records(root, suffix)
    with ThreadPoolExecutor(max_workers=1) as reader:
        pending = reader.submit(lambda: list(islice(stream, size)))
        while chunk := pending.result():
            pending = reader.submit(lambda: list(islice(stream, size)))
            yield chunk


def fingerprint(root: Path | str, suffix: str = "") -> str:
    """Return a digest of names, sizes and modification times of the inputs below `root`; reads no content."""
    root = Path(root)
    stats = [(str(path.relative_to(root)), path.stat()) for path in inputs(root, suffix)]
    return digest([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])


def inputs(root: Path | str, suffix: str) -> list[Path]:
    """Return the files that `records` reads, sorted: loose records and archives; no resource forks of macOS (`._x`)."""
    root = Path(root)
    if root.is_file():
        if not root.name.endswith((*ARCHIVES, suffix)):
            raise InputError(f"{root} is neither a *{suffix} file nor an archive ({', '.join(ARCHIVES)})")
        return [root]
    if not root.is_dir():
        raise InputError(f"there is no file or folder {root}; give the data with source.root=FOLDER_OR_ARCHIVE")
    return sorted(p for p in root.rglob("*") if _wanted(p.name, (*ARCHIVES, suffix)) and p.is_file())


def _members(path: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Yield the members of one archive."""
    try:
        if path.name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if _wanted(name, suffix):
                        yield f"{path}/{name}", archive.read(name)
        else:
            with _opened(path) as raw, tarfile.open(fileobj=raw, mode="r|", tarinfo=_Header) as archive:
                for member in archive:
                    stream = archive.extractfile(member) if _wanted(member.name, suffix) else None
                    if stream is not None:
                        yield f"{path}/{member.name}", stream.read()
                while raw.read(1 << 20):  # the checksum of the compression stands at its end
                    pass
    except DAMAGED as fault:
        raise InputError(f"{path} is damaged or truncated ({fault}); fetch it again") from fault
    except UNREADABLE as fault:
        raise InputError(f"{path} cannot be read ({fault}); unpack it into a folder first") from fault


def _opened(path: Path) -> IO[bytes]:
    """Return the decompressed bytes of a tar archive as a file."""
    if path.name.endswith(".xz"):
        return lzma.open(path)
    return path.open("rb") if path.name.endswith(".tar") else cast("IO[bytes]", gzip.open(path))


def _wanted(name: str, suffix: str | tuple[str, ...]) -> bool:
    base = name.rsplit("/", 1)[-1]
    return base.endswith(suffix) and not base.startswith("._")
