"""Convert one pair of source files to prepared files in a worker, and record it so that it is not done twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.checks.fingerprints import edges_of, unpacked
from data_prep.images import encode
from data_prep.images.class_values import any_rgb
from data_prep.images.decode import BadPicture, rgb
from data_prep.images.masks import IGNORED, Mask
from data_prep.images.no_data import black_where, ignored_where, labels_of
from data_prep.images.picture import read_image, read_labels
from data_prep.images.place import misplaced
from data_prep.images.source_file import SourceFile
from data_prep.manifest import Entry, with_tuples
from data_prep.prepare.pairs import Pair
from rssam.contract import Colour
from rssam.files import sha256_file, write_atomic
from rssam.foreign_json import read_json
from rssam.value_range import ValueRange

BLACK = (0, 0, 0)

FitMode = Literal["keep", "tile", "resize"]


@dataclass(frozen=True)
class Job:
    """Input of a worker for a pair. Picklable: `read_mask` is a function at module level."""

    pair: Pair
    out: Path  # prepared files go below it
    record: Path  # the record of this pair
    rule: str  # everything that decides the result except the files; a record of another rule is not used
    image_size: tuple[int, int]  # (height, width) as prepared
    shrink: bool  # whether images of a whole multiple of that size are shrunk, or refused
    palette: tuple[Colour, ...]  # one colour a class
    image_kinds: tuple[str, ...]  # Pillow's names of the formats
    mask_kinds: tuple[str, ...]
    read_mask: Callable[[Image.Image], Mask]
    fit: FitMode | None = None  # where images may have any size: how they come to that one, see `resize_or_tile`
    value_range: ValueRange | None = None  # of images of more than 8 bits, what becomes 0 and 255
    bands: tuple[int, ...] | None = None  # of images, read as red, green and blue; None: as declared, or the first


@dataclass(frozen=True)
class Record:
    """Record of a finished pair. The entry's split and group are drafts until all pairs are known."""

    rule: str
    entry: Entry
    pixel_digest: str  # of the prepared image: equal for identical images
    labels: tuple[int, ...]  # all that occur in the mask
    values: tuple[str, ...]  # of the mask's own file, see `Mask`
    edges: str  # of the prepared image, see `Edges.packed`
    no_data: int  # pixels of the source pair that have a label, and no data: ignored
    outside: int = 0  # values of the source image that the range clipped


@dataclass(frozen=True)
class Faults:
    """Faults for which a pair cannot be used: one line per file, each beginning with the file's name."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class SourceFiles:
    """Image file and its mask file, read."""

    image: SourceFile
    mask: SourceFile

    @property
    def digests(self) -> tuple[str, str]:
        """Return the SHA-256 of both in hex, see `SourceFile.digest`."""
        return self.image.digest, self.mask.digest


@dataclass(frozen=True)
class DecodedPair:
    """Pair as decoded: image uint8 [H, W, 3], its mask, and by how much both are to be shrunk."""

    image: NDArray[np.uint8]
    mask: Mask
    factor: int = 1
    no_data: int = 0  # pixels that have a label, and no data in image or mask: ignored
    outside: int = 0  # values of the image that the range clipped


def convert(job: Job) -> Record | Faults:
    """Write the prepared files of one pair and its record, or reuse those of an interrupted run.

    Raises DataError only if the disk is full; bad source files come back as faults.
    """
    source = read_source(job)
    if isinstance(source, Faults):
        return source
    if records := finished_records(job, source.digests):
        return records[0]
    decoded = decode_pair(job, source)
    return decoded if isinstance(decoded, Faults) else _write(job, decoded, source.digests)


def faults_of(job: Job) -> tuple[str, ...]:
    """Return what is wrong with the files of a pair: read and decode them fully, and write nothing."""
    source = read_source(job)
    checked = source if isinstance(source, Faults) else decode_pair(job, source)
    return checked.lines if isinstance(checked, Faults) else ()


def read_source(job: Job) -> SourceFiles | Faults:
    """Read the files of the image and of the mask."""
    contents, faults = [], []
    for path, name in ((job.pair.image, job.pair.image_name), (job.pair.mask, job.pair.mask_name)):
        try:
            contents.append(SourceFile.read(path))
        except OSError as error:
            faults.append(f"{name}: cannot be read ({error.strerror})")
    return Faults(tuple(faults)) if faults else SourceFiles(*contents)


def decode_pair(job: Job, source: SourceFiles) -> DecodedPair | Faults:
    """Decode image and mask fully, or return all that is wrong with them."""
    faults, factor, no_data = [], 1, 0
    try:
        own = job.fit is not None
        picture = read_image(source.image, job.image_kinds, own=own, value_range=job.value_range, bands=job.bands)
        image = rgb(picture.pixels) if job.fit is None else any_rgb(picture.pixels)
        image = black_where(image, picture.without_data)
        if job.fit in (None, "keep"):
            exact = job.fit == "keep" or not job.shrink
            factor = encode.whole_factor(image.shape[:2], job.image_size, exact=exact)
    except BadPicture as bad:
        faults.append(f"{job.pair.image_name}: {bad}")
    try:
        drawn = read_labels(source.mask, job.mask_kinds, own=job.fit is not None)
        mask, no_data = labels_of(drawn, job.read_mask)
        if not faults and mask.labels.shape != image.shape[:2]:
            found, expected = ("{1}x{0}".format(*shape) for shape in (mask.labels.shape, image.shape))
            raise BadPicture(f"expected the size of its image, {expected}, found {found} (width x height)")
        if not faults and (elsewhere := misplaced(picture.place, drawn.place, image.shape[:2])):
            raise BadPicture(elsewhere)
        if not faults:
            mask, more = ignored_where(mask, picture.without_data)
            no_data += more
        if no_data and factor > 1:
            raise BadPicture(f"expected data in every pixel, found {no_data} pixels without, which one bit cannot mark")
    except BadPicture as bad:
        faults.append(f"{job.pair.mask_name}: {bad}")
    return Faults(tuple(faults)) if faults else DecodedPair(image, mask, factor, no_data, picture.outside)


def label_colours(job: Job) -> tuple[Colour, ...]:
    """Return the colours of the labels from 0; the background of a binary task is black."""
    return (BLACK, *job.palette) if len(job.palette) == 1 else job.palette


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Write files below `folder` by their relative paths; return path and SHA-256 of each, in their order."""
    for relative, content in files.items():
        write_atomic(folder / relative, content)
    return [(relative, hashlib.sha256(content).hexdigest()) for relative, content in files.items()]


def _write(job: Job, decoded: DecodedPair, digests: tuple[str, str]) -> Record:
    stem, mask, factor = job.pair.stem, decoded.mask, decoded.factor
    source_size = (decoded.image.shape[0], decoded.image.shape[1])
    image, labels = encode.average_area(decoded.image, factor), encode.take_every(mask.labels, factor)
    files = {
        f"images/{stem}.png": encode.encode_image(image),
        f"masks/{stem}.png": encode.encode_labels(labels, label_colours(job)),
    }
    if factor > 1:
        files[f"native_masks/{stem}.png"] = encode.encode_bits(mask.labels)
    written = write_files(job.out, files)
    native = written[2] if factor > 1 else (None, None)
    binary = len(job.palette) == 1
    kept = labels != IGNORED
    entry = Entry(
        stem=stem,
        split="train",
        image=written[0][0],
        mask=written[1][0],
        native_mask=native[0],
        image_sha256=written[0][1],
        mask_sha256=written[1][1],
        native_mask_sha256=native[1],
        source_image_sha256=digests[0],
        source_mask_sha256=digests[1],
        source_size=source_size,
        size=(image.shape[0], image.shape[1]),
        foreground=share_of_classes(labels, binary),
        group=stem,
        labelled=float(kept.mean()),
    )
    counts = Image.fromarray(mask.labels).histogram()
    occurring = tuple(label for label, count in enumerate(counts) if count and label != IGNORED)
    digest, edges = encode.pixel_digest(image), edges_of(image).packed()
    record = Record(job.rule, entry, digest, occurring, mask.values, edges, decoded.no_data)
    # Last, because a record vouches for its files; a power cut may spoil it, and then the pair is done again.
    write_atomic(job.record, json.dumps(asdict(record)).encode(), durable=False)
    return record


def share_of_classes(labels: NDArray[np.uint8], binary: bool) -> float:
    """Return the share of labelled pixels that belong to a class; without a background those are all."""
    kept = labels != IGNORED
    labelled = int(kept.sum())
    belonging = int((kept & (labels > 0)).sum()) if binary else labelled
    return belonging / labelled if labelled else 0.0


def finished_records(job: Job, digests: tuple[str, str]) -> tuple[Record, ...]:
    """Return the records of an earlier run if rule, source and every prepared file are unchanged; otherwise none.

    `digests` are those of the source's image and mask. A record file holds one record, or the list of a pair's tiles.
    """
    try:
        content = read_json(job.record)
        records = tuple(_record(fields) for fields in (content if isinstance(content, list) else [content]))
        files = [file for record in records for file in record.entry.files]
        unchanged = all(sha256_file(job.out / relative) == digest for relative, digest in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()
    origins = {(record.rule, record.entry.source_image_sha256, record.entry.source_mask_sha256) for record in records}
    return records if unchanged and origins == {(job.rule, *digests)} else ()


def _record(fields: Mapping[str, Any]) -> Record:
    record = Record(**with_tuples({**fields, "entry": Entry(**with_tuples(fields["entry"]))}))
    unpacked(record.edges, record.entry.size)  # raises ValueError if it was damaged
    return record
