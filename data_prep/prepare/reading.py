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
    """How the pictures of a data set are read, for `prepare_from`.

    Attributes:
        image_kinds: formats of images by Pillow's names, such as "PNG", "JPEG", "TIFF".
        mask_kinds: formats of masks.
        read_mask: turns Pillow's picture of a mask into labels. It is a function at module level, because other
            processes import it. It raises `BadPicture`, or another ValueError, LookupError or ArithmeticError,
            for a mask that cannot be used.
        rules: what is done to "image" and "mask", in words. They are in the manifest and hashed into every run key.
        expected: what masks hold, for the message where all of them show the same single label.
        remedy: what to do then.
        shrink: whether images of a whole multiple of the prepared size are shrunk to it, or refused.
        fit: how images of any size come to the prepared size: "keep", "tile" or "resize". If None, only that size and,
            with `shrink`, its multiples are taken.
        value_range: of images of more than 8 bits, which values become 0 and 255; None refuses such images.
        bands: numbers from 1 of the bands that are read as red, green and blue; None: as declared, or the first three.
        extra_files: more files of the prepared folder: text by name.

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

    image_kinds: tuple[str, ...]
    mask_kinds: tuple[str, ...]
    read_mask: Callable[[Image.Image], Mask]
    rules: DeclaredRules
    expected: str
    remedy: str
    shrink: bool = False
    fit: FitMode | None = None
    value_range: ValueRange | None = None
    bands: tuple[int, ...] | None = None
    extra_files: Mapping[str, str] = field(default_factory=dict)
