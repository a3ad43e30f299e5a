"""`Reading`: how the images and masks of a data set are decoded, as its module declares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from data_prep.images.masks import Mask
from data_prep.rules import DeclaredRules
from rssam.value_range import ValueRange

if TYPE_CHECKING:
    from PIL import Image

FitMode = Literal["keep", "tile", "resize"]


@dataclass(frozen=True)
class Reading:
    """How the pictures of a data set are read. `read_mask` is a function at module level, for other processes.

    Examples:
        >>> from data_prep import Reading, binary_mask
        >>> reading = Reading(
        ...     image_kinds=("PNG",), mask_kinds=("PNG",), read_mask=binary_mask,
        ...     rules={"image": "as it is", "mask": "water from 128"},
        ...     expected="values of 128 and more", remedy="Give the original masks.",
        ... )
        >>> reading.shrink
        False
    """

    image_kinds: tuple[str, ...]  # Pillow's names of the formats
    mask_kinds: tuple[str, ...]
    read_mask: Callable[[Image.Image], Mask]
    rules: DeclaredRules  # on image and mask, for the manifest and every run key
    expected: str  # what masks hold, for the message where all of them show one and the same label
    remedy: str
    shrink: bool = False  # whether images of a whole multiple of the prepared size are shrunk, or refused
    fit: FitMode | None = None  # where images may have any size: how they come to that one, see `resize_or_tile`
    value_range: ValueRange | None = None  # of images of more than 8 bits, what becomes 0 and 255
    bands: tuple[int, ...] | None = None  # of images, read as red, green and blue; None: as declared, or the first
    extra_files: Mapping[str, str] = field(default_factory=dict)  # of the prepared folder: name and text
