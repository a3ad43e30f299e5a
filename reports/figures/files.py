"""Write a figure as PNG and PDF, with its caption and notes on what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from benchmarks.protocol.figures import Figure
from data_prep.errors import DataError
from reports.figures.captions import caption
from reports.figures.examples import FigureRows

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Page


@dataclass(frozen=True, eq=False)
class RenderedFigure:
    """Figure under a setting. `page` is None where there is nothing to show; `notes` say what is missing."""

    figure: Figure
    name: str  # of its files, without the ending
    page: Page | None
    caption: tuple[str, ...]
    notes: tuple[str, ...]

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Return a PNG and a PDF by name; nothing without a page."""
        if self.page is None:
            return {}
        from reports.figures.drawing import encode

        return {f"{self.name}.{kind}": encode(self.page, kind) for kind in ("png", "pdf")}


def render_figure(rows: FigureRows) -> RenderedFigure:
    """Return a figure drawn, with its caption; without rows there are only notes."""
    figure, setting, blocks = rows.figure, rows.setting, rows.blocks
    name = "-".join([figure.id, setting.profile, *setting.overridden.values()])  # as fig6-mini-vit_t-scratch
    notes = tuple(f"{name}: {note}" for note in _missing(rows))
    if not blocks:
        return RenderedFigure(figure, name, None, (), notes)
    from reports.figures.drawing import draw  # imports matplotlib, which takes a second

    return RenderedFigure(figure, name, draw(figure, blocks), caption(figure, setting, blocks), notes)


def _missing(rows: FigureRows) -> Iterator[str]:
    for dataset, stem in rows.named:
        if dataset not in rows.by_dataset:
            yield f"no rows of {dataset}, so {dataset}:{stem} is not shown"
    for dataset, found in rows.by_dataset.items():
        if isinstance(found, DataError):
            yield f"{dataset} is left out. {found}"
            continue
        yield from (f"{problem}." for problem in found.problems)
        if not_run := rows.not_run(found):
            yield not_run
        if strangers := [stem for name, stem in rows.named if name == dataset and stem not in found.named]:
            yield f"no test image of {dataset} in these runs: {', '.join(strangers)}"
