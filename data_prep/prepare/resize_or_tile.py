"""Bring images of any size to one size: keep them, cut them into tiles, or resize them, by a declared rule."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.checks.fingerprints import edges_of
from data_prep.images import encode
from data_prep.images.masks import IGNORED
from data_prep.manifest import AffineCoefficients, Entry
from data_prep.prepare.convert import (
    Faults,
    FitMode,
    Job,
    Record,
    decode_pair,
    finished_records,
    label_colours,
    read_source,
    share_of_classes,
    write_files,
)
from data_prep.prepare.tiles import tile_stem
from rssam.files import write_atomic


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
    tile_of: str | None  # stem of the source pair where that has several pieces
    crs: str | None = None  # see `Entry`
    transform: AffineCoefficients | None = None
    outside: int = 0  # see `Record`, of the whole image


def cut(job: Job) -> tuple[Record, ...] | Faults:
    """Write the pictures that a pair becomes under `job.fit` and their records, or reuse those of an interrupted run.

    Raises DataError only if the disk is full; bad source files come back as faults.
    """
    source = read_source(job)
    if isinstance(source, Faults):
        return source
    if records := finished_records(job, source.digests):
        return records
    decoded = decode_pair(job, source)
    if isinstance(decoded, Faults):
        return decoded
    image, mask, source_stem = decoded.image, decoded.mask, job.pair.stem
    digest = encode.pixel_digest(image)  # of the whole image, so that its tiles are one group
    size = (image.shape[0], image.shape[1])
    return keep(
        job,
        (
            Piece(
                stem,
                tile,
                labels,
                mask.values,
                source.digests,
                size,
                digest,
                decoded.no_data,
                source_stem if stem != source_stem else None,
                outside=decoded.outside,
            )
            for stem, tile, labels in _pieces(source_stem, image, mask.labels, job.image_size, job.fit)
        ),
    )


def keep(
    job: Job, pieces: Iterable[Piece], finished: Callable[[Record], Record] = lambda record: record
) -> tuple[Record, ...]:
    """Write the pictures that a pair becomes below `job.out`, and their records.

    `finished` completes a record by what is known once all pieces are written.
    """
    written = [_write(job, piece) for piece in pieces]
    records = tuple(map(finished, written))
    write_atomic(job.record, json.dumps([asdict(record) for record in records]).encode())  # last: it vouches for files
    return records


def _pieces(
    stem: str, image: NDArray[np.uint8], labels: NDArray[np.uint8], size: tuple[int, int], fit: FitMode | None
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield stem, image [H, W, 3] and labels [H, W] of every prepared picture of `size` (height, width)."""
    if fit == "tile":
        for top, left in corners(image.shape[:2], size):
            # Every image gets the suffix, also one of a single tile: no two images can then give the same stem.
            yield tile_stem(stem, top, left), *tile(image, labels, (top, left), size)
    elif fit == "resize":
        yield stem, resized(image, size), nearest(labels, size)
    else:
        yield stem, image, labels


def corners(image_size: tuple[int, int], size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return (top, left) of the tiles of `size` (height, width) that cover an image of `image_size`, row by row."""
    return [(top, left) for top in range(0, image_size[0], size[0]) for left in range(0, image_size[1], size[1])]


def tile(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], corner: tuple[int, int], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut the tile of `size` (height, width) at `corner` (top, left), padded where it leaves the image."""
    rows, columns = (slice(start, start + side) for start, side in zip(corner, size, strict=True))
    return padded(image[rows, columns], labels[rows, columns], size)


def padded(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pad image and labels to `size` (height, width): the last row and column repeated, with ignored labels."""
    below, right = size[0] - labels.shape[0], size[1] - labels.shape[1]
    filled = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
    return filled, np.pad(labels, ((0, below), (0, right)), constant_values=IGNORED)


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
    """Write one prepared picture and its labels below `job.out`."""
    stem, image, labels = piece.stem, piece.image, piece.labels
    binary = len(job.palette) == 1
    colours = label_colours(job)
    if job.fit is not None:  # one palette for all labels of a user's own data set
        colours = encode.whole_palette(colours)
    (image_path, image_digest), (mask_path, mask_digest) = write_files(
        job.out,
        {
            f"images/{stem}.png": encode.encode_image(image),
            f"masks/{stem}.png": encode.encode_labels(labels, colours),
        },
    )
    kept = labels != IGNORED
    entry = Entry(
        stem=stem,
        split="train",
        image=image_path,
        mask=mask_path,
        native_mask=None,
        image_sha256=image_digest,
        mask_sha256=mask_digest,
        native_mask_sha256=None,
        source_image_sha256=piece.digests[0],
        source_mask_sha256=piece.digests[1],
        source_size=piece.source_size,
        size=(image.shape[0], image.shape[1]),
        foreground=share_of_classes(labels, binary),
        group=stem,
        scene=piece.tile_of,
        crs=piece.crs,
        transform=piece.transform,
        tile_of=piece.tile_of,
        labelled=float(kept.mean()),
    )
    occurring = tuple(np.unique(labels[kept]).tolist())
    edges = edges_of(image).packed()
    return Record(job.rule, entry, piece.pixel_digest, occurring, piece.values, edges, piece.no_data, piece.outside)
