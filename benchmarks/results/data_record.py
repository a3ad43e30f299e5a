"""Keep what a stored result says of its data: origin, sizes of splits, scenes of test images, train neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.manifest import Entry, Manifest
from data_prep.splits import Split

Splits = Mapping[Split, tuple[Entry, ...]]
"""The images of each split."""


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
