"""Resize images by area, write images and labels as lossless PNG, and digest their pixels."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.images.decode import PNG_START, BadPicture
from data_prep.images.masks import UNLABELLED
from rssam.contract import IGNORE, Colour

_COLOUR_TYPE_RGB = 2
_FILTER_UP = 2  # each byte less the one above it; on aerial images no larger than the best filter of each row
_LEVEL = 2


def whole_factor(found: tuple[int, int], expected: tuple[int, int], *, exact: bool = False) -> int:
    """Return how many times (height, width) `found` is as large as `expected`.

    Raises BadPicture if that is no whole number, or with `exact` not one.
    """
    factor = found[0] // expected[0]
    if factor < 1 or found != (factor * expected[0], factor * expected[1]) or (exact and factor > 1):
        multiple = "" if exact else " or a whole multiple"
        raise BadPicture(
            f"expected {expected[1]}x{expected[0]} pixels{multiple}, found {found[1]}x{found[0]} (width x height)"
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
    """Return the lossless PNG of an RGB image [H, W, 3]; the same pixels give the same bytes.

    It takes less than half of Pillow's time, which tries five filters on each row.
    """
    height, width, channels = image.shape
    rows = image.reshape(height, width * channels)
    filtered = np.empty((height, 1 + width * channels), np.uint8)  # in front of each row its filter
    filtered[:, 0] = _FILTER_UP
    filtered[:1, 1:] = rows[:1]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])  # modulo 256, as the filter is defined
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE_RGB, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), _LEVEL)), (b"IEND", b""))
    return PNG_START + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def encode_labels(labels: NDArray[np.uint8], colours: Sequence[Colour]) -> bytes:
    """Return a palette PNG whose array is `labels`; a viewer shows label i in `colours[i]`, and 255 in UNLABELLED."""
    picture = Image.fromarray(labels)
    shown = whole_palette(colours) if (labels == IGNORE).any() else colours
    # Turns a grey picture into a palette one, values unchanged.
    picture.putpalette([channel for colour in shown for channel in colour])
    return _png(picture)


def whole_palette(colours: Sequence[Colour]) -> tuple[Colour, ...]:
    """Return colours for all labels up to 255: with two, Pillow would store one bit a pixel and turn 255 into 1."""
    return (*colours, *[UNLABELLED] * (IGNORE + 1 - len(colours)))


def encode_bits(labels: NDArray[np.uint8]) -> bytes:
    """Return a one-bit PNG of labels 0 and 1. Raises ValueError for others, which one bit would silently merge."""
    if labels.max(initial=0) > 1:
        raise ValueError("labels of several classes do not fit into one bit")
    return _png(Image.fromarray(labels.astype(bool)))


def pixel_digest(image: NDArray[np.uint8]) -> str:
    """Compute the SHA-256 of shape and pixels: equal for equal pictures, however they were stored."""
    return hashlib.sha256(f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def encode_picture(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the bytes of a file of the format `kind`, by Pillow's name ("PNG"), with Pillow's options for it."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def _png(picture: Image.Image) -> bytes:
    return encode_picture(picture, "PNG", compress_level=3)  # twice as fast as the default, and no larger here
