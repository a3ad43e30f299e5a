"""WHU aerial buildings: its data sheet, file layout, preparation rules and synthetic stand-ins."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image

from data_prep.datasets.published import Publication
from data_prep.errors import DataError
from data_prep.images.decode import BadPicture, header
from data_prep.images.masks import THRESHOLD, Mask, binary_mask
from data_prep.manifest import Manifest
from data_prep.prepare.layouts import Layout
from data_prep.prepare.pairs import Origin, PairSearch, holds_tiffs
from data_prep.prepare.reading import Reading
from data_prep.processes import Progress
from data_prep.rules import EdgeTiles, rule
from data_prep.splits import Split
from rssam.contract import Colour
from rssam.files import write_atomic

SIDE = 512

RESOLUTION = (0.3, 0.075)
"""Metres a pixel: of the tiles, and of the raster that they were cut from, believed of one without a georeference."""

TILES: dict[Split, int] = {"train": 4736, "val": 1036, "test": 2416}
"""Size of the published splits."""

WHERE = r"(?P<folder>(?:.*/)?(?P<split>train|val|test)/{}s?)/(?P<stem>[^/]+)\.(?:tiff?|png)"

LAYOUT = Layout(
    image=re.compile(WHERE.format("image"), re.IGNORECASE),
    mask=re.compile(WHERE.format("label"), re.IGNORECASE),
    described="images SPLIT/image/NAME.tif with labels SPLIT/label/NAME.tif for train, val and test",
)


def read_label(picture: Image.Image) -> Mask:
    """Return labels 0 and 1 of a black-and-white picture, see `binary_mask`.

    Raises BadPicture where values other than 0 are all below the threshold. Taken as they are, every building of such a
    file would silently become background.
    """
    mask = binary_mask(picture)
    if mask.values != ("0",) and not mask.labels.any():
        raise BadPicture(
            f"expected 0 and values of {THRESHOLD} and more, found only {', '.join(mask.values)}; "
            f"multiply 0/1 labels by 255"
        )
    return mask


def read_ones(picture: Image.Image) -> Mask:
    """Return labels 0 and 1 of a picture of these values, or of one bit. Raises BadPicture for other values."""
    mask = binary_mask(picture, threshold=1)
    if picture.mode != "1" and not set(mask.values) <= {"0", "1"}:
        raise BadPicture(f"expected 0 and 1, as in all labels of the source, found {', '.join(mask.values)}")
    return mask


FORMATS = ("TIFF", "PNG")

READING = Reading(
    image_kinds=FORMATS,
    mask_kinds=FORMATS,
    read_mask=read_label,
    rules={  # hashed: part of every run key
        "image": rule("as-published", size=(SIDE, SIDE)),
        "mask": (rule("threshold", of="building", at=THRESHOLD), rule("one-bit-set")),
    },
    expected=f"values of {THRESHOLD} and more",
    remedy="Give the original labels.",
)

READING_ONES = replace(
    READING,
    read_mask=read_ones,
    # hashed: part of every run key
    rules={**READING.rules, "mask": rule("value", of="building", value=1)},
    expected="values of 0 and 1",
)


def choose_reading(search: PairSearch, progress: Progress) -> Reading:
    """Return the reading that fits the values of all labels: 0 and 1 only if no label has more.

    One file is not enough: in a source of 0 and 255 a label of 0 and 1 was saved wrongly. One-bit files fit both.
    """
    from data_prep.images.no_data import labels_of
    from data_prep.images.picture import read_labels
    from data_prep.images.source_file import SourceFile

    ones = False
    for done, pair in enumerate(search.pairs, start=1):
        if (mask_header := header(pair.mask)) is not None and mask_header[1] != "1":
            try:
                label = read_labels(SourceFile.read(pair.mask), FORMATS, own=False)
                values = set(labels_of(label, binary_mask)[0].values)
            except (BadPicture, OSError):
                continue  # listed with all other faults when the pairs are read
            if not values <= {"0", "1"}:
                return READING
            ones = ones or "1" in values
        progress(done, len(search.pairs), "survey the labels")
    return READING_ONES if ones else READING


@dataclass(frozen=True)
class Whu:
    """WHU Building Dataset, the aerial imagery in its cropped tiles.

    Source: 8188 tiles of Christchurch, New Zealand, 512x512 pixels of 0.3 m (down-sampled from 0.075 m), three bands.
        The published split of 4736 for training, 1036 for validation and 2416 for testing is kept. The 8189 of the
        RS-SAM paper is a number of its text. Or the raster that they were cut from, of 0.075 m, with its labels: its
        tiles are then not the published ones.
    Formats: `train/image/NAME.tif` and `train/label/NAME.tif` (or `images` and `labels`), the same below `val` and
        `test`. Capitals do not count; TIFF or PNG. Labels are of one bit, or of 0 and 255, or of 0 and 1 in the whole
        source. Or a folder of large GeoTIFFs with label rasters, see `data_prep.rasters.image_label_pairs`.
    """

    name: ClassVar[str] = "whu"
    title: ClassVar[str] = "WHU aerial"
    version: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("building",)
    image_size: ClassVar[tuple[int, int]] = (SIDE, SIDE)
    average: ClassVar[Literal["foreground", "classes"]] = "foreground"
    expected_pairs: ClassVar[int | None] = sum(TILES.values())
    official_sizes: ClassVar[tuple[int, int, int] | None] = (TILES["train"], TILES["val"], TILES["test"])
    palette: ClassVar[tuple[Colour, ...]] = ((255, 255, 255),)
    publication: ClassVar[Publication] = Publication(
        source="WHU Building Dataset, the aerial imagery: its cropped tiles, or the raster that they were cut from",
        page="http://gpcv.whu.edu.cn/data/building_dataset.html",
        holds="8188 tiles of 512x512 pixels with the published split",
        licence="free for research, with citation; the images must not be passed on",
        citation="S. Ji, S. Wei, M. Lu, Fully Convolutional Networks for Multisource Building Extraction From an Open "
        "Aerial and Satellite Imagery Data Set, IEEE Transactions on Geoscience and Remote Sensing 57(1), 2019",
        files=LAYOUT.described,
    )

    edges: EdgeTiles | None = None  # of tiles that are cut here; None for "drop"

    def prepare(
        self, source: Path, out: Path, *, origin: Origin, workers: int, progress: Progress, skip_bad: bool = False
    ) -> Manifest:
        """Prepare WHU; see `Dataset.prepare`. Folders `train`, `val` and `test` may lie at any depth.

        The source may also be a folder of large GeoTIFFs, which are cut into tiles. Tiles that reach beyond a raster
        are dropped or padded, as `edges` says. Raises DataError if that is given for ready tiles.
        """
        from data_prep.prepare.build import Preparation
        from data_prep.prepare.pipeline import prepare_from

        if source.is_dir() and holds_tiffs(source, LAYOUT):
            from data_prep.rasters.headers import holds_rasters  # rasterio is slow to import
            from data_prep.rasters.prepare_rasters import prepare_rasters

            if holds_rasters(source, SIDE):
                asked = Preparation(self, out, origin, workers, progress, skip_bad)
                return prepare_rasters(asked, source, READING, RESOLUTION, self.edges or "drop")
        if self.edges is not None:
            raise DataError(
                f"--edges is for tiles cut from large rasters: expected a folder of rasters, found {source}: run "
                f"without it"
            )
        return prepare_from(source, out, self, LAYOUT, choose_reading, origin, workers, progress, skip_bad)

    def synthesize(self, out: Path, count: int, seed: int) -> None:
        """Write `count` pairs of invented scenes, split as the published tiles are, and a marker.

        The marker keeps `prepare` from taking the scenes for WHU. From four pairs on every split has one.
        """
        from data_prep.images.encode import encode_picture
        from data_prep.synthetic.building_scenes import roof_scene
        from data_prep.synthetic.marker import mark_synthetic

        mark_synthetic(out, self.title)
        for index in range(count):
            scene = roof_scene(SIDE, np.random.default_rng([seed, index]))
            folder = out / published_split(index, count)
            for name, pixels in (("image", scene.image), ("label", scene.buildings)):
                write_atomic(folder / name / f"2_{index}.tif", encode_picture(Image.fromarray(pixels), "TIFF"))


def published_split(index: int, count: int) -> Split:
    """Return the split of tile `index` of `count`, shared out in order in the proportions of the published set."""
    share, total = (index + 0.5) / count, sum(TILES.values())
    if share < TILES["train"] / total:
        return "train"
    return "val" if share < (TILES["train"] + TILES["val"]) / total else "test"
