"""Write the files that MLflow gets of a finished run: its curves, a strip of its test, and its adapter as a model.

Imports torch inside functions alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.failures import first_line
from benchmarks.protocol.run import ResolvedRun, Run
from benchmarks.results.home import Home
from benchmarks.results.predictions import PREDICTIONS, read_predictions
from benchmarks.results.result import Result
from benchmarks.tracking.pictures import draw_curves, strip
from benchmarks.tracking.tracker import Warn
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from rssam.errors import UserError

WriteAdapter = Callable[[Path, Any, Result], tuple[Any, Path]]
"""Writes the adapter of a trained network with its card beside it, and returns its metadata and the card's path."""


def write_files(
    folder: Path, home: Home, resolved: ResolvedRun, result: Result, write_adapter: WriteAdapter | None, warn: Warn
) -> None:
    """Write the files of the run into `folder/run`, and its model into `folder/model`; `warn` of those that cannot be.

    Args:
        folder: what is in it is lost.
        home: has data, predictions and parameters of the run.
        resolved: the run, whose system may be one of the user's own.
        result: the stored result.
        write_adapter: without it there is no model.
        warn: gets a sentence for a person.
    """
    shutil.rmtree(folder, ignore_errors=True)
    files, model = folder / "run", folder / "model"
    files.mkdir(parents=True)

    def curves() -> None:
        draw_curves(result.history, result.best_epoch, files / "curves.png")

    def test_strip() -> None:
        Image.fromarray(_test_strip(home, resolved, result)).save(files / "test - image truth prediction.png")

    def adapter() -> None:
        if write_adapter is None:
            return
        from benchmarks.export.load_run import load_run
        from benchmarks.export.mlflow_model import ADAPTER, describe_model

        trained = load_run(home.root, result.key, resolved.run.model)
        model.mkdir()
        _, card = write_adapter(model / ADAPTER, trained, result)
        shutil.copy(card, files / "model_card.md")
        describe_model(model)

    for make, words in ((curves, "curves"), (test_strip, "test predictions"), (adapter, "model")):
        try:
            make()
        except (UserError, DataError, OSError) as error:
            warn(f"note: MLflow gets no {words} of {result.key} ({first_line(error)})")
            if make is adapter:
                shutil.rmtree(model, ignore_errors=True)


def images_of_splits(home: Home, run: Run) -> dict[str, int]:
    """Return the number of images of each split; of none where the data is gone."""
    try:
        manifest = load_manifest(home.dataset(run.dataset.name), run.dataset.name)
    except DataError:
        return {}
    splits = manifest.splits(run.split_seed, run.split_rule)
    return {split: len(entries[: run.recipe.limit]) for split, entries in splits.items()}


def _test_strip(home: Home, resolved: ResolvedRun, result: Result) -> np.ndarray[Any, Any]:
    from benchmarks.metrics.watch_training import SAMPLE_SIZE
    from data_prep.loading.torch_dataset import PreparedDataset

    dataset = resolved.run.dataset
    stems = result.images[:: max(1, len(result.images) // SAMPLE_SIZE)][:SAMPLE_SIZE]
    by_stem = {entry.stem: entry for entry in load_manifest(home.dataset(dataset.name), dataset.name).entries}
    if missing := [stem for stem in stems if stem not in by_stem]:
        raise DataError(f"{dataset.name} has no image {missing[0]} any more")
    items = PreparedDataset(home.dataset(dataset.name), [by_stem[stem] for stem in stems], cache=False)
    predictions = read_predictions(home.run(result.key) / PREDICTIONS, binary=result.task.binary)
    read = [items[number] for number in range(len(items))]
    images, truth = np.stack([item["image"] for item in read]), np.stack([item["mask"] for item in read])
    return strip(images, truth, np.stack([predictions.labels(stem) for stem in stems]), dataset.palette)
