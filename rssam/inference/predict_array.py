"""Predict an array of any size in memory, by the tiles with which `predict_raster` maps files."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rssam.contract import Task
from rssam.errors import UserError
from rssam.inference.sliding_window import Predictor, Symmetries, predict
from rssam.inference.tile_grid import Grid, aligned


class _Array:
    """An image in memory as the source of tiles, and its probabilities, which are written row by row."""

    def __init__(self, pixels: NDArray[np.uint8], channels: int) -> None:
        self.pixels = np.moveaxis(pixels, -1, 0)  # [3, H, W]
        self.size: tuple[int, int] = (pixels.shape[0], pixels.shape[1])
        self.probabilities = np.empty((channels, *self.size), np.float32)
        self.written = 0

    def read(self, top: int, bottom: int, left: int, right: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return a window as `Source.read` does: every pixel has data."""
        return self.pixels[:, top:bottom, left:right], np.ones((bottom - top, right - left), bool)

    def write(self, probabilities: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Take rows as a `Write` does."""
        rows = slice(self.written, self.written + probabilities.shape[1])
        self.probabilities[:, rows] = probabilities
        self.written = rows.stop


def predict_array(
    net: nn.Module,
    task: Task,
    pixels: NDArray[np.uint8],
    *,
    overlap: int | None = None,
    symmetries: Symmetries = "none",
    device: str | torch.device = "cpu",
    half: torch.dtype | None = None,
    batch: int = 2,
) -> NDArray[np.float32]:
    """Compute class probabilities of an image of any size, by overlapping tiles whose probabilities are blended.

    Tiles lie and are weighted as by `rssam-bench predict`, so the same pixels give the same map. Not in the paper,
    which predicts ready tiles only.

    Args:
        net: a network that keeps the contract of `Model`. It is moved to `device`, put in evaluation mode, and stays
            so.
        task: what the network was built for; a tile has `task.image_size`.
        pixels: red, green and blue, uint8 [H, W, 3] in 0..255. Stretch more bits as the training images were, see
            `benchmarks.TrainedNetwork`. Smaller images than a tile are reflected at the border.
        overlap: pixels that neighbouring tiles share, raised so that tiles stand a multiple of 32 pixels apart; half a
            tile if None.
        symmetries: "none", or the mean over 4 "flips", or over "all" 8 turns and flips of each tile. They take 4 and 8
            times as long.
        device: where the network runs, such as "cuda".
        half: `torch.bfloat16` or `torch.float16` for autocast; None computes in float32.
        batch: tiles at once.

    Returns:
        Probabilities float32 [task.channels, H, W] in 0..1. One channel is the probability of the one class; several
        add up to 1. `labels_of` turns them into labels.

    Raises:
        TypeError: The pixels are not uint8.
        ValueError: The pixels have another shape than [H, W, 3].
        UserError: The overlap does not fit the tile, or the GPU has no memory for the batch.

    Examples:
        A small RS-SAM with random parameters, on an image that is larger than its tiles:

        >>> import numpy as np
        >>> from rssam import RSSAM, Task, labels_of, predict_array
        >>> task = Task(classes=("road",), image_size=(32, 32))
        >>> net = RSSAM(encoder="vit_t", init="scratch").architecture(task)
        >>> pixels = np.full((40, 64, 3), 120, np.uint8)
        >>> probabilities = predict_array(net, task, pixels)
        >>> probabilities.shape, probabilities.dtype
        ((1, 40, 64), dtype('float32'))
        >>> labels_of(probabilities).shape
        (40, 64)
    """
    if pixels.dtype != np.uint8:
        raise TypeError(f"expected pixels uint8 in 0..255, found {pixels.dtype}: scale them to bytes first")
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or not pixels.size:
        raise ValueError(
            f"expected pixels [H, W, 3] of red, green and blue, found the shape {list(pixels.shape)}; bands first: "
            "np.moveaxis(pixels, 0, -1)"
        )
    if overlap is not None and not 0 <= overlap < min(task.image_size):
        raise UserError(f"an overlap of {overlap} pixels does not fit tiles of {min(task.image_size)}: expected less")
    height, width = (aligned(side, side // 2 if overlap is None else overlap) for side in task.image_size)
    array = _Array(pixels, task.channels)
    grid = Grid(*array.size, task.image_size, (height, width))
    predictor = Predictor(net, grid, torch.device(device), half=half, symmetries=symmetries)
    predict(array, array.write, predictor, task.channels, batch)
    return array.probabilities
