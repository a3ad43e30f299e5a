"""Hold a table beyond the paper's, its cells as printed; `reports.render` writes it in every format."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    panels: tuple[tuple[int, ...], ...] = ()  # columns of each part where a page is narrow; the first is in every part

    @property
    def parts(self) -> tuple[ExtraTable, ...]:
        """The table in parts that fit a narrow page; itself without panels."""
        return tuple(self._part((0, *columns)) for columns in self.panels) or (self,)

    def _part(self, columns: tuple[int, ...]) -> ExtraTable:
        heads, *texts = (tuple(row[column] for column in columns) for row in (self.heads, *self.texts))
        left = sum(column < self.left for column in columns)
        return replace(self, heads=heads, texts=tuple(texts), left=left, panels=())


@dataclass(frozen=True, eq=False)
class ExtraSection:
    """Tables beyond the paper's under one heading."""

    id: str
    short: str
    title: str
    tables: tuple[ExtraTable, ...]
