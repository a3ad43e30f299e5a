"""Find and load what other installed packages declare for this suite by Python entry points.

Looking for names imports nothing. A declaration is imported when its name is asked for, so that a broken package
affects only those who ask for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, distributions

from data_prep.errors import DataError


class Collision(DataError):
    """Raised for a name that is declared twice."""


class Broken(DataError):
    """Raised for a declaration that cannot be imported, or is not what it should be."""


def declared(group: str) -> tuple[EntryPoint, ...]:
    """Return every entry point of a group, ordered by name; two of the same name are both there.

    Only installed packages count. The working folder may hold files of anybody, and `--model` puts it on the path.
    """
    here = os.getcwd()
    return _declared(group, tuple(folder for folder in sys.path if folder not in ("", here)))


@cache
def _declared(group: str, path: Sequence[str]) -> tuple[EntryPoint, ...]:
    # One package seen through two folders of the path (a source tree and its installation) has declared once.
    unique = {
        (entry.name, entry.value): entry
        for distribution in distributions(path=list(path))
        for entry in distribution.entry_points
        if entry.group == group
    }
    return tuple(unique[key] for key in sorted(unique))


def find(group: str, name: str, taken: str = "") -> EntryPoint | None:
    """Return the entry point called `name`, None if there is none.

    Raises Collision, naming both, if two packages declare it or if it is `taken`, which says by whom.
    """
    entries = [entry for entry in declared(group) if entry.name == name]
    owners = [taken] if taken and entries else []
    owners += [source(entry) for entry in entries]
    if len(owners) > 1:
        raise Collision(
            f"the name {name} is declared twice, by {' and by '.join(owners)}: uninstall one of the packages"
        )
    return entries[0] if entries else None


def load(entry: EntryPoint) -> object:
    """Import what an entry point names. Raises Broken with one sentence, whatever the package raises."""
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        first = (str(error).splitlines() or [""])[0]
        raise Broken(f"{source(entry)} cannot be imported ({type(error).__name__}: {first}) and is left out") from error


def source(entry: EntryPoint) -> str:
    """Return the declaring package in words, for messages."""
    package = entry.dist.name if entry.dist is not None else "?"
    return f"the package {package} ({entry.value})"
