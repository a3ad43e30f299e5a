"""A raster file to a class map, probabilities, polygons and a quick look.

Everything is made in a part folder beside the class map, and moved to its final name when all of it is whole; the class
map comes last. A prediction that was ended keeps its finished rows there, and the same job goes on with them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from torch import nn

from rssam.contract import IGNORE, Colour, Task
from rssam.errors import UserError
from rssam.inference.geotiff import LEVELS, Georeference, Picture, as_steps, count_labels, write_cog
from rssam.inference.partial_output import PartialOutput
from rssam.inference.quicklook import write_quicklook
from rssam.inference.raster_input import CACHE, RasterSource
from rssam.inference.sliding_window import Predictor, Symmetries, labels_of, predict
from rssam.inference.tile_grid import Grid
from rssam.inference.vectors import write_vectors
from rssam.parameters import parameters_digest

LABELS, PROBABILITIES = "labels", "probabilities"


@dataclass(frozen=True)
class Network:
    """What predicts, and what its labels mean."""

    net: nn.Module
    task: Task
    palette: tuple[Colour, ...]  # of every label, the background of a binary task included
    bf16: bool  # whether it was trained in bf16
    name: str  # as the class map's tags have it

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the labels from 0: a binary task has an implied background."""
        return ("background", *self.task.classes) if self.task.binary else self.task.classes

    @property
    def mapped(self) -> dict[int, str]:
        """Labels that become polygons: all but an implied background."""
        return dict(list(enumerate(self.names))[1 if self.task.binary else 0 :])


@dataclass(frozen=True)
class Settings:
    """How a raster is covered by tiles. None is changed by the raster, and all of it changes the map."""

    tile: tuple[int, int]
    overlap: tuple[int, int]
    symmetries: Symmetries = "none"
    shift: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Outputs:
    """Files to make; all of them may not be there yet."""

    class_map: Path
    probabilities: Path | None = None
    vectors: Path | None = None
    quicklook: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        """Those that are wanted, the class map last."""
        return (
            *(path for path in (self.probabilities, self.vectors, self.quicklook) if path is not None),
            self.class_map,
        )


@dataclass(frozen=True)
class PredictionSummary:
    """What became of a raster."""

    counts: tuple[int, ...]  # pixels of each label
    no_data: int  # pixels
    polygons: int | None
    resumed: int  # rows that an earlier call had finished


class _Rows:
    """Finished rows into the part folder."""

    def __init__(self, part: PartialOutput) -> None:
        self.part = part

    def write(self, probabilities: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        rows: dict[str, NDArray[np.uint8]] = {LABELS: labels_of(probabilities, valid)[None]}
        if PROBABILITIES in self.part.layers:
            rows[PROBABILITIES] = as_steps(probabilities, valid)
        self.part.append(rows)


def predict_raster(
    source: RasterSource,
    network: Network,
    settings: Settings,
    outputs: Outputs,
    device: torch.device,
    batch: int,
    *,
    say: Callable[[str], None],
    progress: Callable[[int, int, str], None],
    check: Callable[[], None],
) -> PredictionSummary:
    """Predict a raster and write all outputs.

    `check` is called before every batch; what it raises ends the prediction, and keeps the finished rows. Raises
    UserError or UserError for what a user can mend; no output is there in part then.
    """
    height, width = source.size
    grid = Grid(height, width, settings.tile, settings.overlap, settings.shift)
    bf16 = network.bf16 and device.type == "cuda"
    layers = {LABELS: 1, **({PROBABILITIES: network.task.channels} if outputs.probabilities else {})}
    digest = _digest(
        {
            **source.identity, **asdict(settings), "layers": layers, "parameters": parameters_digest(network.net),
            "device": device.type, "bf16": bf16, "classes": network.names, "grid": grid.digest,
        }
    )  # fmt: skip
    with (
        rasterio.Env(GDAL_CACHEMAX=CACHE),
        PartialOutput(beside(outputs.class_map), source.size, layers, digest) as part,
    ):
        if part.discarded:
            say(f"{part.folder} is of another prediction (other settings, raster or network): it starts anew")
        if resumed := part.written:
            say(f"goes on after {resumed} of {height} finished rows")
        _require_space(part)
        if resumed < height:
            predictor = Predictor(network.net, grid, device, bf16=bf16, symmetries=settings.symmetries)
            done, total = 0, grid.count(grid.first_row(resumed))

            def between(tiles: int) -> None:
                nonlocal done
                check()
                progress(done, total, source.path.name)
                done += tiles

            predict(
                source, _Rows(part), predictor, grid, network.task.channels, batch, written=resumed, between=between,
                committed=part.commit,
            )  # fmt: skip
            progress(total, total, source.path.name)
        return _finish(part, source, network, settings, outputs, resumed)


def beside(path: Path) -> Path:
    """The part folder of an output."""
    return path.parent / f".{path.name}.part"


def require_fit(net: nn.Module, tile: tuple[int, int], trained: tuple[int, int]) -> None:
    """Raise UserError if the network cannot take images of (height, width) `tile`; it was trained on `trained`."""
    if tile == trained:
        return
    try:
        with torch.inference_mode():
            net.cpu().eval()(torch.zeros(1, 3, *tile))
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"--tile {tile[0]} does not fit this network, which was built for images of {trained[0]}x{trained[1]} "
            f"({error}): leave --tile out"
        ) from error


def _finish(
    part: PartialOutput, source: RasterSource, network: Network, settings: Settings, outputs: Outputs, resumed: int
) -> PredictionSummary:
    """Make all outputs in the part folder, then move them to their names."""
    place = Georeference(source.raster.crs, source.transform)
    tags = {
        "SOFTWARE": f"rssam-bench, {network.name}",
        **{f"CLASS_{label}": name for label, name in enumerate(network.names)},
        "SETTINGS": json.dumps({**asdict(settings), **{k: source.identity[k] for k in ("bands", "scale")}}),
    }
    made: list[tuple[Path, Path]] = []
    polygons = None
    class_map = part.folder / "class_map.tif"
    write_cog(part, LABELS, place, Picture(("class",), tags, network.palette), class_map)
    if outputs.probabilities is not None:
        whole = part.folder / "probabilities.tif"
        write_cog(part, PROBABILITIES, place, Picture(network.task.classes, tags, scale=1 / LEVELS), whole)
        made.append((whole, outputs.probabilities))
    if outputs.vectors is not None:
        whole = part.folder / "vectors.gpkg"
        for stale in part.folder.glob(f"{whole.name}*"):
            stale.unlink()
        polygons = write_vectors(
            lambda top, bottom: part.read(LABELS, top, bottom)[0], source.size, network.mapped, place, whole
        )
        made.append((whole, outputs.vectors))
    if outputs.quicklook is not None:
        whole = part.folder / "quicklook.png"
        write_quicklook(source, class_map, network.palette, whole)
        made.append((whole, outputs.quicklook))
    counts = count_labels(part, LABELS)
    for whole, final in [*made, (class_map, outputs.class_map)]:
        _move(whole, final)
    part.remove()
    return PredictionSummary(tuple(counts[: len(network.names)].tolist()), int(counts[IGNORE]), polygons, resumed)


def _move(whole: Path, final: Path) -> None:
    """Give a file its final name at once, on another disk too."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if whole.stat().st_dev != final.parent.stat().st_dev:
        near = final.with_name(f".{final.name}.tmp")
        try:
            shutil.copyfile(whole, near)
        except OSError as error:
            near.unlink(missing_ok=True)
            raise UserError(f"{final} could not be written ({error.strerror}): run the same command again") from error
        whole = near
    with whole.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(whole, final)


def _require_space(part: PartialOutput) -> None:
    free = shutil.disk_usage(part.folder).free
    if part.bytes_left > free:
        raise UserError(
            f"the rows of {part.height} x {part.width} pixels need {part.bytes_left >> 20} MiB beside the output while "
            f"they are predicted, and {free >> 20} MiB are free: free some, or choose another disk with --out"
        )


def _digest(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
