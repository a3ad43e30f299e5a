"""DeepGlobe Road Extraction: the data sheet, where its files lie, and stand-ins in the same layout."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import numpy as np
from PIL import Image

from data_prep.archive import opened_source
from data_prep.base import MANIFEST_NAME, DataError, Manifest, Progress, sha256_file, write_atomic
from data_prep.building import Reading, build, workplace
from data_prep.findings import Found, Origin, Pair
from data_prep.pixels import THRESHOLD, binary_mask
from data_prep.synthetic import road_scene
from data_prep.verification import verify

FILE = re.compile(r"(?P<stem>.+)_(?P<kind>sat\.jpg|mask\.png)")
MARKER = "SYNTHETIC.txt"
SOURCE_SIDE = 1024

READING = Reading(
    image_kind="JPEG",
    read_mask=binary_mask,
    rules={
        "image": "RGB, shrunk to 512x512 by averaging whole blocks of pixels, stored without loss",
        "mask": f"road where the value is at least {THRESHOLD}, then the first pixel of each block (mask[::2, ::2] "
        "for 1024x1024); the mask at native resolution is kept beside it",
    },
)


@dataclass(frozen=True)
class DeepGlobe:
    """DeepGlobe 2018 Road Extraction Challenge.

    Source: 8570 images of Thailand, Indonesia and India (DigitalGlobe Vivid+), 1024x1024 pixels of 0.5 m, three bands.
        Only the 6226 of `train/` have masks; 1243 in `valid/` and 1101 in `test/` never got any and are left out.
    Formats: `ID_sat.jpg` (JPEG, RGB); `ID_mask.png` (three equal channels, road white). The official readme warns that
        masks are not purely 0 and 255 and asks for a threshold of 128.
    Licence: research and education under the challenge's terms; the images must not be passed on.
    Citation: I. Demir et al., DeepGlobe 2018: A Challenge to Parse the Earth through Satellite Images, CVPR Workshops.
    """

    name: ClassVar[str] = "deepglobe"
    title: ClassVar[str] = "DeepGlobe"
    version: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("road",)
    image_size: ClassVar[tuple[int, int]] = (512, 512)
    average: ClassVar[Literal["foreground", "classes"]] = "foreground"
    expected_pairs: ClassVar[int | None] = 6226

    def prepare(self, source: Path, out: Path, *, origin: Origin, workers: int, progress: Progress) -> Manifest:
        """See `Dataset.prepare`; `source` is a folder or a ZIP with the files at any depth."""
        with workplace(out, progress) as work, opened_source(source, work / "source", _wanted) as folder:
            if origin == "source" and any(folder.rglob(MARKER)):
                raise DataError(
                    f"{source} holds synthetic scenes, not DeepGlobe: to use such, run "
                    f"rssam-bench prepare {self.name} --synthetic N"
                )
            found = find_pairs(folder, str(source))
            if (out / MANIFEST_NAME).exists():
                return verify(self, found, out, work, origin, workers, progress)
            return build(self, READING, found, out, work, origin, workers, progress)

    def synthesize(self, out: Path, count: int, seed: int) -> None:
        """Write `count` pairs of invented scenes to `out/train`, one image without a mask to `out/valid`, and a marker.

        The marker keeps `prepare` from taking the scenes for DeepGlobe.
        """
        write_atomic(out / MARKER, b"Invented scenes in the layout of DeepGlobe. They show no real place.\n")
        for index in range(count + 1):
            scene = road_scene(SOURCE_SIDE, np.random.default_rng([seed, index]))
            stem = out / ("train" if index < count else "valid") / str(100000 + index)
            jpeg = io.BytesIO()
            Image.fromarray(scene.image).save(jpeg, "JPEG", quality=92)
            write_atomic(stem.with_name(f"{stem.name}_sat.jpg"), jpeg.getvalue())
            if index < count:
                png = io.BytesIO()
                Image.fromarray(np.uint8(255) * scene.roads).convert("RGB").save(png, "PNG")
                write_atomic(stem.with_name(f"{stem.name}_mask.png"), png.getvalue())


def find_pairs(folder: Path, source: str) -> Found:
    """All pairs below `folder`, by ID; `source` is its name in messages.

    Copies of a file count once; copies that differ and masks without an image are faults. Raises DataError if there is
    no image with a mask at all.
    """
    copies: dict[tuple[str, str], list[Path]] = defaultdict(list)
    others = 0
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or _hidden(_name(path, folder)):
            continue
        if match := FILE.fullmatch(path.name):
            copies[match["stem"], match["kind"]].append(path)
        else:
            others += 1
    images = {stem for stem, kind in copies if kind == "sat.jpg"}
    masks = {stem for stem, kind in copies if kind == "mask.png"}
    if not images & masks:
        raise DataError(
            f"expected images ID_sat.jpg with masks ID_mask.png in {source}, found no such pair "
            f"({len(images)} images, {len(masks)} masks, {others} other files)"
        )

    faults = []
    for paths in copies.values():
        if len(paths) > 1 and len({_content(path) for path in paths}) > 1:
            faults.append(f"{' and '.join(_name(path, folder) for path in paths)}: same ID, different content")
    for stem in sorted(masks - images):
        faults.append(f"{_name(copies[stem, 'mask.png'][0], folder)}: there is no {stem}_sat.jpg")
    pairs = []
    for stem in sorted(images & masks):
        image, mask = copies[stem, "sat.jpg"][0], copies[stem, "mask.png"][0]
        pairs.append(Pair(stem, image, mask, _name(image, folder), _name(mask, folder)))
    return Found(tuple(pairs), without_mask=len(images - masks), faults=tuple(faults))


def _content(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError:
        return f"unreadable {path}"  # equal to nothing, so that it is listed


def _wanted(name: str) -> bool:
    """Whether a path inside an archive is a file of ours."""
    last = PurePosixPath(name).name
    return not _hidden(name) and (FILE.fullmatch(last) is not None or last == MARKER)


def _hidden(name: str) -> bool:
    """Whether a path inside the source is what systems leave there, such as twins named ._1_sat.jpg."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
