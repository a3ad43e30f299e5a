"""Read the overlapping tiles of a raster in batches: each pixel once, in memory of one row of tiles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rssam.inference.tile_grid import Grid, ring_pieces

CHUNK = 2048
"""Columns read at once: little to wait for before the first tile of a row."""


class Source(Protocol):
    """Raster that pixels are read from."""

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        ...

    def read(self, top: int, bottom: int, left: int, right: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Read pixels uint8 [3, bottom - top, right - left] and where they have data, for ascending `top`."""
        ...


@dataclass(frozen=True)
class Tiles:
    """Batch of tiles: pixels uint8 [B, 3, h, w], places in the grid as (tile row, column), where they have data."""

    images: Tensor
    places: tuple[tuple[int, int], ...]
    valid: NDArray[np.bool_]  # [B, h, w]


def read_tiles(source: Source, grid: Grid, first_row: int, batch: int) -> Iterator[Tiles]:
    """Yield the tiles of the grid from tile row `first_row` on, in batches; those without any data are left out.

    Each pixel is read once: a buffer of rows keeps what the next tile row shares with this row.

    Args:
        source: the raster.
        grid: where the tiles lie.
        first_row: the first tile row to read.
        batch: tiles of a batch; the last may have fewer.
    """
    rows, columns = grid.tile
    buffer = _RowBuffer(source, rows)

    def found() -> Iterator[tuple[NDArray[np.uint8], tuple[int, int], NDArray[np.bool_]]]:
        for row, top in list(enumerate(grid.rows.starts))[first_row:]:
            buffer.begin(top)
            for column, left in enumerate(grid.columns.starts):
                pixels, has_data = buffer.tile(left, columns)
                if has_data.any():
                    yield pixels, (row, column), has_data

    tiles = found()
    while some := list(itertools.islice(tiles, batch)):
        images, places, valid = zip(*some, strict=True)
        yield Tiles(torch.from_numpy(np.stack(images)), places, np.stack(valid))


class _RowBuffer:
    """Rows of the raster that a row of tiles needs, read chunk by chunk from left to right."""

    def __init__(self, source: Source, tile: int) -> None:
        self.source, self.tile_height = source, tile
        self.height, self.width = source.size
        self.pixels = np.zeros((3, tile, self.width), np.uint8)
        self.valid = np.zeros((tile, self.width), bool)
        self.top = self.bottom = self.fresh = self.filled = 0

    def begin(self, top: int) -> None:
        """Move on to the row of tiles that starts at pixel row `top`."""
        self.fresh = max(self.bottom, top)  # the first row that is not in the buffer yet
        self.top, self.bottom = top, min(top + self.tile_height, self.height)
        self.filled = 0

    def tile(self, left: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return pixels [3, tile, width] and where they have data; a raster below a tile is reflected to fill it."""
        right = min(left + width, self.width)
        while self.filled < right:
            self._read(self.filled, min(self.filled + CHUNK, self.width))
        missing = ((0, self.tile_height - (self.bottom - self.top)), (0, width - (right - left)))
        pixels = np.empty((3, self.bottom - self.top, right - left), np.uint8)
        valid = np.empty(pixels.shape[1:], bool)
        for buffered, rows in ring_pieces(self.tile_height, self.top, self.bottom):
            pixels[:, rows] = self.pixels[:, buffered, left:right]
            valid[rows] = self.valid[buffered, left:right]
        if missing == ((0, 0), (0, 0)):
            return pixels, valid
        return np.pad(pixels, ((0, 0), *missing), mode="reflect"), np.pad(valid, missing)

    def _read(self, left: int, right: int) -> None:
        pixels, valid = self.source.read(self.fresh, self.bottom, left, right)
        if pixels.dtype != np.uint8:
            raise TypeError(f"expected pixels uint8 in 0..255 from {type(self.source).__name__}, found {pixels.dtype}")
        for buffered, rows in ring_pieces(self.tile_height, self.fresh, self.bottom):
            self.pixels[:, buffered, left:right] = pixels[:, rows]
            self.valid[buffered, left:right] = valid[rows]
        self.filled = right
