"""Select the images of a run, and keep what its result says of them: origin, splits, scenes, train neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.protocol.run import Run
from data_prep.errors import DataError
from data_prep.manifest import Entry, Manifest
from data_prep.splits import Split

Splits = Mapping[Split, tuple[Entry, ...]]
"""The images of each split."""


def select_entries(manifest: Manifest, run: Run) -> Splits:
    """Return the entries of each split, at most `recipe.limit` of them.

    Raises DataError if they do not suit the recipe.
    """
    crop, (height, width) = run.recipe.crop, manifest.image_size
    if crop is not None and (height % crop or width % crop):
        raise DataError(
            f"the {run.recipe.name} profile cuts images into squares of {crop} pixels, which do not tile the "
            f"{height}x{width} of {run.dataset.name}: choose another --profile"
        )
    splits = {
        name: entries[: run.recipe.limit] for name, entries in manifest.splits(run.split_seed, run.split_rule).items()
    }
    empty = [name for name, entries in splits.items() if not entries]
    if empty:
        raise DataError(
            f"{run.dataset.name} has no {' and no '.join(empty)} images: {len(manifest.entries)} pairs are too few "
            f"to split; prepare more (rssam-bench prepare {run.dataset.name} --source DIR)"
        )
    return splits


def run_data_record(manifest: Manifest, splits: Splits) -> dict[str, Any]:
    """Return what reports say of the data of a run: the data set, its splits, and what is known of their scenes."""
    return {
        **manifest.facts,
        **{name: len(entries) for name, entries in splits.items()},
        **shared_scenes(splits["test"]),
        **({"train_neighbours": train_neighbours(splits)} if manifest.scenes_known else {}),
    }


def shared_scenes(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Return the scene of each test image if some scene has several: their errors are alike; reports allow for it."""
    scenes = [entry.scene or entry.tile_of or entry.stem for entry in entries]
    return {"test_scenes": scenes} if len(set(scenes)) < len(scenes) else {}


def train_neighbours(splits: Splits) -> list[str]:
    """Return the stems of the test images in a scene that has images of the train split, official splits included."""
    train_scenes = {entry.scene for entry in splits["train"]} - {None}
    return [entry.stem for entry in splits["test"] if entry.scene in train_scenes]
