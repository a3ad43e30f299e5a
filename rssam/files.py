"""Write files atomically and durably, and compute their digests."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path

from rssam.errors import UserError


def sha256_file(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes in hex, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomic(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new, never a part, even across a power cut.

    Not `durable` is quicker, and a power cut may spoil the file. Raises UserError if the disk is full; nothing is left
    behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"no space left on the disk while writing {path}: free some and run again") from error
        raise
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
