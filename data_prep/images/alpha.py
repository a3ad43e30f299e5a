"""Tell alpha from other bands that are marked so: infrared by default, and a band for each class by its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.images.decode import BadPicture


@dataclass
class AlphaCount:
    """Numbers of transparent, opaque and other pixels of an alpha band, over all parts of a picture."""

    none: int = 0
    full: int = 0
    between: int = 0
    largest: float = 0  # the largest value so far, and the number of pixels that have it
    at_largest: int = 0

    def add(self, alpha: NDArray[Any]) -> AlphaCount:
        """Count the pixels of a part; return the count so far."""
        full = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
        none, opaque = int((alpha == 0).sum()), int((alpha == full).sum())
        self.none += none
        self.full += opaque
        self.between += alpha.size - none - opaque
        if (largest := float(alpha.max())) > self.largest:
            self.largest, self.at_largest = largest, 0
        self.at_largest += int((alpha == self.largest).sum()) if self.largest else 0
        return self

    @property
    def is_mask(self) -> bool:
        """Return whether at least half of the values above 0 are the largest, as `predict` tells a mask too."""
        return 2 * self.at_largest >= self.full + self.between

    def refuse_other(self, bands: int, *, nameable: bool = False) -> None:
        """Raise BadPicture where most values are neither transparent nor opaque: that band is no alpha.

        Args:
            bands: the number of all bands; alpha is the last.
            nameable: whether the option --bands is for such a file.
        """
        if self.between > self.full:
            rest = range(1, bands)
            named = "1,2,3" if bands > 3 else "1,1,1"
            raise BadPicture(
                f"expected an alpha band of 0 and 255, found other values in {self.between} pixels (infrared?); "
                + f"name the bands that are red, green and blue: --bands {named}; or " * nameable
                + f"drop the band: gdal_translate {' '.join(f'-b {band}' for band in rest)} OLD NEW"
            )


ONE_BAND = "save the number of the class in one band"
"""What to do with a mask of a band for each class where nothing reads those."""


def refuse_one_hot(values: NDArray[np.uint8], remedy: str) -> None:
    """Raise BadPicture for a mask [H, W, bands] of which one band is set in each pixel, and not always the same."""
    lit = values > 0
    if (lit.sum(axis=-1) == 1).all() and lit.any(axis=(0, 1)).sum() > 1:
        raise BadPicture(
            f"expected a mask of one number or one colour a pixel, found {values.shape[-1]} bands of which one is set "
            f"in each pixel (one for each class?); {remedy}"
        )


def declared_transparent(pixels: Image.Image, transparent: Any) -> NDArray[np.bool_]:
    """Return where a PNG has the colour that it declares as transparent: GDAL writes its no-data value so.

    `transparent` is as Pillow has it: a value, a colour, or the alpha of each place of a palette.
    """
    values = np.asarray(pixels)
    if isinstance(transparent, bytes):
        return np.isin(values, [place for place, alpha in enumerate(transparent) if alpha == 0])
    same: NDArray[np.bool_] = (values == transparent).reshape(pixels.height, pixels.width, -1).all(axis=-1)
    return same
