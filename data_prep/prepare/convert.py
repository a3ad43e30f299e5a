"""Read and decode one pair of source files in a worker, and find the records of a pair that was prepared before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.checks.fingerprints import unpacked
from data_prep.dataset import Dataset
from data_prep.images import encode
from data_prep.images.class_values import any_rgb
from data_prep.images.decode import BadPicture, rgb
from data_prep.images.masks import Mask
from data_prep.images.no_data import black_where, ignored_where, labels_of
from data_prep.images.picture import read_image, read_labels
from data_prep.images.place import misplaced
from data_prep.images.source_file import SourceFile
from data_prep.manifest import Entry
from data_prep.prepare.pairs import Pair
from data_prep.prepare.reading import Reading
from data_prep.rules import as_rules, rules_to_json, with_tuples
from rssam.contract import Colour
from rssam.files import sha256_file
from rssam.foreign_json import read_json


@dataclass(frozen=True)
class Job:
    """Input of a worker for a pair. Picklable, as `Reading` is."""

    pair: Pair
    out: Path  # prepared files go below it
    record: Path  # the record of this pair
    rule: str  # everything that decides the result except the files; a record of another rule is not used
    reading: Reading  # without its rules, of which `rule` has the text
    image_size: tuple[int, int]  # (height, width) as prepared
    palette: tuple[Colour, ...]  # one colour a class


def make_job(dataset: Dataset, reading: Reading, pair: Pair, work: Path) -> Job:
    """Return the job of one pair for a worker; prepared files and records go below `work`."""
    return Job(
        pair=pair,
        out=work / "prepared",
        record=work / "records" / f"{pair.stem}.json",
        rule=f"{dataset.name} {dataset.version} {rules_to_json(as_rules(reading.rules))} {dict(reading.extra_files)}",
        reading=replace(reading, rules={}, extra_files={}),
        image_size=dataset.image_size,
        palette=dataset.palette,
    )


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
    no_mask: bool = False  # a band of the source image is tagged alpha and masks nothing


class Faults(Exception):
    """Raised for a pair that cannot be used; `args` are lines, each beginning with a file's name. Workers return it."""


@dataclass(frozen=True)
class DecodedPair:
    """Pair as decoded: image uint8 [H, W, 3], its mask, and by how much both are to be shrunk."""

    image: NDArray[np.uint8]
    mask: Mask
    factor: int = 1
    no_data: int = 0  # pixels that have a label, and no data in image or mask: ignored
    outside: int = 0  # values of the image that the range clipped
    no_mask: bool = False  # see `Record`


def read_source(job: Job) -> list[SourceFile]:
    """Read the files of the image and of the mask. Raises Faults."""
    contents, faults = [], []
    for path, name in ((job.pair.image, job.pair.image_name), (job.pair.mask, job.pair.mask_name)):
        try:
            contents.append(SourceFile.read(path))
        except OSError as error:
            faults.append(f"{name}: cannot be read ({error.strerror})")
    if faults:
        raise Faults(*faults)
    return contents


def decode_pair(job: Job, image_file: SourceFile, mask_file: SourceFile) -> DecodedPair:
    """Decode image and mask fully. Raises Faults with all that is wrong with them."""
    reading, own = job.reading, job.reading.fit is not None
    faults, factor, no_data = [], 1, 0
    try:
        kinds = reading.image_kinds
        picture = read_image(image_file, kinds, own=own, value_range=reading.value_range, bands=reading.bands)
        image = any_rgb(picture.pixels) if own else rgb(picture.pixels)
        image = black_where(image, picture.without_data)
        if reading.fit in (None, "keep"):
            exact = own or not reading.shrink
            factor = encode.whole_factor(image.shape[:2], job.image_size, exact=exact)
    except BadPicture as bad:
        faults.append(f"{job.pair.image_name}: {bad}")
    try:
        drawn = read_labels(mask_file, reading.mask_kinds, own=own)
        mask, no_data = labels_of(drawn, reading.read_mask)
        if not faults:
            if elsewhere := misplaced(picture.place, drawn.place, image.shape[:2], mask.labels.shape):
                raise BadPicture(elsewhere)
            mask, more = ignored_where(mask, picture.without_data)
            no_data += more
        if no_data and factor > 1:
            raise BadPicture(f"expected data in every pixel, found {no_data} pixels without, which one bit cannot mark")
    except BadPicture as bad:
        faults.append(f"{job.pair.mask_name}: {bad}")
    if faults:
        raise Faults(*faults)
    return DecodedPair(image, mask, factor, no_data, picture.outside, picture.no_mask)


def finished_records(job: Job, digests: tuple[str, str]) -> tuple[Record, ...]:
    """Return the records of an earlier run if rule, source and every prepared file are unchanged; otherwise none.

    `digests` are those of the source's image and mask. A record file holds a list: a pair may become several tiles.
    """
    try:
        records = tuple(map(_record, read_json(job.record)))
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
