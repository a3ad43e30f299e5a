"""Large rasters to a prepared folder: their tiles become pairs like those of any other source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import rasterio
from affine import Affine

from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.manifest import MANIFEST_NAME, AffineCoefficients, Manifest, load_manifest
from data_prep.prepare.build import build, workplace
from data_prep.prepare.pairs import Origin, Pair, PairSearch, bad_files
from data_prep.prepare.reading import Reading
from data_prep.prepare.tiles import EdgeTiles, LabelRaster, Tile, tile_counts, tile_stem
from data_prep.prepare.verify import verify
from data_prep.processes import Progress
from data_prep.rasters.headers import Raster, holds_rasters, read_foreground
from data_prep.rasters.image_label_pairs import RasterPair, find_raster_pairs, overlapping
from data_prep.rasters.tile_job import cut_tile, faults_of_tile
from data_prep.rasters.windowed_reads import close_rasters
from data_prep.synthetic.marker import refuse_marked

__all__ = ["holds_rasters", "prepare_rasters"]

CACHE = 384 << 20
"""Bytes of decoded blocks that GDAL keeps, in all workers together; its own default is a share of the whole memory."""


def prepare_rasters(
    source: Path,
    out: Path,
    dataset: Dataset,
    reading: Reading,
    resolution: tuple[float, float],
    edges: EdgeTiles,
    origin: Origin,
    workers: int,
    progress: Progress,
    skip_bad: bool = False,
) -> Manifest:
    """See `Dataset.prepare`. `resolution`: metres a pixel as prepared, and as believed without a georeference.

    Bad headers and labels are listed before any tile is cut. With `skip_bad` their rasters are left out, and of a
    raster that is damaged further on the tiles that cannot be read.
    """
    with workplace(out, progress) as work:
        if origin == "source":
            refuse_marked(source, source, dataset)
        made = load_manifest(out, dataset.name) if (out / MANIFEST_NAME).exists() else None
        with rasterio.Env(GDAL_CACHEMAX=CACHE // 16):  # each block is read once here
            sheets, faults = find_raster_pairs(source, resolution, progress)
            foreground: Mapping[Raster, int] = {}
            if made is None or skip_bad:  # else equal digests vouch for the labels
                foreground, wrong = read_foreground({label for sheet in sheets for label in sheet.labels}, progress)
                faults += wrong
                sheets = [sheet for sheet in sheets if foreground.keys() >= set(sheet.labels)]
        if made is None and faults and not skip_bad:
            raise bad_files(faults)
        rules = {**reading.rules, **_rules(sheets, resolution, dataset, edges)}
        pairs = _pairs(sheets, dataset, edges, foreground, max(CACHE // workers, CACHE // 16))
        if not pairs and not faults:
            raise DataError(f"{source} has no tile: {rules['tiles']}. Give larger rasters, or use --edges pad.")
        declared = replace(reading, rules=rules)
        try:
            if made is None:
                found = PairSearch(tuple(pairs), 0, tuple(faults))
                return build(dataset, declared, found, out, work, origin, workers, progress, skip_bad, cut_tile)
            found = PairSearch(_expected(pairs, made, rules, out), 0, tuple(faults))
            return verify(
                dataset, lambda: declared, found, out, work, origin, workers, progress, skip_bad, faults_of_tile
            )
        finally:
            close_rasters()


def _expected(pairs: Sequence[Pair], made: Manifest, rules: Mapping[str, str], out: Path) -> tuple[Pair, ...]:
    """The tiles that a folder made before should hold, without cutting them again.

    Which tiles have data follows from the rasters, whose digests are compared. Raises DataError if other tiles were
    wanted when it was made.
    """
    if made.rules.get("tiles") != rules["tiles"]:
        raise DataError(
            f"{out} was prepared by another rule of tiles ({made.rules.get('tiles', 'ready tiles')}), "
            f"expected: {rules['tiles']}. Delete it and run prepare again."
        )
    if made.rules.get("rasters") != rules["rasters"] or made.skipped:
        return tuple(pairs)
    sheets = {entry.tile_of for entry in made.entries}
    return tuple(pair for pair in pairs if pair.tile is not None and pair.tile.sheet in sheets)


def _pairs(
    sheets: Sequence[RasterPair], dataset: Dataset, edges: EdgeTiles, foreground: Mapping[Raster, int], cache: int
) -> list[Pair]:
    """All tiles of all rasters, those without data too, by stem."""
    side = dataset.image_size[0]
    pairs = []
    for sheet in sheets:
        image = sheet.image
        labels = tuple(LabelRaster(label.path, label.name, foreground.get(label, 1)) for label in sheet.labels)
        name = " and ".join(label.name for label in labels)
        rows, columns = tile_counts(image.size, sheet.factor, side, edges)
        for row in range(rows):
            for column in range(columns):
                tile = Tile(
                    image=image.path,
                    name=image.name,
                    labels=labels,
                    by_pixels=sheet.by_pixels,
                    row=row,
                    column=column,
                    side=side,
                    factor=sheet.factor,
                    sheet=image.path.stem,
                    crs=image.crs.to_wkt() if image.crs else None,
                    transform=_placed(sheet, side, row, column),
                    cache=cache,
                    digests=(image.digest, _joined(label.digest for label in sheet.labels)),
                )
                stem = tile_stem(tile.sheet, row * side, column * side)
                pairs.append(Pair(stem, image.path, labels[0].path, image.name, name, tile=tile))
    return sorted(pairs, key=lambda pair: pair.stem)


def _placed(sheet: RasterPair, side: int, row: int, column: int) -> AffineCoefficients | None:
    if sheet.image.transform is None:
        return None
    down, across = sheet.factor
    place = sheet.image.transform @ Affine.scale(across, down) @ Affine.translation(column * side, row * side)
    return place.a, place.b, place.c, place.d, place.e, place.f


def _joined(lines: Iterable[str]) -> str:
    """One digest for several."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _rules(
    sheets: Sequence[RasterPair], resolution: tuple[float, float], dataset: Dataset, edges: EdgeTiles
) -> dict[str, str]:
    """The manifest's sentences on what was done to large rasters."""
    side = dataset.image_size[0]
    digest = _joined(f"{raster.name} {raster.digest}" for sheet in sheets for raster in (sheet.image, *sheet.labels))
    factors = sorted({sheet.factor for sheet in sheets})
    ratios = ", ".join(f"{across:g}x{down:g}" for down, across in factors)
    grids = [tile_counts(sheet.image.size, sheet.factor, side, edges) for sheet in sheets]
    # hashed: part of every run key, from here to the end
    beyond = "left out" if edges == "drop" else "padded by repeating the last row and column, with ignored labels (255)"
    rules = {
        "image": f"RGB rasters, each prepared pixel of {resolution[0]} m the mean over its area of {ratios} pixels, "
        "stored without loss",
        "mask": "the label at the centre of each prepared pixel: unbiased in area, no new values; 255 (ignored) where "
        "image or labels have no data",
        "tiles": f"{side}x{side} from the upper left corner of each raster; tiles that reach beyond it are {beyond}, "
        "those without data or labels are left out",
        "rasters": f"{len(sheets)} images with {len({label for sheet in sheets for label in sheet.labels})} of labels, "
        f"{sum(rows * columns for rows, columns in grids)} tiles in their grids, SHA-256 {digest}",
        "official split": "not the published one, which names ready tiles: these tiles are new, and neighbours may lie "
        "in different splits",
    }
    if count := overlapping(sheets, resolution[0]):
        rules["overlap"] = f"{count} pairs of image rasters overlap: the same ground may lie in several tiles"
    if any(sheet.by_pixels for sheet in sheets):
        rules["georeference"] = (
            "rasters without one: labels of equal size were laid on images pixel by pixel, and pixels of images "
            f"without one were believed to have {resolution[1]} m"
        )
    return rules
