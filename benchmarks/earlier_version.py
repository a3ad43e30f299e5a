"""Name what rssam-bench 0.1 left in a home. Its numbers are others, so this version neither reads nor changes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results.failed_run import read_failed_run
from benchmarks.results.home import Home
from benchmarks.results.json_files import MadeBy01, ResultDamaged
from data_prep.manifest_file import MANIFEST_NAME, MOST_BYTES
from rssam.amounts import counted
from rssam.foreign_json import Unreadable, parse_json, read_bytes
from rssam.weights.folder import CONTENT, WeightsDamaged, read_metadata

FORMAT_OF_0_1 = re.compile(rb'"schema": ?1[,}\n]')
"""In the bytes of a record or a manifest: both are written here, and hold the word nowhere else."""

CHECKPOINTS = ("last.safetensors", "*/last.safetensors")
"""In the folder of a run: of a recipe with one rate, and with several."""


@dataclass(frozen=True)
class Leftovers:
    """Names of what rssam-bench 0.1 left."""

    results: tuple[str, ...]  # keys of results and submissions
    data: tuple[str, ...]
    weights: tuple[str, ...]
    runs: tuple[str, ...]  # keys of work folders with checkpoints
    failed: tuple[str, ...]  # keys of other work folders, with the note of a failure

    @property
    def keys(self) -> set[str]:
        """Return the keys of runs that have anything here."""
        return {*self.results, *self.runs, *self.failed}

    @property
    def sentence(self) -> str:
        """Return what there is and what to do; empty if there is nothing. It names no folder of this machine."""
        counts = (
            (len(self.results), "result", ""),
            (len(self.data), "prepared data set", ""),
            (len(self.weights), "checkpoint", " of weights"),
            (len(self.runs), "run", " with checkpoints"),
            (len(self.failed), "failed run", ""),
        )
        parts = [counted(count, noun) + words for count, noun, words in counts if count]
        if not parts:
            return ""
        listed = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
        return (
            f"This home holds {listed} of rssam-bench 0.1, which this version neither reads nor changes: prepare anew "
            "in another --home, and use rssam-bench 0.1.0 for its results."
        )


def left_by_0_1(home: Path) -> Leftovers:
    """Look for what rssam-bench 0.1 left; of weights and checkpoints the headers alone are read."""
    folder = Home(home)
    trained = tuple(path.name for path in sorted(folder.runs.glob("*/")) if _trained_by_0_1(path))
    return Leftovers(
        results=tuple(path.stem for path in _of_0_1([*folder.results.glob("*.json"), *folder.scores.glob("*.json")])),
        data=tuple(path.parent.name for path in _of_0_1(folder.data.glob(f"*/{MANIFEST_NAME}"))),
        weights=tuple(path.stem for path in sorted(folder.weights.glob("*.safetensors")) if _lacks(path, CONTENT)),
        runs=trained,
        failed=tuple(
            path.parent.name for path in folder.failures if path.parent.name not in trained and _failed_in_0_1(path)
        ),
    )


def _of_0_1(paths: Iterable[Path]) -> list[Path]:
    return [path for path in sorted(paths) if path.is_file() and FORMAT_OF_0_1.search(_bytes(path))]


def _bytes(path: Path) -> bytes:
    """Return the content of a file; empty if it cannot be read, which its reader as a record reports."""
    try:
        return read_bytes(path, most_bytes=MOST_BYTES)
    except (OSError, Unreadable):
        return b""


def _lacks(path: Path, entry: str) -> bool:
    """Return whether a readable file of tensors has no such entry in its metadata."""
    try:
        return entry not in read_metadata(path)
    except WeightsDamaged:
        return False


def _trained_by_0_1(folder: Path) -> bool:
    """Return whether a run's folder holds a checkpoint without the format that this version writes."""
    for path in (path for pattern in CHECKPOINTS for path in folder.glob(pattern)):
        try:
            if "format" not in parse_json(read_metadata(path)["rssam-bench"].encode()):
                return True
        except (WeightsDamaged, KeyError, ValueError, TypeError):
            continue  # damaged, which resuming says
    return False


def _failed_in_0_1(path: Path) -> bool:
    try:
        read_failed_run(path)
    except ResultDamaged as error:
        return isinstance(error, MadeBy01)
    return False
