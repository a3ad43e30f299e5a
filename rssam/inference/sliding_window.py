"""Predict a raster of any size by overlapping tiles, in memory that grows with its width and never with its height.

A `Source` gives pixels by windows, and overlapping tiles go through the network in batches. Weighted probabilities are
summed in one band of rows as high as a tile. Rows that no further tile touches leave the band at once. Reading, the
network and writing run at the same time. Files and formats are those of `rssam/inference/predict_raster.py`.

Not in the paper, which predicts ready tiles only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rssam.contract import IGNORE
from rssam.errors import UserError
from rssam.inference.threads import run_stages
from rssam.inference.tile_grid import Grid, ring_pieces
from rssam.inference.tile_reading import Source, Tiles, read_tiles

Symmetries = Literal["none", "flips", "all"]
TURNS: dict[Symmetries, tuple[tuple[int, bool], ...]] = {
    "none": ((0, False),),
    "flips": ((0, False), (0, True), (2, False), (2, True)),
    "all": tuple((quarter, mirror) for quarter in range(4) for mirror in (False, True)),
}
"""Symmetries whose predictions are averaged: quarter turns, then whether left and right are swapped."""

ROWS_AT_ONCE = 64
"""Finished rows handed on at once, which bounds what is made of them."""


Write = Callable[[NDArray[np.float32], NDArray[np.bool_]], None]
"""Takes the next rows: probabilities [C, rows, width] in 0..1, and where the raster has data [rows, width]."""


class Predictor:
    """Network on a device: batches of tiles in, weighted probabilities out."""

    def __init__(
        self,
        net: nn.Module,
        grid: Grid,
        device: torch.device,
        *,
        half: torch.dtype | None = None,
        symmetries: Symmetries = "none",
    ) -> None:
        self.net = net.to(device).eval()
        self.device = device
        self.grid, self.half = grid, half
        self.turns = TURNS[symmetries]
        self.rows = torch.from_numpy(grid.rows.weights).to(device)  # [tile rows, h]
        self.columns = torch.from_numpy(grid.columns.weights).to(device)  # [tile columns, w]

    @torch.inference_mode()
    def __call__(self, tiles: Tiles) -> Tensor:
        """Compute mean probabilities over the symmetries, times the weight of each pixel in its tile.

        Returns float32 [B, C, h, w], still on the device. Raises UserError if the device has no memory for the batch,
        TypeError if the pixels are not uint8.
        """
        if tiles.images.dtype != torch.uint8:
            raise TypeError(
                f"expected pixels uint8 in 0..255, found {tiles.images.dtype}: they are divided by 255 here"
            )
        try:
            images = tiles.images.to(self.device, non_blocking=True).float().div_(255)  # [B, 3, h, w]
            total = sum(self._turned(images, *turn) for turn in self.turns)
        except torch.cuda.OutOfMemoryError as error:
            raise UserError(
                f"the GPU has no memory for {len(tiles.places)} tiles at once: use a smaller --batch"
            ) from error
        rows, columns = (list(numbers) for numbers in zip(*tiles.places, strict=True))
        weights = self.rows[rows][:, :, None] * self.columns[columns][:, None, :]  # [B, h, w]
        weighted: Tensor = total * (weights / len(self.turns))[:, None]
        return weighted

    def _turned(self, images: Tensor, quarter: int, mirror: bool) -> Tensor:
        """Return the probabilities [B, C, h, w] of turned images, turned back."""
        turned = torch.rot90(images.flip(-1) if mirror else images, quarter, (-2, -1))
        with torch.autocast(self.device.type, self.half) if self.half else nullcontext():
            logits = self.net(turned)
        upright = torch.rot90(probabilities(logits.float()), -quarter, (-2, -1))
        return upright.flip(-1) if mirror else upright


def probabilities(logits: Tensor) -> Tensor:
    """Compute probabilities from logits [B, C, H, W]: by sigmoid of one channel, by softmax of several."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)


def labels_of(values: NDArray[np.float32], valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Turn probabilities [C, H, W] into labels uint8 [H, W].

    One channel gives 1 above a half, otherwise 0. Several give the number of the largest channel, of equal ones the
    first. NaN is not refused: as the only channel it gives 0.

    Args:
        values: probabilities, as `predict_array` returns them.
        valid: bool [H, W], False where there is no data: these pixels become 255. All have data if None.

    Examples:
        >>> import numpy as np
        >>> from rssam import labels_of
        >>> labels_of(np.array([[[0.2, 0.5, 0.9]]], np.float32))
        array([[0, 0, 1]], dtype=uint8)
        >>> labels_of(np.array([[[0.2]], [[0.5]], [[0.3]]], np.float32))
        array([[1]], dtype=uint8)
        >>> labels_of(np.array([[[0.2, 0.9]]], np.float32), valid=np.array([[False, True]]))
        array([[255,   1]], dtype=uint8)
    """
    foreground_or_class = values[0] > 0.5 if len(values) == 1 else values.argmax(axis=0)
    labels: NDArray[np.uint8] = foreground_or_class.astype(np.uint8)
    if valid is not None:
        labels[~valid] = IGNORE
    return labels


class Band:
    """Sums of weighted probabilities over the rows that unfinished tiles touch: as many as a tile is high."""

    def __init__(self, grid: Grid, channels: int, first_row: int, written: int, write: Write) -> None:
        self.grid, self.write = grid, write
        self.row, self.written = first_row, written
        self.sums = np.zeros((channels, grid.tile[0], grid.width), np.float32)
        self.valid = np.zeros((grid.tile[0], grid.width), bool)

    def add(self, row: int, column: int, weighted: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Add a tile; tile rows never descend.

        Args:
            row: the tile's row in the grid.
            column: the tile's column in the grid.
            weighted: probabilities [C, h, w] times their weights.
            valid: where the tile has data [h, w].
        """
        self.finish(row)
        top, left = self.grid.rows.starts[row], self.grid.columns.starts[column]
        bottom = min(top + self.grid.tile[0], self.grid.height)
        right = min(left + self.grid.tile[1], self.grid.width)
        for buffered, rows in ring_pieces(self.grid.tile[0], top, bottom):
            self.sums[:, buffered, left:right] += weighted[:, rows, : right - left]
            self.valid[buffered, left:right] = valid[rows, : right - left]

    def finish(self, row: int) -> None:
        """Write all rows of pixels that no tile from tile row `row` on touches, and clear them."""
        while self.row < row:
            top, bottom = self.grid.rows.starts[self.row], self.grid.finished(self.row)
            for buffered, rows in ring_pieces(self.grid.tile[0], top, bottom):
                skipped = max(self.written - (top + rows.start), 0)  # written before an interruption
                for first in range(buffered.start + skipped, buffered.stop, ROWS_AT_ONCE):
                    chunk = slice(first, min(first + ROWS_AT_ONCE, buffered.stop))
                    self.write(self.sums[:, chunk], self.valid[chunk])
                self.sums[:, buffered] = 0
                self.valid[buffered] = False
            self.row += 1


def predict(
    source: Source,
    write: Write,
    predictor: Predictor,
    channels: int,
    batch: int,
    *,
    written: int = 0,
    before_batch: Callable[[int], None] | None = None,
    after_rows: Callable[[], None] | None = None,
) -> None:
    """Predict all rows of the raster from row `written` on, and write them in order.

    Rows do not depend on where an interruption was: all tiles that count in them are predicted again.

    Args:
        source: the raster.
        write: takes the rows.
        predictor: the network on its device, and where the tiles lie.
        channels: of the network's logits.
        batch: tiles at once.
        written: rows of pixels that an earlier call has written.
        before_batch: called in the caller's thread with the tiles of the batch; what it raises ends the prediction.
        after_rows: called after each row of tiles whose pixels are written.
    """
    grid = predictor.grid
    first_row = grid.first_row(written)
    band = Band(grid, channels, first_row, written, write)

    def compute(tiles: Tiles) -> tuple[Tiles, Tensor]:
        if before_batch is not None:
            before_batch(len(tiles.places))
        return tiles, predictor(tiles)

    def finish(row: int) -> None:
        band.finish(row)
        if after_rows is not None:
            after_rows()

    def add(computed: tuple[Tiles, Tensor]) -> None:
        tiles, weighted = computed
        values = weighted.cpu().numpy()  # waits for the device here, while the next batch starts there
        if not np.isfinite(values).all():  # NaN would become background without a word
            raise UserError(
                "expected numbers from the network, found NaN: parameters of it are no numbers, or 16 bits are too few "
                "for it (--precision fp32)"
            )
        for (row, column), tile, valid in zip(tiles.places, values, tiles.valid, strict=True):
            if row > band.row:
                finish(row)
            band.add(row, column, tile, valid)

    run_stages(read_tiles(source, grid, first_row, batch), compute, add)
    finish(len(grid.rows.starts))
