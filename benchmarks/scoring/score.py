"""Score predictions of any tool on the test split of a prepared data set: all of them, or nothing.

Files are read and every fault is listed before a mask of the split is opened, and the use is in the ledger by then.
Counting is that of a run's own test: the same confusion matrix of every image, pixels to be ignored in no cell.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.metrics.confusion import confusion_matrix, counts_of
from benchmarks.metrics.counts import Counts
from benchmarks.protocol.registry import TITLES
from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.predictions import PREDICTIONS, read_predictions
from benchmarks.results.provenance import provenance
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from benchmarks.results.submission import (
    Submission,
    identify,
    put_submission,
    read_submission,
    submission_key,
)
from benchmarks.results.test_set_log import append_use
from benchmarks.scoring.encoding import Encoding
from benchmarks.scoring.mask_folder import PredictedLabels, PredictionsUnfit, read_folder
from benchmarks.scoring.test_images import ImagesToScore, select_test_images
from data_prep.errors import DataError
from data_prep.images.encode import take_every
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.processes import Progress
from rssam.amounts import shortened
from rssam.errors import UserError


@dataclass(frozen=True)
class ScoredSubmission:
    """Submission as stored, its file, and notes for the user; `cached` if it was counted before."""

    submission: Submission
    path: Path
    notes: tuple[str, ...]
    cached: bool


def score(
    home: Path,
    test_images: ImagesToScore,
    folder: Path,
    name: str,
    suffix: str,
    progress: Progress,
    encoding: Encoding | None = None,
) -> ScoredSubmission:
    """Score the files of a folder and store the submission.

    The same predictions under the same name are not counted twice: that would be another use of the split.

    Args:
        home: the home folder.
        test_images: the images to count.
        folder: a mask file for each of them.
        name: what reports call the submission.
        suffix: what follows the stem of an image in the names of the files.
        progress: called while files are read and counted.
        encoding: what the values of the files are, where they do not say it themselves.

    Raises UserError for the name of a system of this suite, and PredictionsUnfit listing all that is wrong.
    """
    if name in TITLES:
        raise UserError(
            f"expected another name than that of a system of this suite, found {name!r}: its row would be taken for a "
            "run's; choose one with --name"
        )
    predicted = read_folder(folder, test_images, suffix, progress, encoding)
    identity = identify(
        "scored", name, test_images.dataset, data=test_images.digest, split_seed=test_images.split_seed,
        split_rule=test_images.split_rule, images=test_images.selection, predictions=digest(test_images, predicted),
    )  # fmt: skip
    key = submission_key(identity)
    path = Home(home).score(key)
    notes = (*predicted.notes, *_namesakes(home, key, name, test_images.dataset.name))
    if path.is_file() and (stored := readable(path)) is not None:
        return ScoredSubmission(stored, path, notes, cached=True)
    append_use(home, key, name, test_images.dataset.name, test_images.digest, "score")
    counts, native = count(test_images, predicted, progress)
    submission = Submission(
        identity=identity,
        average=test_images.dataset.average,
        classes=test_images.dataset.classes,
        images=tuple(entry.stem for entry in test_images.entries),
        counts=counts,
        native_counts=native,
        reading=predicted.reading,
        data=test_images.record,
        provenance=provenance(torch.device("cpu")),
    )
    return ScoredSubmission(submission, put_submission(home, submission), notes, cached=False)


def read_run(home: Path, result: Result) -> tuple[ImagesToScore, PredictedLabels]:
    """Return the test images of a finished run and the predictions it saved.

    Raises DataError if they are gone or damaged.
    """
    identity = result.identity
    test_images = select_test_images(
        home, identity["dataset"]["name"], identity["split_seed"], identity["split_rule"]
    )  # fmt: skip
    if test_images.digest != identity["data"]:
        raise DataError(
            f"{result.key} was tested on other data than what is prepared here as {test_images.dataset.name} "
            f"({identity['data'][:12]}..., found {test_images.digest[:12]}...): prepare what it was tested on"
        )
    saved = read_predictions(Store(home).work(result.key) / PREDICTIONS, binary=test_images.task.binary)
    stems = [entry.stem for entry in test_images.entries]
    if missing := [stem for stem in stems if stem not in saved.images]:
        raise PredictionsUnfit(
            f"{result.key} has predictions of {len(stems) - len(missing)} of the {len(stems)} test images (its recipe "
            f"may have a limit): nothing was scored. Without predictions are: {shortened(missing)}"
        )
    height, width = saved.shape
    most = int(saved.stored.max(initial=0)) if not saved.packed else 1
    if {entry.size for entry in test_images.entries} != {saved.shape} or most >= max(2, test_images.task.channels):
        raise PredictionsUnfit(
            f"{result.key}: its predictions have {width}x{height} pixels and labels up to {most}, which are not those "
            f"of the images of {test_images.dataset.name}: nothing was scored. Delete {Store(home).path(result.key)} "
            "and its folder in runs, and reproduce its table"
        )
    return test_images, PredictedLabels(
        lambda index: saved.labels(stems[index]), False, ("Predictions that the run saved.",), ()
    )


def count(test_images: ImagesToScore, predicted: PredictedLabels, progress: Progress) -> tuple[Counts, Counts | None]:
    """Count at the prepared labels' resolution, and at the source's if predictions are that fine."""
    task = test_images.task
    data = PreparedDataset(test_images.folder, test_images.entries, cache=False)
    confusions, finer = [], []
    for index, entry in enumerate(test_images.entries):
        labels = predicted.labels(index)
        mask, native = data.labels(index)
        if predicted.native:
            if native is not None:
                finer.append(confusion_matrix(native, torch.from_numpy(labels.copy()), task))
            labels = take_every(labels, entry.source_size[0] // entry.size[0])
        confusions.append(confusion_matrix(mask, torch.from_numpy(labels.copy()), task))
        progress(index + 1, len(test_images.entries), "count")
    native_counts = counts_of(finer, task) if len(finer) == len(confusions) else None
    return counts_of(confusions, task), native_counts


def digest(test_images: ImagesToScore, predicted: PredictedLabels) -> str:
    """Return the SHA-256 of the predicted labels: equal for equal predictions, whatever their files."""
    sha256 = hashlib.sha256()
    for index, entry in enumerate(test_images.entries):
        labels = predicted.labels(index)
        sha256.update(f"{entry.stem} {labels.shape}".encode() + np.ascontiguousarray(labels).tobytes())
    return sha256.hexdigest()


def _namesakes(home: Path, key: str, name: str, dataset: str) -> list[str]:
    """Return a sentence for each other submission that a table would show under the same name."""
    sentences = []
    for path in sorted(Home(home).scores.glob(f"{dataset}-scored-*.json")):
        submission = readable(path)
        if submission is not None and submission.key != key and submission.name == name:
            sentences.append(f"another row is called {name} too: delete {path} if it is to go")
    return sentences


def readable(path: Path) -> Submission | None:
    """Return a stored submission; None if its file is damaged, because it is about to be written again."""
    try:
        return read_submission(path)
    except ResultDamaged:
        return None
