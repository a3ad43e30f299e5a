"""Small masks with roads and roofs, drawn from a seed."""

import numpy as np
from scipy import ndimage


def blank(height=64, width=96):
    return np.zeros((height, width), bool)


def line(row=30, first=10, last=90, *, height=64, width=96, thick=1):
    """A horizontal road from one column to another, both included."""
    mask = blank(height, width)
    mask[row - thick // 2 : row + (thick + 1) // 2, first : last + 1] = True
    return mask


def roads(seed, side=96):
    """Some crossing roads a few pixels wide, with bumps."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), bool)
    for _ in range(5):
        start, stop = rng.uniform(0, side - 1, (2, 2))
        for share in np.linspace(0, 1, 4 * side):
            row, column = (start + share * (stop - start)).round().astype(int)
            mask[row, column] = True
    return ndimage.binary_dilation(mask, iterations=2) | (rng.random(mask.shape) < 0.002)


def roofs(seed, side=64):
    """Blocks, some of them cut by the border."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), bool)
    for top, left in rng.integers(-6, side - 4, (6, 2)):
        height, width = rng.integers(3, 20, 2)
        mask[max(top, 0) : top + height, max(left, 0) : left + width] = True
    return mask


def changed(mask, seed):
    """The mask moved by a pixel, with holes in it."""
    rng = np.random.default_rng(seed)
    other = np.roll(mask, 1, axis=1)
    for row, column in rng.integers(0, min(mask.shape) - 8, (5, 2)):
        other[row : row + 8, column : column + 8] = False
    return other
