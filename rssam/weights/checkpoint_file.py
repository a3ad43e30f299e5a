"""Read what a checkpoint file of anybody holds, `.pth` or `.safetensors`, without running code that it may carry."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rssam.foreign_json import Unreadable
from rssam.weights.prepared_file import read_header

if TYPE_CHECKING:
    from torch import Tensor

_MISREAD = (
    pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError,
    AssertionError, ArithmeticError, MemoryError, ImportError, struct.error,
)  # fmt: skip
"""What torch raises for a spoilt file: its unpickler does what the bytes say until something does not fit."""


def read(path: Path) -> Any:
    """Return what the file holds: a dictionary of tensors at best. Raises Unreadable with half a sentence.

    What it is, its first bytes say: people rename files.
    """
    with path.open("rb") as stream:
        head = stream.read(9)
    return _read_safetensors(path) if head[8:] == b"{" else _read_pth(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        read_header(path)
        return load_file(path)
    except (SafetensorError, *_MISREAD) as error:
        raise Unreadable("a truncated or foreign file") from error


def _read_pth(path: Path) -> Any:
    import torch

    try:
        if zipfile.is_zipfile(path):
            _require_sums(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch has to say of odd files is said better by its error
            return torch.load(path, map_location="cpu", weights_only=True)
    except zipfile.BadZipFile as error:
        raise Unreadable(f"a damaged file ({error})") from error
    except _MISREAD as error:
        objects = re.search(r"GLOBAL ([A-Za-z_][\w.]{0,80}) was not an allowed global", str(error))
        if isinstance(error, pickle.UnpicklingError) and objects:
            raise Unreadable(
                f"Python objects ({objects[1]}), which are never loaded. If you trust it, save its tensors alone: "
                "torch.save(net.state_dict(), FILE)"
            ) from error
        raise Unreadable("a truncated or foreign file") from error


def _require_sums(path: Path) -> None:
    """Raise BadZipFile for a record that does not have its checksum: torch writes them, and compares none.

    Records without a sum are left, which torch writes on demand.
    """
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        if sum(record.compress_size for record in records) > path.stat().st_size:
            raise zipfile.BadZipFile("its records claim more than it holds")
        for record in records:
            if record.CRC and record.compress_type == zipfile.ZIP_STORED:
                with archive.open(record) as stream:
                    while stream.read(1 << 20):
                        pass
