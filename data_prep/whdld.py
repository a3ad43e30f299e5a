"""WHDLD: the data sheet, where its files lie, and stand-ins in the same layout."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image

from data_prep.base import Colour, Manifest, Progress, write_atomic
from data_prep.building import Reading
from data_prep.findings import Origin
from data_prep.land_cover import land_cover_scene
from data_prep.marker import mark
from data_prep.pairing import Layout
from data_prep.pixels import Mask, colour_labels
from data_prep.preparing import prepare_from

SIDE = 256

PALETTE: tuple[Colour, ...] = (
    (255, 0, 0),
    (255, 255, 0),
    (192, 192, 0),
    (0, 255, 0),
    (128, 128, 128),
    (0, 0, 255),
)

LAYOUT = Layout(
    image=re.compile(r"(?:.*/)?images/(?P<stem>[^/]+)\.jpg", re.IGNORECASE),
    mask=re.compile(r"(?:.*/)?imagespng/(?P<stem>[^/]+)\.png", re.IGNORECASE),
    described="images Images/NAME.jpg with labels ImagesPNG/NAME.png",
)


def read_labels(picture: Image.Image) -> Mask:
    """Labels 0..5 of a picture in the colours of WHDLD; raises BadPicture for other colours."""
    return colour_labels(picture, PALETTE)


READING = Reading(
    image_kinds=("JPEG",),
    mask_kinds=("PNG",),
    read_mask=read_labels,
    rules={
        "image": "RGB, 256x256 as published, stored without loss",
        "mask": "building, road, pavement, vegetation, bare soil and water as 0 to 5, read by colour",
    },
    expected="the colours of several classes",
    remedy="Give the original labels, ImagesPNG.",
)


@dataclass(frozen=True)
class Whdld:
    """Wuhan Dense Labeling Dataset.

    Source: 4940 images of Wuhan (Gaofen-1 and Ziyuan-3, pan-sharpened), 256x256 pixels of 2 m, three bands. Every pixel
        belongs to one of six classes.
    Formats: `Images/NAME.jpg` (JPEG, RGB); `ImagesPNG/NAME.png`, in which building is (255, 0, 0), road (255, 255, 0),
        pavement (192, 192, 0), vegetation (0, 255, 0), bare soil (128, 128, 128) and water (0, 0, 255). Labels are read
        by colour only, for copies with class numbers count them in different orders.
    Licence: research only; the images must not be passed on.
    Citation: Z. Shao, K. Yang, W. Zhou, Performance Evaluation of Single-Label and Multi-Label Remote Sensing Image
        Retrieval Using a Dense Labeling Dataset, Remote Sensing 10(6), 2018; Z. Shao et al., Multilabel Remote Sensing
        Image Retrieval Based on Fully Convolutional Network, IEEE JSTARS 13, 2020.
    """

    name: ClassVar[str] = "whdld"
    title: ClassVar[str] = "WHDLD"
    version: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("building", "road", "pavement", "vegetation", "bare_soil", "water")
    image_size: ClassVar[tuple[int, int]] = (SIDE, SIDE)
    average: ClassVar[Literal["foreground", "classes"]] = "classes"
    expected_pairs: ClassVar[int | None] = 4940
    official_sizes: ClassVar[tuple[int, int, int] | None] = None
    palette: ClassVar[tuple[Colour, ...]] = PALETTE

    def prepare(
        self, source: Path, out: Path, *, origin: Origin, workers: int, progress: Progress, skip_bad: bool = False
    ) -> Manifest:
        """See `Dataset.prepare`; `source` is a folder or a ZIP with `Images` and `ImagesPNG` at any depth."""
        return prepare_from(source, out, self, LAYOUT, READING, origin, workers, progress, skip_bad)

    def synthesize(self, out: Path, count: int, seed: int) -> None:
        """Write `count` pairs of invented scenes, and the marker that keeps `prepare` from taking them for WHDLD."""
        mark(out, self.title)
        for index in range(count):
            scene = land_cover_scene(SIDE, np.random.default_rng([seed, index]))
            name, jpeg, png = f"wh{index + 1:04}", io.BytesIO(), io.BytesIO()
            Image.fromarray(scene.image).save(jpeg, "JPEG", quality=92)
            Image.fromarray(np.array(PALETTE, np.uint8)[scene.labels]).save(png, "PNG")
            write_atomic(out / "Images" / f"{name}.jpg", jpeg.getvalue())
            write_atomic(out / "ImagesPNG" / f"{name}.png", png.getvalue())
