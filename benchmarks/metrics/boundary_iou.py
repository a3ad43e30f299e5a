"""Boundary IoU of buildings: how well outlines fit, whatever the size of what they enclose.

Source: Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation" (CVPR 2021). The boundary
region of a mask is what an erosion of d pixels takes from it. Boundary IoU is the IoU of two such regions. As in the
authors' published code, d is 2 % of the image's diagonal, rounded, and at least 1. The erosion is d times that by a 3x3
square. The image is framed by background first, so that the cut of a mask by the border is boundary too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks.metrics.counts import FloatArray
from benchmarks.metrics.mask_pair import Mask, MaskPair
from benchmarks.metrics.quotient import quotient


@dataclass(frozen=True)
class BoundaryIou:
    """Boundary IoU with a width given as a share of the image's diagonal."""

    width: float = 0.02

    name: ClassVar[str] = "boundary_iou"
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("both", "either")
    integer: ClassVar[bool] = True
    headline: ClassVar[str] = "boundary_iou"

    def __post_init__(self) -> None:
        if not 0 < self.width < 1:
            raise ValueError(f"the width of boundary IoU is a share of the diagonal in 0..1, found {self.width}")

    @property
    def title(self) -> str:
        """Return the heading of its column."""
        return f"Boundary IoU ({100 * self.width:g} %)"

    def sums(self, pair: MaskPair) -> tuple[int, ...]:
        """Return the pixels in both boundary regions, and in either."""
        pixels = self.pixels(pair.truth.shape)
        truth, prediction = boundary(pair.truth, pixels), boundary(pair.prediction, pixels)
        return int((truth & prediction).sum()), int((truth | prediction).sum())

    def scores(self, sums: FloatArray) -> dict[str, FloatArray]:
        """Return the Boundary IoU of pooled sums [..., 2]; NaN where neither mask has a boundary."""
        return {self.headline: quotient(sums[..., 0], sums[..., 1])}

    def pixels(self, shape: tuple[int, ...]) -> int:
        """Return the width in pixels of the boundary region in an image of that (height, width)."""
        return max(1, round(self.width * math.hypot(*shape)))


def boundary(mask: Mask, pixels: int) -> Mask:
    """Return the part of a mask within `pixels` of its outside, diagonal steps included, and of the image's border."""
    from scipy import ndimage

    # Outside of the image is background for SciPy's erosion: that is the frame.
    inside = ndimage.binary_erosion(mask, np.ones((3, 3), bool), iterations=pixels)
    region: Mask = mask & ~inside
    return region
