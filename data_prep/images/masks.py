"""Turn the masks of published data sets into labels: binary, coloured or numbered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.images.decode import BadPicture, without_warnings
from rssam.amounts import shortened
from rssam.contract import IGNORE, Colour

THRESHOLD = 128
"""A grey value of a binary mask from which a pixel is foreground."""

UNLABELLED: Colour = (90, 90, 90)
"""How a viewer shows pixels that are ignored."""

LISTED = 8
"""Values or colours of a file that a message lists."""


@dataclass(frozen=True)
class Mask:
    """Labels of one mask, as `Reading.read_mask` returns them.

    Attributes:
        labels: uint8 [H, W]: 0 and 1 for one class, 0, 1, ... in the order of the classes for several; 255 is ignored.
        values: a few of the file's own values in words, for messages about wrong encodings.

    Examples:
        >>> import numpy as np
        >>> from data_prep import Mask
        >>> Mask(np.array([[0, 1]], np.uint8), values=("0", "255")).labels
        array([[0, 1]], dtype=uint8)
    """

    labels: NDArray[np.uint8]
    values: tuple[str, ...]


def binary_mask(picture: Image.Image, threshold: int = THRESHOLD) -> Mask:
    """Return labels 0 and 1 of a black-and-white picture: 1 where the grey value is at least `threshold`.

    Reads one-bit (as 0 and 255), grey, palette and RGB pictures of 8 bits.

    Raises:
        BadPicture: Channels differ, or the picture has another mode: alpha, 16 bits. It is a ValueError.

    Examples:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from data_prep import binary_mask
        >>> binary_mask(Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8))).labels
        array([[0, 0, 1, 1]], dtype=uint8)
    """
    if picture.mode == "P":
        with without_warnings():
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
    """Return the labels of a picture in which colours stand for classes: each pixel's place in `palette`, from 0.

    Reads RGB and palette pictures.

    Args:
        picture: the mask, as Pillow opened it.
        palette: the colour (R, G, B) in 0..255 of each class. Of two equal colours the last counts.

    Raises:
        BadPicture: Colours stand for no class, which the message lists, or the mode is another: grey, RGBA. Convert
            RGBA with `picture.convert("RGB")`. It is a ValueError.

    Examples:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from data_prep import colour_labels
        >>> picture = Image.fromarray(np.array([[[0, 0, 255], [255, 0, 0]]], np.uint8))
        >>> colour_labels(picture, palette=((255, 0, 0), (0, 0, 255))).labels
        array([[1, 0]], dtype=uint8)
    """
    if picture.mode not in ("P", "RGB"):
        # Class numbers without colours are refused: their order differs between published copies.
        raise BadPicture(f"expected labels as colours (RGB or palette), found mode {picture.mode}")
    labels = {r << 16 | g << 8 | b: label for label, (r, g, b) in enumerate(palette)}
    mask, unknown = looked_up(packed_colours(picture), labels, colour_name)
    if unknown:
        found = shortened(list(map(colour_name, unknown)), LISTED)
        raise BadPicture(f"expected the colours of the {len(palette)} classes, found also {found}")
    return mask


def looked_up(codes: NDArray[Any], labels: Mapping[int, int], name: Callable[[int], str]) -> tuple[Mask, list[int]]:
    """Return the mask of codes [H, W] that stand for labels, and the codes that stand for none; `name` words a code."""
    present, places = np.unique(codes, return_inverse=True)
    found: list[int] = present.tolist()
    by_place = np.array([labels.get(code, IGNORE) for code in found], np.uint8)
    mask = Mask(by_place[places.reshape(codes.shape)], tuple(map(name, found)))
    return mask, [code for code in found if code not in labels]


def numbered_labels(picture: Image.Image, first: int, classes: Sequence[int]) -> Mask:
    """Return the labels of a picture of class numbers: number `first` + i stands for label `classes[i]`.

    Reads single channels; raises BadPicture for other pictures, and for numbers of no class.
    """
    if picture.mode != "L":
        raise BadPicture(f"expected class numbers in one channel, found mode {picture.mode}")
    mask, unknown = looked_up(np.asarray(picture), dict(enumerate(classes, first)), str)
    if unknown:
        found = shortened(list(map(str, unknown)), LISTED)
        raise BadPicture(f"expected class numbers {first} to {first + len(classes) - 1}, found also {found}")
    return mask


def refuse_jpeg(picture: Image.Image) -> None:
    """Raise BadPicture listing the colours of labels stored as JPEG, which blurs each border into other classes."""
    if picture.format == "JPEG":
        colours = [colour_name(colour) for colour in np.unique(packed_colours(picture)).tolist()]
        raise BadPicture(
            f"expected labels without loss (PNG), found JPEG, whose colours are {shortened(colours, LISTED)}"
        )


def packed_colours(picture: Image.Image) -> NDArray[np.uint32]:
    """Return the colours [H, W] of a picture, each as the number red << 16 | green << 8 | blue."""
    with without_warnings():
        red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB"), np.uint32), -1, 0)
    packed: NDArray[np.uint32] = red << 16 | green << 8 | blue
    return packed


def colour_name(colour: int) -> str:
    """Return a colour, given as one number, in words: "(255, 120, 80)"."""
    return f"({colour >> 16}, {colour >> 8 & 255}, {colour & 255})"
