"""Pictures in, arrays out, and back: full decoding without mercy, exact resizing, lossless writing."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from data_prep.base import Colour

Bytes = NDArray[np.uint8]

THRESHOLD = 128
"""A grey value of a binary mask from which a pixel is foreground."""

LISTED = 8
"""Values or colours of a file that a message lists."""


class BadPicture(ValueError):
    """A picture that cannot be used, with the reason; whoever knows its path adds it."""


@dataclass(frozen=True)
class Mask:
    """Labels uint8 [H, W], and a few of the file's own values, for messages about wrong encodings."""

    labels: Bytes
    values: tuple[str, ...]


def decode(content: bytes, *kinds: str) -> Image.Image:
    """Decode all pixels of a picture in one of the formats `kinds`, by Pillow's names ("JPEG", "PNG", "TIFF").

    Raises BadPicture for another format, a file cut short, or a broken checksum.
    """
    try:
        with Image.open(io.BytesIO(content)) as probe:
            if probe.format not in kinds:
                raise BadPicture(f"expected {' or '.join(kinds)}, found {probe.format}")
            # Checks every PNG checksum; decoding alone skips some. Afterwards the file must be opened anew.
            probe.verify()
        picture = Image.open(io.BytesIO(content))
        picture.load()
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        if isinstance(error, BadPicture):
            raise
        reason = "not a picture" if isinstance(error, UnidentifiedImageError) else str(error)
        raise BadPicture(f"cannot be decoded ({reason})") from error
    # libjpeg fills a missing rest with grey and only warns: a download padded with zeros decodes "well".
    if picture.format == "JPEG" and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
        raise BadPicture("cannot be decoded (cut short: the end-of-image marker is missing)")
    return picture


def rgb(picture: Image.Image) -> Bytes:
    """Pixels uint8 [H, W, 3]; raises BadPicture for anything but RGB."""
    if picture.mode != "RGB":
        raise BadPicture(f"expected an RGB image, found mode {picture.mode}")
    return np.asarray(picture)


def binary_mask(picture: Image.Image) -> Mask:
    """Labels 0 and 1 of a black-and-white picture: 1 where the grey value is at least 128.

    Reads one-bit, grey, palette and three-channel pictures; raises BadPicture where channels differ.
    """
    if picture.mode == "P":
        picture = picture.convert("RGB")
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.mode not in ("L", "RGB"):
        raise BadPicture(f"expected a mask in grey or RGB, found mode {picture.mode}")
    channel, *others = picture.split()
    if any(other.tobytes() != channel.tobytes() for other in others):
        raise BadPicture("expected a black-and-white mask, found colours")
    grey = np.asarray(channel)
    values = np.flatnonzero(np.bincount(grey.ravel(), minlength=256))[:LISTED]
    return Mask((grey >= THRESHOLD).astype(np.uint8), tuple(map(str, values)))


def colour_labels(picture: Image.Image, palette: Sequence[Colour]) -> Mask:
    """Labels of a picture in which colours stand for classes: each pixel's place in `palette`.

    Reads three-channel and palette pictures; raises BadPicture listing colours that stand for no class.
    """
    if picture.mode not in ("P", "RGB"):
        # Numbers without colours are not believed: their order differs between the copies that go round.
        raise BadPicture(f"expected labels as colours (RGB or palette), found mode {picture.mode}")
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB"), np.uint32), -1, 0)
    colours, places = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    labels = {r << 16 | g << 8 | b: label for label, (r, g, b) in enumerate(palette)}
    names = [f"({colour >> 16}, {colour >> 8 & 255}, {colour & 255})" for colour in colours.tolist()]
    unknown = [name for name, colour in zip(names, colours.tolist(), strict=True) if colour not in labels]
    if unknown:
        rest = f" and {len(unknown) - LISTED} more" if len(unknown) > LISTED else ""
        listed = ", ".join(unknown[:LISTED])
        raise BadPicture(f"expected the colours of the {len(palette)} classes, found also {listed}{rest}")
    by_place = np.array([labels[colour] for colour in colours.tolist()], np.uint8)
    return Mask(by_place[places.reshape(red.shape)], tuple(names))


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


def average_area(image: Bytes, factor: int) -> Bytes:
    """Shrink an image [H, W, 3] by averaging blocks of factor x factor pixels, rounded to the nearest value."""
    # Pillow's reduce() is off by one at places for factors that are no power of two; this is exact and as fast.
    corners = [(row, column) for row in range(factor) for column in range(factor)]
    total = np.full(image[::factor, ::factor].shape, len(corners) // 2, np.uint32)
    for row, column in corners:
        total += image[row::factor, column::factor]
    return (total // len(corners)).astype(np.uint8)


def take_every(labels: Bytes, factor: int) -> Bytes:
    """Shrink labels [H, W] by keeping the first pixel of each block: unbiased in area, and no new values arise."""
    return labels[::factor, ::factor]


def encode_image(image: Bytes) -> bytes:
    """A lossless RGB PNG; the same pixels give the same bytes."""
    return _png(Image.fromarray(image))


def encode_labels(labels: Bytes, colours: Sequence[Colour]) -> bytes:
    """A palette PNG whose array is `labels`; a viewer shows label i in `colours[i]`."""
    picture = Image.fromarray(labels)
    # Turns a grey picture into a palette one, values unchanged.
    picture.putpalette([channel for colour in colours for channel in colour])
    return _png(picture)


def encode_bits(labels: Bytes) -> bytes:
    """A one-bit PNG of labels 0 and 1; raises ValueError for others, which one bit would silently merge."""
    if labels.max(initial=0) > 1:
        raise ValueError("labels of several classes do not fit into one bit")
    return _png(Image.fromarray(labels.astype(bool)))


def pixel_digest(image: Bytes) -> str:
    """SHA-256 of shape and pixels: equal for equal pictures, however they were stored."""
    return hashlib.sha256(f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def _png(picture: Image.Image) -> bytes:
    # Twice as fast as the default level, and on aerial images no larger.
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=3)
    return stream.getvalue()
