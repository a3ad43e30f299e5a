"""One tile of large rasters to prepared files: what a worker does, as `cutting.cut` does for whole pictures."""

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
        found = read_tile(tile)
    except BadPicture as bad:
        return Faults((str(bad),))
    if found is None:
        return ()
    piece = Piece(
        stem=job.pair.stem,
        image=found.image,
        labels=found.mask.labels,
        values=found.mask.values,
        digests=tile.digests,
        source_size=tile.source_size,
        pixel_digest=pixel_digest(found.image),
        tile_of=tile.sheet,
        crs=tile.crs,
        transform=tile.transform,
    )
    return keep(job, (piece,))


def faults_of_tile(job: Job) -> tuple[str, ...]:
    """What is wrong with the rasters in this tile; writes nothing."""
    assert job.pair.tile is not None
    try:
        read_tile(job.pair.tile)
    except BadPicture as bad:
        return (str(bad),)
    return ()
