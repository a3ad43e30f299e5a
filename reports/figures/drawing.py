"""Draw a figure for print: a grid of pictures with titles, names and scores, and legends below. Lengths in inches.

With Matplotlib's object interface only: no global figure, no display, and the same input gives the same bytes.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Page
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch
from matplotlib.patheffects import withStroke

from benchmarks.protocol.figures import Figure
from reports.figures import error_maps
from reports.figures.examples import Block, Scene
from reports.formatting import format_number
from rssam.contract import IGNORE, Colour

DPI = 300
GAP = 0.03  # between cells
LEFT = 0.28  # names of data set and image
MARGIN = 0.03
BLOCK_GAP = 0.07  # more between data sets
POINT = 1 / 72

WORSE = (0, (2.5, 1.2))
STEPS = ("#F0E442", "#CC79A7", "#009E73")  # Okabe and Ito: a circle's colour, by pair of neighbouring panels


def draw(figure: Figure, blocks: Sequence[Block]) -> Page:
    """Return the whole figure."""
    with style():
        return _Sheet(figure, blocks).page


def encode(page: Page, kind: str) -> bytes:
    """Return the page as "png" (300 dpi) or "pdf" (every pixel of the images, fonts embedded)."""
    for axes in page.axes:
        for picture in axes.images:
            # A printer resamples a PDF; in a PNG, taking single pixels would tear thin roads apart.
            picture.set_interpolation("none" if kind == "pdf" else "antialiased")
    buffer = io.BytesIO()
    with style():
        page.savefig(buffer, format=kind, dpi=DPI, metadata={"CreationDate": None} if kind == "pdf" else None)
    return buffer.getvalue()


@contextmanager
def style() -> Iterator[None]:
    """Set Matplotlib's own defaults, whatever the user's settings, fonts as TrueType in a PDF, and "$" as a letter."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"pdf.fonttype": 42, "text.parse_math": False, "font.family": "DejaVu Sans"})
        yield


class _Sheet:
    """Page being drawn, from the top."""

    def __init__(self, figure: Figure, blocks: Sequence[Block]) -> None:
        self.figure = figure
        columns = 2 + len(figure.panels)
        self.cell = (figure.width - LEFT - MARGIN - (columns - 1) * GAP) / columns
        self.size = 5.5 if self.cell < 0.8 else 7.0  # points
        self.line = 1.25 * self.size * POINT
        titles = [self._wrapped(title) for title in ("Image", "Truth", *(panel.title for panel in figure.panels))]
        top = MARGIN + self.line * max(title.count("\n") + 1 for title in titles)
        legends = _legends(figure, blocks)
        rows = sum(len(block.scenes) * (self._cell_height(block) + self.line) for block in blocks)
        self.height = top + rows + BLOCK_GAP * len(blocks) + 1.3 * self.line * len(legends)
        self.page = Page(figsize=(figure.width, self.height))
        FigureCanvasAgg(self.page)

        for column, title in enumerate(titles):
            self._text(self._left(column) + self.cell / 2, top - 0.3 * self.line, title, va="baseline")
        for block in blocks:
            top = self._block(block, top) + BLOCK_GAP
        top += 0.5 * self.line
        for handles in legends:
            self._legend(handles, top)
            top += 1.3 * self.line

    def _left(self, column: int) -> float:
        return LEFT + column * (self.cell + GAP)

    def _cell_height(self, block: Block) -> float:
        height, width = block.dataset.image_size
        return self.cell * height / width

    def _wrapped(self, title: str) -> str:
        letters = int(self.cell / (0.62 * self.size * POINT))
        return textwrap.fill(title, max(letters, 1), break_long_words=False, break_on_hyphens=False)

    def _block(self, block: Block, top: float) -> float:
        """Draw the rows of one data set; return where they end."""
        height = self._cell_height(block)
        end = top + len(block.scenes) * (height + self.line)
        letters = int((end - self.line - top) / (0.62 * self.size * POINT))
        title = block.dataset.title if len(block.dataset.title) <= letters else block.dataset.name
        self._text(0.6 * self.line, (top + end - self.line) / 2, title, rotation=90, va="center")
        for scene in block.scenes:
            name = _shortened(scene.stem, int(height / (0.62 * self.size * POINT)))
            self._text(1.6 * self.line, top + height / 2, name, rotation=90, va="center")
            self._row(block, scene, top, height)
            top += height + self.line
        return top

    def _row(self, block: Block, scene: Scene, top: float, height: float) -> None:
        palette = block.dataset.palette
        pictures = [scene.image, error_maps.prediction_picture(scene.truth, scene.truth, palette)]
        for column, picture in enumerate(pictures):
            self._cell(column, top, height).imshow(picture, aspect="auto", resample=True)
        cells = []
        for column, (labels, dice) in enumerate(zip(scene.predictions, scene.dice, strict=True), start=2):
            cells.append(self._cell(column, top, height))
            centre = self._left(column) + self.cell / 2
            if labels is None or dice is None:
                cells[-1].set_facecolor("0.92")
                absent = "no result" if self.figure.panels[column - 2].title in block.lost else "not run"
                self._text(centre, top + height / 2, absent, va="center", color="0.35")
                continue
            cells[-1].imshow(error_maps.prediction_picture(scene.truth, labels, palette), aspect="auto")
            self._text(centre, top + height + 0.1 * self.line, format_number(dice), va="top")
        self._circles(scene, cells)

    def _circles(self, scene: Scene, cells: Sequence[Axes]) -> None:
        pairs = zip(pairwise(scene.predictions), pairwise(cells), STEPS, strict=False)
        for (before, after), neighbours, colour in pairs if self.figure.circles else ():
            if before is None or after is None:
                continue
            for change in error_maps.largest_changes(scene.truth, before, after, self.figure.circles):
                for axes in neighbours:
                    circle = Circle(
                        (change.column, change.row),
                        change.radius + 0.02 * scene.truth.shape[1],
                        fill=False,
                        edgecolor=colour,
                        linewidth=0.9,
                        linestyle="-" if change.better else WORSE,
                    )
                    circle.set_path_effects([withStroke(linewidth=1.7, foreground="black")])
                    axes.add_patch(circle)

    def _cell(self, column: int, top: float, height: float) -> Axes:
        """Return empty axes at a place of the grid."""
        box = (self._left(column), self.height - top - height, self.cell, height)
        scale = (self.figure.width, self.height, self.figure.width, self.height)
        left, bottom, across, up = (value / whole for value, whole in zip(box, scale, strict=True))
        axes = self.page.add_axes((left, bottom, across, up))
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(linewidth=0.3, edgecolor="0.5")
        return axes

    def _text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write centred text at a place counted from the top left."""
        position = x / self.figure.width, 1 - y / self.height
        self.page.text(*position, text, ha="center", fontsize=self.size, linespacing=1.0, **style)

    def _legend(self, handles: Sequence[Artist], y: float) -> None:
        self.page.legend(
            handles=list(handles),
            loc="center",
            bbox_to_anchor=((LEFT / 2 + self.figure.width / 2) / self.figure.width, 1 - y / self.height),
            ncols=len(handles),
            fontsize=self.size,
            frameon=False,
            borderpad=0,
            handlelength=1.2,
            handleheight=1.0,
            handletextpad=0.4,
            columnspacing=1.2,
        )


def _shortened(name: str, letters: int) -> str:
    if len(name) <= letters:
        return name
    kept = max(letters - 1, 2)
    return f"{name[: kept - kept // 2]}…{name[len(name) - kept // 2 :]}"


def _legends(figure: Figure, blocks: Sequence[Block]) -> list[list[Artist]]:
    """Return a line for the errors, one for the classes of each data set that has several, one for the circles."""
    lines: list[list[Artist]] = []
    scenes = [scene for block in blocks if len(block.dataset.classes) == 1 for scene in block.scenes]
    if scenes:
        lines.append([_swatch(label, colour) for label, colour in error_maps.ERROR_COLOURS.items()])
    for block in blocks:
        if len(block.dataset.classes) > 1:
            classes = zip(block.dataset.classes, block.dataset.palette, strict=True)
            lines.append([_swatch(label.replace("_", " "), colour) for label, colour in classes])
    if any(np.any(scene.truth == IGNORE) for block in blocks for scene in block.scenes):
        lines[-1].append(_swatch("not labelled", error_maps.UNLABELLED))
    if figure.circles:
        steps = zip(pairwise(panel.title for panel in figure.panels), STEPS, strict=False)
        rings: list[Artist] = [_ring(f"{before} → {after}", colour) for (before, after), colour in steps]
        worse = Line2D([], [], color="0.3", linewidth=0.9, linestyle=WORSE, label="for the worse")
        lines.append([*rings, worse])
    return lines


def _swatch(label: str, colour: Colour) -> Patch:
    red, green, blue = (part / 255 for part in colour)
    return Patch(facecolor=(red, green, blue), edgecolor="0.5", linewidth=0.3, label=label)


def _ring(label: str, colour: str) -> Line2D:
    ring = Line2D([], [], linestyle="", marker="o", markersize=5, markerfacecolor="none", label=label)
    ring.set(markeredgecolor=colour, markeredgewidth=0.9)
    ring.set_path_effects([withStroke(linewidth=1.7, foreground="black")])
    return ring
