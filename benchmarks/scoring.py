"""Predictions of any tool against the test split of a prepared data set: all of them, or nothing.

Files are read and every fault is listed before a mask of the split is opened, and the use is in the ledger by then.
Counting is that of a run's own test: the same confusion matrix of every image, pixels to be ignored in no cell.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from benchmarks.counts import Counts
from benchmarks.environment import provenance
from benchmarks.evaluate import confusion_matrix
from benchmarks.json_record import ResultDamaged
from benchmarks.label_files import READ, LabelFile, LabelReader, labels_of, settle
from benchmarks.ledger import append_use
from benchmarks.saved_predictions import PREDICTIONS, read_predictions
from benchmarks.session import FAULTS_SHOWN
from benchmarks.spec import require_scenes
from benchmarks.store import Result, Store
from benchmarks.submission import (
    Submission,
    identify,
    put_submission,
    read_submission,
    scores_folder,
    submission_key,
)
from data_prep.base import DataError, Dataset, Entry, Manifest, Progress, SplitRule, load_manifest, verify_files
from data_prep.catalog import dataset as find_dataset
from data_prep.loading import PreparedSet
from data_prep.pixels import BadPicture, Bytes, take_every
from rssam.contract import Task, UserError

Part = Literal["test", "all"]
"""Which images of a data set are counted."""


class PredictionsUnfit(UserError):
    """Predictions that cannot be scored; every reason is in the message."""


@dataclass(frozen=True)
class Chosen:
    """Images of a prepared data set that are to be counted."""

    dataset: Dataset
    manifest: Manifest
    folder: Path
    entries: tuple[Entry, ...]
    part: Part
    split_seed: int
    split_rule: SplitRule

    @property
    def digest(self) -> str:
        """Of data and split, as in the identity of a run."""
        return self.manifest.digest(self.split_seed, self.split_rule)

    @property
    def task(self) -> Task:
        """Classes and size of the images."""
        return Task(self.dataset.classes, self.manifest.image_size)

    @property
    def record(self) -> dict[str, Any]:
        """What reports say of the data."""
        manifest = self.manifest
        return {
            "origin": manifest.origin,
            "complete": manifest.complete,
            "pairs": len(manifest.entries),
            "describe": manifest.describe(),
        }


@dataclass(frozen=True)
class Predicted:
    """Labels of every chosen image in their order, at the prepared size or all at the source's own, and their story."""

    labels: Callable[[int], Bytes]  # of one image by its place: uint8 [H, W]
    native: bool  # whether they have the size of the source
    reading: tuple[str, ...]  # how files became labels, a sentence each
    notes: tuple[str, ...]  # what the user should know


@dataclass(frozen=True)
class Scored:
    """What `score` gives: the submission, its file, and what is to be said; `cached` if it was counted before."""

    submission: Submission
    path: Path
    notes: tuple[str, ...]
    cached: bool


def choose(home: Path, name: str, split_seed: int, rule: SplitRule, part: Part = "test") -> Chosen:
    """The images to count, after comparing their files with their digests.

    Raises UnknownDataset or NotPrepared; DataError if a file was changed, or if there is no such image.
    """
    dataset = find_dataset(name)
    folder = home / "data" / name
    manifest = load_manifest(folder, name)
    require_scenes(manifest, rule)
    splits = manifest.splits(split_seed, rule)
    entries = splits["test"] if part == "test" else tuple(sorted(manifest.entries, key=lambda entry: entry.stem))
    if not entries:
        raise DataError(f"{name} has no test images: {len(manifest.entries)} pairs are too few to split; prepare more")
    if faults := verify_files(folder, entries):
        raise DataError(
            f"{len(faults)} prepared files of {name} are not as they were made:{_lines(faults)}\n"
            f"Delete {folder} and run: rssam-bench prepare {name} --source DIR"
        )
    return Chosen(dataset, manifest, folder, entries, part, split_seed, rule)


def score(home: Path, chosen: Chosen, folder: Path, name: str, suffix: str, progress: Progress) -> Scored:
    """Score the files of a folder and store the submission. Raises PredictionsUnfit listing all that is wrong.

    The same predictions under the same name are not counted twice: that would be another use of the split.
    """
    predicted = read_folder(folder, chosen, suffix, progress)
    identity = identify(
        "scored", name, chosen.dataset, data=chosen.digest, split_seed=chosen.split_seed,
        split_rule=chosen.split_rule, images=chosen.part, predictions=digest(chosen, predicted),
    )  # fmt: skip
    key = submission_key(identity)
    path = scores_folder(home) / f"{key}.json"
    notes = (*predicted.notes, *_namesakes(home, key, name, chosen.dataset.name))
    if path.is_file() and (known := _readable(path)) is not None:
        return Scored(known, path, notes, cached=True)
    append_use(home, key, name, chosen.dataset.name, chosen.digest, "score")
    counts, native = count(chosen, predicted, progress)
    submission = Submission(
        identity=identity,
        average=chosen.dataset.average,
        classes=chosen.dataset.classes,
        images=tuple(entry.stem for entry in chosen.entries),
        counts=counts,
        native_counts=native,
        reading=predicted.reading,
        data=chosen.record,
        provenance=provenance(torch.device("cpu")),
    )
    return Scored(submission, put_submission(home, submission), notes, cached=False)


def read_folder(folder: Path, chosen: Chosen, suffix: str, progress: Progress) -> Predicted:
    """The predictions of a folder: a file for each chosen image, named by its stem and `suffix`."""
    if not folder.is_dir():
        found = "a file" if folder.is_file() else "nothing"
        raise PredictionsUnfit(f"expected a folder of predicted masks at {folder}, found {found}")
    wanted = {f"{entry.stem}{suffix}": entry for entry in chosen.entries}
    known = {f"{entry.stem}{suffix}" for entry in chosen.manifest.entries} - wanted.keys()
    files: dict[str, list[Path]] = defaultdict(list)
    others, elsewhere = [], 0
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_dir():
            continue
        if path.suffix.lower() in READ and path.stem in wanted:
            files[path.stem].append(path)
        elif path.suffix.lower() in READ and path.stem in known:
            elsewhere += 1
        else:
            others.append(path.name)
    reader = LabelReader(chosen.dataset.classes, chosen.dataset.palette)
    faults: list[str] = []
    read: dict[str, LabelFile] = {}
    for done, stem in enumerate(sorted(files), start=1):
        fault, file = _read(files[stem], reader, wanted[stem])
        if fault:
            faults.append(fault)
        if file is not None:
            read[stem] = file
        progress(done, len(files), "read predictions")
    native = _at_native_size(list(read.items()), wanted)
    faults += _sizes(read, wanted, native)
    foreground, threshold = 1, 0.0
    try:
        foreground, threshold = settle(list(read.values()))
    except BadPicture as error:
        faults.append(str(error))
    missing = [stem for stem in wanted if stem not in files]
    if missing or faults:
        raise PredictionsUnfit(_all_wrong(folder, chosen, missing, faults, others))
    ordered = [read[stem] for stem in wanted]
    notes = [f"left out: {elsewhere} files of images that are not in this test split"] if elsewhere else []
    if others:
        notes.append(f"left out, of no image of {chosen.dataset.name}: {_short(others)}")
    return Predicted(
        labels=lambda index: labels_of(ordered[index], foreground, threshold),
        native=native,
        reading=_reading(ordered, foreground, threshold, native),
        notes=tuple(notes),
    )


def read_run(home: Path, result: Result) -> tuple[Chosen, Predicted]:
    """The test images of a finished run and the predictions it saved. Raises DataError if they are gone or damaged."""
    identity = result.identity
    chosen = choose(
        home, identity["dataset"]["name"], identity["split_seed"], identity.get("split_rule", "random")
    )  # fmt: skip
    if chosen.digest != identity["data"]:
        raise DataError(
            f"{result.key} was tested on other data than what is prepared here as {chosen.dataset.name} "
            f"({identity['data'][:12]}..., found {chosen.digest[:12]}...): prepare what it was tested on"
        )
    saved = read_predictions(Store(home).work(result.key) / PREDICTIONS, binary=chosen.task.binary)
    if missing := [entry.stem for entry in chosen.entries if entry.stem not in saved.images]:
        raise PredictionsUnfit(
            f"{result.key} was tested on {len(saved.images)} of the {len(chosen.entries)} test images (its recipe has "
            f"a limit): nothing was scored. Without predictions are: {_short(missing)}"
        )
    stems = [entry.stem for entry in chosen.entries]
    return chosen, Predicted(lambda index: saved.labels(stems[index]), False, ("Predictions that the run saved.",), ())


def count(chosen: Chosen, predicted: Predicted, progress: Progress) -> tuple[Counts, Counts | None]:
    """Counts at the prepared labels' resolution, and at the source's where predictions are that fine."""
    task = chosen.task
    data = PreparedSet(chosen.folder, chosen.entries, cache=False)
    confusions, finer = [], []
    for index, entry in enumerate(chosen.entries):
        labels = predicted.labels(index)
        mask, native = data.labels(index)
        if predicted.native:
            if native is not None:
                finer.append(confusion_matrix(native, torch.from_numpy(labels.copy()), task))
            labels = take_every(labels, entry.source_size[0] // entry.size[0])
        confusions.append(confusion_matrix(mask, torch.from_numpy(labels.copy()), task))
        progress(index + 1, len(chosen.entries), "count")
    counts, native_counts = (
        Counts.from_confusion(torch.stack(each).numpy().astype(np.int64), binary=task.binary) if each else None
        for each in (confusions, finer)
    )
    assert counts is not None  # there is an image at least
    return counts, native_counts if len(finer) == len(confusions) else None


def digest(chosen: Chosen, predicted: Predicted) -> str:
    """SHA-256 over the predicted labels: equal for equal predictions, whatever the files they came in."""
    total = hashlib.sha256()
    for index, entry in enumerate(chosen.entries):
        labels = predicted.labels(index)
        total.update(f"{entry.stem} {labels.shape}".encode() + np.ascontiguousarray(labels).tobytes())
    return total.hexdigest()


def _read(paths: Sequence[Path], reader: LabelReader, entry: Entry) -> tuple[str, LabelFile | None]:
    """What is wrong with the file of one image, or the file."""
    if len(paths) > 1:
        return f"{' and '.join(path.name for path in paths)}: several files for one image", None
    try:
        file = reader.read(paths[0])
    except BadPicture as error:
        return f"{paths[0].name}: {error}", None
    allowed = {entry.size} | ({entry.source_size} if entry.native_mask is not None else set())
    if file.size not in allowed:
        shown = " or ".join(f"{width}x{height}" for height, width in sorted(allowed))
        return f"{paths[0].name}: expected {shown} pixels, found {file.size[1]}x{file.size[0]}", None
    return "", file


def _at_native_size(read: Sequence[tuple[str, LabelFile]], wanted: dict[str, Entry]) -> bool:
    """Whether some file can only be meant at the size of its source."""
    return any(file.size != wanted[stem].size for stem, file in read)


def _sizes(read: dict[str, LabelFile], wanted: dict[str, Entry], native: bool) -> list[str]:
    """Files of the prepared size among others of the source's: which of the two is meant must be the same for all."""
    if not native:
        return []
    small = [file.path.name for stem, file in read.items() if file.size != wanted[stem].source_size]
    if not small:
        return []
    return [f"{_short(small)}: of the prepared size, where other files have the size of the source; save all alike"]


def _reading(files: Sequence[LabelFile], foreground: int, threshold: float, native: bool) -> tuple[str, ...]:
    forms = {file.form for file in files}
    parts = ["Class numbers or the data set's colours, pixel by pixel."] if "labels" in forms else []
    if "numbers" in forms:
        parts.append(f"Foreground is {foreground}.")
    if "floats" in forms:
        kind = "probability above 0.5" if threshold else "logit above 0"
        parts.append(f"Floats: foreground is a {kind}.")
    if native:
        parts.append("At the source's own resolution; the headline takes every n-th pixel of it, as prepared masks do.")
    return tuple(parts)


def _all_wrong(
    folder: Path, chosen: Chosen, missing: Sequence[str], faults: Sequence[str], others: Sequence[str]
) -> str:
    """One message with everything that is wrong."""
    where = f"seed {chosen.split_seed}" + (", by scenes" if chosen.split_rule == "blocked" else "")
    parts = [f"{folder} cannot be scored on the {len(chosen.entries)} test images of {chosen.dataset.name} ({where}):"]
    if missing:
        parts.append(f"{len(missing)} without a file ({', '.join(READ)}): {_short(missing)}")
    parts += [f"{fault}" for fault in faults[:FAULTS_SHOWN]]
    if len(faults) > FAULTS_SHOWN:
        parts.append(f"... and {len(faults) - FAULTS_SHOWN} more files")
    if others:
        parts.append(f"of no image of {chosen.dataset.name}: {_short(others)}")
    if missing and others:
        parts.append("if names go on behind the stem, as in STEM_mask.png, give --suffix _mask")
    return "\n  ".join(parts) + "\nNothing was scored."


def _namesakes(home: Path, key: str, name: str, dataset: str) -> list[str]:
    """Other submissions that a table would show under the same name."""
    found = []
    for path in sorted(scores_folder(home).glob(f"{dataset}-scored-*.json")):
        other = _readable(path)
        if other is not None and other.key != key and other.name == name:
            found.append(f"another row is called {name} too: delete {path} if it is to go")
    return found


def _readable(path: Path) -> Submission | None:
    """A stored submission; None if its file is damaged, for it is about to be written again."""
    try:
        return read_submission(path)
    except ResultDamaged:
        return None


def _short(names: Sequence[str]) -> str:
    rest = f" and {len(names) - FAULTS_SHOWN} more" if len(names) > FAULTS_SHOWN else ""
    return ", ".join(names[:FAULTS_SHOWN]) + rest


def _lines(faults: Sequence[str]) -> str:
    rest = f"\n  ... and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
    return "".join(f"\n  {fault}" for fault in faults[:FAULTS_SHOWN]) + rest
