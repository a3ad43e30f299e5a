"""Extract ZIP and TAR archives safely: refuse members outside the folder, links, devices and bombs."""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal, cast

from data_prep.errors import DataError

MAX_BYTES = 200 * 10**9
"""Unpacked size up to which an archive is believed; the largest published set here, raw aerial rasters, has less."""

MAX_RATIO = 200
"""Unpacked over packed size up to which a member and a whole archive are believed; pictures hardly shrink."""

SMALL = 1 << 20
"""Packed bytes below which the ratio counts as from here: an empty label of 0.8 MB shrinks to 1 kB, and is no bomb."""

MAX_MEMBERS = 200_000
"""The largest published set here has 17 thousand files."""

MAX_HEADER = 1 << 26
"""Bytes that are read at once; copying asks for far less, a TAR's forged header for as much as it likes."""

READ = (".zip", ".tar", ".tar.gz", ".tgz")
NOT_READ = (".rar", ".7z", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")

DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError)
"""What the libraries raise where an archive is not as it should be."""

MemberFilter = Callable[[str], bool]
"""Returns whether a member, by its path in the archive with "/" on every system, is to be unpacked."""


@contextmanager
def opened_source(source: Path, scratch: Path, wanted: MemberFilter) -> Iterator[Path]:
    """Yield the folder with the files of `source`: itself, or `scratch` with an archive's content, removed afterwards.

    Raises DataError if `source` is missing, unreadable, or neither folder nor ZIP, TAR or TAR.GZ.
    """
    if source.is_dir():
        yield source
        return
    shutil.rmtree(scratch, ignore_errors=True)  # left by a run that was killed
    try:
        extract(source, scratch, wanted)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def extract(
    archive: Path, out: Path, wanted: MemberFilter, *, most_bytes: int | None = None, most_members: int | None = None
) -> None:
    """Unpack the members of an archive that `wanted` accepts as folder `out`, which appears when it is whole.

    Raises DataError for a damaged or encrypted archive, and for sizes beyond belief. The same for any member, wanted or
    not, that would be written outside of `out` or is a link or a device.

    Args:
        archive: the ZIP or TAR file.
        out: the folder.
        wanted: returns whether a member of that name is unpacked.
        most_bytes: unpacked size up to which the archive is believed.
        most_members: their number up to which the archive is believed.
    """
    kind = archive_kind(archive)
    bounds = (most_bytes or MAX_BYTES, most_members or MAX_MEMBERS)
    unfinished = out.with_name(f"{out.name}.unpacking")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        if kind == "ZIP":
            _extract_zip(archive, unfinished, wanted, *bounds)
        else:
            _extract_tar(archive, kind, unfinished, wanted, *bounds)
        os.replace(unfinished, out)
    except DAMAGED as error:
        raise DataError(f"{archive} is a damaged or incomplete {kind} ({error}). Download it again.") from error
    except (RuntimeError, NotImplementedError) as error:  # zipfile's way to say: encrypted, unknown compression
        raise DataError(f"{archive} cannot be unpacked here ({error}). Unpack it and give the folder.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        if error.filename is None:  # gzip and bz2 say so that the content is damaged, or an offset is absurd
            raise DataError(f"{archive} is a damaged or incomplete {kind} ({error}). Download it again.") from error
        raise DataError(f"{archive} cannot be unpacked: {error.filename}: {error.strerror}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def archive_kind(source: Path) -> Literal["ZIP", "TAR", "TAR.GZ"]:
    """Return what a file is by its first bytes, whatever its name. Raises DataError if it is no readable archive."""
    expected = "expected a folder or an archive (zip, tar, tar.gz)"
    if not source.is_file():
        found = "something that is no file" if os.path.lexists(source) else "nothing"
        raise DataError(f"{expected}, found {found} at {source}. Give the right path with --source.")
    try:
        with source.open("rb") as stream:
            start = stream.read(tarfile.BLOCKSIZE)
    except OSError as error:
        raise DataError(f"{expected}, found {source}, which cannot be read ({error.strerror}).") from error
    if start.startswith(b"PK"):
        return "ZIP"
    if start.startswith(b"\x1f\x8b"):
        return "TAR.GZ"
    if start[257:262] == b"ustar" or (len(start) == tarfile.BLOCKSIZE and _is_old_header(start)):
        return "TAR"
    raise DataError(f"{expected}, found another file: {source}. Unpack it and give the folder.")


def archives_within(source: Path) -> list[str]:
    """Return the names of the archives in a folder or an archive, for the message where it holds nothing else."""
    if source.is_dir():
        names = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
    elif archive_kind(source) == "ZIP":
        with zipfile.ZipFile(source) as opened:
            names = opened.namelist()
    else:
        return []  # listing a TAR.GZ would unpack it a second time
    return sorted(name for name in names if name.lower().endswith((*READ, *NOT_READ)))


def _is_old_header(block: bytes) -> bool:
    """Return whether 512 bytes are the header of a TAR from before 1988, which has no magic number."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _extract_zip(archive: Path, out: Path, wanted: MemberFilter, most_bytes: int, most_members: int) -> None:
    with zipfile.ZipFile(archive) as opened:
        chosen: dict[str, zipfile.ZipInfo] = {}
        members = opened.infolist()
        _refuse_many(archive, len(members), most_members)
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            name = _safe_name(archive, member.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
            if name and not member.is_dir() and wanted(name):
                _refuse_twice(archive, name, name in chosen)
                _refuse_huge(archive, member.compress_size, member.file_size, f"its member {name!r}")
                chosen[name] = member
        # Members that overlap would count their packed bytes more than once.
        packed = min(sum(member.compress_size for member in chosen.values()), archive.stat().st_size)
        _refuse_huge(archive, packed, sum(member.file_size for member in chosen.values()), "it", most_bytes)
        for name, member in chosen.items():
            # Opening checks the checksum at the end and never gives more bytes than the member declares.
            with opened.open(member) as packed_stream:
                _write(packed_stream, out / name)


def _extract_tar(
    archive: Path,
    kind: Literal["TAR", "TAR.GZ"],
    out: Path,
    wanted: MemberFilter,
    most_bytes: int,
    most_members: int,
) -> None:
    size = archive.stat().st_size
    limit = min(most_bytes, MAX_RATIO * max(size, SMALL)) if kind == "TAR.GZ" else most_bytes
    with gzip.open(archive) if kind == "TAR.GZ" else archive.open("rb") as plain:
        stream = _Measured(cast("IO[bytes]", plain), archive, size, limit)
        written: set[str] = set()
        with tarfile.TarFile(fileobj=cast("IO[bytes]", stream)) as opened:
            for count, member in enumerate(opened, start=1):
                _refuse_many(archive, count, most_members)
                # A sparse file is nearly all hole: a few bytes that declare any size.
                name = _safe_name(archive, member.name, (member.isreg() or member.isdir()) and not member.issparse())
                if name and member.isreg() and wanted(name):
                    _refuse_twice(archive, name, name in written)
                    if member.size > limit:
                        raise _bomb(archive, f"its member {name!r}", size, member.size)
                    packed = opened.extractfile(member)
                    assert packed is not None  # of a regular file there always is one
                    _write(packed, out / name, member.size)
                    written.add(name)
        # tarfile takes a damaged header, or the end of a file cut short, for the end of the archive.
        if stream.last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("its end is missing")
        while rest := stream.read(SMALL):  # to the end of a gzip stream, where its checksum is
            if rest.strip(b"\0"):
                raise tarfile.ReadError("there is something behind its end")


class _Measured:
    """Stream of unpacked bytes that refuses to give more than `limit`; `last` is what was read last."""

    def __init__(self, stream: IO[bytes], archive: Path, packed: int, limit: int) -> None:
        self._stream, self._archive, self._packed, self._limit = stream, archive, packed, limit
        self.last = b""

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        self.last = self._stream.read(size)
        if self.tell() > self._limit:
            raise _bomb(self._archive, "it", self._packed, self.tell())
        return self.last

    def seek(self, place: int) -> int:
        """Forward only, by reading, so that what is skipped is measured too."""
        while (remaining := place - self.tell()) > 0:
            if not self.read(min(remaining, SMALL)):
                raise tarfile.ReadError("unexpected end of data")
        if remaining < 0:
            raise tarfile.ReadError("a header points backwards")
        return place


def _write(packed: IO[bytes], target: Path, size: int | None = None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with packed, target.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
        if size is not None and unpacked.tell() != size:
            raise tarfile.ReadError("unexpected end of data")


def _safe_name(archive: Path, name: str, file_or_folder: bool) -> str:
    """Return the path of a member with "/" on every system, "" for the archive's own folder.

    Raises DataError if unsafe.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]):
        problem = "would be written outside of its folder"
    elif not file_or_folder:
        problem = "is a link or a device"
    else:
        return path.as_posix() if path.parts else ""
    raise DataError(f"{archive} is not safe to unpack: its member {name!r} {problem}.")


def _refuse_huge(archive: Path, packed: int, unpacked: int, what: str, most_bytes: int | None = None) -> None:
    if unpacked > (most_bytes or MAX_BYTES) or unpacked > MAX_RATIO * max(packed, SMALL):
        raise _bomb(archive, what, packed, unpacked)


def _bomb(archive: Path, what: str, packed: int, unpacked: int) -> DataError:
    return DataError(
        f"{archive} is not safe to unpack: {what} has {packed} bytes that would become {unpacked} or more "
        f"(believed: {MAX_RATIO} times as many, and {MAX_BYTES} at most)."
    )


def _refuse_many(archive: Path, count: int, most: int) -> None:
    if count > most:
        raise DataError(f"{archive} is not safe to unpack: it has more than {most} members.")


def _refuse_twice(archive: Path, name: str, repeated: bool) -> None:
    if repeated:  # the later one would silently replace the first
        raise DataError(f"{archive} holds {name!r} twice. Unpack it, keep the right one and give the folder.")
