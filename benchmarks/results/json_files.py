"""Write and read JSON records; a damaged file is refused with its name and the reason."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rssam.errors import UserError
from rssam.files import write_durable
from rssam.foreign_json import Unreadable, read_json
from rssam.kinds import fault

Record = TypeVar("Record")


class Keyed(Protocol):
    """Record that its file is named after."""

    @property
    def key(self) -> str:
        """Return the file's name without its ending."""


KeyedRecord = TypeVar("KeyedRecord", bound=Keyed)


class ResultDamaged(UserError):
    """Raised for a result file that cannot be used; the message names the file and the reason."""


class MadeBy01(ResultDamaged):
    """Raised for a record of rssam-bench 0.1, which is whole and is left as it is."""

    def __init__(self, message: str = "made by rssam-bench 0.1: use rssam-bench 0.1.0 for it, and run it anew") -> None:
        super().__init__(message)


def read_record(path: Path, decode: Callable[[Any], Record], *, follow_links: bool = True) -> Record:
    """Return what `decode` makes of the file. Raises ResultDamaged naming the file, also for an error of `decode`."""
    try:
        return decode(read_json(path, follow_links=follow_links))
    except OSError as error:
        raise ResultDamaged(f"{path}: it cannot be read ({error.strerror})") from error
    except ResultDamaged as error:
        raise type(error)(f"{path}: {error}") from error
    except Unreadable as error:
        raise ResultDamaged(f"{path}: {error}") from error


def read_keyed(path: Path, decode: Callable[[Any], KeyedRecord], *, follow_links: bool = True) -> KeyedRecord:
    """Return what `decode` makes of the file. Raises ResultDamaged, also if the file is not named after its key."""

    def named(raw: Any) -> KeyedRecord:
        record = decode(raw)
        if record.key != path.stem:
            raise ResultDamaged(f"its name is not its key, {record.key}")
        return record

    return read_record(path, named, follow_links=follow_links)


def read_records(folder: Path, read: Callable[[Path], Record]) -> Iterator[Record | ResultDamaged]:
    """Yield what `read` makes of every file of a folder, in the order of names; a damaged file comes as its error."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield read(path)
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


def require_schema(raw: Any, schema: int, what: str) -> None:
    """Raise ResultDamaged unless the values are an object of that format; a newer one and one of 0.1 are called so."""
    if not isinstance(raw, Mapping):
        raise ResultDamaged(f"it holds a {type(raw).__name__}, where a {what} is expected")
    found = raw.get("schema")
    if found == 1 != schema:
        raise MadeBy01()
    if type(found) is int and found > schema:
        raise ResultDamaged(
            f"made by a newer version of rssam-bench ({what} format {found}; this one reads {schema}): "
            "update rssam-bench to read it"
        )
    if found != schema:
        raise ResultDamaged(f"{what} format {ascii(found)[:60]}, this version reads {schema}")


@contextmanager
def decoding(raw: Any = None, kinds: Any = None) -> Iterator[None]:
    """Turn what a missing or malformed part raises inside into ResultDamaged; the same for values not of `kinds`."""
    if kinds is not None and (words := fault(raw, kinds)):
        raise ResultDamaged(f"a part is missing or malformed ({words})")
    try:
        yield
    except ResultDamaged:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultDamaged(f"a part is missing or malformed ({error!r})") from error
