"""Ignore the labels of pixels without data: by a value declared as no data, a mask or alpha, of image or mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.images.decode import BadPicture
from data_prep.images.masks import Mask
from data_prep.images.picture import Picture
from rssam.contract import IGNORE

READER_ERRORS = (ValueError, LookupError, ArithmeticError)
"""What a `read_mask` raises for values that it does not know; other errors are mistakes of its code, and end all."""


def labels_of(picture: Picture, read_mask: Callable[[Image.Image], Mask]) -> tuple[Mask, int]:
    """Return what `read_mask` reads where a mask has data, ignored elsewhere; and how many pixels that changed.

    A no-data value of 0 that `read_mask` knows stays the background: many masks declare it. Raises BadPicture where
    another number is also the value of a class.
    """
    empty, read = picture.without_data, partial(_read, read_mask)
    if empty is None:
        return read(picture.pixels), 0
    try:
        stored = read(picture.pixels)
    except BadPicture:  # perhaps of what pixels without data hold
        return _visible_labels(picture.pixels, empty, read), int(empty.sum())
    if picture.nodata is not None and (claimed := picture.nodata & (stored.labels != IGNORE)).any():
        _refuse_class(picture.pixels, claimed)
        empty = np.zeros_like(claimed) if picture.hidden is None else picture.hidden
    return ignored_where(stored, empty)


def _read(read_mask: Callable[[Image.Image], Mask], pixels: Image.Image) -> Mask:
    """Return what `read_mask` reads. Raises BadPicture, also in place of `READER_ERRORS`."""
    try:
        return read_mask(pixels)
    except BadPicture:
        raise
    except READER_ERRORS as error:
        text = next(iter(str(error).splitlines()), "")
        raise BadPicture(f"read_mask raised {type(error).__name__}: {text}") from error


def black_where(image: NDArray[np.uint8], empty: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """Return an image [H, W, 3] that is black in these pixels."""
    return image if empty is None else np.where(empty[..., None], np.uint8(0), image)


def ignored_where(mask: Mask, empty: NDArray[np.bool_] | None) -> tuple[Mask, int]:
    """Return a mask whose labels are ignored in these pixels, and how many were not so before."""
    if empty is None or not (changed := int((empty & (mask.labels != IGNORE)).sum())):
        return mask, 0
    return replace(mask, labels=np.where(empty, np.uint8(IGNORE), mask.labels)), changed


def _refuse_class(pixels: Image.Image, claimed: NDArray[np.bool_]) -> None:
    """Raise BadPicture unless the no-data value that is also a label's is 0, or black."""
    stored = np.asarray(pixels)[claimed][0]
    black = pixels.mode == "P" and not np.asarray(pixels.convert("RGB"))[claimed][0].any()
    if stored.any() and not black:
        raise BadPicture(
            f"expected a no-data value that is no class, found {stored}, which is one; if those pixels are of the "
            "class, drop the declaration: gdal_edit.py -unsetnodata FILE"
        )


def _visible_labels(pixels: Image.Image, empty: NDArray[np.bool_], read_mask: Callable[[Image.Image], Mask]) -> Mask:
    """Return the labels of a mask in which pixels without data hold values of no label."""
    if empty.all():
        return Mask(np.full(empty.shape, IGNORE, np.uint8), ())
    values = np.array(pixels)
    values[empty] = values[~empty][0]
    covered = Image.fromarray(values)
    covered.format = pixels.format
    if pixels.mode == "P":
        covered.putpalette(pixels.getpalette("RGB") or [])
    return ignored_where(read_mask(covered), empty)[0]
