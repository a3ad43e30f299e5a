"""Bring images to one size: keep, shrink or resize them, or cut them into tiles, by a declared rule; and write them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.checks.fingerprints import edges_of
from data_prep.images import encode
from data_prep.manifest import AffineCoefficients, Entry
from data_prep.prepare.convert import DecodedPair, Job, Record, decode_pair, finished_records, read_source
from data_prep.prepare.tiles import tile_stem
from rssam.contract import IGNORE, Colour
from rssam.files import write_atomic

BLACK: Colour = (0, 0, 0)
"""The background of a binary task."""


@dataclass(frozen=True)
class Piece:
    """Prepared picture, uint8 [H, W, 3], with its labels [H, W], and what it was cut from."""

    stem: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    values: tuple[str, ...]  # of the mask's own file, see `Mask`
    digests: tuple[str, str]  # of the source's image and mask
    source_size: tuple[int, int]  # (height, width)
    pixel_digest: str  # pieces that share it are one group
    no_data: int  # see `Record`, of the whole pair
    tile_of: str | None = None  # stem of the source pair where that has several pieces
    native: NDArray[np.uint8] | None = None  # labels 0 and 1 at the source's own resolution, where it was shrunk
    crs: str | None = None  # see `Entry`
    transform: AffineCoefficients | None = None
    outside: int = 0  # see `Record`, of the whole image
    no_mask: bool = False  # see `Record`


def cut(job: Job) -> tuple[Record, ...]:
    """Write the pictures that a pair becomes and their records, or reuse those of an interrupted run.

    Raises Faults for bad source files, DataError only if the disk is full.
    """
    image, mask = read_source(job)
    digests = image.digest, mask.digest
    return finished_records(job, digests) or keep(job, _pieces(job, decode_pair(job, image, mask), digests))


def keep(
    job: Job, pieces: Iterable[Piece], finished: Callable[[Record], Record] = lambda record: record
) -> tuple[Record, ...]:
    """Write the pictures that a pair becomes below `job.out`, and their records.

    `finished` completes a record by what is known once all pieces are written.
    """
    written = [_write(job, piece) for piece in pieces]
    records = tuple(map(finished, written))
    # Last, because a record vouches for its files; a power cut may spoil it, and then the pair is done again.
    write_atomic(job.record, json.dumps([asdict(record) for record in records]).encode(), durable=False)
    return records


def _pieces(job: Job, decoded: DecodedPair, digests: tuple[str, str]) -> Iterator[Piece]:
    image, labels, native = decoded.image, decoded.mask.labels, None
    if decoded.factor > 1:
        image, native = encode.average_area(image, decoded.factor), labels
        labels = encode.take_every(labels, decoded.factor)
    stem, size = job.pair.stem, job.image_size
    whole = Piece(
        stem=stem,
        image=image,
        labels=labels,
        values=decoded.mask.values,
        digests=digests,
        source_size=(decoded.image.shape[0], decoded.image.shape[1]),
        pixel_digest=encode.pixel_digest(image),  # of the whole image, so that its tiles are one group
        no_data=decoded.no_data,
        native=native,
        outside=decoded.outside,
        no_mask=decoded.no_mask,
    )
    if job.reading.fit == "tile":
        for top, left in corners(image.shape[:2], size):
            window = slice(top, top + size[0]), slice(left, left + size[1])
            tile, tile_labels = padded(image[window], labels[window], size)
            # Every image gets the suffix, also one of a single tile: no two images can then give the same stem.
            yield replace(whole, stem=tile_stem(stem, top, left), image=tile, labels=tile_labels, tile_of=stem)
    elif job.reading.fit == "resize":
        yield replace(whole, image=resized(image, size), labels=nearest(labels, size))
    else:
        yield whole


def corners(image_size: tuple[int, int], size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return (top, left) of the tiles of `size` (height, width) that cover an image of `image_size`, row by row."""
    return [(top, left) for top in range(0, image_size[0], size[0]) for left in range(0, image_size[1], size[1])]


def padded(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pad image and labels to `size` (height, width): the last row and column repeated, with ignored labels."""
    below, right = size[0] - labels.shape[0], size[1] - labels.shape[1]
    filled = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
    return filled, np.pad(labels, ((0, below), (0, right)), constant_values=IGNORE)


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an image to `size` (height, width): means of whole blocks for a whole multiple, otherwise bilinear."""
    factor = image.shape[0] // size[0]
    if factor and image.shape[:2] == (factor * size[0], factor * size[1]):
        return encode.average_area(image, factor)
    # Pillow widens the filter when it shrinks, so that no pixel is passed over.
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def nearest(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize labels to `size` (height, width): that of the pixel below each new centre, so that no new label arises."""
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, labels.shape, strict=True))
    return labels[np.ix_(rows, columns)]


def _write(job: Job, piece: Piece) -> Record:
    stem, image, labels = piece.stem, piece.image, piece.labels
    binary = len(job.palette) == 1
    colours = (BLACK, *job.palette) if binary else job.palette
    if job.reading.fit is not None:  # one palette for all labels of a user's own data set
        colours = encode.whole_palette(colours)
    files = {
        f"images/{stem}.png": encode.encode_image(image),
        f"masks/{stem}.png": encode.encode_labels(labels, colours),
    }
    if piece.native is not None:
        files[f"native_masks/{stem}.png"] = encode.encode_bits(piece.native)
    for relative, content in files.items():
        write_atomic(job.out / relative, content)
    digests = {relative: hashlib.sha256(content).hexdigest() for relative, content in files.items()}
    image_path, mask_path, *native = files
    native_path = native[0] if native else None
    kept = labels != IGNORE
    labelled = int(kept.sum())
    belonging = int((kept & (labels > 0)).sum()) if binary else labelled  # without a background all belong to a class
    entry = Entry(
        stem=stem,
        split="train",
        image=image_path,
        mask=mask_path,
        native_mask=native_path,
        image_sha256=digests[image_path],
        mask_sha256=digests[mask_path],
        native_mask_sha256=None if native_path is None else digests[native_path],
        source_image_sha256=piece.digests[0],
        source_mask_sha256=piece.digests[1],
        source_size=piece.source_size,
        size=(image.shape[0], image.shape[1]),
        foreground=belonging / labelled if labelled else 0.0,
        group=stem,
        scene=piece.tile_of,
        crs=piece.crs,
        transform=piece.transform,
        tile_of=piece.tile_of,
        labelled=float(kept.mean()),
    )
    counts = Image.fromarray(labels if piece.native is None else piece.native).histogram()
    occurring = tuple(label for label, count in enumerate(counts) if count and label != IGNORE)
    edges = edges_of(image).packed()
    return Record(
        rule=job.rule,
        entry=entry,
        pixel_digest=piece.pixel_digest,
        labels=occurring,
        values=piece.values,
        edges=edges,
        no_data=piece.no_data,
        outside=piece.outside,
        no_mask=piece.no_mask,
    )
