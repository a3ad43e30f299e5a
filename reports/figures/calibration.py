"""Draw the picture of a table of calibration: a reliability diagram and Dice by threshold for each system."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Page

from benchmarks.metrics.probability_histogram import Histogram
from reports.figures.drawing import style

PARTS = 10
"""Points of a reliability diagram."""
COLUMNS = 4
"""Panels beside each other, at most."""
LETTERS = 26
"""In a line of a panel's title."""
WIDTH, HEIGHT = 1.75, 1.75  # inches of a panel
LINE, TRUTH, SWEEP = "#0072B2", "#999999", "#D55E00"  # Okabe and Ito's blue, a grey, vermilion


def draw_calibration(rows: Sequence[tuple[str, Histogram]]) -> bytes:
    """Return a PNG: for each name and histogram its reliability diagram, and its Dice by threshold below."""
    with style():
        bands = math.ceil(len(rows) / COLUMNS)
        columns = math.ceil(len(rows) / bands)
        page = Page(figsize=(max(2, columns) * WIDTH, 2 * bands * HEIGHT), layout="constrained")
        FigureCanvasAgg(page)
        grid = page.subplots(2 * bands, columns, squeeze=False)
        for place in range(bands * columns):
            upper, lower = (grid[2 * (place // columns) + part, place % columns] for part in (0, 1))
            if place >= len(rows):
                upper.set_axis_off()
                lower.set_axis_off()
                continue
            _reliability(upper, *rows[place])
            _sweep(lower, rows[place][1])
            if place % columns == 0:
                upper.set_ylabel("share true", fontsize=7)
                lower.set_ylabel("Dice", fontsize=7)
        buffer = io.BytesIO()
        page.savefig(buffer, format="png", dpi=200)
    return buffer.getvalue()


def _reliability(axes: Axes, name: str, histogram: Histogram) -> None:
    """Draw the share that is true against predicted probability; a dot's area grows with the log of its pixels."""
    mean, share, pixels = histogram.reliability(PARTS)
    axes.plot([0, 1], [0, 1], color=TRUTH, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.plot(mean, share, color=LINE, linewidth=1)
    known = pixels > 0
    axes.scatter(mean[known], share[known], s=2 + 3 * np.log10(pixels[known]), color=LINE, zorder=3, linewidths=0)
    _square(axes, "\n".join(textwrap.wrap(name, LETTERS)), "predicted probability")


def _sweep(axes: Axes, histogram: Histogram) -> None:
    """Draw Dice against the threshold, with what 0.5 gives and where it would be best."""
    thresholds, dice = histogram.sweep()
    axes.axvline(0.5, color=TRUTH, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.plot(thresholds, dice, color=SWEEP, linewidth=1)
    if not np.isnan(dice).all():
        best = int(np.nanargmax(dice))
        axes.plot(thresholds[best], dice[best], "o", color=SWEEP, markersize=3)
    _square(axes, "", "threshold")


def _square(axes: Axes, title: str, below: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.tick_params(labelsize=6, length=2)
    axes.set_xlabel(below, fontsize=7)
    axes.set_title(title, fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
