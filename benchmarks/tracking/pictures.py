"""Draw what shows a run: its curves, and strips of images with true and predicted labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rssam.contract import IGNORE, Colour

LONGEST_SIDE = 192
FOREGROUND: Colour = (255, 0, 110)
"""Of a binary task; roads and roofs are seldom of this colour."""
VEIL = 0.6
"""How much of its class's colour a pixel has over the image."""


def strip(
    images: NDArray[np.uint8], truth: NDArray[np.uint8], predicted: NDArray[np.uint8], palette: Sequence[Colour]
) -> NDArray[np.uint8]:
    """Return a picture uint8 [3 h, N w, 3] of images: bare, below with true, and below that with predicted labels.

    Args:
        images: uint8 [N, 3, H, W].
        truth: labels uint8 [N, H, W]; ignored pixels stay bare.
        predicted: labels uint8 [N, H, W].
        palette: a colour for each class; of one class the task is binary, and its background stays bare.
    """
    every = -(-max(images.shape[-2:]) // LONGEST_SIDE)
    pixels = images[:, :, ::every, ::every].transpose(0, 2, 3, 1)  # [N, h, w, 3]
    colours = np.zeros((IGNORE + 1, 3))
    weight = np.zeros((IGNORE + 1, 1))
    labels = slice(1, 2) if len(palette) == 1 else slice(len(palette))
    colours[labels], weight[labels] = FOREGROUND if len(palette) == 1 else palette, VEIL
    rows = [pixels]
    for drawn in (truth[:, ::every, ::every], predicted[:, ::every, ::every]):
        rows.append(np.rint(pixels * (1 - weight[drawn]) + colours[drawn] * weight[drawn]).astype(np.uint8))
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])


def draw_curves(history: Sequence[Mapping[str, float]], best_epoch: int, path: Path) -> None:
    """Draw losses and rate by epoch into a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, names in zip(figure.subplots(1, 2), (("train_loss", "val_loss"), ("rate",)), strict=True):
        for name in names:
            axes.plot([epoch["epoch"] for epoch in history], [epoch[name] for epoch in history], marker=".", label=name)
        axes.axvline(best_epoch, color="0.7", linestyle=":", label="best epoch")
        axes.set_xlabel("epoch")
        axes.legend()
    figure.savefig(path, dpi=100)
