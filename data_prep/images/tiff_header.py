"""Read what a TIFF states of itself, without a pixel: size, bands, kind of values, and how many pictures it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from data_prep.images.decode import UNDECODABLE, BadPicture, without_warnings

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF begins; with "+" it is a BigTIFF."""

REDUCED, MASK = 1, 4
"""Bits of a directory's kind: a smaller version of another picture (an overview), or its mask."""

COLOUR_BANDS = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3, 8: 3}
"""Bands that hold the colour, for each photometric interpretation."""

ALPHA = (1, 2)
PLACED = (33550, 33922, 34264)
"""Tags of a place on the ground: pixel scale, tie points, transformation."""

METADATA, NODATA = 42112, 42113
COMPLEX = {5, 6}
"""Kinds of values with an imaginary part."""

BYTES_OF_BLOCKS = (279, 325)
"""Tags of the length of each strip or tile; one that was never written has none."""

MOST_PICTURES = 4096

MAX_FILE = 1 << 42
"""Bytes of a raster up to which it is believed: rasters are read in windows, whatever their size."""

MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)
"""Of a picture that Pillow decodes; it takes more for an attack."""


@dataclass(frozen=True)
class TiffHeader:
    """First picture of a TIFF as its tags have it."""

    size: tuple[int, int]  # (height, width)
    bands: int
    extra: tuple[int, ...]  # what bands beyond the colour are; empty where they are none
    bits: int  # the most of a band
    unsigned: bool  # whether all values are whole numbers from 0
    complex: bool  # whether values have an imaginary part
    palette: bool  # whether values are places of a palette
    inverted: bool  # whether 0 is white
    unwritten: bool  # whether blocks of it were never written
    compression: int
    turned: bool  # whether a viewer turns it
    placed: bool  # whether it states where it lies
    nodata: bool  # whether it states a value of no data
    masked: bool  # whether it holds a mask
    pictures: int  # overviews and masks not counted

    @property
    def has_alpha(self) -> bool:
        """Return whether its only band beyond the colour says where it is transparent."""
        return len(self.extra) == 1 and self.extra[0] in ALPHA


def tiff_header_of(path: Path) -> TiffHeader | None:
    """Read the header of a file; None if it is no TIFF, or cannot be read."""
    try:
        if not path.is_file():  # a pipe would wait for ever
            return None
        with path.open("rb") as stream:
            return read_tiff_header(stream)
    except (OSError, BadPicture):
        return None


def is_large(path: Path) -> bool:
    """Return whether a file is a TIFF of more pixels than Pillow decodes; not if it cannot be read."""
    header = tiff_header_of(path)
    return header is not None and header.size[0] * header.size[1] > MOST_PIXELS


def read_tiff_header(stream: BinaryIO) -> TiffHeader | None:
    """Read the header of a TIFF; None for another format. Raises BadPicture if it is damaged."""
    try:
        with without_warnings():
            directories = list(_directories(stream))
            return _header(directories) if directories else None
    except UNDECODABLE as error:
        raise BadPicture(f"cannot be decoded (its header is damaged: {error or type(error).__name__})") from error


def _directories(stream: BinaryIO) -> Iterator[ImageFileDirectory_v2]:
    start = stream.read(8)
    if start[:4] not in MAGIC:
        return
    if b"+" in start[:4]:
        start += stream.read(8)
    offset, seen = ImageFileDirectory_v2(start).next, set[int]()
    while offset and offset not in seen and len(seen) < MOST_PICTURES:
        seen.add(offset)
        stream.seek(offset)
        directory = ImageFileDirectory_v2(start)
        directory.next = None
        directory.load(stream)
        if directory.next is None:
            raise ValueError("cut short")
        yield directory
        offset = directory.next


def _header(directories: list[ImageFileDirectory_v2]) -> TiffHeader:
    first = directories[0]
    kinds = [_first(directory, 254) for directory in directories]
    if isinstance(text := first.get(METADATA), str):
        text.encode("latin-1").decode()  # raises ValueError: on other bytes GDAL's message is a traceback on the screen
    bands = _first(first, 277, 1)
    extra = bands - COLOUR_BANDS.get(_first(first, 262, 1), 1)
    stated = tuple(first.get(338, ()))[:extra] if extra > 0 else ()
    return TiffHeader(
        size=(_first(first, 257), _first(first, 256)),
        bands=bands,
        extra=(*stated, *[0] * (extra - len(stated))),
        bits=max(first.get(258, (1,))),
        unsigned=set(first.get(339, (1,))) <= {1, 4},
        complex=bool(COMPLEX & set(first.get(339, (1,)))),
        palette=_first(first, 262, 1) == 3,
        inverted=_first(first, 262, 1) == 0,
        unwritten=any(0 in _all(first, tag) for tag in BYTES_OF_BLOCKS),
        compression=_first(first, 259, 1),
        turned=_first(first, 274, 1) != 1,
        placed=any(tag in first for tag in PLACED),
        nodata=NODATA in first,
        masked=any(kind & MASK for kind in kinds),
        pictures=sum(not kind & (REDUCED | MASK) for kind in kinds),
    )


def _first(directory: ImageFileDirectory_v2, tag: int, default: int = 0) -> int:
    value: Any = directory.get(tag, default)
    return int(value[0] if isinstance(value, tuple) else value)


def _all(directory: ImageFileDirectory_v2, tag: int) -> tuple[int, ...]:
    value: Any = directory.get(tag, ())
    return value if isinstance(value, tuple) else (value,)
