"""One pair of source files to prepared files: what a worker does, and the record that spares doing it twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.checks.fingerprints import edges_of, unpacked
from data_prep.images import decode as pixels
from data_prep.images import encode
from data_prep.images.decode import BadPicture
from data_prep.images.masks import Mask
from data_prep.manifest import Entry
from data_prep.prepare.pairs import Pair
from rssam.contract import Colour
from rssam.files import write_atomic

BLACK = (0, 0, 0)

FitMode = Literal["keep", "tile", "resize"]


@dataclass(frozen=True)
class Job:
    """All a worker needs, picklable for fresh processes: `read_mask` is a function at module level."""

    pair: Pair
    out: Path  # prepared files go below it
    record: Path  # the record of this pair
    rule: str  # names everything but the files that decides the result; a record of another rule is not used
    image_size: tuple[int, int]  # (height, width) as prepared
    shrink: bool  # whether images of a whole multiple of that size are shrunk, or refused
    palette: tuple[Colour, ...]  # one colour a class
    image_kinds: tuple[str, ...]  # Pillow's names of the formats
    mask_kinds: tuple[str, ...]
    read_mask: Callable[[Image.Image], Mask]
    fit: FitMode | None = None  # where images may have any size: how they come to that one, see `resize_or_tile`


@dataclass(frozen=True)
class Record:
    """A finished pair. The entry's split and group are drafts until all pairs are known."""

    rule: str
    entry: Entry
    pixel_digest: str  # of the prepared image: equal for identical images
    labels: tuple[int, ...]  # all that occur in the mask
    values: tuple[str, ...]  # of the mask's own file, see `Mask`
    edges: str | None = None  # of the prepared image, see `Edges.packed`; None in records of earlier versions


@dataclass(frozen=True)
class Faults:
    """Why a pair cannot be used: one line per file, each beginning with the file's name."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Pixels:
    """A pair as decoded: image uint8 [H, W, 3], its mask, and by how much the pair is to be shrunk."""

    image: NDArray[np.uint8]
    mask: Mask
    factor: int


def convert(job: Job) -> Record | Faults:
    """Write the prepared files of one pair and its record, or reuse those of an interrupted run.

    Raises DataError only if the disk is full; bad source files come back as faults.
    """
    contents = source_bytes(job)
    if isinstance(contents, Faults):
        return contents
    digests = hashlib.sha256(contents[0]).hexdigest(), hashlib.sha256(contents[1]).hexdigest()
    if record := _finished(job, digests):
        return record
    decoded = decode_pair(job, *contents)
    return decoded if isinstance(decoded, Faults) else _write(job, decoded, digests)


def source_bytes(job: Job) -> tuple[bytes, bytes] | Faults:
    """The files of the image and of the mask."""
    contents, faults = [], []
    for path, name in ((job.pair.image, job.pair.image_name), (job.pair.mask, job.pair.mask_name)):
        try:
            contents.append(path.read_bytes())
        except OSError as error:
            faults.append(f"{name}: cannot be read ({error.strerror})")
    return Faults(tuple(faults)) if faults else (contents[0], contents[1])


def decode_pair(job: Job, image_bytes: bytes, mask_bytes: bytes) -> _Pixels | Faults:
    """Image and mask, decoded fully, or all that is wrong with them."""
    faults = []
    try:
        image = pixels.rgb(pixels.decode(image_bytes, *job.image_kinds))
        factor = encode.whole_factor(image.shape[:2], job.image_size, exact=not job.shrink)
    except BadPicture as bad:
        faults.append(f"{job.pair.image_name}: {bad}")
    try:
        mask = job.read_mask(pixels.decode(mask_bytes, *job.mask_kinds))
        if not faults and mask.labels.shape != image.shape[:2]:
            found, wanted = ("{1}x{0}".format(*shape) for shape in (mask.labels.shape, image.shape))
            raise BadPicture(f"expected the size of its image, {wanted}, found {found} (width x height)")
    except BadPicture as bad:
        faults.append(f"{job.pair.mask_name}: {bad}")
    return Faults(tuple(faults)) if faults else _Pixels(image, mask, factor)


def _write(job: Job, decoded: _Pixels, digests: tuple[str, str]) -> Record:
    stem, mask, factor = job.pair.stem, decoded.mask, decoded.factor
    source_size = (decoded.image.shape[0], decoded.image.shape[1])
    image, labels = encode.average_area(decoded.image, factor), encode.take_every(mask.labels, factor)
    binary = len(job.palette) == 1
    colours = (BLACK, *job.palette) if binary else job.palette
    files = {
        f"images/{stem}.png": encode.encode_image(image),
        f"masks/{stem}.png": encode.encode_labels(labels, colours),
    }
    if factor > 1:
        files[f"native_masks/{stem}.png"] = encode.encode_bits(mask.labels)
    for relative, content in files.items():
        write_atomic(job.out / relative, content)
    written = [(relative, hashlib.sha256(content).hexdigest()) for relative, content in files.items()]
    native = written[2] if factor > 1 else (None, None)
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
        foreground=float((labels > 0).mean()) if binary else 1.0,  # without a background all pixels belong to a class
        group=stem,
    )
    occurring = tuple(label for label, count in enumerate(Image.fromarray(mask.labels).histogram()) if count)
    record = Record(job.rule, entry, encode.pixel_digest(image), occurring, mask.values, edges_of(image).packed())
    # Last, for a record vouches for its files; a power cut may spoil it, and then the pair is done again.
    write_atomic(job.record, json.dumps(asdict(record)).encode(), durable=False)
    return record


def _finished(job: Job, digests: tuple[str, str]) -> Record | None:
    """The record of an earlier run, if rule, source and every prepared file are still the same."""
    try:
        raw = json.loads(job.record.read_bytes())
        entry = Entry(
            **{**raw["entry"], "source_size": tuple(raw["entry"]["source_size"]), "size": tuple(raw["entry"]["size"])}
        )
        record = Record(
            raw["rule"], entry, raw["pixel_digest"], tuple(raw["labels"]), tuple(raw["values"]), raw.get("edges")
        )
        if record.edges is not None:
            unpacked(record.edges, entry.size)
        prepared = [(hashlib.sha256((job.out / name).read_bytes()).hexdigest(), digest) for name, digest in entry.files]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    same = record.rule == job.rule and (entry.source_image_sha256, entry.source_mask_sha256) == digests
    return record if same and all(found == noted for found, noted in prepared) else None
