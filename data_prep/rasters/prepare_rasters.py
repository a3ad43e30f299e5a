"""Prepare large rasters: their tiles become pairs like those of any other source."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.file_names import nfc
from data_prep.manifest import AffineCoefficients, Manifest
from data_prep.manifest_file import MANIFEST_NAME, load_manifest
from data_prep.prepare.build import Preparation, build, workplace
from data_prep.prepare.pairs import Pair, PairSearch, bad_files
from data_prep.prepare.reading import Reading
from data_prep.prepare.tiles import LabelRaster, Tile, tile_counts, tile_stem
from data_prep.prepare.verify import verify
from data_prep.rasters.headers import Raster, read_foreground
from data_prep.rasters.image_label_pairs import RasterPair, find_raster_pairs, overlapping
from data_prep.rasters.tile_job import cut_tile, faults_of_tile
from data_prep.rasters.windowed_reads import close_rasters
from data_prep.rules import EdgeTiles, Rules, as_rules, rule, sentences
from data_prep.synthetic.marker import refuse_marked
from rssam.contract import IGNORE

CACHE = 384 << 20
"""Bytes of decoded blocks that GDAL keeps, in all workers together; its own default is a share of the whole memory."""


def prepare_rasters(
    asked: Preparation, source: Path, reading: Reading, resolution: tuple[float, float], edges: EdgeTiles
) -> Manifest:
    """Prepare a folder of large rasters, or verify what was prepared; return its manifest. See `Dataset.prepare`.

    Bad headers and labels are listed before any tile is cut.

    Args:
        asked: what is prepared.
        source: the folder of rasters.
        reading: its rules of decoding, completed here.
        resolution: metres a pixel as prepared, and as assumed of a raster without a georeference.
        edges: what becomes of tiles that reach beyond a raster.
    """
    dataset, out, skip_bad, progress = asked.dataset, asked.out, asked.skip_bad, asked.progress
    with workplace(asked):
        if asked.origin == "source":
            refuse_marked(source, source, dataset)
        earlier = load_manifest(out, dataset.name) if (out / MANIFEST_NAME).exists() else None
        with rasterio.Env(GDAL_CACHEMAX=CACHE // 16):  # each block is read once here
            raster_pairs, faults = find_raster_pairs(source, resolution, progress)
            foreground: Mapping[Raster, int] = {}
            if earlier is None or skip_bad:  # otherwise equal digests vouch for the labels
                foreground, label_faults = read_foreground(
                    {label for pair in raster_pairs for label in pair.labels}, progress
                )
                faults += label_faults
                raster_pairs = [pair for pair in raster_pairs if foreground.keys() >= set(pair.labels)]
        if earlier is None and faults and not skip_bad:
            raise bad_files(faults)
        rules = {**as_rules(reading.rules), **_rules(raster_pairs, resolution, dataset, edges)}
        pairs = _pairs(raster_pairs, dataset, edges, foreground, max(CACHE // asked.workers, CACHE // 16))
        if not pairs and not faults:
            raise DataError(
                f"{source} has no tile: {sentences(rules)['tiles']}. Give larger rasters, or use --edges pad."
            )
        declared = replace(reading, rules=rules)
        try:
            if earlier is None:
                search = PairSearch(tuple(pairs), 0, tuple(faults))
                return build(asked, declared, search, cut_tile)
            search = PairSearch(_expected(pairs, earlier, rules, out), 0, tuple(faults))
            return verify(asked, lambda: declared, search, faults_of_tile)
        finally:
            close_rasters()


def _expected(pairs: Sequence[Pair], earlier: Manifest, rules: Rules, out: Path) -> tuple[Pair, ...]:
    """Return the tiles that an earlier prepared folder should hold, without cutting them again.

    Which tiles have data follows from the rasters, whose digests are compared. Raises DataError if its tiles were cut
    by another rule.
    """
    if earlier.rules.get("tiles") != rules["tiles"]:
        raise DataError(
            f"{out} was prepared by another rule of tiles ({sentences(earlier.rules).get('tiles', 'ready tiles')}), "
            f"expected: {sentences(rules)['tiles']}. Delete it and run prepare again."
        )
    if earlier.rules.get("rasters") != rules["rasters"] or earlier.skipped:
        return tuple(pairs)
    rasters = {entry.tile_of for entry in earlier.entries}
    return tuple(pair for pair in pairs if pair.tile is not None and pair.tile.raster in rasters)


def _pairs(
    raster_pairs: Sequence[RasterPair], dataset: Dataset, edges: EdgeTiles, foreground: Mapping[Raster, int], cache: int
) -> list[Pair]:
    """Return all tiles of all rasters, those without data too, by stem."""
    side = dataset.image_size[0]
    pairs = []
    for raster_pair in raster_pairs:
        image = raster_pair.image
        labels = tuple(LabelRaster(label.path, label.name, foreground.get(label, 1)) for label in raster_pair.labels)
        name = " and ".join(label.name for label in labels)
        for row, column in np.ndindex(tile_counts(image.size, raster_pair.factor, side, edges)):
            tile = Tile(
                image=image.path,
                name=image.name,
                labels=labels,
                by_pixels=raster_pair.by_pixels,
                row=row,
                column=column,
                side=side,
                factor=raster_pair.factor,
                raster=nfc(image.path.stem),
                crs=image.crs.to_wkt() if image.crs else None,
                transform=_placed(raster_pair, side, row, column),
                cache=cache,
                digests=(image.digest, _digest(label.digest for label in raster_pair.labels)),
            )
            stem = tile_stem(tile.raster, row * side, column * side)
            pairs.append(Pair(stem, image.path, labels[0].path, image.name, name, tile=tile))
    return sorted(pairs, key=lambda pair: pair.stem)


def _placed(raster_pair: RasterPair, side: int, row: int, column: int) -> AffineCoefficients | None:
    if raster_pair.image.transform is None:
        return None
    down, across = raster_pair.factor
    transform = raster_pair.image.transform @ Affine.scale(across, down) @ Affine.translation(column * side, row * side)
    return transform.a, transform.b, transform.c, transform.d, transform.e, transform.f


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _rules(
    raster_pairs: Sequence[RasterPair], resolution: tuple[float, float], dataset: Dataset, edges: EdgeTiles
) -> Rules:
    # hashed: part of every run key, from here to the end
    side = dataset.image_size[0]
    digest = _digest(
        f"{nfc(raster.name)} {raster.digest}" for pair in raster_pairs for raster in (pair.image, *pair.labels)
    )
    images, labels = len(raster_pairs), len({label for pair in raster_pairs for label in pair.labels})
    tiles = sum(math.prod(tile_counts(pair.image.size, pair.factor, side, edges)) for pair in raster_pairs)
    beyond = rule("edges-left-out") if edges == "drop" else rule("edges-padded", ignored=IGNORE)
    ratios = tuple(f"{across:g}x{down:g}" for down, across in sorted({pair.factor for pair in raster_pairs}))
    rules = {
        "image": (rule("area-mean", metres=resolution[0], pixels=ratios),),
        "mask": (rule("label-at-centre", ignored=IGNORE),),
        "tiles": (rule("raster-tiles", size=(side, side)), beyond, rule("empty-left-out")),
        "rasters": (rule("rasters", images=images, labels=labels, tiles=tiles, sha256=digest),),
        "official split": (rule("new-tiles"),),
    }
    if count := overlapping(raster_pairs, resolution[0]):
        rules["overlap"] = (rule("overlap", pairs=count),)
    if any(pair.by_pixels for pair in raster_pairs):
        rules["georeference"] = (rule("pixel-on-pixel", metres=resolution[1]),)
    return rules
