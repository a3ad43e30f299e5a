"""Fingerprints of images, to compare thousands with each other: four edges and a thumbnail."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.manifest import Entry
from data_prep.processes import Progress, map_in_threads

THUMBNAIL = 32
"""Side in pixels of a thumbnail."""


@dataclass(frozen=True, eq=False)
class Edges:
    """Outermost pixels of an image, downwards or to the right."""

    left: NDArray[np.uint8]  # [height, 3]
    right: NDArray[np.uint8]  # [height, 3]
    top: NDArray[np.uint8]  # [width, 3]
    bottom: NDArray[np.uint8]  # [width, 3]

    def packed(self) -> str:
        """Return the edges as text, for the record of an unfinished `prepare`."""
        sides = (self.left, self.right, self.top, self.bottom)
        return base64.b64encode(b"".join(side.tobytes() for side in sides)).decode()


@dataclass(frozen=True, eq=False)
class Fingerprint(Edges):
    """Fingerprint of an image, in a few kilobytes."""

    thumbnail: NDArray[np.uint8]  # grey [THUMBNAIL, THUMBNAIL], each pixel the mean of its area
    blank: bool  # every pixel has the same colour


def edges_of(pixels: NDArray[np.uint8]) -> Edges:
    """Return the edges of an image [height, width, 3]."""
    sides = (pixels[:, 0], pixels[:, -1], pixels[0], pixels[-1])
    return Edges(*(side.copy() for side in sides))  # copies let the image go


def unpacked(text: str, size: tuple[int, int]) -> Edges:
    """Return the edges that `Edges.packed` wrote, of an image of `size` (height, width). Raises ValueError."""
    values = np.frombuffer(base64.b64decode(text, validate=True), np.uint8).reshape(-1, 3)
    height, width = size
    if len(values) != 2 * (height + width):
        raise ValueError(f"expected the edges of {width}x{height} pixels, found {len(values)} pixels")
    return Edges(*np.split(values, (height, 2 * height, 2 * height + width)))


def fingerprint(picture: Image.Image) -> Fingerprint:
    """Compute the edges and the thumbnail of an RGB image."""
    pixels = np.asarray(picture)
    small = picture.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    blank = bool((pixels == pixels[0, 0]).all())
    return Fingerprint(**vars(edges_of(pixels)), thumbnail=np.asarray(small), blank=blank)


def fingerprint_all(
    folder: Path, entries: Sequence[Entry], workers: int, progress: Progress
) -> list[Fingerprint | None]:
    """Compute the fingerprint of every entry's prepared image, in their order; None for a file that cannot be read.

    Memory holds one decoded image a worker.

    Args:
        folder: the prepared folder.
        entries: of its manifest.
        workers: threads.
        progress: called after each file.
    """
    return map_in_threads(lambda entry: _read(folder / entry.image), entries, workers, progress, "compare edges")


def _read(path: Path) -> Fingerprint | None:
    try:
        with Image.open(path) as picture:
            return fingerprint(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None
