"""Find tensors whose values no training can start from: no numbers, or one number alone. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rssam.weights.layout import names_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray


HEADS = ("fc.", "head.", "classifier.")
"""Beginnings of the names in a classifier's last layers: people set them to zero, and no system takes them."""


def fault(tensors: Iterable[tuple[str, NDArray[Any]]]) -> str:
    """Return which floating tensors hold NaN or infinity, or are matrices of one value; "" if none does.

    A file that was cut short and filled up ends in zeros, and a `.safetensors` file has no checksum of its own.
    """
    import numpy as np

    infinite, constant = set(), set()
    for name, array in tensors:
        # The sum is finite unless a value is not, or many are huge: only then is every value looked at.
        if array.dtype.kind != "f" or not array.size:
            continue
        with np.errstate(all="ignore"):
            total = array.sum(dtype=np.float64)
        if not np.isfinite(total) and not np.isfinite(array).all():
            infinite.add(name)
        elif _is_matrix(name, array) and (array == array.flat[0]).all():
            constant.add(name)
    faults = [f"values that are not finite in {names_in_words(infinite)}"] if infinite else []
    faults += [f"nothing but one value in {names_in_words(constant)}"] if constant else []
    return f"expected numbers, found {' and '.join(faults)}" if faults else ""


def _is_matrix(name: str, array: NDArray[Any]) -> bool:
    return array.ndim > 1 and array.shape[0] > 1 and name.endswith("weight") and not name.startswith(HEADS)
