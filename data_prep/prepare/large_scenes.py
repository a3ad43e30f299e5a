"""Cut scenes of more pixels than Pillow decodes by windows: memory depends on the tile, never on the scene."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.images.alpha import AlphaCount
from data_prep.images.class_values import any_rgb
from data_prep.images.decode import BadPicture
from data_prep.images.encode import pixel_digest
from data_prep.images.no_data import black_where, ignored_where, labels_of
from data_prep.images.picture import read_window
from data_prep.images.place import misplaced
from data_prep.images.source_file import digest_of
from data_prep.images.tiff_header import is_large, read_tiff_header
from data_prep.images.unfit_tiffs import refuse_unfit
from data_prep.prepare.convert import Faults, Job, Record, decode_pair, finished_records, read_source
from data_prep.prepare.resize_or_tile import Piece, corners, cut, keep, padded
from data_prep.prepare.tiles import tile_stem

if TYPE_CHECKING:  # rasterio is slow to import
    from rasterio.io import DatasetReader

CACHE = 128 << 20
"""Bytes of decoded blocks that GDAL keeps in a process: those of strips serve a whole row of tiles."""


@dataclass
class _Seen:
    """Facts on a scene once all its tiles were read."""

    digest: hashlib._Hash = field(default_factory=hashlib.sha256)  # of its tiles' pixels
    no_data: int = 0
    outside: int = 0
    no_mask: bool = False
    alpha: AlphaCount = field(default_factory=AlphaCount)
    mask_alpha: AlphaCount = field(default_factory=AlphaCount)

    def complete(self, record: Record) -> Record:
        """Return a tile's record with what holds for the whole scene."""
        return replace(
            record,
            pixel_digest=self.digest.hexdigest(),
            no_data=self.no_data,
            outside=self.outside,
            no_mask=self.no_mask,
        )


def cut_pair(job: Job) -> tuple[Record, ...] | Faults:
    """Write the pictures that a pair becomes, see `cut`; a large scene is cut by windows."""
    try:
        return _cut_scene(job) if _large(job) else cut(job)
    except Faults as faults:
        return faults


def faults_of_pair(job: Job) -> tuple[str, ...]:
    """Return what is wrong with the files of a pair: read and decode them fully, and write nothing."""
    try:
        if _large(job):
            deque(_pieces(job, ("", ""), _Seen()), maxlen=0)
        else:
            decode_pair(job, *read_source(job))
    except Faults as faults:
        return faults.args
    return ()


def _cut_scene(job: Job) -> tuple[Record, ...]:
    with _named(job.pair.image_name):
        image_digest = digest_of(job.pair.image)
    with _named(job.pair.mask_name):
        digests = image_digest, digest_of(job.pair.mask)
    seen = _Seen()
    return finished_records(job, digests) or keep(job, _pieces(job, digests, seen), seen.complete)


def _large(job: Job) -> bool:
    return job.reading.fit is not None and any(map(is_large, (job.pair.image, job.pair.mask)))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Raise Faults with the file's name for what is wrong with it."""
    from data_prep.images.geotiff import GDAL_ERRORS  # rasterio is slow to import

    try:
        yield
    except BadPicture as bad:
        raise Faults(f"{name}: {bad}") from bad
    except (*GDAL_ERRORS, OSError) as error:
        raise Faults(f"{name}: cannot be decoded ({error.__cause__ or error})") from error


def _pieces(job: Job, digests: tuple[str, str], seen: _Seen) -> Iterator[Piece]:
    """Read a scene tile by tile, row by row from the upper left."""
    import rasterio  # slow to import
    from rasterio.windows import Window

    from data_prep.images.geotiff import alpha_band, alpha_is_no_mask, place_of

    pair, values, bands = job.pair, job.reading.value_range, job.reading.bands
    with rasterio.Env(GDAL_CACHEMAX=CACHE), ExitStack() as stack:
        with _named(pair.image_name):
            raster = stack.enter_context(_opened(job, pair.image))
            seen.no_mask = alpha_is_no_mask(raster, bands)
        with _named(pair.mask_name):
            drawn = stack.enter_context(_opened(job, pair.mask, labels=True))
            if elsewhere := misplaced(place_of(raster), place_of(drawn), raster.shape, drawn.shape):
                raise BadPicture(elsewhere)
        for top, left in corners(raster.shape, job.image_size):
            bottom, right = min(top + job.image_size[0], raster.height), min(left + job.image_size[1], raster.width)
            window = Window(left, top, right - left, bottom - top)
            with _named(pair.image_name):
                picture = read_window(
                    raster, window, labels=False, value_range=values, bands=bands, no_mask=seen.no_mask
                )
                image = black_where(any_rgb(picture.pixels), picture.without_data)
                if bands is None and (alpha := alpha_band(raster, window)) is not None:
                    seen.alpha.add(alpha)
            with _named(pair.mask_name):
                mask, changed = labels_of(read_window(drawn, window, labels=True), job.reading.read_mask)
                mask, more = ignored_where(mask, picture.without_data)
                if (alpha := alpha_band(drawn, window)) is not None:
                    seen.mask_alpha.add(alpha)
            seen.no_data += changed + more
            seen.outside += picture.outside
            digest = pixel_digest(image)
            seen.digest.update(digest.encode())
            image, labels = padded(image, mask.labels, job.image_size)
            yield Piece(
                stem=tile_stem(pair.stem, top, left),
                image=image,
                labels=labels,
                values=mask.values,
                digests=digests,
                source_size=raster.shape,
                pixel_digest=digest,
                no_data=0,  # known when all tiles are read, as is the digest of the whole
                tile_of=pair.stem,
            )
        with _named(pair.image_name):
            seen.alpha.refuse_other(raster.count, nameable=True)
        with _named(pair.mask_name):
            seen.mask_alpha.refuse_other(drawn.count)


def _opened(job: Job, path: Path, *, labels: bool = False) -> DatasetReader:
    """Open a scene that can be cut. Raises BadPicture or an error of rasterio."""
    from data_prep.images.geotiff import opened, too_large_block

    with path.open("rb") as stream:
        header = read_tiff_header(stream)
    if header is None:
        raise BadPicture("expected a GeoTIFF, as its pair is a scene of that kind; run: gdal_translate OLD NEW.tif")
    if job.reading.fit != "tile":
        height, width = header.size
        raise BadPicture(f"expected a picture, found a scene of {width}x{height} pixels; cut it: --fit tile")
    refuse_unfit(header, labels=labels, by_gdal=True)
    raster = opened(path)
    if wrong := too_large_block(raster):
        raise BadPicture(wrong)
    return raster
