"""Figures 6 and 7 for the page: every picture once, as a data URI of bounded size, with its Dice."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.protocol.figures import Figure
from benchmarks.protocol.setting import Setting
from benchmarks.results.pixels import Picture
from data_prep.errors import DataError
from reports.figures import error_maps as errors
from reports.figures.captions import caption
from reports.figures.examples import Block, Scene, find_block
from reports.select.figures import datasets, figure_settings, remedy
from reports.select.results import Collection
from reports.select.settings import PAPER_SETTING, describe

SIDE = 1024
"""Pixels of the longer side above which a picture is shrunk."""

BUDGET = 24_000_000
"""Bytes of all pictures on a page; scenes beyond it are left out, and that is said."""

JPEG_QUALITY = 85


@dataclass(frozen=True)
class Panel:
    """One picture of a scene. `uri` is None where the system was not run."""

    title: str
    uri: str | None
    width: int
    height: int
    dice: str


@dataclass(frozen=True)
class SceneView:
    """One test image: the image itself, its truth, then one picture a system."""

    dataset: str
    stem: str
    shots: tuple[Panel, ...]


@dataclass(frozen=True)
class FigureView:
    """One figure under one setting; without scenes there are only notes that say why, and how to get them."""

    figure: Figure
    setting: str
    scenes: tuple[SceneView, ...]
    titles: tuple[str, ...]
    legend: tuple[tuple[str, str], ...]  # name and CSS colour
    caption: tuple[str, ...]
    notes: tuple[str, ...]
    size: int  # bytes of its pictures


def figure_views(
    figures: Sequence[Figure], collection: Collection, home: Path, named: Sequence[str] = ()
) -> tuple[FigureView, ...]:
    """Every figure under every setting with runs to show; `named` are images shown besides, as "deepglobe:STEM"."""
    views, left = [], BUDGET
    for figure in figures:
        for setting in figure_settings(figure, collection) or [PAPER_SETTING]:
            views.append(_view(figure, setting, collection, home, named, left))
            left -= views[-1].size
    return tuple(views)


def _view(
    figure: Figure, setting: Setting, collection: Collection, home: Path, named: Sequence[str], left: int
) -> FigureView:
    blocks: list[Block] = []
    notes = []
    for dataset in datasets(figure, setting):
        try:
            stems = [stem for of, _, stem in (text.partition(":") for text in named) if of == dataset]
            blocks.append(find_block(figure, dataset, setting, collection, home, stems))
        except DataError as problem:
            notes.append(f"{dataset} is not shown. {problem}")
            continue
        notes += [f"{problem}." for problem in blocks[-1].problems]
        absent = [panel.title for panel, one in zip(figure.panels, blocks[-1].results, strict=True) if one is None]
        if absent:
            notes.append(f"Not run on {dataset}: {', '.join(absent)}. To fill them: `{remedy(figure, setting)}`.")
    titles = ("image", "truth", *(panel.title for panel in figure.panels))
    scenes, size = [], 0
    for block, scene in [(one, scene) for one in blocks for scene in one.scenes]:
        view = _scene(block, scene, titles)
        taken = sum(len(shot.uri or "") for shot in view.shots)
        if size + taken > left:
            notes.append(f"Left out to keep the page below {BUDGET // 1_000_000} MB of pictures: {scene.stem}.")
            continue
        scenes.append(view)
        size += taken
    # The circles of the printed figure are not drawn here: the slider shows the change itself.
    words = caption(replace(figure, circles=0), setting, blocks)[1:] if blocks else ()
    return FigureView(figure, describe(setting), tuple(scenes), titles, _legend(blocks), words, tuple(notes), size)


def _scene(block: Block, scene: Scene, titles: Sequence[str]) -> SceneView:
    palette = block.dataset.palette
    pictures: list[Picture | None] = [scene.image, errors.truth_picture(scene.truth, palette)]
    pictures += [
        None if labels is None else errors.prediction_picture(scene.truth, labels, palette)
        for labels in scene.predictions
    ]
    dice = ["", "", *("not run" if one is None else "-" if one != one else f"{one:.3f}" for one in scene.dice)]
    shots = []
    for number, (title, picture, words) in enumerate(zip(titles, pictures, dice, strict=True)):
        height, width = scene.truth.shape
        uri = None if picture is None else (photograph(picture) if number == 0 else class_map(picture))
        shots.append(Panel(title, uri, width, height, words))
    return SceneView(block.dataset.title, scene.stem, tuple(shots))


def photograph(picture: Picture) -> str:
    """An aerial image as a JPEG data URI."""
    buffer = io.BytesIO()
    _bounded(Image.fromarray(picture), Image.Resampling.BOX).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def class_map(picture: Picture) -> str:
    """A picture of few colours as a PNG data URI with a palette, without loss."""
    packed = picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)  # [H, W]
    colours, places = np.unique(packed, return_inverse=True)
    image = Image.fromarray(places.reshape(packed.shape).astype(np.uint8), "P")
    image.putpalette([part for colour in colours.tolist() for part in (colour >> 16, colour >> 8 & 255, colour & 255)])
    bits = next(bits for bits in (1, 2, 4, 8) if len(colours) <= 1 << bits)
    buffer = io.BytesIO()
    _bounded(image, Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True, bits=bits)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _bounded(image: Image.Image, how: Image.Resampling) -> Image.Image:
    """The image, shrunk to SIDE if it is larger."""
    longer = max(image.size)
    if longer <= SIDE:
        return image
    width, height = (max(1, round(side * SIDE / longer)) for side in image.size)
    return image.resize((width, height), how)


def _legend(blocks: Sequence[Block]) -> tuple[tuple[str, str], ...]:
    """What the colours of the maps are, each once."""
    entries: dict[tuple[str, str], None] = {}
    for block in blocks:
        binary = len(block.dataset.classes) == 1
        kinds = (
            [("hit", errors.HIT), ("background", errors.BACKGROUND), ("missed", errors.MISSED),
             ("invented", errors.INVENTED)]
            if binary
            else list(zip(block.dataset.classes, block.dataset.palette, strict=True))
        )  # fmt: skip
        for name, (red, green, blue) in kinds:
            entries[name.replace("_", " "), f"rgb({red} {green} {blue})"] = None
    return tuple(entries)
