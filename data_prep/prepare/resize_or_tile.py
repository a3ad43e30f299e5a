"""Images of any size to pictures of one size: kept, cut into tiles, or resized, by a declared rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.checks.fingerprints import edges_of, unpacked
from data_prep.images import decode as pixels
from data_prep.images import encode
from data_prep.images.class_values import any_rgb
from data_prep.images.decode import BadPicture
from data_prep.images.masks import IGNORED, Mask
from data_prep.manifest import AffineCoefficients, Entry
from data_prep.prepare.convert import BLACK, Faults, FitMode, Job, Record, decode_pair, source_bytes
from data_prep.prepare.tiles import tile_stem
from rssam.files import write_atomic


@dataclass(frozen=True)
class Piece:
    """One prepared picture, uint8 [H, W, 3], with its labels [H, W], and what it was cut from."""

    stem: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    values: tuple[str, ...]  # of the mask's own file, see `Mask`
    digests: tuple[str, str]  # of the source's image and mask
    source_size: tuple[int, int]  # (height, width)
    pixel_digest: str  # pieces that share it are one group
    tile_of: str | None  # stem of the source pair where that has several pieces
    crs: str | None = None  # see `Entry`
    transform: AffineCoefficients | None = None


def cut(job: Job) -> tuple[Record, ...] | Faults:
    """Write what one pair becomes under `job.fit` and its records, or reuse those of an interrupted run.

    Raises DataError only if the disk is full; bad source files come back as faults.
    """
    contents = source_bytes(job)
    if isinstance(contents, Faults):
        return contents
    digests = hashlib.sha256(contents[0]).hexdigest(), hashlib.sha256(contents[1]).hexdigest()
    return finished(job, digests) or _cut(job, contents, digests)


def faults_of(job: Job) -> tuple[str, ...]:
    """What is wrong with the files of a pair: reads and decodes them fully, and writes nothing."""
    contents = source_bytes(job)
    if isinstance(contents, Faults):
        return contents.lines
    decoded = decode_pair(job, *contents) if job.fit is None else _decoded(job, contents)
    return decoded.lines if isinstance(decoded, Faults) else ()


def _decoded(job: Job, contents: tuple[bytes, bytes]) -> tuple[NDArray[np.uint8], Mask] | Faults:
    faults = []
    try:
        image = any_rgb(pixels.decode(contents[0], *job.image_kinds))
        if job.fit == "keep":
            encode.whole_factor(image.shape[:2], job.image_size, exact=True)
    except BadPicture as bad:
        faults.append(f"{job.pair.image_name}: {bad}")
    try:
        mask = job.read_mask(pixels.decode(contents[1], *job.mask_kinds, deep=True))
        if not faults and mask.labels.shape != image.shape[:2]:
            found, wanted = ("{1}x{0}".format(*shape) for shape in (mask.labels.shape, image.shape))
            raise BadPicture(f"expected the size of its image, {wanted}, found {found} (width x height)")
    except BadPicture as bad:
        faults.append(f"{job.pair.mask_name}: {bad}")
    return Faults(tuple(faults)) if faults else (image, mask)


def _cut(job: Job, contents: tuple[bytes, bytes], digests: tuple[str, str]) -> tuple[Record, ...] | Faults:
    decoded = _decoded(job, contents)
    if isinstance(decoded, Faults):
        return decoded
    image, mask = decoded
    digest = encode.pixel_digest(image)  # of the whole image, so that its tiles are one group
    size, whole = (image.shape[0], image.shape[1]), job.pair.stem
    return keep(
        job,
        (
            Piece(stem, tile, labels, mask.values, digests, size, digest, whole if stem != whole else None)
            for stem, tile, labels in _pieces(whole, image, mask.labels, job.image_size, job.fit)
        ),
    )


def keep(job: Job, pieces: Iterable[Piece]) -> tuple[Record, ...]:
    """Write what a pair becomes below `job.out`, and its records."""
    records = tuple(_written(job, piece) for piece in pieces)
    write_atomic(job.record, json.dumps([asdict(record) for record in records]).encode())  # last: it vouches for files
    return records


def _pieces(
    stem: str, image: NDArray[np.uint8], labels: NDArray[np.uint8], size: tuple[int, int], fit: FitMode | None
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Stem, image [H, W, 3] and labels [H, W] of every prepared picture of `size` (height, width)."""
    if fit == "tile":
        for top, left in corners(image.shape[:2], size):
            # Every image gets the suffix, also one of a single tile: no two images can then give the same stem.
            yield tile_stem(stem, top, left), *tile(image, labels, (top, left), size)
    elif fit == "resize":
        yield stem, resized(image, size), nearest(labels, size)
    else:
        yield stem, image, labels


def corners(found: tuple[int, int], size: tuple[int, int]) -> list[tuple[int, int]]:
    """(top, left) of the tiles of `size` (height, width) that cover an image of size `found`, row by row."""
    return [(top, left) for top in range(0, found[0], size[0]) for left in range(0, found[1], size[1])]


def tile(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], corner: tuple[int, int], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The tile of `size` at `corner`, padded where it leaves the image."""
    rows, columns = (slice(start, start + side) for start, side in zip(corner, size, strict=True))
    return padded(image[rows, columns], labels[rows, columns], size)


def padded(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image and labels at `size` (height, width): the last row and column repeated, with ignored labels."""
    below, right = size[0] - labels.shape[0], size[1] - labels.shape[1]
    filled = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
    return filled, np.pad(labels, ((0, below), (0, right)), constant_values=IGNORED)


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The image at `size` (height, width): means of whole blocks where it is a whole multiple, else bilinear."""
    factor = image.shape[0] // size[0]
    if factor and image.shape[:2] == (factor * size[0], factor * size[1]):
        return encode.average_area(image, factor)
    # Pillow widens the filter when it shrinks, so that no pixel is passed over.
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def nearest(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Labels at `size` (height, width): that of the pixel below each new centre, so that no new label arises."""
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, labels.shape, strict=True))
    return labels[np.ix_(rows, columns)]


def _written(job: Job, piece: Piece) -> Record:
    """Write one prepared picture and its labels below `job.out`."""
    stem, image, labels = piece.stem, piece.image, piece.labels
    binary = len(job.palette) == 1
    colours = (BLACK, *job.palette) if binary else job.palette
    if job.fit is not None:  # one palette for all labels of a user's own data set
        colours = encode.whole_palette(colours)
    files = (
        (f"images/{stem}.png", encode.encode_image(image)),
        (f"masks/{stem}.png", encode.encode_labels(labels, colours)),
    )
    for relative, content in files:
        write_atomic(job.out / relative, content)
    kept = labels != IGNORED
    labelled = int(kept.sum())
    belonging = int((kept & (labels > 0)).sum()) if binary else labelled  # without a background all pixels belong
    entry = Entry(
        stem=stem,
        split="train",
        image=files[0][0],
        mask=files[1][0],
        native_mask=None,
        image_sha256=hashlib.sha256(files[0][1]).hexdigest(),
        mask_sha256=hashlib.sha256(files[1][1]).hexdigest(),
        native_mask_sha256=None,
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
        labelled=labelled / labels.size,
    )
    occurring = tuple(np.unique(labels[kept]).tolist())
    return Record(job.rule, entry, piece.pixel_digest, occurring, piece.values, edges_of(image).packed())


def finished(job: Job, digests: tuple[str, str]) -> tuple[Record, ...]:
    """The records of an earlier run, if rule, source and every prepared file are still the same; else none."""
    try:
        records = tuple(_record(raw) for raw in json.loads(job.record.read_bytes()))
        files = [file for record in records for file in record.entry.files]
        same = all(hashlib.sha256((job.out / name).read_bytes()).hexdigest() == noted for name, noted in files)
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    sources = {(record.rule, record.entry.source_image_sha256, record.entry.source_mask_sha256) for record in records}
    return records if same and sources == {(job.rule, *digests)} else ()


def _record(raw: dict[str, object]) -> Record:
    entry, fields = raw.pop("entry"), {name: tuple(v) if isinstance(v, list) else v for name, v in raw.items()}
    assert isinstance(entry, dict)
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    record = Record(entry=Entry(**values), **fields)  # type: ignore[arg-type]
    if record.edges is not None:
        unpacked(record.edges, record.entry.size)
    return record
