"""One JSON file for what was counted or measured once: read whole, or refused with its name and the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rssam.errors import UserError

Record = TypeVar("Record")


class ResultDamaged(UserError):
    """A result file that cannot be used; the message names the file and the reason."""


def read_record(path: Path, decode: Callable[[Any], Record]) -> Record:
    """What `decode` makes of the file. Raises ResultDamaged naming the file, also for one that `decode` raised."""
    try:
        return decode(json.loads(path.read_text()))
    except OSError as error:
        raise ResultDamaged(f"{path}: it cannot be read ({error.strerror})") from error
    except ResultDamaged as error:
        raise ResultDamaged(f"{path}: {error}") from error
    except ValueError as error:
        raise ResultDamaged(f"{path}: it is cut off or no JSON ({error})") from error


def read_records(folder: Path, decode: Callable[[Any], Record]) -> Iterator[Record | ResultDamaged]:
    """Every file of a folder in the order of their names; a damaged one comes as its error."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield read_record(path, decode)
        except ResultDamaged as error:
            yield error


@contextmanager
def decoding() -> Iterator[None]:
    """Within the block, what a missing or malformed part raises becomes ResultDamaged."""
    try:
        yield
    except ResultDamaged:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultDamaged(f"a part is missing or malformed ({error!r})") from error
