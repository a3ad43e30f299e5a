"""Read the headers of large rasters, check that their pixels can be used, and find the value of the foreground."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.io import DatasetReader

from data_prep.file_names import nfc, same_composed
from data_prep.images.geotiff import GDAL_ERRORS, colour_bands, label_data, opened, place_of, too_large_block
from data_prep.images.place import Place
from data_prep.images.tiff_header import MAX_FILE
from data_prep.prepare.pairs import is_tiff, problem_of, readable, walk
from data_prep.processes import Progress
from rssam.files import sha256_file

LABEL_WORD = re.compile(r"(?:^|(?<=[_\-. ]))(?:labels?|masks?)(?:$|(?=[_\-. ]))", re.IGNORECASE)
IMAGE_WORD = re.compile(r"(?:^|(?<=[_\-. ]))(?:images?|rgb)(?:$|(?=[_\-. ]))", re.IGNORECASE)


@dataclass(frozen=True)
class Raster:
    """Header of a raster, and the digest of its files."""

    path: Path
    name: str  # relative to the source
    size: tuple[int, int]  # (height, width)
    transform: Affine | None
    crs: CRS | None
    digest: str

    @property
    def key(self) -> str:
        """Return what an image raster and its label raster share: the name without the words for label and image."""
        bare = IMAGE_WORD.sub("", LABEL_WORD.sub("", nfc(self.path.stem)))
        return bare.strip("_-. ").lower()

    @property
    def crs_name(self) -> str:
        """Return the coordinate system as messages have it."""
        return self.crs.to_string() if self.crs else "no coordinate system"

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """Return left, bottom, right and top on the ground, of a turned raster too; None without a georeference."""
        if self.transform is None:
            return None
        corners = [self.transform @ (x, y) for x in (0, self.size[1]) for y in (0, self.size[0])]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def overlaps(self, other: Raster, margin: float = 0) -> bool:
        """Return whether the bounds of both overlap by more than `margin`, in the unit of the coordinates."""
        if self.bounds is None or other.bounds is None:
            return False
        left, bottom, right, top = self.bounds
        across = min(right, other.bounds[2]) - max(left, other.bounds[0])
        return across > margin and min(top, other.bounds[3]) - max(bottom, other.bounds[1]) > margin


def holds_rasters(source: Path, side: int) -> bool:
    """Return whether any TIFF of a folder is larger than a tile of `side` pixels."""
    return any(_larger(path, side) for path, _ in walk(source) if is_tiff(path.name) and path.is_file())


def _larger(path: Path, side: int) -> bool:
    try:
        with opened(path) as raster:
            return bool(min(raster.shape) > side)
    except (*GDAL_ERRORS, OSError):
        return False


def read_headers(source: Path, progress: Progress) -> tuple[list[Raster], list[Raster], list[str]]:
    """Return the image and the label rasters of a folder, by name, and a line for each that cannot be used."""
    images: list[Raster] = []
    labels: list[Raster] = []
    faults: list[str] = []
    tiffs = [(path, problem) for path, problem in walk(source) if is_tiff(path.name) and not path.is_dir()]
    for done, (path, problem) in enumerate(tiffs, start=1):
        name = path.relative_to(source).as_posix()
        is_label = any(LABEL_WORD.search(part) for part in (*Path(name).parts[:-1], path.stem))
        try:
            if problem := problem or problem_of(path, name, path.stem, MAX_FILE):
                faults.append(f"{readable(name)}: {problem}")
                continue
            with opened(path) as raster:
                if wrong := _wrong_pixels(raster, is_label):
                    faults.append(f"{name}: {wrong}")
                    continue
                (labels if is_label else images).append(_header(raster, path, name))
        except (*GDAL_ERRORS, OSError) as error:
            faults.append(f"{name}: cannot be opened ({error})")
        progress(done, len(tiffs), "read rasters")
    faults += same_composed([raster.name for raster in (*images, *labels)])
    for rasters in (images, labels):  # of labels that overlap, the first that has data counts
        rasters.sort(key=lambda raster: nfc(raster.name))
    return images, labels, faults


def _header(raster: DatasetReader, path: Path, name: str) -> Raster:
    """Return the header; its digest covers pixels, masks and the place on the ground.

    Overviews and the notes that a viewer leaves beside a raster (.aux.xml) are in it by their effect only.
    """
    files = [file for file in map(Path, raster.files) if file.suffix not in (".ovr", ".xml")]
    lines = sorted(f"{nfc(file.name)} {sha256_file(file)}" for file in files)
    lines.append(f"{raster.transform[:6]} {raster.nodata} {[colour.name for colour in raster.colorinterp]}")
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    place = place_of(raster) or Place(None)
    return Raster(path, name, raster.shape, place.transform, place.crs, digest)


def _wrong_pixels(raster: DatasetReader, is_label: bool) -> str | None:
    """Return why a raster's pixels cannot be used, or None."""
    if raster.count == 0:
        return "expected one raster, found a container of several"
    if wrong := too_large_block(raster):
        return wrong
    if is_label:
        if raster.count != 1:
            return f"expected labels in one band, found {raster.count}; keep one: gdal_translate -b 1 OLD NEW"
        return None
    if raster.count < 3:
        return f"expected an RGB image, found {raster.count} band{'s' * (raster.count > 1)}"
    kinds = {raster.dtypes[band - 1] for band in colour_bands(raster)}
    if kinds != {"uint8"}:
        return f"expected 8 bits a band, found {', '.join(sorted(kinds))}; scale it: gdal_translate -ot Byte -scale"
    return None


def read_foreground(labels: set[Raster], progress: Progress) -> tuple[dict[Raster, int], list[str]]:
    """Read all label rasters; return the value of the foreground in each, 1 or 255, and a line for each unusable one.

    Unusable are those that hold other values or cannot be decoded.
    """
    foreground: dict[Raster, int] = {}
    faults: list[str] = []
    for done, label in enumerate(sorted(labels, key=lambda raster: raster.name), start=1):
        try:
            with opened(label.path) as raster:
                values = _values(raster)
        except (*GDAL_ERRORS, OSError) as error:
            faults.append(f"{label.name}: cannot be decoded ({error})")
            continue
        if values <= {0, 1} or values <= {0, 255}:
            foreground[label] = 255 if 255 in values else 1
        else:
            listed = ", ".join(f"{value:g}" for value in sorted(values)[:8])
            faults.append(
                f"{label.name}: expected labels of 0 and 1 or of 0 and 255, found {listed}; a value that means "
                f"no data is declared by gdal_edit -a_nodata VALUE"
            )
        progress(done, len(labels), "read labels")
    return foreground, faults


def _values(raster: DatasetReader) -> set[float]:
    """Return the values of a label raster where it has data; some of them if there are more than three."""
    values: set[float] = set()
    for _, window in raster.block_windows(1):
        block = raster.read(1, window=window)
        block = block[label_data(raster, window)]
        unexpected = block
        for value in (0, 1, 255):
            if len(others := unexpected[unexpected != value]) < len(unexpected):
                values.add(value)
            unexpected = others
        values.update(np.unique(unexpected[:4096]).tolist())
        if len(values) > 3:
            break
    return values
