"""Safe extraction: an archive from the internet may hold paths, links and sizes that were made to do harm."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from data_prep.base import DataError

MAX_BYTES = 64 << 30
"""Unpacked size up to which an archive is believed; the largest published set here has 8 GB."""

MAX_RATIO = 200
"""Unpacked over packed size up to which an archive is believed; pictures hardly shrink."""


@contextmanager
def opened_source(source: Path, scratch: Path, wanted: Callable[[str], bool]) -> Iterator[Path]:
    """The folder that holds the files of `source`: itself, or `scratch` with a ZIP's content, removed afterwards.

    Raises DataError if `source` is missing or is neither folder nor ZIP.
    """
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise DataError(f"expected a folder or a ZIP, found nothing at {source}. Give the right path with --source.")
    with source.open("rb") as stream:
        is_zip = stream.read(2) == b"PK"
    if not is_zip:
        raise DataError(f"expected a folder or a ZIP, found another file: {source}. Unpack it and give the folder.")
    shutil.rmtree(scratch, ignore_errors=True)  # left by a run that was killed
    try:
        extract(source, scratch, wanted)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def extract(archive: Path, out: Path, wanted: Callable[[str], bool]) -> None:
    """Unpack the members of a ZIP that `wanted` accepts (by their path in the archive) below `out`.

    Raises DataError for a damaged or encrypted archive, and for any member, wanted or not, that would be
    written outside of `out` or is a link or a device, or for sizes beyond belief.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            for member in members:
                _refuse_unsafe(archive, member)
            chosen = [member for member in members if not member.is_dir() and wanted(member.filename)]
            _refuse_huge(archive, chosen)
            for member in chosen:
                target = out / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                # Opening checks the checksum at the end and never gives more bytes than the member declares.
                with opened.open(member) as packed, target.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{archive} is a damaged or incomplete ZIP ({error}). Download it again.") from error
    except (RuntimeError, NotImplementedError) as error:  # zipfile's way to say: encrypted, unknown compression
        raise DataError(f"{archive} cannot be unpacked here ({error}). Unpack it and give the folder.") from error


def _refuse_unsafe(archive: Path, member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    kind = stat.S_IFMT(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        problem = "would be written outside of its folder"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        problem = "is a link or a device"
    else:
        return
    raise DataError(f"{archive} is not safe to unpack: its member {member.filename!r} {problem}.")


def _refuse_huge(archive: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    packed, unpacked = sum(member.compress_size for member in members), sum(member.file_size for member in members)
    if unpacked > MAX_BYTES or unpacked > MAX_RATIO * max(packed, 1 << 20):
        raise DataError(f"{archive} is not safe to unpack: {packed} bytes would become {unpacked}.")
