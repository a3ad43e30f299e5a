"""DeepGlobe Road Extraction: its data sheet, file layout, preparation rules and synthetic stand-ins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from PIL import Image

from data_prep.datasets.published import Publication
from data_prep.images.masks import THRESHOLD, binary_mask
from data_prep.manifest import Manifest
from data_prep.prepare.layouts import Layout
from data_prep.prepare.pairs import Origin
from data_prep.prepare.reading import Reading
from data_prep.processes import Progress
from data_prep.rules import rule
from rssam.contract import Colour
from rssam.files import write_atomic

if TYPE_CHECKING:
    from data_prep.synthetic.road_scenes import Scene

SOURCE_SIDE = 1024

LAYOUT = Layout(
    image=re.compile(r"(?:.*/)?(?P<stem>[^/]+)_sat\.jpg"),
    mask=re.compile(r"(?:.*/)?(?P<stem>[^/]+)_mask\.png"),
    described="images ID_sat.jpg with masks ID_mask.png",
)

READING = Reading(
    image_kinds=("JPEG",),
    mask_kinds=("PNG",),
    read_mask=binary_mask,
    rules={  # hashed: part of every run key
        "image": rule("block-mean", size=(512, 512)),
        "mask": (rule("threshold", of="road", at=THRESHOLD), rule("first-of-block"), rule("native-kept")),
    },
    expected=f"values of {THRESHOLD} and more",
    remedy="Give the original masks, or multiply 0/1 masks by 255.",
    shrink=True,
)


@dataclass(frozen=True)
class DeepGlobe:
    """DeepGlobe 2018 Road Extraction Challenge.

    Source: 8570 images of Thailand, Indonesia and India (DigitalGlobe Vivid+), 1024x1024 pixels of 0.5 m, three bands.
        Only the 6226 of `train/` have masks; 1243 in `valid/` and 1101 in `test/` never got any and are left out.
    Formats: `ID_sat.jpg` (JPEG, RGB); `ID_mask.png` (three equal channels, road white). The official readme warns that
        masks are not purely 0 and 255 and asks for a threshold of 128.
    """

    name: ClassVar[str] = "deepglobe"
    title: ClassVar[str] = "DeepGlobe"
    version: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("road",)
    image_size: ClassVar[tuple[int, int]] = (512, 512)
    average: ClassVar[Literal["foreground", "classes"]] = "foreground"
    expected_pairs: ClassVar[int | None] = 6226
    official_sizes: ClassVar[tuple[int, int, int] | None] = None
    palette: ClassVar[tuple[Colour, ...]] = ((255, 255, 255),)
    publication: ClassVar[Publication] = Publication(
        source="DeepGlobe 2018 Road Extraction Challenge",
        page="https://competitions.codalab.org/competitions/18467",
        registration="needed there",
        holds="8570 images of 1024x1024 pixels; only the 6226 of train/ have masks",
        size="about 3 GB once prepared",
        licence="research and education under the challenge's terms; the images must not be passed on",
        citation="I. Demir et al., DeepGlobe 2018: A Challenge to Parse the Earth through Satellite Images, CVPR "
        "Workshops",
        files=LAYOUT.described,
    )

    def prepare(
        self, source: Path, out: Path, *, origin: Origin, workers: int, progress: Progress, skip_bad: bool = False
    ) -> Manifest:
        """Prepare as `Dataset.prepare` says; `source` is a folder or an archive with the files at any depth."""
        from data_prep.prepare.pipeline import prepare_from  # slow to import: commands that list data prepare none

        return prepare_from(source, out, self, LAYOUT, READING, origin, workers, progress, skip_bad)

    def synthesize(self, out: Path, count: int, seed: int) -> None:
        """Write `count` pairs of invented scenes to `out/train`, one image without a mask to `out/valid`, and a marker.

        The marker keeps `prepare` from taking the scenes for DeepGlobe.
        """
        from data_prep.images.encode import encode_picture
        from data_prep.synthetic.marker import mark_synthetic

        mark_synthetic(out, self.title)
        for index in range(count + 1):
            scene = self._scene(np.random.default_rng([seed, index]))
            stem = out / ("train" if index < count else "valid") / str(100000 + index)
            image = encode_picture(Image.fromarray(scene.image), "JPEG", quality=92)
            write_atomic(stem.with_name(f"{stem.name}_sat.jpg"), image)
            if index < count:
                mask = encode_picture(Image.fromarray(np.uint8(255) * scene.roads).convert("RGB"), "PNG")
                write_atomic(stem.with_name(f"{stem.name}_mask.png"), mask)

    def _scene(self, rng: np.random.Generator) -> Scene:
        from data_prep.synthetic.road_scenes import road_scene

        return road_scene(SOURCE_SIDE, rng)


class WideStandIns(DeepGlobe):
    """DeepGlobe with stand-ins of wide, light roads, which a small network learns within minutes."""

    def _scene(self, rng: np.random.Generator) -> Scene:
        from data_prep.synthetic.wide_roads import wide_road_scene

        return wide_road_scene(SOURCE_SIDE, rng)
