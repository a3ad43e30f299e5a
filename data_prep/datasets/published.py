"""Declare what is known of the source of a published data set, for whoever has to fetch it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Source of a data set, and what is fetched there: facts by their headings, in order. Unknown ones are empty."""

    source: str
    page: str  # where the publisher offers it
    registration: str = ""
    holds: str
    size: str = ""
    licence: str
    files: str  # their layout
    citation: str

    def facts(self) -> list[tuple[str, str]]:
        """Return the facts that are known, each with its heading."""
        return [(heading, text) for heading, text in vars(self).items() if text]


def archive_names(name: str) -> tuple[str, ...]:
    """Return the names under which `prepare` looks for the archive of a data set, in capitals or not."""
    from data_prep.prepare.archive import READ

    return tuple(f"{name}{suffix}" for suffix in READ)


def find_file(names: Iterable[str], folders: Iterable[Path]) -> Path | None:
    """Return the first file of these names in the first folder that has one, None if none does."""
    wanted = [name.casefold() for name in names]
    for folder in folders:
        if folder.is_dir():
            there = {path.name.casefold(): path for path in sorted(folder.iterdir(), reverse=True) if path.is_file()}
            for name in wanted:
                if name in there:
                    return there[name]
    return None
