"""Read predicted masks, as people save them, as labels by one rule. What could mean two things is refused.

Of a task with one class:
- 0 and 1, 0 and 255, one bit or boolean: which of the first two is decided over all files together;
- colours: black, and the colour of the data set's class;
- floats [H, W] or [1, H, W]: probabilities (foreground above 0.5) or logits (above 0), as `float_maps` decides;
- floats [2, H, W]: background and foreground, of which the larger counts.
Of several classes: their numbers from 0, in the order of the data set; its colours; floats [classes, H, W], the
largest.
One channel for each class, of which one is set (one-hot), is declared: other bands look alike.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.scoring.encoding import Encoding
from benchmarks.scoring.float_maps import read_values, threshold
from data_prep.images.class_values import colour_codes, number_codes
from data_prep.images.decode import UNDECODABLE, BadPicture
from data_prep.images.masks import LISTED
from data_prep.images.picture import Picture, read_labels
from data_prep.images.source_file import SourceFile
from rssam.amounts import shortened
from rssam.contract import Colour

READ = (".npy", ".png", ".tif", ".tiff")
"""Endings of files that are read, in small letters."""

JPEG = (".jpg", ".jpeg")
"""Endings of files that are refused: JPEG blurs a mask's borders into values of no class."""

DAMAGED = (*UNDECODABLE, tokenize.TokenError, zipfile.BadZipFile)
"""What NumPy raises for a damaged file: it reads the header as Python, and the rest as ZIP where it begins so."""

ONE_HOT = "declare it: --encoding one-hot"
"""What to do with a map of a band for each class."""

WHITE = 255
BLACK: Colour = (0, 0, 0)

MaskEncoding = Literal["labels", "numbers", "floats", "largest", "one-hot"]
"""What a file's bytes are: labels, read off its values, its largest channel or the only one that is set; or what all
files together must decide: 0 and 1 or 255; floats against 0 and 0.5."""

LOW, HIGH = 1, 2
"""How floats are kept until it is known what they are: above 0, above 0.5; 0 is what is neither."""


@dataclass(frozen=True)
class LabelFile:
    """Decoded file, a byte for each pixel, packed: a whole test split fits into memory."""

    path: Path
    encoding: MaskEncoding
    size: tuple[int, int]  # (height, width)
    packed: bytes
    values: frozenset[int] = frozenset()  # of numbers
    low: float = 0.0  # of floats
    high: float = 0.0

    @classmethod
    def of(cls, path: Path, encoding: MaskEncoding, codes: NDArray[np.uint8]) -> LabelFile:
        """Return a file of codes uint8 [H, W], which stand for what `encoding` says."""
        values = frozenset(np.unique(codes).tolist()) if encoding == "numbers" else frozenset()
        size = codes.shape[0], codes.shape[1]
        return cls(path, encoding, size, zlib.compress(np.ascontiguousarray(codes).tobytes(), 1), values)

    @property
    def codes(self) -> NDArray[np.uint8]:
        """Return the bytes, uint8 [H, W]."""
        return np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.size)


@dataclass(frozen=True)
class LabelReader:
    """Reader of the files of a data set: `classes` are its names, `palette` the colour of each."""

    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    encoding: Encoding | None = None  # as declared

    @property
    def binary(self) -> bool:
        """Return whether there is one class, and a background."""
        return len(self.classes) == 1

    @property
    def numbers(self) -> set[int]:
        """Return the whole numbers that a file may hold."""
        return {0, 1, WHITE} if self.binary else set(range(len(self.classes)))

    @property
    def colours(self) -> Mapping[int, int]:
        """Return the label of each colour, packed into one number as in `colour_codes`."""
        palette = (BLACK, self.palette[0]) if self.binary else self.palette
        return {red << 16 | green << 8 | blue: label for label, (red, green, blue) in enumerate(palette)}

    def read(self, path: Path) -> LabelFile:
        """Decode a file. Raises BadPicture saying what was expected and which values were found."""
        if path.exists() and not path.is_file():  # a pipe would wait for ever, a device would fill the memory
            raise BadPicture("expected a file, found a folder, a device or a pipe")
        if path.suffix.lower() == ".npy":
            return self._array(path)
        if path.suffix.lower() in JPEG:
            raise BadPicture("JPEG blurs borders of classes into values of none; save the mask as PNG or TIFF")
        try:
            source = SourceFile.read(path)
        except OSError as error:
            raise BadPicture(f"cannot be read ({error.strerror})") from error
        if (values := read_values(source, self.encoding)) is not None:
            _refuse_gaps(values[1])
            return self.of_array(path, values[0])
        _refuse_gaps(picture := read_labels(source, ("PNG", "TIFF"), remedy=ONE_HOT))
        return self._picture(path, picture.pixels)

    def _picture(self, path: Path, picture: Image.Image) -> LabelFile:
        if picture.mode == "1":
            return self._numbers(path, np.asarray(picture).astype(np.int64))
        if picture.mode not in ("P", "RGB"):
            return self._numbers(path, number_codes(picture))
        by_colour, unknown = self._by_colour(picture)
        if picture.mode == "P":
            return self._palette(path, np.asarray(picture).astype(np.int64), by_colour)
        if by_colour is not None:
            return LabelFile.of(path, "labels", by_colour)
        channels = np.asarray(picture)
        if (channels == channels[..., :1]).all():
            return self._numbers(path, channels[..., 0].astype(np.int64))
        raise BadPicture(f"expected {self.expected}, found also the colours {unknown}")

    def _by_colour(self, picture: Image.Image) -> tuple[NDArray[np.uint8] | None, str]:
        """Return labels by the data set's colours; None, and the unknown colours, if there are any."""
        codes = colour_codes(picture)
        present, places = np.unique(codes, return_inverse=True)
        if unknown := [code for code in present.tolist() if code not in self.colours]:
            return None, shortened([f"({code >> 16}, {code >> 8 & 255}, {code & 255})" for code in unknown], LISTED)
        table = np.array([self.colours[code] for code in present.tolist()], np.uint8)
        return table[places.reshape(codes.shape)], ""

    def _palette(self, path: Path, places: NDArray[np.int64], by_colour: NDArray[np.uint8] | None) -> LabelFile:
        """Return the file of a picture with numbers and colours: both count if they agree, or the only possible one."""
        if by_colour is None:
            return self._numbers(path, places)
        try:
            by_number = self._numbers(path, places)
        except BadPicture:
            return LabelFile.of(path, "labels", by_colour)
        numbers = by_number.codes
        if by_number.encoding == "numbers":  # 0 and 1, or 0 and 255: either way what is not 0 is foreground
            numbers = (numbers > 0).astype(np.uint8)
        if (numbers != by_colour).any():
            raise BadPicture(
                "its palette shows the data set's colours in another order than its numbers: save it without a palette"
            )
        return LabelFile.of(path, "labels", by_colour)

    def _numbers(self, path: Path, numbers: NDArray[Any]) -> LabelFile:
        """Return the file of whole numbers or booleans [H, W]. Raises BadPicture for other numbers than classes."""
        present = np.unique(numbers).tolist()
        unknown = [str(value) for value in present if value not in self.numbers]
        if unknown or (1 in present and WHITE in present and self.binary):
            shown = shortened(unknown or [str(value) for value in present], LISTED)
            raise BadPicture(f"expected {self.expected}, found {'also ' if unknown else ''}{shown}")
        codes = numbers.astype(np.uint8)
        # Nothing but 0 is background under every rule.
        return LabelFile.of(path, "numbers" if self.binary and codes.any() else "labels", codes)

    def _array(self, path: Path) -> LabelFile:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except DAMAGED as error:
            found = "it holds Python objects" if "pickle" in str(error) else error
            raise BadPicture(f"cannot be read as an array ({found})") from error
        if isinstance(array, np.ndarray):
            return self.of_array(path, array)
        raise BadPicture(f"expected {self.expected}, found an archive of arrays (.npz)")

    def of_array(self, path: Path, array: NDArray[Any]) -> LabelFile:
        """Read the values [H, W] or [bands, H, W] of a file, of any type. Raises BadPicture."""
        array = array[0] if array.ndim == 3 and array.shape[0] == 1 else array
        if not array.size:
            raise BadPicture(f"expected {self.expected}, found no value: shape {list(array.shape)}")
        if array.dtype.kind in "biuf" and self.encoding == "one-hot":
            return self._one_hot(path, np.asarray(array))
        if array.dtype.kind in "biu" and array.ndim == 2:
            return self._numbers(path, np.asarray(array))
        if array.dtype.kind == "f" and array.ndim in (2, 3):
            return self._floats(path, np.asarray(array))
        hint = "; if a channel stands for a class, give --encoding one-hot" if array.ndim == 3 else ""
        raise BadPicture(f"expected {self.expected}, found {array.dtype} of shape {list(array.shape)}{hint}")

    def _floats(self, path: Path, array: NDArray[np.floating[Any]]) -> LabelFile:
        """Return the file of probabilities or logits [H, W] or [channels, H, W]; whole numbers if not declared so."""
        if np.isnan(array).any():
            raise BadPicture(f"{int(np.isnan(array).sum())} of its values are no numbers (NaN)")
        if array.ndim == 3:
            self._require_channels(array)
            return LabelFile.of(path, "largest", array.argmax(axis=0).astype(np.uint8))
        values = np.unique(array)
        whole = len(values) <= WHITE + 1 and set(values.tolist()) <= self.numbers
        if whole and self.encoding in (None, "labels"):
            return self._numbers(path, array)
        if not self.binary or self.encoding == "labels":
            raise BadPicture(f"expected {self.expected}, found floats of shape {list(array.shape)}")
        codes = (array > 0).astype(np.uint8) + (array > 0.5)
        return replace(LabelFile.of(path, "floats", codes), low=float(values[0]), high=float(values[-1]))

    def _one_hot(self, path: Path, array: NDArray[Any]) -> LabelFile:
        """Return the file of a channel for each class, in which its pixels alone are set: to one number in all."""
        self._require_channels(array)
        is_set = array != 0
        other = int((is_set.sum(axis=0) != 1).sum())
        if other or len(np.unique(array[is_set])) > 1:
            found = f"{other} pixels with another number of them" if other else "several values above 0"
            raise BadPicture(f"expected one channel that is set in every pixel (one-hot), found {found}")
        return LabelFile.of(path, "one-hot", is_set.argmax(axis=0).astype(np.uint8))

    def _require_channels(self, array: NDArray[Any]) -> None:
        channels = 2 if self.binary else len(self.classes)
        if array.ndim != 3 or len(array) != channels:
            last = array.ndim == 3 and array.shape[-1] == channels
            hint = ", with the channels last: save it as [channels, H, W]" if last else ""
            kind = "floats" if array.dtype.kind == "f" else str(array.dtype)
            raise BadPicture(f"expected {self.expected}, found {kind} of shape {list(array.shape)}{hint}")

    @property
    def expected(self) -> str:
        """Return in words what a file may hold."""
        if self.encoding == "one-hot":
            channels = ("background", *self.classes) if self.binary else self.classes
            return f"a channel for each of {', '.join(channels)}, [{len(channels)}, H, W]"
        if self.binary:
            colour = "white" if self.palette[0] == (255, 255, 255) else str(self.palette[0])
            return (
                f"0 and 1, or 0 and 255, or black and {colour}, or floats (probabilities or logits) "
                "[H, W] in a .npy or TIFF file"
            )
        names = ", ".join(f"{number} {name}" for number, name in enumerate(self.classes))
        floats = f"floats [{len(self.classes)}, H, W] in a .npy or TIFF file"
        return f"class numbers ({names}), the data set's colours, or {floats}"


def resolve_encoding(files: Sequence[LabelFile], declared: Encoding | None = None) -> tuple[int, float]:
    """Return the number that is foreground, and the threshold of floats, from all files together.

    Raises BadPicture naming files that cannot be of one kind, or floats that could be of two.
    """
    if declared is not None:
        _require_declared(files, declared)
    ones = [file for file in files if 1 in file.values]
    whites = [file for file in files if WHITE in file.values]
    if ones and whites:
        raise BadPicture(
            f"{ones[0].path.name} holds 0 and 1, and {whites[0].path.name} 0 and 255: save all files alike, for one of "
            "the two may mean something else"
        )
    ranges = [(file.path.name, file.low, file.high) for file in files if file.encoding == "floats"]
    return WHITE if whites else 1, threshold(ranges, declared)


def _require_declared(files: Sequence[LabelFile], declared: Encoding) -> None:
    allowed = {"labels": ("labels", "numbers"), "one-hot": ("one-hot",)}.get(declared, ("floats", "largest"))
    for file in files:
        if file.encoding not in allowed:
            instead = "labels" if file.encoding in ("labels", "numbers") else "floats"
            raise BadPicture(f"{file.path.name}: expected {declared}, as --encoding says, found {instead}")


def labels_of(file: LabelFile, foreground: int, threshold: float) -> NDArray[np.uint8]:
    """Return labels uint8 [H, W] of a file, under what `resolve_encoding` found."""
    if file.encoding in ("labels", "largest", "one-hot"):
        return file.codes
    if file.encoding == "numbers":
        return np.equal(file.codes, foreground).astype(np.uint8)
    return np.greater_equal(file.codes, HIGH if threshold else LOW).astype(np.uint8)


def _refuse_gaps(picture: Picture) -> None:
    """Raise BadPicture for a prediction that leaves pixels out. A no-data value of 0 is the background, as in masks."""
    gaps = 0 if picture.hidden is None else int(picture.hidden.sum())
    if picture.nodata is not None:
        gaps += int(np.asarray(picture.pixels)[picture.nodata].reshape(picture.nodata.sum(), -1).any(axis=-1).sum())
    if gaps:
        raise BadPicture(
            f"expected a label in every pixel, found {gaps} without data (a no-data value, a mask or alpha); predict "
            "them too, or drop the declaration: gdal_edit.py -unsetnodata FILE"
        )
