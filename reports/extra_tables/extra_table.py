"""Hold a table beyond the paper's, its cells as printed; `reports.render` writes it in every format."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, eq=False)
class ExtraTable:
    """Printed cells, notes with commands in backquotes, and the same numbers in `tidy`, one a line, not rounded."""

    id: str  # of its files
    caption: str
    heads: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    tidy: pd.DataFrame
    left: int = 2  # columns of words before those of numbers
    picture: bytes | None = None  # PNG, in a file of the same name


@dataclass(frozen=True, eq=False)
class ExtraSection:
    """Tables beyond the paper's under one heading."""

    id: str
    short: str
    title: str
    tables: tuple[ExtraTable, ...]
