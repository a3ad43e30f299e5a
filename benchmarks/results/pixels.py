"""Read the pixels behind a figure without torch: prepared images and masks, and what a run predicted on them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.results.predictions import Labels, Predictions, read_predictions
from data_prep.errors import DataError
from data_prep.manifest import Entry

__all__ = ["Labels", "Picture", "Predictions", "read_pair", "read_predictions"]

Picture = NDArray[np.uint8]  # [H, W, 3]


def read_pair(folder: Path, entry: Entry) -> tuple[Picture, Labels]:
    """Return image and mask of a prepared folder. Raises DataError if a file is missing or was changed since."""
    return _read(folder, entry.image, entry.image_sha256), read_mask(folder, entry)


def read_mask(folder: Path, entry: Entry) -> Labels:
    """Return the mask of a prepared folder, [H, W]. Raises DataError if it is missing or was changed since."""
    return _read(folder, entry.mask, entry.mask_sha256)


def _read(folder: Path, relative: str, digest: str) -> NDArray[np.uint8]:
    try:
        content = (folder / relative).read_bytes()
    except OSError as error:
        raise DataError(f"{relative} cannot be read ({error}): delete {folder} and run prepare again") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataError(f"{relative} was changed since it was prepared: delete {folder} and run prepare again")
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture, dtype=np.uint8)  # of a mask, the places in its palette: the labels
