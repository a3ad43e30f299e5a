"""Write figures as PNG and PDF, with captions: each under every setting that has something to show."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.protocol.figures import Figure
from benchmarks.protocol.setting import Setting
from data_prep.errors import DataError
from data_prep.registry import find_dataset
from reports.figures.captions import caption
from reports.figures.examples import Block, find_block, missing_panels
from reports.select.figures import datasets, figure_settings, remedy
from reports.select.results import Collection
from reports.select.settings import PAPER_SETTING
from rssam.errors import UnknownName

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Page


@dataclass(frozen=True, eq=False)
class RenderedFigure:
    """Figure under a setting. `page` is None where there is nothing to show; `notes` say what is missing."""

    name: str  # of its files, without the ending
    page: Page | None
    caption: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class FigureFiles:
    """Files of a figure by name, the caption of each by its name without the ending, and what is missing."""

    files: dict[str, bytes]
    captions: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


def figure_files(figure: Figure, collection: Collection, home: Path, named: Sequence[str] = ()) -> FigureFiles:
    """Return a PNG and a PDF for every setting under which the user has runs to show; otherwise only a note.

    Args:
        figure: to render.
        collection: all usable results.
        home: with the prepared data and the predictions.
        named: images to show besides those chosen by the rule, as "deepglobe:STEM".

    Raises:
        UnknownName: a text in `named` has another form; UnknownDataset if it names an unknown data set.
    """
    shown = figure_settings(figure, collection) or [PAPER_SETTING]
    all_rendered = [render_figure(figure, setting, collection, home, named) for setting in shown]
    files = {
        f"{rendered.name}.{kind}": _encode(rendered.page, kind)
        for rendered in all_rendered
        if rendered.page
        for kind in ("png", "pdf")
    }
    captions = {rendered.name: rendered.caption for rendered in all_rendered if rendered.page is not None}
    return FigureFiles(files, captions, tuple(note for rendered in all_rendered for note in rendered.notes))


def render_figure(
    figure: Figure, setting: Setting, collection: Collection, home: Path, named: Sequence[str] = ()
) -> RenderedFigure:
    """Return a figure under one setting. A data set that lacks `figure.ours` or `figure.reference` is left out.

    Args:
        figure: to render.
        setting: under which results are shown.
        collection: all usable results.
        home: with the prepared data and the predictions.
        named: images to show besides those chosen by the rule, as "deepglobe:STEM".

    Raises:
        UnknownName: a text in `named` has another form; UnknownDataset if it names an unknown data set.
    """
    images = named_images(named)
    name = slug(figure, setting)
    shown = datasets(figure, setting)
    blocks: list[Block] = []
    notes = [
        f"{name}: no rows of {dataset}, so {dataset}:{stem} is not shown"
        for dataset, stem in images
        if dataset not in shown
    ]
    for dataset in shown:
        stems = [stem for image_dataset, stem in images if image_dataset == dataset]
        try:
            blocks.append(find_block(figure, dataset, setting, collection, home, stems))
        except DataError as problem:
            notes.append(f"{name}: {dataset} is left out. {problem}")
            continue
        notes += [f"{name}: {note}" for note in _missing(figure, setting, blocks[-1], stems)]
    if not blocks:
        return RenderedFigure(name, None, (), tuple(notes))
    from reports.figures.drawing import (
        draw,  # imports matplotlib, which takes a second: only where there is something to draw
    )

    return RenderedFigure(name, draw(figure, blocks), caption(figure, setting, blocks), tuple(notes))


def slug(figure: Figure, setting: Setting) -> str:
    """Return the name of a figure's files: "fig6-mini-vit_t-scratch"."""
    chosen = dataclasses.asdict(setting).values()
    return "-".join([figure.id, *(value for value in chosen if value is not None)])


def _encode(page: Page, kind: str) -> bytes:
    from reports.figures.drawing import encode

    return encode(page, kind)


def named_images(named: Sequence[str]) -> list[tuple[str, str]]:
    """Return data set and stem of images named as "deepglobe:STEM". Raises UnknownName or UnknownDataset."""
    pairs = []
    for text in named:
        dataset, _, stem = text.partition(":")
        if not stem:
            raise UnknownName(f"unknown image {text!r}: write a data set and the name of an image, as deepglobe:104")
        pairs.append((find_dataset(dataset).name, stem))
    return pairs


def _missing(figure: Figure, setting: Setting, block: Block, named: Sequence[str]) -> list[str]:
    """Return notes on what cannot be shown on a data set."""
    notes = [f"{problem}." for problem in block.problems]
    if absent := missing_panels(figure, block):
        notes.append(f"not run on {block.dataset.name}: {', '.join(absent)}. To fill them: `{remedy(figure, setting)}`")
    strangers = [stem for stem in named if stem not in block.named]
    if strangers:
        notes.append(f"no test image of {block.dataset.name} in these runs: {', '.join(strangers)}")
    return notes
