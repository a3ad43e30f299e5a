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
        """Return the table in parts that fit a narrow page; itself without panels."""
        return tuple(self._part((0, *columns)) for columns in self.panels) or (self,)

    def parts_within(self, width: int) -> tuple[ExtraTable, ...]:
        """Return the parts for lines of `width` letters: of a longer part its words stand above its numbers."""
        if not self.panels:
            return (self,)
        return tuple(narrow for part in self.parts for narrow in part._split(width))

    def _split(self, width: int) -> tuple[ExtraTable, ...]:
        longest = [max(map(len, column)) + 1 for column in zip(self.heads, *self.texts, strict=True)]
        if self.left == 1 or sum(longest) <= width:
            return (self,)
        words, numbers = range(self.left), (0, *range(self.left, len(self.heads)))
        return self._part(tuple(words)), self._part(numbers)

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
