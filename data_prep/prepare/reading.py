"""`Reading`: how the images and masks of a data set are decoded, as its module declares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from data_prep.dataset import Dataset
from data_prep.images.masks import Mask
from data_prep.prepare.convert import FitMode, Job
from data_prep.prepare.pairs import Pair
from data_prep.rules import DeclaredRules, as_rules, rules_to_json
from rssam.value_range import ValueRange


@dataclass(frozen=True)
class Reading:
    """Way in which the pictures of a data set are read.

    `read_mask` is a function at module level, for other processes.
    """

    image_kinds: tuple[str, ...]  # Pillow's names of the formats
    mask_kinds: tuple[str, ...]
    read_mask: Callable[[Image.Image], Mask]
    rules: DeclaredRules  # on image and mask, for the manifest and every run key
    expected: str  # what masks hold, for the message where all of them show one and the same label
    remedy: str
    shrink: bool = False  # whether images of a whole multiple of the prepared size are shrunk, or refused
    fit: FitMode | None = None  # where images may have any size: how they come to the prepared one
    value_range: ValueRange | None = None  # of images of more than 8 bits, what becomes 0 and 255
    extra_files: Mapping[str, str] = field(default_factory=dict)  # of the prepared folder: name and text


def make_job(dataset: Dataset, reading: Reading, pair: Pair, work: Path) -> Job:
    """Return the job of a pair for a worker.

    Args:
        dataset: the declaration.
        reading: how its pictures are decoded.
        pair: the files.
        work: folder below which prepared files and records go.
    """
    return Job(
        pair=pair,
        out=work / "prepared",
        record=work / "records" / f"{pair.stem}.json",
        rule=f"{dataset.name} {dataset.version} {rules_to_json(as_rules(reading.rules))} {dict(reading.extra_files)}",
        image_size=dataset.image_size,
        shrink=reading.shrink,
        palette=dataset.palette,
        image_kinds=reading.image_kinds,
        mask_kinds=reading.mask_kinds,
        read_mask=reading.read_mask,
        fit=reading.fit,
        value_range=reading.value_range,
    )
