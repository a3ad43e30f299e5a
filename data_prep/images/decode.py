"""Decode pictures completely and strictly: any damage, foreign format or lost depth raises BadPicture."""

from __future__ import annotations

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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

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

TURNED = 0x0112
"""EXIF's tag of how a viewer turns the picture; 1 is upright."""

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_BITS = 24
"""Where a PNG states the bits of a channel: in its header chunk, which is always the first."""

STDERR = 2
LIBTIFF = re.compile(rb"(tempfile\.tif|_?TIFF\w+|(Fax|LZW|ZIP|PackBits|O?JPEG|Predictor|LERC|LZMA|ZSTD)\w*): ")
"""How libtiff's complaints begin: with its own function, or the name that Pillow gives to every file."""

_quiet = threading.Lock()  # filters of warnings belong to the process, not to a thread


class BadPicture(ValueError):
    """Raised for a picture that cannot be used, with the reason; the caller adds its path. It is a ValueError.

    A `Reading.read_mask` of your own raises it too: `prepare_from` lists such files together.

    Examples:
        >>> from PIL import Image
        >>> from data_prep import BadPicture, binary_mask
        >>> try:
        ...     binary_mask(Image.new("RGBA", (32, 32)))
        ... except BadPicture as error:
        ...     print(error)
        expected a mask in grey or RGB, found mode RGBA
    """


def decode(content: bytes, *kinds: str, deep: bool = False) -> Image.Image:
    """Decode all pixels of a picture in one of the formats `kinds`, by Pillow's names ("JPEG", "PNG", "TIFF").

    Raises BadPicture for another format, a file cut short, a broken checksum, or more than 8 bits a channel. With
    `deep` a single channel may have 16 bits, which Pillow gives whole.
    """
    try:
        with without_warnings():
            with Image.open(io.BytesIO(content)) as probe:
                if probe.format not in kinds:
                    raise BadPicture(f"expected {' or '.join(kinds)}, found {probe.format}")
                # Pillow cuts three channels of 16 bits to their upper half: satellite data of 11 bits come out black.
                if (bits := _bits(content, probe)) > 8 and not (deep and probe.mode.startswith("I")):
                    raise BadPicture(
                        f"expected at most 8 bits a channel, found {bits}; scale all images alike: "
                        "gdal_translate -ot Byte -scale LOW HIGH 0 255 OLD NEW"
                    )
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


def refuse_turned(picture: Image.Image) -> None:
    """Raise BadPicture for a picture that viewers turn: what belongs to it was made on the turned one."""
    turned = picture.getexif().get(TURNED, 1)
    if turned != 1:
        raise BadPicture(f"expected an upright picture, found EXIF orientation {turned}; save it upright")


def is_deep_png(start: bytes) -> bool:
    """Return whether a file that begins so is a PNG of 16 bits a channel."""
    return start.startswith(PNG_START) and start[PNG_BITS : PNG_BITS + 1] == b"\x10"


def verify_chunks(content: bytes) -> None:
    """Raise BadPicture if a checksum of a PNG is wrong or its end is missing; decode no pixel."""
    try:
        with without_warnings(), Image.open(io.BytesIO(content)) as picture:
            picture.verify()
    except UNDECODABLE as error:
        raise BadPicture(f"cannot be decoded ({error})") from error


def header(path: Path) -> tuple[str | None, str] | None:
    """Read the format and mode of a picture, by Pillow's names; None if it is none, or unreadable."""
    try:
        with without_warnings(), Image.open(path) as picture:
            return picture.format, picture.mode
    except UNDECODABLE:
        return None


def _bits(content: bytes, picture: Image.Image) -> int:
    """Return the bits of a channel; for a mode of several bytes, such as "I;16", what the file says too."""
    if picture.format == "PNG":
        return content[PNG_BITS]
    if isinstance(picture, TiffImageFile):
        return int(max(picture.tag_v2.get(BITSPERSAMPLE, (1,))))
    return 8


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silence Pillow's warnings, which do not name the file; what matters raises an error."""
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
    """Collect the errors of libtiff, which writes them to the screen and continues with wrong pixels."""
    complaints: list[str] = []
    if picture.format != "TIFF" or picture.info.get("compression", "raw") == "raw":  # libtiff reads the others
        yield complaints
        return
    try:
        screen = os.dup(STDERR)
    except OSError:  # closed, as in services
        yield complaints
        return
    with tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        os.dup2(caught.fileno(), STDERR)
        try:
            yield complaints
        finally:
            os.dup2(screen, STDERR)
            caught.seek(0)
            for line in caught:
                if LIBTIFF.match(line):
                    complaints.append(line.decode(errors="replace").removeprefix("tempfile.tif: ").strip().rstrip("."))
                else:  # of another thread, such as a progress bar's
                    os.write(screen, line)
            os.close(screen)


def rgb(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels uint8 [H, W, 3]. Raises BadPicture for any mode except RGB."""
    if picture.mode != "RGB":
        hint = " (print colours); save it as RGB" if picture.mode == "CMYK" else ""
        raise BadPicture(f"expected an RGB image, found mode {picture.mode}{hint}")
    return np.asarray(picture)
