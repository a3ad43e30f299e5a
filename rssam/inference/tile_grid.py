"""Place the overlapping tiles that cover a raster, and weigh their pixels where several overlap.

The places of tiles follow from the raster's size alone, never from how it is stored or read: the same raster gives the
same map. Along each axis they stand `tile - overlap` pixels apart. The last tile is moved back inside, except for up to
31 pixels, because it keeps the phase of the others. Its reader reflects the border there, as it does for a raster below
a tile.

Weights are the square of a Hann window, because a network knows least at the border of its tile. They are normalised:
over every row and column they add up to one. The weight of a pixel is the product of its row's and its column's. So two
short tables stand for the weight maps of all tiles, and a blended probability needs no division. Imports no torch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rssam.errors import UserError

PHASE = 32
"""Networks halve a map up to five times: tiles at a multiple of this from each other are sampled alike."""


def aligned(tile: int, overlap: int) -> int:
    """Return the least overlap, from `overlap` on, that sets tiles a multiple of 32 pixels apart.

    `overlap` itself if they stand less than 32 pixels apart.
    """
    step = tile - overlap
    return overlap if step < PHASE else tile - step // PHASE * PHASE


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis of `length` pixels."""

    length: int
    tile: int
    overlap: int
    shift: int = 0  # pixels by which the tiles after the first come sooner, 0..tile - overlap - 1

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Return the first pixel of each tile, ascending: 0 to `length - tile` or up to 31 more (0 if negative)."""
        step = self.tile - self.overlap
        phase = PHASE if step % PHASE == 0 else 1
        last = -(-max(self.length - self.tile, 0) // phase) * phase
        return (0, *range(step - self.shift, last, step), last) if last else (0,)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """Return weights [tiles, tile] of each tile's pixels, 0..1; over all tiles a pixel's weights add up to 1."""
        raw = np.sin((np.arange(self.tile) + 0.5) * np.pi / self.tile) ** 4
        total = np.zeros(self.starts[-1] + self.tile)
        for start in self.starts:
            total[start : start + self.tile] += raw
        return np.stack([raw / total[start : start + self.tile] for start in self.starts]).astype(np.float32)


@dataclass(frozen=True)
class Grid:
    """Tiles of a raster, row after row. Raises UserError if the overlap does not fit the tile."""

    height: int
    width: int
    tile: tuple[int, int]  # (height, width) in pixels
    overlap: tuple[int, int]
    shift: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        for name, tile, overlap in zip(("height", "width"), self.tile, self.overlap, strict=True):
            if not 0 <= overlap < tile:
                raise UserError(f"an overlap of {overlap} pixels does not fit tiles of {tile} ({name}): expected less")

    @cached_property
    def rows(self) -> Axis:
        """Return the tiles from top to bottom."""
        return Axis(self.height, self.tile[0], self.overlap[0], self.shift[0])

    @cached_property
    def columns(self) -> Axis:
        """Return the tiles from left to right."""
        return Axis(self.width, self.tile[1], self.overlap[1], self.shift[1])

    @property
    def digest(self) -> str:
        """Return the SHA-256 in hex of where tiles stand and of the weights of their pixels."""
        axes = self.rows, self.columns
        content = b"".join(np.array(axis.starts).tobytes() + axis.weights.tobytes() for axis in axes)
        return hashlib.sha256(content).hexdigest()

    def finished(self, row: int) -> int:
        """Count the rows of pixels that no tile after the tile row `row` touches."""
        starts = self.rows.starts
        return starts[row + 1] if row + 1 < len(starts) else self.height

    def first_row(self, written: int) -> int:
        """Return the first tile row that counts in pixel rows from `written` on, if those above are finished."""
        return next(row for row, start in enumerate(self.rows.starts) if start + self.tile[0] > written)

    def count(self, first: int = 0) -> int:
        """Count the tiles from tile row `first` on."""
        return (len(self.rows.starts) - first) * len(self.columns.starts)


def ring_pieces(height: int, top: int, bottom: int) -> list[tuple[slice, slice]]:
    """Return where a ring buffer of `height` rows of pixels has the rows top..bottom - 1, which are at most as many.

    One or two pairs (rows of the buffer, rows from `top`).
    """
    first, count = top % height, bottom - top
    before = min(count, height - first)
    pieces = [(slice(first, first + before), slice(0, before))]
    if before < count:
        pieces.append((slice(0, count - before), slice(before, count)))
    return pieces
