"""Truth and prediction of one image and one class as two binary masks, with the skeletons that metrics share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rssam.contract import IGNORE

Mask = NDArray[np.bool_]  # [H, W]


@dataclass(frozen=True, eq=False)
class MaskPair:
    """Both masks bool [H, W]."""

    truth: Mask
    prediction: Mask

    @classmethod
    def from_labels(cls, truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> MaskPair:
        """Return the foreground (label 1, or True) of labels [H, W]; where the truth is to be ignored, neither has any.

        Raises ValueError if the two do not have one shape [H, W].
        """
        if truth.shape != prediction.shape or truth.ndim != 2:
            raise ValueError(f"truth and prediction must be [H, W] alike, found {truth.shape} and {prediction.shape}")
        ignored = truth == IGNORE if truth.dtype != np.bool_ else np.zeros(truth.shape, bool)
        return cls(truth == 1, (prediction == 1) & ~ignored)

    @cached_property
    def truth_skeleton(self) -> Mask:
        """Return the centre lines of the truth, one pixel wide."""
        return skeleton(self.truth)

    @cached_property
    def prediction_skeleton(self) -> Mask:
        """Return the centre lines of the prediction, one pixel wide."""
        return skeleton(self.prediction)


def skeleton(mask: Mask) -> Mask:
    """Return centre lines by Zhang and Suen's thinning, as scikit-image has it; lines of one pixel stay as they are."""
    from skimage.morphology import skeletonize  # scikit-image takes a while to import: reports go without

    thin: Mask = skeletonize(mask)  # type: ignore[no-untyped-call]
    return thin
