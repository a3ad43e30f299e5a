"""Cut one tile of large rasters to prepared files in a worker, as `resize_or_tile.cut` does for whole pictures."""

from __future__ import annotations

from data_prep.images.decode import BadPicture
from data_prep.images.encode import pixel_digest
from data_prep.prepare.convert import Faults, Job, Record, finished_records
from data_prep.prepare.resize_or_tile import Piece, keep
from data_prep.rasters.windowed_reads import read_tile


def cut_tile(job: Job) -> tuple[Record, ...] | Faults:
    """Write the tile and its record, or reuse that of an interrupted run; nothing for a tile outside of the data.

    Raises DataError only if the disk is full; damaged rasters come back as faults.
    """
    tile = job.pair.tile
    assert tile is not None
    if records := finished_records(job, tile.digests):
        return records
    try:
        pixels = read_tile(tile)
    except BadPicture as bad:
        return Faults(str(bad))
    if pixels is None:
        return ()
    piece = Piece(
        stem=job.pair.stem,
        image=pixels.image,
        labels=pixels.mask.labels,
        values=pixels.mask.values,
        digests=tile.digests,
        source_size=tile.source_size,
        pixel_digest=pixel_digest(pixels.image),
        no_data=0,  # the rule of label rasters says it already
        tile_of=tile.raster,
        crs=tile.crs,
        transform=tile.transform,
    )
    return keep(job, (piece,))


def faults_of_tile(job: Job) -> tuple[str, ...]:
    """Return what is wrong with the rasters in this tile; write nothing."""
    assert job.pair.tile is not None
    try:
        read_tile(job.pair.tile)
    except BadPicture as bad:
        return (str(bad),)
    return ()
