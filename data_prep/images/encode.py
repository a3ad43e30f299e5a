"""Resize images by area, write images and labels as lossless PNG, and digest their pixels."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.images.decode import BadPicture
from data_prep.images.masks import IGNORED, UNLABELLED
from rssam.contract import Colour


def whole_factor(found: tuple[int, int], wanted: tuple[int, int], *, exact: bool = False) -> int:
    """By how much (height, width) `found` exceeds `wanted`; raises BadPicture if it is no whole multiple.

    With `exact` it must not exceed it at all.
    """
    factor = found[0] // wanted[0]
    if factor < 1 or found != (factor * wanted[0], factor * wanted[1]) or (exact and factor > 1):
        multiple = "" if exact else " or a whole multiple"
        raise BadPicture(
            f"expected {wanted[1]}x{wanted[0]} pixels{multiple}, found {found[1]}x{found[0]} (width x height)"
        )
    return factor


def average_area(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Shrink an image [H, W, 3] by averaging blocks of factor x factor pixels, rounded to the nearest value."""
    # Pillow's reduce() is off by one at places for factors that are no power of two; this is exact.
    area = factor * factor
    rows = image[::factor].astype(np.min_scalar_type(255 * area + area // 2))
    for row in range(1, factor):
        rows += image[row::factor]
    total = rows[:, ::factor] + rows.dtype.type(area // 2)
    for column in range(1, factor):
        total += rows[:, column::factor]
    mean: NDArray[np.uint8] = (total // area).astype(np.uint8)
    return mean


def take_every(labels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Shrink labels [H, W] by keeping the first pixel of each block: unbiased in area, and no new values arise."""
    return labels[::factor, ::factor]


def encode_image(image: NDArray[np.uint8]) -> bytes:
    """A lossless RGB PNG; the same pixels give the same bytes."""
    return _png(Image.fromarray(image))


def encode_labels(labels: NDArray[np.uint8], colours: Sequence[Colour]) -> bytes:
    """A palette PNG whose array is `labels`; a viewer shows label i in `colours[i]`, and 255 in UNLABELLED."""
    picture = Image.fromarray(labels)
    shown = whole_palette(colours) if (labels == IGNORED).any() else colours
    # Turns a grey picture into a palette one, values unchanged.
    picture.putpalette([channel for colour in shown for channel in colour])
    return _png(picture)


def whole_palette(colours: Sequence[Colour]) -> tuple[Colour, ...]:
    """Colours of all labels up to 255: of two colours Pillow would store one bit a pixel, and turn 255 into 1."""
    return (*colours, *[UNLABELLED] * (IGNORED + 1 - len(colours)))


def encode_bits(labels: NDArray[np.uint8]) -> bytes:
    """A one-bit PNG of labels 0 and 1; raises ValueError for others, which one bit would silently merge."""
    if labels.max(initial=0) > 1:
        raise ValueError("labels of several classes do not fit into one bit")
    return _png(Image.fromarray(labels.astype(bool)))


def pixel_digest(image: NDArray[np.uint8]) -> str:
    """SHA-256 of shape and pixels: equal for equal pictures, however they were stored."""
    return hashlib.sha256(f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def encode_picture(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the bytes of a file of the format `kind`, by Pillow's name ("PNG"), with Pillow's options for it."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def _png(picture: Image.Image) -> bytes:
    return encode_picture(picture, "PNG", compress_level=3)  # twice as fast as the default, and no larger here
