"""Prepare Figures 6 and 7 for the HTML page: every picture as a data URI of bounded size, with its Dice."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.protocol.figures import Figure
from benchmarks.results.pixels import Picture
from data_prep.errors import DataError
from reports.figures import error_maps
from reports.figures.captions import caption
from reports.figures.examples import Block, FigureRows, Scene
from reports.formatting import format_number
from reports.select.settings import describe

SIDE = 1024
"""Pixels of the longer side above which a picture is downsampled."""

BUDGET = 24_000_000
"""Bytes of all pictures on a page; scenes beyond it are left out, with a note."""

JPEG_QUALITY = 85


@dataclass(frozen=True)
class Panel:
    """Picture of a scene. `uri` is None where the system was not run."""

    title: str
    uri: str | None
    width: int
    height: int
    dice: str


@dataclass(frozen=True)
class SceneView:
    """Test image with panels of the image itself, its truth, then of every system."""

    dataset: str
    stem: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class FigureView:
    """Figure under a setting; without scenes there are only notes that say why, and how to get them."""

    figure: Figure
    setting: str
    scenes: tuple[SceneView, ...]
    titles: tuple[str, ...]
    legend: tuple[tuple[str, str], ...]  # name and CSS colour
    caption: tuple[str, ...]
    notes: tuple[str, ...]
    size: int  # bytes of its pictures


def figure_views(figures: Sequence[FigureRows], home: Path) -> tuple[FigureView, ...]:
    """Return every figure with its pictures, as far as they are within `BUDGET`; notes name no folder of the home."""
    views, left = [], BUDGET
    for rows in figures:
        views.append(_view(rows, home, left))
        left -= views[-1].size
    return tuple(views)


def _view(rows: FigureRows, home: Path, budget: int) -> FigureView:
    figure, blocks = rows.figure, rows.blocks
    notes = []
    for dataset, found in rows.by_dataset.items():
        if isinstance(found, DataError):
            notes.append(f"{dataset} is not shown. {_without_home(str(found), home)}")
            continue
        notes += [f"{_without_home(problem, home)}." for problem in found.problems]
        if not_run := rows.not_run(found):
            notes.append(f"{not_run[0].upper()}{not_run[1:]}.")
    titles = ("image", "truth", *(panel.title for panel in figure.panels))
    scenes, size = [], 0
    for block in blocks:
        for scene in block.scenes:
            view = _scene(block, scene, titles)
            taken = sum(len(panel.uri or "") for panel in view.panels)
            if size + taken > budget:
                notes.append(f"Left out to keep the page below {BUDGET // 1_000_000} MB of pictures: {scene.stem}.")
                continue
            scenes.append(view)
            size += taken
    # The circles of the printed figure are not drawn here: the slider shows the change itself.
    sentences = caption(replace(figure, circles=0), rows.setting, blocks)[1:] if blocks else ()
    return FigureView(
        figure, describe(rows.setting), tuple(scenes), titles, _legend(blocks), sentences, tuple(notes), size
    )


def _without_home(text: str, home: Path) -> str:
    """Return a note without the folders of this machine, because the page may travel."""
    return text.replace(f"{home}/", "").replace(str(home), "the home")


def _scene(block: Block, scene: Scene, titles: Sequence[str]) -> SceneView:
    palette = block.dataset.palette
    maps = [
        None if labels is None else class_map(error_maps.prediction_picture(scene.truth, labels, palette))
        for labels in (scene.truth, *scene.predictions)
    ]
    absent = ["no result" if title in block.lost else "not run" for title in titles[2:]]
    known = zip(scene.dice, absent, strict=True)
    scores = ["", "", *(word if dice is None else format_number(dice) for dice, word in known)]
    height, width = scene.truth.shape
    shown = zip(titles, [photograph(scene.image), *maps], scores, strict=True)
    panels = tuple(Panel(title, uri, width, height, score) for title, uri, score in shown)
    return SceneView(block.dataset.title, scene.stem, panels)


def photograph(picture: Picture, side: int = SIDE) -> str:
    """Return an aerial image as a JPEG data URI of at most `side` pixels."""
    image = _bounded(Image.fromarray(picture), Image.Resampling.BOX, side)
    return _data_uri(image, "jpeg", quality=JPEG_QUALITY)


def class_map(picture: Picture) -> str:
    """Return a picture of few colours as a PNG data URI with a palette, without loss."""
    packed = picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)  # [H, W]
    colours, places = np.unique(packed, return_inverse=True)
    image = Image.fromarray(places.reshape(packed.shape).astype(np.uint8), "P")
    image.putpalette([part for colour in colours.tolist() for part in (colour >> 16, colour >> 8 & 255, colour & 255)])
    bits = next(bits for bits in (1, 2, 4, 8) if len(colours) <= 1 << bits)
    return _data_uri(_bounded(image, Image.Resampling.NEAREST), "png", bits=bits)


def _data_uri(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind.upper(), optimize=True, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _bounded(image: Image.Image, resampling: Image.Resampling, side: int = SIDE) -> Image.Image:
    """Return the image, downsampled to `side` if it is larger."""
    longer = max(image.size)
    if longer <= side:
        return image
    width, height = (max(1, round(length * side / longer)) for length in image.size)
    return image.resize((width, height), resampling)


def _legend(blocks: Sequence[Block]) -> tuple[tuple[str, str], ...]:
    """Return the names of the maps' colours, each once."""
    entries: dict[tuple[str, str], None] = {}
    for block in blocks:
        colours = error_maps.ERROR_COLOURS
        if len(block.dataset.classes) > 1:
            colours = dict(zip(block.dataset.classes, block.dataset.palette, strict=True))
        for name, (red, green, blue) in colours.items():
            entries[name.replace("_", " "), f"rgb({red} {green} {blue})"] = None
    return tuple(entries)
