"""Pictures in, arrays out, and back: full decoding without mercy, exact resizing, lossless writing."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
import struct
import sys
import tempfile
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from rssam.contract import Colour

Bytes = NDArray[np.uint8]

THRESHOLD = 128
"""A grey value of a binary mask from which a pixel is foreground."""

IGNORED = 255
"""The label of pixels that are outside of loss and counts."""

UNLABELLED: Colour = (90, 90, 90)
"""How a viewer shows pixels that are ignored."""

LISTED = 8
"""Values or colours of a file that a message lists."""


UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    MemoryError,
    Image.DecompressionBombError,
)
"""What Pillow raises for damaged files, from its own errors to those of code that trusted a damaged header."""

STDERR = 2
LIBTIFF = re.compile(rb"(tempfile\.tif|_?TIFF\w+|(Fax|LZW|ZIP|PackBits|O?JPEG|Predictor|LERC|LZMA|ZSTD)\w*): ")
"""How libtiff's complaints begin: with its own function, or the name that Pillow gives to every file."""

_quiet = threading.Lock()  # filters of warnings belong to the process, not to a thread


class BadPicture(ValueError):
    """A picture that cannot be used, with the reason; whoever knows its path adds it."""


@dataclass(frozen=True)
class Mask:
    """Labels uint8 [H, W], and a few of the file's own values, for messages about wrong encodings."""

    labels: Bytes
    values: tuple[str, ...]


def decode(content: bytes, *kinds: str, deep: bool = False) -> Image.Image:
    """Decode all pixels of a picture in one of the formats `kinds`, by Pillow's names ("JPEG", "PNG", "TIFF").

    Raises BadPicture for another format, a file cut short, a broken checksum, or more than 8 bits a channel; with
    `deep` one channel may have 16, which Pillow gives whole.
    """
    try:
        with _without_warnings():
            with Image.open(io.BytesIO(content)) as probe:
                if probe.format not in kinds:
                    raise BadPicture(f"expected {' or '.join(kinds)}, found {probe.format}")
                # Pillow cuts three channels of 16 bits to their upper half: satellite data of 11 bits come out black.
                if (bits := _bits(content, probe)) > 8 and not (deep and probe.mode.startswith("I")):
                    raise BadPicture(f"expected at most 8 bits a channel, found {bits}")
                # Checks every PNG checksum; decoding alone skips some. Afterwards the file must be opened anew.
                probe.verify()
            picture = Image.open(io.BytesIO(content))
            with _complaints(picture) as complaints:
                picture.load()
            if complaints:
                raise BadPicture(f"cannot be decoded ({complaints[0]})")
    except UNDECODABLE as error:
        if isinstance(error, BadPicture):
            raise
        reason = "not a picture" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
        raise BadPicture(f"cannot be decoded ({reason})") from error
    # libjpeg fills a missing rest with grey and only warns: a download padded with zeros decodes "well".
    if picture.format == "JPEG" and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
        raise BadPicture("cannot be decoded (cut short: the end-of-image marker is missing)")
    return picture


def header(path: Path) -> tuple[str | None, str] | None:
    """Format and mode of a picture by Pillow's names, its pixels left alone; None if it is none, or unreadable."""
    try:
        with _without_warnings(), Image.open(path) as picture:
            return picture.format, picture.mode
    except UNDECODABLE:
        return None


def _bits(content: bytes, picture: Image.Image) -> int:
    """Bits of a channel; for a mode of several bytes, such as "I;16", what the file says too."""
    if picture.format == "PNG":
        return content[24]  # in the header chunk, which is always the first
    if isinstance(picture, TiffImageFile):
        return int(max(picture.tag_v2.get(BITSPERSAMPLE, (1,))))
    return 8


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Pillow warns of oddities of a file on the screen, without its name; what matters raises an error."""
    logger, silent = logging.getLogger("PIL"), logging.NullHandler()
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.addHandler(silent)  # without any, Python prints errors that are logged
        try:
            yield
        finally:
            logger.removeHandler(silent)


@contextmanager
def _complaints(picture: Image.Image) -> Iterator[list[str]]:
    """The errors of libtiff, which writes them to the screen and goes on with wrong pixels: known after the block."""
    found: list[str] = []
    if picture.format != "TIFF" or picture.info.get("compression", "raw") == "raw":  # libtiff reads the others
        yield found
        return
    try:
        screen = os.dup(STDERR)
    except OSError:  # closed, as in services
        yield found
        return
    with tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        os.dup2(caught.fileno(), STDERR)
        try:
            yield found
        finally:
            os.dup2(screen, STDERR)
            caught.seek(0)
            for line in caught:
                if LIBTIFF.match(line):
                    found.append(line.decode(errors="replace").removeprefix("tempfile.tif: ").strip().rstrip("."))
                else:  # of another thread, such as a progress bar's
                    os.write(screen, line)
            os.close(screen)


def rgb(picture: Image.Image) -> Bytes:
    """Pixels uint8 [H, W, 3]; raises BadPicture for anything but RGB."""
    if picture.mode != "RGB":
        raise BadPicture(f"expected an RGB image, found mode {picture.mode}")
    return np.asarray(picture)


def binary_mask(picture: Image.Image, threshold: int = THRESHOLD) -> Mask:
    """Labels 0 and 1 of a black-and-white picture: 1 where the grey value is at least `threshold`.

    Reads one-bit (as 0 and 255), grey, palette and three-channel pictures; raises BadPicture where channels differ.
    """
    if picture.mode == "P":
        with _without_warnings():
            picture = picture.convert("RGB")
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.mode not in ("L", "RGB"):
        raise BadPicture(f"expected a mask in grey or RGB, found mode {picture.mode}")
    channel, *others = picture.split()
    grey = np.asarray(channel)
    if any((np.asarray(other) != grey).any() for other in others):
        raise BadPicture("expected a black-and-white mask, found colours")
    values = [str(value) for value, count in enumerate(channel.histogram()) if count][:LISTED]
    return Mask((grey >= threshold).astype(np.uint8), tuple(values))


def colour_labels(picture: Image.Image, palette: Sequence[Colour]) -> Mask:
    """Labels of a picture in which colours stand for classes: each pixel's place in `palette`.

    Reads three-channel and palette pictures; raises BadPicture listing colours that stand for no class.
    """
    if picture.mode not in ("P", "RGB"):
        # Numbers without colours are not believed: their order differs between the copies that go round.
        raise BadPicture(f"expected labels as colours (RGB or palette), found mode {picture.mode}")
    packed = _packed(picture)
    colours, places = np.unique(packed, return_inverse=True)
    labels = {r << 16 | g << 8 | b: label for label, (r, g, b) in enumerate(palette)}
    names = [_named(colour) for colour in colours.tolist()]
    unknown = [name for name, colour in zip(names, colours.tolist(), strict=True) if colour not in labels]
    if unknown:
        raise BadPicture(f"expected the colours of the {len(palette)} classes, found also {_listed(unknown)}")
    by_place = np.array([labels[colour] for colour in colours.tolist()], np.uint8)
    return Mask(by_place[places.reshape(packed.shape)], tuple(names))


def numbered_labels(picture: Image.Image, first: int, classes: Sequence[int]) -> Mask:
    """Labels of a picture of class numbers: number `first` + i stands for label `classes[i]`.

    Reads single channels; raises BadPicture for other pictures, and for numbers of no class.
    """
    if picture.mode != "L":
        raise BadPicture(f"expected class numbers in one channel, found mode {picture.mode}")
    numbers = np.asarray(picture)
    table = np.full(256, 255, np.uint8)
    table[first : first + len(classes)] = classes
    found = np.flatnonzero(np.bincount(numbers.ravel(), minlength=256)).tolist()
    unknown = [str(number) for number in found if table[number] == 255]
    if unknown:
        last = first + len(classes) - 1
        raise BadPicture(f"expected class numbers {first} to {last}, found also {_listed(unknown)}")
    return Mask(table[numbers], tuple(map(str, found)))


def refuse_jpeg(picture: Image.Image) -> None:
    """Raise BadPicture listing the colours of labels stored as JPEG, which blurs each border into other classes."""
    if picture.format == "JPEG":
        colours = [_named(colour) for colour in np.unique(_packed(picture)).tolist()]
        raise BadPicture(f"expected labels without loss (PNG), found JPEG, whose colours are {_listed(colours)}")


def _packed(picture: Image.Image) -> NDArray[np.uint32]:
    """Colours [H, W] as one number each."""
    with _without_warnings():
        red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB"), np.uint32), -1, 0)
    packed: NDArray[np.uint32] = red << 16 | green << 8 | blue
    return packed


def _named(colour: int) -> str:
    return f"({colour >> 16}, {colour >> 8 & 255}, {colour & 255})"


def _listed(values: Sequence[str]) -> str:
    rest = f" and {len(values) - LISTED} more" if len(values) > LISTED else ""
    return ", ".join(values[:LISTED]) + rest


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
    # Pillow's reduce() is off by one at places for factors that are no power of two; this is exact.
    area = factor * factor
    rows = image[::factor].astype(np.min_scalar_type(255 * area + area // 2))
    for row in range(1, factor):
        rows += image[row::factor]
    total = rows[:, ::factor] + rows.dtype.type(area // 2)
    for column in range(1, factor):
        total += rows[:, column::factor]
    mean: Bytes = (total // area).astype(np.uint8)
    return mean


def take_every(labels: Bytes, factor: int) -> Bytes:
    """Shrink labels [H, W] by keeping the first pixel of each block: unbiased in area, and no new values arise."""
    return labels[::factor, ::factor]


def encode_image(image: Bytes) -> bytes:
    """A lossless RGB PNG; the same pixels give the same bytes."""
    return _png(Image.fromarray(image))


def encode_labels(labels: Bytes, colours: Sequence[Colour]) -> bytes:
    """A palette PNG whose array is `labels`; a viewer shows label i in `colours[i]`, and 255 in UNLABELLED."""
    picture = Image.fromarray(labels)
    shown = whole_palette(colours) if (labels == IGNORED).any() else colours
    # Turns a grey picture into a palette one, values unchanged.
    picture.putpalette([channel for colour in shown for channel in colour])
    return _png(picture)


def whole_palette(colours: Sequence[Colour]) -> tuple[Colour, ...]:
    """Colours of all labels up to 255: of two colours Pillow would store one bit a pixel, and turn 255 into 1."""
    return (*colours, *[UNLABELLED] * (IGNORED + 1 - len(colours)))


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
