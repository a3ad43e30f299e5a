"""A picture file as it is read from disk, with what lies beside it, and the digest of both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from data_prep.images.place import Place, place_beside
from rssam.files import sha256_file


@dataclass(frozen=True)
class SourceFile:
    """The bytes of a picture file, and what lies beside it."""

    content: bytes
    mask: bytes | None = None  # of the mask file beside it, FILE.msk
    place: Place | None = None  # of its world file, or of its .aux.xml

    @classmethod
    def read(cls, path: Path) -> SourceFile:
        """Read a file and what lies beside it. Raises OSError."""
        mask = mask_beside(path)
        return cls(path.read_bytes(), mask.read_bytes() if mask is not None else None, place_beside(path))

    @property
    def digest(self) -> str:
        """SHA-256 in hex, of the mask file too where there is one: it decides on labels."""
        return _joined(*(hashlib.sha256(each).hexdigest() for each in (self.content, self.mask) if each is not None))


def digest_of(path: Path) -> str:
    """Compute `SourceFile.digest` of a file of any size. Raises OSError."""
    return _joined(*(sha256_file(each) for each in (path, mask_beside(path)) if each is not None))


def _joined(digest: str, *more: str) -> str:
    return hashlib.sha256(" ".join((digest, *more)).encode()).hexdigest() if more else digest


def mask_beside(path: Path) -> Path | None:
    """Return the file beside a picture in which GDAL keeps its mask, or None."""
    beside = path.with_name(f"{path.name}.msk")
    return beside if beside.is_file() else None
