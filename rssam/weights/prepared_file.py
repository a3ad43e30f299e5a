"""Read headers of safetensors files, and find what is wrong with a prepared checkpoint. Torch comes with SAM's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rssam.foreign_json import Unreadable, parse_json
from rssam.kinds import TEXT, Each, fault
from rssam.weights import layout, values
from rssam.weights.registry import Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_HEADER = 1 << 24
"""Bytes of a safetensors header up to which it is read; that of the largest system has a tenth of a million."""

_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8"}
"""What prepared files hold, also those of earlier versions, which kept half precision."""


def read_header(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file. Raises Unreadable unless its header is whole and of bounded size."""
    header, _ = _header(path)
    return dict(header.get("__metadata__", {}))


def prepared_fault(weights: Weights, path: Path) -> str:
    """Return in what a prepared file is not the checkpoint of that name, "" if it is: names, shapes and values."""
    try:
        header, begin = _header(path)
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        if words := layout.fault(weights, {name: tuple(entry["shape"]) for name, entry in tensors.items()}):
            return words
        return values.fault(_arrays(path, tensors, begin))
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"expected a safetensors file, found {type(error).__name__} ({error})"


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file, and the place of the first tensor."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not length <= min(MOST_HEADER, path.stat().st_size):
            raise Unreadable(f"its header is said to have {length} bytes")
        header = parse_json(stream.read(length))
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if words := fault(metadata, Each(TEXT, TEXT), "its metadata"):
        raise Unreadable(words)
    return header, 8 + length


def _arrays(path: Path, tensors: Mapping[str, Mapping[str, Any]], begin: int) -> Iterator[tuple[str, NDArray[Any]]]:
    import numpy as np

    for name, entry in tensors.items():
        shape, kind = tuple(entry["shape"]), _KINDS[entry["dtype"]]
        if 0 in shape:
            continue
        array: NDArray[Any] = np.memmap(path, kind, "r", begin + entry["data_offsets"][0], shape)
        if entry["dtype"] == "BF16":  # the upper half of a float32
            array = (array.astype("<u4") << 16).view("<f4")
        yield name, array
