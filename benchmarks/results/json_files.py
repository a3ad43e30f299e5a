"""Write and read JSON records; a damaged file is refused with its name and the reason."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rssam.errors import UserError
from rssam.files import write_durable

Record = TypeVar("Record")


class ResultDamaged(UserError):
    """A result file that cannot be used; the message names the file and the reason."""


class MadeBy01(ResultDamaged):
    """A record of rssam-bench 0.1, which is whole and is left as it is."""

    def __init__(self, message: str = "made by rssam-bench 0.1: use rssam-bench 0.1.0 for it, and run it anew") -> None:
        super().__init__(message)


def read_record(path: Path, decode: Callable[[Any], Record]) -> Record:
    """What `decode` makes of the file. Raises ResultDamaged naming the file, also for one that `decode` raised."""
    try:
        return decode(json.loads(path.read_text()))
    except OSError as error:
        raise ResultDamaged(f"{path}: it cannot be read ({error.strerror})") from error
    except ResultDamaged as error:
        raise type(error)(f"{path}: {error}") from error
    except ValueError as error:
        raise ResultDamaged(f"{path}: it is cut off or no JSON ({error})") from error


def read_records(folder: Path, decode: Callable[[Any], Record]) -> Iterator[Record | ResultDamaged]:
    """Every file of a folder in the order of their names; a damaged one comes as its error."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield read_record(path, decode)
        except ResultDamaged as error:
            yield error


def write_record(path: Path, values: Mapping[str, Any], *, allow_nan: bool = True) -> None:
    """Write a record down to the disk; a reader sees all of it or nothing.

    Raises ValueError for a value that is not finite, unless `allow_nan`.
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=allow_nan)
    write_durable(path, text.encode())


def nan_to_none(value: float) -> float | None:
    """Return the value, or None for NaN, which JSON does not have."""
    return None if math.isnan(value) else value


@contextmanager
def decoding() -> Iterator[None]:
    """Within the block, what a missing or malformed part raises becomes ResultDamaged."""
    try:
        yield
    except ResultDamaged:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultDamaged(f"a part is missing or malformed ({error!r})") from error
