"""Declare what is known of the source of a published data set, for whoever has to fetch it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Publication:
    """Source of a data set, and what is fetched there. A fact that is not known is empty and is not shown."""

    source: str
    page: str  # where the publisher offers it
    holds: str
    licence: str
    citation: str
    layout: str  # of the files within
    registration: str = ""
    size: str = ""

    def facts(self) -> list[tuple[str, str]]:
        """Return the facts that are known, each with its heading."""
        facts = (
            ("source", self.source), ("page", self.page), ("registration", self.registration), ("holds", self.holds),
            ("size", self.size), ("licence", self.licence), ("files", self.layout), ("citation", self.citation),
        )  # fmt: skip
        return [(heading, text) for heading, text in facts if text]


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
