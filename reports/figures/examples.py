"""Find what a figure shows: test images with their truth, and what every system predicted on them.

Predictions and images are in the user's home only, so a published result is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.protocol.figures import Figure
from benchmarks.protocol.setting import Setting
from benchmarks.results.home import Home
from benchmarks.results.pixels import Labels, Picture, read_pair, read_predictions
from benchmarks.results.predictions import PREDICTIONS
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.manifest import Entry, Manifest
from data_prep.manifest_file import load_manifest
from data_prep.registry import find_dataset
from reports.select.comparable import ResultGroup, comparable_groups
from reports.select.figures import as_table, datasets, figure_settings, remedy
from reports.select.results import Collection
from reports.select.settings import PAPER_SETTING
from reports.statistics.per_image import image_dice, typical_images
from rssam.errors import UnknownName


@dataclass(frozen=True, eq=False)
class Scene:
    """Test image with what is shown of it.

    `predictions` and `dice` have one entry a panel, None where nothing can be shown.
    """

    stem: str
    image: Picture
    truth: Labels
    predictions: tuple[Labels | None, ...]
    dice: tuple[float | None, ...]  # of this image by itself


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of a data set. All its results were made on the same data with the same precision."""

    dataset: Dataset
    results: tuple[Result | None, ...]  # one a panel; None where nothing can be shown
    replicates: int  # of `ours` and `reference` together; the first is shown
    median: float  # of the Dice of `ours` less that of `reference`, over `compared` test images
    compared: int
    named: tuple[str, ...]  # images the user asked for; they come first
    scenes: tuple[Scene, ...]
    problems: tuple[str, ...]  # why a finished run is not shown, one sentence each
    lost: Mapping[str, str]  # panels with a run without a result, and how many of its runs: "2 of 3 runs, 1 diverged"

    @property
    def shown(self) -> tuple[Result, ...]:
        """Return the results that can be shown."""
        return tuple(result for result in self.results if result is not None)


@dataclass(frozen=True, eq=False)
class FigureRows:
    """Figure under a setting: of each data set its rows, or why it has none."""

    figure: Figure
    setting: Setting
    by_dataset: Mapping[str, Block | DataError]
    named: tuple[tuple[str, str], ...]  # data set and stem of images that the user asked for

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Return the rows of the data sets that have some."""
        return tuple(found for found in self.by_dataset.values() if isinstance(found, Block))

    def not_run(self, block: Block) -> str:
        """Return which panels were not run on a data set, or cannot be shown, and the command; empty without one."""
        shown = zip(self.figure.panels, block.results, strict=True)
        absent = [panel.title for panel, result in shown if result is None and panel.title not in block.lost]
        fill = remedy(self.figure, self.setting)
        return f"not run on {block.dataset.name}: {', '.join(absent)}. To fill them: `{fill}`" if absent else ""


def find_figures(
    figures: Sequence[Figure], collection: Collection, home: Path, named: Sequence[str] = ()
) -> list[FigureRows]:
    """Return every figure under every setting that has runs of it; without any, under the paper's.

    Args:
        figures: to show.
        collection: all usable results.
        home: with the prepared data and the predictions.
        named: images to show besides those chosen by the rule, as "deepglobe:STEM".

    Raises:
        UnknownName: a text in `named` has another form; UnknownDataset if it names an unknown data set.
    """
    return [
        find_rows(figure, setting, collection, home, named)
        for figure in figures
        for setting in figure_settings(figure, collection) or [PAPER_SETTING]
    ]


def find_rows(
    figure: Figure, setting: Setting, collection: Collection, home: Path, named: Sequence[str] = ()
) -> FigureRows:
    """Return a figure under one setting; see `find_figures`. A data set without `ours` or `reference` has no rows."""
    images = _named_images(named)
    found: dict[str, Block | DataError] = {}
    for dataset in datasets(figure, setting):
        stems = [stem for image_dataset, stem in images if image_dataset == dataset]
        try:
            found[dataset] = find_block(figure, dataset, setting, collection, home, stems)
        except DataError as problem:
            found[dataset] = problem
    return FigureRows(figure, setting, found, images)


def _named_images(named: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return data set and stem of images named as "deepglobe:STEM". Raises UnknownName or UnknownDataset."""
    pairs = []
    for text in named:
        dataset, _, stem = text.partition(":")
        if not stem:
            raise UnknownName(f"unknown image {text!r}: write a data set and the name of an image, as deepglobe:104")
        pairs.append((find_dataset(dataset).name, stem))
    return tuple(pairs)


def find_block(
    figure: Figure, dataset: str, setting: Setting, collection: Collection, home: Path, named: Sequence[str] = ()
) -> Block:
    """Return the figure's rows on one data set: the images of these names, then those the rule chooses.

    Of several replicates the one of lowest (split seed, seed) is shown.

    Args:
        figure: its panels, and which of them are `ours` and `reference`.
        dataset: one of the figure's data sets.
        setting: under which results are shown.
        collection: all usable results.
        home: with the prepared data and the predictions.
        named: stems to show first; those that are no test images are left out.

    Raises:
        DataError: `ours` and `reference` cannot both be shown; it names the command that runs them.
    """
    groups = comparable_groups(as_table(figure, dataset), collection, setting)
    candidates = [(group, pair) for group in groups if group.source == "own" for pair in _pairs(figure, group)]
    if not candidates:
        command = remedy(figure, setting)
        raise DataError(f"{figure.ours} and {figure.reference} have not both been run on {dataset}: `{command}`")
    manifest = load_manifest(Home(home).dataset(dataset), dataset)
    problems = []
    for group, pair in candidates:
        try:
            return _block(figure, group, pair, manifest, home, named)
        except DataError as problem:
            problems.append(problem)
    raise problems[0]


ResultPair = tuple[Result, Result]


def _pairs(figure: Figure, group: ResultGroup) -> list[ResultPair]:
    """Return results of `ours` and `reference` with equal seeds and images, lowest (split seed, seed) first."""
    by_title = {row.row.labels[0]: row.results for row in group.rows}
    return [
        (ours, reference)
        for ours in by_title[figure.ours]
        for reference in by_title[figure.reference]
        if _same_images(ours, reference) and ours.identity["seed"] == reference.identity["seed"]
    ]


def _block(
    figure: Figure, group: ResultGroup, pair: ResultPair, manifest: Manifest, home: Path, named: Sequence[str]
) -> Block:
    ours, reference = pair
    folder = Home(home).dataset(manifest.dataset)
    entries = tested_entries(folder, manifest, ours)
    ordered, median = typical_images(ours.images, ours.counts, reference.counts)
    first = tuple(dict.fromkeys(stem for stem in named if stem in ours.images))
    stems = (*first, *[stem for stem in ordered if stem not in first][: figure.images])
    if not stems:
        raise DataError(f"no test image of {manifest.dataset} holds anything labelled")

    chosen = {figure.ours: ours, figure.reference: reference}
    results: list[Result | None] = []
    predictions: list[dict[str, Labels]] = []  # of each panel, by stem
    problems = []
    rows = group.rows[: len(figure.panels)]  # behind them stand systems of the user's own, which have no panel
    for row in rows:
        title = row.row.labels[0]
        result = chosen.get(title) or _companion(row.results, ours)
        try:
            predictions.append(predicted(home, result, stems) if result else {})
        except DataError as problem:
            if title in chosen:
                raise
            problems.append(str(problem))
            predictions.append({})
            result = None
        results.append(result)
    dice = [
        dict(zip(result.images, image_dice(result.counts).tolist(), strict=True)) if result else {}
        for result in results
    ]
    scenes = tuple(
        Scene(
            stem,
            *read_pair(folder, entries[stem]),
            predictions=tuple(by_stem.get(stem) for by_stem in predictions),
            dice=tuple(by_stem.get(stem) for by_stem in dice),
        )
        for stem in stems
    )
    return Block(
        dataset=find_dataset(manifest.dataset),
        results=tuple(results),
        replicates=len(_pairs(figure, group)),
        median=median,
        compared=len(ordered),
        named=first,
        scenes=scenes,
        problems=tuple(problems),
        lost={row.row.labels[0]: row.runs for row in rows if row.failed},
    )


def tested_entries(folder: Path, manifest: Manifest, result: Result) -> dict[str, Entry]:
    """Return the images of a prepared folder by stem. Raises DataError unless the result was tested on that data."""
    if manifest.digest(result.identity["split_seed"], result.identity["split_rule"]) != result.identity["data"]:
        raise DataError(f"{folder} does not hold the data that {result.key} was tested on: prepare that data again")
    return {entry.stem: entry for entry in manifest.entries}


def _companion(results: Sequence[Result], ours: Result) -> Result | None:
    """Return the result to show beside `ours`: on the same images, with its seed or otherwise the lowest."""
    alike = [result for result in results if _same_images(result, ours)]
    return min(alike, key=lambda result: result.identity["seed"] != ours.identity["seed"], default=None)


def _same_images(result: Result, other: Result) -> bool:
    return (result.identity["data"], result.images) == (other.identity["data"], other.images)


def predicted(home: Path, result: Result, stems: Sequence[str]) -> dict[str, Labels]:
    """Return the predicted labels of these images.

    Only they are kept: all predictions of eleven systems are large. Raises DataError.
    """
    store = Store(home)
    try:
        stored = read_predictions(store.work(result.key) / PREDICTIONS, binary=len(result.classes) == 1)
        return {stem: stored.labels(stem) for stem in stems}
    except (DataError, ValueError) as error:
        raise DataError(
            f"{error}: its result stands, and only its pictures are missing. To have them, run it again with another "
            "--home"
        ) from error
