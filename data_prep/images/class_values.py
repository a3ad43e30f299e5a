"""Read masks by declared values, a number or colour for each class, and images of any usual mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.images.decode import BadPicture, refuse_turned
from data_prep.images.masks import LISTED, Mask, binary_mask, colour_name, looked_up, packed_colours
from rssam.amounts import shortened
from rssam.contract import IGNORE, Colour

DARKEST = 0x010101
"""The darkest grey but black as a colour packed into one number; other greys are its multiples."""

STATED = range(1 << 16)
"""Numbers that a declaration may give to a class."""

MaskValue = int | Colour
"""What a mask's file holds for a class: a grey value or index, or a colour."""


@dataclass(frozen=True)
class ValueReader:
    """Reader of masks in which `values` stand for labels; all are numbers, or all colours. Picklable."""

    values: Mapping[MaskValue, int]

    def __call__(self, picture: Image.Image) -> Mask:
        """Return the labels of a picture. Raises BadPicture listing values that stand for nothing."""
        if picture.format == "JPEG":
            raise BadPicture(
                "expected a mask without loss (PNG, TIFF), found JPEG, which blurs borders. For one class say where it "
                "begins: --threshold 128"
            )
        in_colour = all(isinstance(value, tuple) for value in self.values)
        codes = colour_codes(picture) if in_colour else number_codes(picture)
        labels = {_code(value): label for value, label in self.values.items()}
        name = colour_name if in_colour else str
        mask, unknown = looked_up(codes, labels, name)
        if unknown:
            expected = ", ".join(map(str, self.values))
            names = shortened(list(map(name, unknown)), LISTED)
            remedy = self._remedy(unknown, np.unique(codes).tolist(), in_colour)
            raise BadPicture(f"expected the declared values {expected}, found also {names}{remedy}")
        return mask

    def _remedy(self, unknown: Sequence[int], present: Sequence[int], in_colour: bool) -> str:
        """Return what to do about a class of another value, about greys as smoothing gives them, or nothing."""
        declared = sorted(_code(value) for value, label in self.values.items() if label != IGNORE)
        one_other = len(declared) == 2 and len(unknown) == 1 and declared[1] not in present
        if not in_colour and one_other and unknown[0] in STATED:
            return f'. If it stands for the one class, say so: --classes "NAME={unknown[0]}"'
        step = DARKEST if in_colour else 1
        between = len(declared) == 2 and all(declared[0] < code < declared[1] for code in unknown)
        if not between or any(code % step or code // step > 255 for code in (*declared, *unknown)):
            return ""
        low, high = (code // step for code in declared)
        as_grey = f'as grey values, such as --classes "NAME={high}", ' if in_colour else ""
        return f". For one class with soft borders say {as_grey}where it begins: --threshold {(low + high + 1) // 2}"


def read_soft_borders(picture: Image.Image, threshold: int, ignore: int | None) -> Mask:
    """Return labels 0, and 1 from a grey value on; IGNORE for the value `ignore`. Raises BadPicture for colours."""
    mask = binary_mask(picture, threshold)
    if ignore is None:
        return mask
    return Mask(np.where(number_codes(picture) == ignore, np.uint8(IGNORE), mask.labels), mask.values)


def number_codes(picture: Image.Image) -> NDArray[np.int64]:
    """Return the numbers [H, W] of a mask: grey values of 8 or 16 bits, places of a palette, or single bits.

    Three equal channels count as grey. Raises BadPicture for colours and other modes.
    """
    if picture.mode in ("1", "L", "P", "I;16", "I;16B", "I"):
        return np.asarray(picture).astype(np.int64)
    if picture.mode == "RGB":
        channels = np.asarray(picture)
        if (channels != channels[..., :1]).any():
            raise BadPicture("expected one number a pixel, found colours; declare each class as R,G,B")
        return channels[..., 0].astype(np.int64)
    raise BadPicture(f"expected a mask of one number a pixel, found mode {picture.mode}")


def colour_codes(picture: Image.Image) -> NDArray[np.int64]:
    """Return the colours [H, W] of a mask, each as the number red << 16 | green << 8 | blue.

    Reads RGB, palettes and grey; raises BadPicture for other modes.
    """
    if picture.mode not in ("RGB", "P", "L"):
        raise BadPicture(f"expected a mask in colours, found mode {picture.mode}")
    return packed_colours(picture).astype(np.int64)


def any_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels uint8 [H, W, 3] of an RGB, grey or palette picture.

    Raises BadPicture for other modes, and for a picture that viewers turn: its mask was drawn on the turned one.
    """
    refuse_turned(picture)
    if picture.mode not in ("RGB", "L", "P"):
        hint = " (print colours)" if picture.mode == "CMYK" else " (1 bit)" if picture.mode == "1" else ""
        raise BadPicture(f"expected an image of 8 bits in RGB or grey, found mode {picture.mode}{hint}; save it as RGB")
    return np.asarray(picture.convert("RGB"))


def _code(value: MaskValue) -> int:
    return value if isinstance(value, int) else value[0] << 16 | value[1] << 8 | value[2]
