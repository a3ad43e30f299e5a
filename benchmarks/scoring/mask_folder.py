"""Read a folder of predicted masks of any tool: one for every test image, or a message with all that is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.scoring.encoding import Encoding
from benchmarks.scoring.mask_files import JPEG, READ, LabelFile, LabelReader, MaskEncoding, labels_of, resolve_encoding
from benchmarks.scoring.test_images import ImagesToScore
from data_prep.file_names import nfc
from data_prep.images.decode import BadPicture
from data_prep.manifest import Entry
from data_prep.processes import Progress
from rssam.amounts import SHOWN, counted, shortened
from rssam.errors import UserError


class PredictionsUnfit(UserError):
    """Predictions that cannot be scored; the message lists every reason."""


@dataclass(frozen=True)
class PredictedLabels:
    """Labels of every test image in order, all at the prepared size or all at the source's own."""

    labels: Callable[[int], NDArray[np.uint8]]  # of one image by its place: uint8 [H, W]
    native: bool  # whether they have the size of the source
    reading: tuple[str, ...]  # how files became labels, a sentence each
    notes: tuple[str, ...]  # what the user should know


def read_folder(
    folder: Path, test_images: ImagesToScore, suffix: str, progress: Progress, encoding: Encoding | None = None
) -> PredictedLabels:
    """Read the predictions of a folder: a file for each test image, named by its stem and `suffix`.

    Raises PredictionsUnfit listing all that is wrong.

    Args:
        folder: the folder of masks.
        test_images: the images to score.
        suffix: what follows the stem in file names.
        progress: called after each file.
        encoding: what the user declares their values to be; None to read it off the files.
    """
    if not folder.is_dir():
        instead = "a file" if folder.is_file() else "nothing"
        raise PredictionsUnfit(f"expected a folder of predicted masks at {folder}, found {instead}")
    # Composed, because another system may have decomposed the names of its files.
    entries = {nfc(f"{entry.stem}{suffix}"): entry for entry in test_images.entries}
    other_stems = {nfc(f"{entry.stem}{suffix}") for entry in test_images.manifest.entries} - entries.keys()
    files: dict[str, list[Path]] = defaultdict(list)
    blurred: dict[str, list[Path]] = defaultdict(list)
    foreign, of_other_splits = [], 0
    in_folders = any("/" in stem for stem in entries)
    for path in sorted(folder.rglob("*") if in_folders else folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not in_folders:
                foreign.append(f"{path.name}/")  # in which the masks may lie
            continue
        stem, suffix = nfc(path.relative_to(folder).with_suffix("").as_posix()), path.suffix.lower()
        if suffix in READ and stem in entries:
            files[stem].append(path)
        elif suffix in JPEG and stem in entries:
            blurred[stem].append(path)
        elif suffix in READ and stem in other_stems:
            of_other_splits += 1
        else:
            foreign.append(path.name)
    for stem, paths in blurred.items():  # beside a mask it is perhaps the image
        files.setdefault(stem, paths)
    reader = LabelReader(test_images.dataset.classes, test_images.dataset.palette, encoding)
    faults: list[str] = []
    label_files: dict[str, LabelFile] = {}
    for done, stem in enumerate(sorted(files), start=1):
        fault, file = _read(files[stem], reader, entries[stem])
        if fault:
            faults.append(fault)
        if file is not None:
            label_files[stem] = file
        progress(done, len(files), "read predictions")
    native = any(file.size != entries[stem].size for stem, file in label_files.items())  # meant at the source's size
    faults += _sizes(label_files, entries, native)
    foreground, threshold = 1, 0.0
    try:
        foreground, threshold = resolve_encoding(list(label_files.values()), encoding)
    except BadPicture as error:
        faults.append(str(error))
    missing = [stem for stem in entries if stem not in files]
    if missing or faults:
        raise PredictionsUnfit(_all_wrong(folder, test_images, missing, faults, foreign))
    ordered = [label_files[stem] for stem in entries]
    notes = []
    if of_other_splits:
        notes.append(f"left out: {counted(of_other_splits, 'file')} of images that are not in this test split")
    if foreign:
        notes.append(f"left out, of no image of {test_images.dataset.name}: {shortened(foreign)}")
    return PredictedLabels(
        labels=lambda index: labels_of(ordered[index], foreground, threshold),
        native=native,
        reading=_reading(ordered, foreground, threshold, native, encoding),
        notes=tuple(notes),
    )


def _read(paths: Sequence[Path], reader: LabelReader, entry: Entry) -> tuple[str, LabelFile | None]:
    """Return what is wrong with the file of an image, or the file."""
    if len(paths) > 1:
        return f"{' and '.join(path.name for path in paths)}: several files for one image", None
    try:
        file = reader.read(paths[0])
    except BadPicture as error:
        return f"{paths[0].name}: {error}", None
    allowed = {entry.size} | ({entry.source_size} if entry.native_mask is not None else set())
    if file.size not in allowed:
        sizes = " or ".join(f"{width}x{height}" for height, width in sorted(allowed))
        return f"{paths[0].name}: expected {sizes} pixels, found {file.size[1]}x{file.size[0]}", None
    return "", file


def _sizes(label_files: dict[str, LabelFile], entries: dict[str, Entry], native: bool) -> list[str]:
    """Return a sentence on files of the prepared size among files of the source's; nothing if all are alike."""
    small = [file.path.name for stem, file in label_files.items() if file.size != entries[stem].source_size]
    if not (native and small):
        return []
    return [f"{shortened(small)}: of the prepared size, where other files have the size of the source; save all alike"]


def _reading(
    files: Sequence[LabelFile], foreground: int, threshold: float, native: bool, declared: Encoding | None
) -> tuple[str, ...]:
    sentences: dict[MaskEncoding, str] = {
        "labels": "Class numbers or the data set's colours, pixel by pixel.",
        "numbers": f"Foreground is {foreground}.",
        "floats": f"Floats: foreground is a {'probability above 0.5' if threshold else 'logit above 0'}.",
        "largest": "Floats of several channels: the largest.",
        "one-hot": "A channel for each class, of which one is set.",
    }
    encodings = {file.encoding for file in files}
    parts = [sentence for encoding, sentence in sentences.items() if encoding in encodings]
    if declared is not None:
        parts.append(f"Declared: {declared}.")
    if native:
        parts.append("At the source's own resolution; the headline takes every n-th pixel of it, as prepared masks do.")
    return tuple(parts)


def _all_wrong(
    folder: Path, test_images: ImagesToScore, missing: Sequence[str], faults: Sequence[str], foreign: Sequence[str]
) -> str:
    split = f"seed {test_images.split_seed}" + (", by scenes" if test_images.split_rule == "blocked" else "")
    count, name = len(test_images.entries), test_images.dataset.name
    parts = [f"{folder} cannot be scored on the {count} test images of {name} ({split}):"]
    if missing:
        parts.append(f"{len(missing)} without a file ({', '.join(READ)}): {shortened(missing)}")
    parts += faults[:SHOWN]
    if len(faults) > SHOWN:
        parts.append(f"... and {len(faults) - SHOWN} more files")
    if foreign:
        parts.append(f"of no image of {name}: {shortened(foreign)}")
    if missing and foreign:
        parts.append("if names go on behind the stem, as in STEM_mask.png, give --suffix _mask")
    return "\n  ".join(parts) + "\nNothing was scored."
