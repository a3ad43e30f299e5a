"""Read a prepared folder as PyTorch tensors, whole images or crops; crops depend on their arguments alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NotRequired, Protocol, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from data_prep.errors import DataError
from data_prep.manifest import Entry

CACHE_LIMIT = 6 << 30
"""Decoded bytes up to which a set is kept in memory: enough for the 4358 training images of DeepGlobe."""


class Item(TypedDict):
    """Image with its labels; the default collation of a DataLoader stacks items. Not to be changed in place."""

    name: str
    image: torch.Tensor  # uint8 [3, H, W]; for a network: `rssam.to_unit_range`
    mask: torch.Tensor  # uint8 [H, W], class labels, 255 is ignored
    native_mask: NotRequired[torch.Tensor]  # uint8 [h, w], at the source's own resolution


class Decoded(Protocol):
    """Decoded pixels by stem, uint8 [4, H, W]: red, green, blue, labels."""

    def __getitem__(self, stem: str) -> torch.Tensor: ...


class PreparedDataset(torch.utils.data.Dataset[Item]):
    """Images of a prepared folder with their masks, as tensors; `PreparedSet.split` returns one for a split.

    An item has `name`, `image` uint8 [3, H, W] and `mask` uint8 [H, W], 255 where pixels are ignored. Divide the image
    by 255 before the network, as `rssam.to_unit_range` does, also for data prepared with `scale`. Items are not to be
    changed in place, because they may be kept. Reading raises DataError for a file that is missing or damaged.

    Args:
        folder: the prepared folder.
        entries: which images, in this order.
        native: items also have `native_mask` uint8 [h, w], at the size of the source. If the source was not shrunk, it
            is the mask itself.
        cache: keep decoded items in memory, if all together take at most 6 GiB.
        pixels: decoded pixels uint8 [4, H, W] by name, red, green, blue and labels, to be taken in place of files.
            Another type raises TypeError.

    Examples:
        The training images of docs/python.md in batches; images are uint8 [B, 3, H, W]:

        >>> from torch.utils.data import DataLoader
        >>> from data_prep import open_prepared
        >>> batch = next(iter(DataLoader(open_prepared("example/data/roads").split("train"), batch_size=4)))
        >>> batch["image"].shape, batch["mask"].shape
        (torch.Size([4, 3, 64, 64]), torch.Size([4, 64, 64]))
    """

    def __init__(
        self,
        folder: Path,
        entries: Sequence[Entry],
        *,
        native: bool = False,
        cache: bool = True,
        pixels: Decoded | None = None,
    ) -> None:
        self.folder = folder
        self.entries = tuple(entries)
        self.native = native
        self.pixels = pixels
        cache = cache and pixels is None
        self._kept: dict[int, Item] | None = {} if cache and self._decoded_bytes() <= CACHE_LIMIT else None

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Item:
        if self._kept is None:
            return self._read(self.entries[index])
        index = range(len(self))[index]  # one key for -1 and len - 1; raises IndexError beyond the end
        if index not in self._kept:
            self._kept[index] = self._read(self.entries[index])
        return self._kept[index]

    def labels(self, index: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Read the mask uint8 [H, W] of an item and, where it has one, the native mask [h, w]; not the image."""
        entry = self.entries[index]
        finer = None if entry.native_mask is None else self._pixels(entry.native_mask, "1", entry.source_size)
        return self._pixels(entry.mask, "P", entry.size), finer

    def _decoded_bytes(self) -> int:
        image = sum(4 * entry.size[0] * entry.size[1] for entry in self.entries)
        finer = [entry.source_size for entry in self.entries if self.native and entry.native_mask is not None]
        return image + sum(height * width for height, width in finer)

    def _read(self, entry: Entry) -> Item:
        if self.pixels is None:
            image = self._pixels(entry.image, "RGB", entry.size)
            item = Item(name=entry.stem, image=image, mask=self._pixels(entry.mask, "P", entry.size))  # mask [H, W]
        else:
            planes = self.pixels[entry.stem]  # [4, H, W]
            if planes.dtype != torch.uint8:
                raise TypeError(f"expected decoded pixels uint8 in 0..255, found {planes.dtype} for {entry.stem}")
            item = Item(name=entry.stem, image=planes[:3], mask=planes[3])
        if self.native and entry.native_mask is not None:
            item["native_mask"] = self._pixels(entry.native_mask, "1", entry.source_size)  # [h, w]
        elif self.native:
            item["native_mask"] = item["mask"]
        return item

    def _pixels(self, relative: str, mode: str, size: tuple[int, int]) -> torch.Tensor:
        """Read a picture: [3, H, W] of RGB, otherwise [H, W]."""
        path = self.folder / relative
        try:
            with Image.open(path) as picture:
                found = picture.mode, (picture.height, picture.width)
                pixels = _planes(picture) if picture.mode == "RGB" else np.array(picture)
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{path} cannot be read ({error}). Delete {self.folder} and run prepare again.") from error
        if found != (mode, size):
            raise DataError(
                f"{path} was changed: expected mode {mode} and size {size}, found {found[0]} and {found[1]}. "
                f"Delete {self.folder} and run prepare again."
            )
        return torch.from_numpy(pixels.astype(np.uint8, copy=False))


def _planes(picture: Image.Image) -> NDArray[np.uint8]:
    """Return an RGB picture [3, H, W]; through an array [H, W, 3] a picture took 0.4 ms longer."""
    size = (picture.height, picture.width)
    planes = np.empty((3, *size), np.uint8)
    for plane, band in zip(planes, "RGB", strict=True):
        plane[:] = np.frombuffer(picture.tobytes("raw", band), np.uint8).reshape(size)
    return planes


def crop(item: Item, top: int, left: int, side: int) -> Item:
    """Cut the square window of `side` pixels at (top, left); a native mask at the same place in its own pixels.

    Raises ValueError if the window leaves the image. The tensors are views.

    Args:
        item: an image [3, H, W] with its masks.
        top: first row of the window.
        left: its first column.
        side: its height and width in pixels.
    """
    height, width = item["mask"].shape
    if not (0 <= top <= height - side and 0 <= left <= width - side and side > 0):
        raise ValueError(f"window of {side} pixels at ({top}, {left}) leaves the image of {height}x{width}")
    rows, columns = slice(top, top + side), slice(left, left + side)
    window = Item(name=item["name"], image=item["image"][:, rows, columns], mask=item["mask"][rows, columns])
    if "native_mask" in item:
        factor = item["native_mask"].shape[0] // height  # prepared sizes divide source sizes exactly
        native_rows = slice(factor * top, factor * (top + side))
        native_columns = slice(factor * left, factor * (left + side))
        window["native_mask"] = item["native_mask"][native_rows, native_columns]
    return window


def random_crop_offset(seed: int, epoch: int, index: int, size: tuple[int, int], side: int) -> tuple[int, int]:
    """Draw (top, left) of a random window; it depends on the arguments alone, not on workers or a resumed run.

    Raises ValueError if the window does not fit.

    Args:
        seed: of the run.
        epoch: from 0.
        index: of the draw within the epoch.
        size: (height, width) of the image in pixels.
        side: of the window in pixels.
    """
    if side > min(size):
        raise ValueError(f"a window of {side} pixels does not fit into an image of {size[0]}x{size[1]}")
    rng = np.random.default_rng([seed, epoch, index])
    return int(rng.integers(size[0] - side + 1)), int(rng.integers(size[1] - side + 1))


def grid(size: tuple[int, int], side: int) -> list[tuple[int, int]]:
    """Return (top, left) of the windows of `side` pixels that tile an image of `size` (height, width), row by row.

    Raises ValueError if `side` does not divide the size.
    """
    if size[0] % side or size[1] % side:
        raise ValueError(f"windows of {side} pixels do not tile an image of {size[0]}x{size[1]}")
    return [(top, left) for top in range(0, size[0], side) for left in range(0, size[1], side)]
