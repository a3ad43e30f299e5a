"""Choose a few test images of the best run for the HTML page: the image, its truth and its prediction, outlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.protocol.run_names import run_name
from benchmarks.results.home import Home
from benchmarks.results.pixels import Picture, read_pair
from benchmarks.results.result import Result
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from data_prep.registry import find_dataset
from reports.figures.examples import predicted, tested_entries
from reports.formatting import format_number
from reports.render.html_figures import photograph
from reports.statistics.per_image import image_dice
from rssam.overlay import drawn_over, told_apart

SIDE = 512
"""Pixels of the longer side of a picture, at most."""

QUANTILES = (0.75, 0.5, 0.25)
"""Of Dice over the test images: those shown are a good, a middling and a poor image."""


@dataclass(frozen=True)
class StripScene:
    """Test image with the data URIs of its three pictures."""

    stem: str
    dice: str
    image: str
    truth: str
    prediction: str


@dataclass(frozen=True)
class Strip:
    """Test images of a run, a few, with the colours of its classes as CSS."""

    system: str
    data: str
    key: str
    dice: str
    images: int
    scenes: tuple[StripScene, ...]
    legend: tuple[tuple[str, str], ...]


def prediction_strip(results: Sequence[Result], home: Path) -> Strip | None:
    """Return images of the result of highest Dice whose predictions and data are in the home; None without any."""
    ranked = sorted(results, key=lambda result: (result.collapsed, -result.scores.dice, result.key))
    for result in ranked:
        try:
            return _strip(result, home)
        except DataError:  # its pictures are not here: the figures name what is missing
            continue
    return None


def _strip(result: Result, home: Path) -> Strip | None:
    name = result.identity["dataset"]["name"]
    dataset, folder = find_dataset(name), Home(home).dataset(name)
    entries = tested_entries(folder, load_manifest(folder, name), result)
    stems = _spread(result)
    labels_of = predicted(home, result, stems)
    dice = dict(zip(result.images, image_dice(result.counts).tolist(), strict=True))
    labels = [1] if len(result.classes) == 1 else list(range(len(result.classes)))
    colours = dict(zip(labels, told_apart(dataset.palette), strict=True))
    scenes = []
    for stem in stems:
        image, truth = read_pair(folder, entries[stem])
        pictures: list[Picture] = [
            image,
            *(drawn_over(image, mask, colours) for mask in (truth, labels_of[stem])),
        ]
        scenes.append(StripScene(stem, format_number(dice[stem]), *(photograph(picture, SIDE) for picture in pictures)))
    if not scenes:
        return None
    named = zip(result.classes, colours.values(), strict=True)
    legend = tuple((name.replace("_", " "), "rgb({} {} {})".format(*colour)) for name, colour in named)
    return Strip(
        system=run_name(result.identity).title,
        data=result.data_description,
        key=result.key,
        dice=format_number(result.scores.dice),
        images=len(result.images),
        scenes=tuple(scenes),
        legend=legend,
    )


def _spread(result: Result) -> tuple[str, ...]:
    """Return the images at the quantiles of Dice among those whose truth holds a class."""
    dice = image_dice(result.counts)
    has_truth = np.flatnonzero((result.counts.tp + result.counts.fn).sum(axis=1) > 0).tolist()
    ordered = sorted(has_truth, key=lambda index: (dice[index], result.images[index]))
    places = [int(quantile * len(ordered)) for quantile in QUANTILES] if ordered else []
    return tuple(dict.fromkeys(result.images[ordered[place]] for place in places))
