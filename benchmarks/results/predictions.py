"""Write and read what a run predicted on the test images: labels and histograms of probabilities. Imports no torch."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.probability_histogram import EDGES
from data_prep.errors import DataError
from rssam.files import write_atomic

PREDICTIONS = "predictions.npz"
PROBABILITIES = "probabilities.npz"
"""Their files in the work folder of a run."""

_DAMAGED = (ValueError, KeyError, EOFError, TypeError, MemoryError, NotImplementedError)
"""What NumPy raises where a file is not as it should be; TypeError where it holds a single array."""

Labels = NDArray[np.uint8]  # [H, W]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Labels of every test image, as `save_predictions` leaves them.

    Labels of a binary task are still packed, eight pixels of a line in a byte.
    """

    images: tuple[str, ...]
    shape: tuple[int, int]  # (height, width) of each image
    stored: NDArray[np.uint8]  # [images, H, W], or packed [images, H, ceil(W / 8)]
    packed: bool

    def labels(self, image: str) -> Labels:
        """Return labels uint8 [H, W] of an image: its classes, or for a binary task 1 in the foreground."""
        rows = self.stored[self.images.index(image)]
        return np.unpackbits(rows, axis=-1, count=self.shape[1]) if self.packed else rows


def read_predictions(path: Path, *, binary: bool) -> Predictions:
    """Read the predictions of a run.

    Raises DataError, naming the file, if it is missing, damaged, or of another kind of task.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            count, height, width = (int(size) for size in archive["shape"])
            stored, images = archive["labels"], tuple(str(name) for name in archive["images"])
    except OSError as error:  # without its path: a report that names it may travel
        raise DataError(f"{path.parent.name}/{path.name} cannot be read ({error.strerror or error})") from error
    except (*_DAMAGED, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{path.parent.name}/{path.name} cannot be read ({error})") from error
    columns = (width + 7) // 8 if binary else width
    if stored.dtype != np.uint8 or stored.shape != (count, height, columns) or len(images) != count:
        raise DataError(f"{path.parent.name}/{path.name} does not hold the labels it announces")
    return Predictions(images, (height, width), stored, binary)


def save_predictions(path: Path, images: Sequence[str], labels: Sequence[Labels], *, binary: bool) -> None:
    """Write the predicted labels of the test images: bits for a binary task, bytes otherwise. They stay at home.

    Args:
        path: the file.
        images: stems of the test images.
        labels: of each image, uint8 [H, W], all of one size.
        binary: whether the task has one class.
    """
    stacked = np.stack(labels)  # [images, H, W]
    stored = np.packbits(stacked.astype(bool), axis=-1) if binary else stacked
    _save(path, images=np.asarray(images), shape=np.asarray(stacked.shape), labels=stored)


def save_probabilities(path: Path, images: Sequence[str], histograms: NDArray[np.int64]) -> None:
    """Write histograms [images, channels, bins, 2] of all test images, with the edges of their bins.

    They stay at home.
    """
    _save(path, images=np.asarray(images), edges=np.asarray(EDGES), counts=histograms)


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())
