"""WHDLD land cover: its data sheet, file layout, preparation rules and synthetic stand-ins."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image

from data_prep.datasets.published import Publication
from data_prep.datasets.whdld_class_order import CLASSES, KNOWN, first_number, measure, verify_order
from data_prep.errors import DataError
from data_prep.images.decode import header
from data_prep.images.masks import Mask, colour_labels, numbered_labels, refuse_jpeg
from data_prep.manifest import Manifest
from data_prep.prepare.layouts import Layout
from data_prep.prepare.pairs import Origin, PairSearch
from data_prep.prepare.reading import Reading
from data_prep.processes import Progress
from data_prep.rules import rule, sentences
from rssam.contract import Colour
from rssam.files import write_atomic

SIDE = 256

PALETTE: tuple[Colour, ...] = (
    (255, 0, 0),
    (255, 255, 0),
    (192, 192, 0),
    (0, 255, 0),
    (128, 128, 128),
    (0, 0, 255),
)

FOLDER = r"(?P<folder>(?:.*/)?(?:{}))/(?P<stem>[^/]+)\.(?:jpe?g|png|tiff?)"

LAYOUT = Layout(
    image=re.compile(FOLDER.format("images?|img"), re.IGNORECASE),
    mask=re.compile(FOLDER.format("imagespng|labels?|gt"), re.IGNORECASE),
    described="images Images/NAME.jpg with labels ImagesPNG/NAME.png (or images/labels, image/label, img/gt)",
)


def read_labels(picture: Image.Image) -> Mask:
    """Return labels 0..5 of a picture in the colours of WHDLD. Raises BadPicture for other colours."""
    refuse_jpeg(picture)
    return colour_labels(picture, PALETTE)


def read_numbers(picture: Image.Image, first: int, order: tuple[str, ...]) -> Mask:
    """Return labels 0..5 of a picture of class numbers from `first` on, which stand for the classes in `order`."""
    refuse_jpeg(picture)
    return numbered_labels(picture, first, [CLASSES.index(name) for name in order])


READING = Reading(
    image_kinds=("JPEG", "PNG", "TIFF"),
    mask_kinds=("PNG", "TIFF", "JPEG"),  # JPEG only to be refused with its colours
    read_mask=read_labels,
    rules={  # hashed: part of every run key
        "image": rule("as-published", size=(SIDE, SIDE)),
        "mask": rule("by-colour", classes=CLASSES),
    },
    expected="the colours of several classes",
    remedy="Give the original labels, ImagesPNG.",
)


def choose_reading(order: tuple[str, ...] | None, search: PairSearch, progress: Progress) -> Reading:
    """Return the reading by colour, or by class numbers in `order`.

    Raises DataError if all labels are numbers and no order is given, or if the images do not agree with it.
    """
    headers = [(pair, header(pair.mask)) for pair in search.pairs]
    readable = [(pair, *found) for pair, found in headers if found is not None]
    numbered = [pair for pair, file_format, mode in readable if mode == "L" and file_format != "JPEG"]
    if order is None and numbered and len(numbered) == len(readable):
        choices = " or ".join(f"--class-order {','.join(known_order)}" for known_order in KNOWN)
        raise DataError(
            f"expected labels in colours, found class numbers ({numbered[0].mask_name} and {len(numbered) - 1} more), "
            f"which exist in two orders. Name the order of your copy: {choices}"
        )
    if order is None or not readable:
        return READING
    if not numbered:
        raise DataError("the labels of the source are in colours, which need no --class-order: run without it")
    colours = measure(numbered, progress)
    first = first_number(colours)
    if colours.pixels.any():
        verify_order(order, colours, first)
    return replace(
        READING,
        read_mask=partial(read_numbers, first=first, order=order),
        # hashed: part of every run key
        rules={**READING.rules, "mask": rule("by-number", classes=CLASSES, first=first, order=order)},
        expected="the numbers of several classes",
    )


@dataclass(frozen=True)
class Whdld:
    """Wuhan Dense Labeling Dataset.

    Source: 4940 images of Wuhan (Gaofen-1 and Ziyuan-3, pan-sharpened), 256x256 pixels of 2 m, three bands. Every pixel
        belongs to one of six classes.
    Formats: `Images/NAME.jpg` (JPEG, RGB) and `ImagesPNG/NAME.png`. Colours of labels: building (255, 0, 0), road (255,
        255, 0), pavement (192, 192, 0), vegetation (0, 255, 0), bare soil (128, 128, 128), water (0, 0, 255). Labels
        are read by colour, RGB or palette; copies with class numbers count them in different orders. So they need
        `class_order`, the class of each number from the first, which is held against the colours of the images.
    """

    name: ClassVar[str] = "whdld"
    title: ClassVar[str] = "WHDLD"
    version: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = CLASSES
    image_size: ClassVar[tuple[int, int]] = (SIDE, SIDE)
    average: ClassVar[Literal["foreground", "classes"]] = "classes"
    expected_pairs: ClassVar[int | None] = 4940
    official_sizes: ClassVar[tuple[int, int, int] | None] = None
    palette: ClassVar[tuple[Colour, ...]] = PALETTE
    publication: ClassVar[Publication] = Publication(
        source="Wuhan Dense Labeling Dataset",
        page="https://sites.google.com/view/zhouwx/dataset",
        holds="4940 images of 256x256 pixels with labels of six classes",
        licence="research only; the images must not be passed on",
        citation="Z. Shao, K. Yang, W. Zhou, Performance Evaluation of Single-Label and Multi-Label Remote Sensing "
        "Image Retrieval Using a Dense Labeling Dataset, Remote Sensing 10(6), 2018; Z. Shao et al., Multilabel Remote "
        "Sensing Image Retrieval Based on Fully Convolutional Network, IEEE JSTARS 13, 2020",
        files=LAYOUT.described,
    )

    class_order: tuple[str, ...] | None = None

    def prepare(
        self, source: Path, out: Path, *, origin: Origin, workers: int, progress: Progress, skip_bad: bool = False
    ) -> Manifest:
        """Prepare as `Dataset.prepare` says; `source` has `Images` and `ImagesPNG` at any depth."""
        from data_prep.prepare.pipeline import prepare_from

        reading = partial(choose_reading, self.class_order)
        manifest = prepare_from(source, out, self, LAYOUT, reading, origin, workers, progress, skip_bad)
        mask_rules = manifest.rules["mask"]
        if self.class_order is not None and self.class_order not in (rule.values.get("order") for rule in mask_rules):
            raise DataError(
                f"{out} was prepared by another rule than the class order {','.join(self.class_order)}: "
                f"{sentences(manifest.rules)['mask']}. Delete it and run prepare again, or leave the order out."
            )
        return manifest

    def synthesize(self, out: Path, count: int, seed: int) -> None:
        """Write `count` pairs of invented scenes, and the marker that keeps `prepare` from taking them for WHDLD."""
        from data_prep.images.encode import encode_picture
        from data_prep.synthetic.land_cover_scenes import land_cover_scene
        from data_prep.synthetic.marker import mark_synthetic

        mark_synthetic(out, self.title)
        for index in range(count):
            scene = land_cover_scene(SIDE, np.random.default_rng([seed, index]))
            image = encode_picture(Image.fromarray(scene.image), "JPEG", quality=92)
            labels = encode_picture(Image.fromarray(np.array(PALETTE, np.uint8)[scene.labels]), "PNG")
            write_atomic(out / "Images" / f"wh{index + 1:04}.jpg", image)
            write_atomic(out / "ImagesPNG" / f"wh{index + 1:04}.png", labels)
