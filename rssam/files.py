"""Write files atomically and durably, and compute their digests."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rssam.errors import UserError

try:
    import fcntl
except ImportError as error:
    raise UserError(
        f"rssam-bench holds its runs with file locks that {sys.platform} does not have: it runs on Linux, and on "
        "Windows inside WSL 2"
    ) from error


def sha256_file(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes in hex, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_locked(path: Path) -> bool:
    """Return whether a living process holds the lock on a file. Nothing is written, so it may be read-only."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def require_writable(folder: Path, what: str) -> None:
    """Raise UserError unless files can be made in a folder, or in the first of those above it that is there.

    `what` would be written. Nothing is: the file that tries has no name.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({error.strerror}), and {what} would be written there: copy what you need "
            "of it to a folder of your own, or ask its owner"
        ) from error


def require_no_folder(path: Path) -> None:
    """Raise UserError if a folder is where a file is to be written."""
    if path.is_dir():
        raise UserError(f"expected a place for a file, found a folder at {path}: choose another name")


def write_atomic(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new, never a part, even across a power cut.

    Not `durable` is quicker, and a power cut may spoil the file. Raises UserError if the disk is full; nothing is left
    behind then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"expected a folder at {path.parent} for {path.name}, found a file: name another") from error
    try:
        with replacement(path) as (descriptor, _), os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"no space left on the disk while writing {path}: free some and run again") from error
        error.filename = str(path)  # in place of the temporary file, which the user did not name
        raise


@contextmanager
def replacement(path: Path) -> Iterator[tuple[int, Path]]:
    """Give a temporary file beside `path`, as descriptor and path; at the end it is renamed to `path`.

    It is removed if something is raised. Its mode is that of the umask, as of any new file. What a killed process left
    of an earlier one is removed. The lock on the descriptor tells the two apart, so nothing but this may close it.
    """
    require_no_folder(path)
    descriptor, temporary = _open_temporary(path)
    try:
        yield descriptor, temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """Give an empty folder in `parent` that is removed at the end.

    What killed processes left of earlier ones of this `name` is removed too. The lock on each tells the two apart.
    """
    prefix = f".{name}.scratch-"
    for leftover in [parent / entry for entry in os.listdir(parent) if entry.startswith(prefix)]:
        with suppress(OSError), _opened_folder(leftover) as descriptor:  # held by a living process, or another user's
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(leftover)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            with _opened_folder(folder) as descriptor:
                with suppress(OSError):  # of a file system without locks: then nothing is ever taken for a leftover
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                if _is_at(folder, descriptor):
                    yield folder
                    return
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened_folder(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_temporary(path: Path) -> tuple[int, Path]:
    """Open a new, locked file beside `path`. Only if its first name is taken is the folder searched for leftovers."""
    name = "0"
    while True:
        temporary = path.with_name(f".{path.name}.{name}.tmp")
        name = secrets.token_hex(4)
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            _remove_leftovers(path)
            continue
        with suppress(OSError):  # of a file system without locks: then nothing is ever taken for a leftover
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(temporary, descriptor):
            return descriptor, temporary
        os.close(descriptor)  # removed as a leftover before it was locked


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `path` that no process holds locked."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.\w+\.tmp")
    for name in os.listdir(path.parent):
        if pattern.fullmatch(name):
            leftover = path.with_name(name)
            with suppress(OSError):  # held by a living process, or gone, or another user's
                descriptor = os.open(leftover, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is_at(leftover, descriptor):
                        leftover.unlink()
                finally:
                    os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def write_durable(path: Path, content: bytes) -> None:
    """Write a file as `write_atomic` does, and bring its folder to the disk too. Raises UserError if it is full."""
    write_atomic(path, content)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: without it a power cut may undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
