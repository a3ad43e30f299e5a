"""Predict a raster file: a class map, and on request probabilities, polygons and a quick look.

Everything is written to a partial folder beside the class map, and renamed when all of it is complete; the class map
comes last. An interrupted prediction keeps its finished rows there, and the same command resumes with them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from torch import nn

from rssam.contract import IGNORE, Colour, Task
from rssam.errors import UserError
from rssam.inference.geotiff import LEVELS, Georeference, LayerStyle, as_steps, count_labels, write_cog
from rssam.inference.partial_output import PartialOutput
from rssam.inference.quicklook import write_quicklook
from rssam.inference.raster_input import CACHE, RasterSource
from rssam.inference.sliding_window import Predictor, Symmetries, labels_of, predict
from rssam.inference.tile_grid import Grid
from rssam.inference.vectors import Ground, write_vectors
from rssam.parameters import parameters_digest

LABELS, PROBABILITIES = "labels", "probabilities"


@dataclass(frozen=True)
class Network:
    """Trained network, and what its labels mean."""

    net: nn.Module
    task: Task
    palette: tuple[Colour, ...]  # of every label, the background of a binary task included
    half: torch.dtype | None  # type of its autocast; None computes in float32
    name: str  # as the class map's tags have it

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the labels from 0: a binary task has an implied background."""
        return ("background", *self.task.classes) if self.task.binary else self.task.classes

    @property
    def mapped(self) -> dict[int, str]:
        """Return the labels that become polygons, with their names: all but an implied background."""
        return dict(list(enumerate(self.names))[1 if self.task.binary else 0 :])


@dataclass(frozen=True)
class Settings:
    """Settings by which tiles cover a raster; every field changes the map, and none depends on the raster."""

    tile: tuple[int, int]
    overlap: tuple[int, int]
    symmetries: Symmetries = "none"
    shift: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Outputs:
    """Files to write."""

    class_map: Path
    probabilities: Path | None = None
    vectors: Path | None = None
    quicklook: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        """Return the requested files, the class map last."""
        return (
            *(path for path in (self.probabilities, self.vectors, self.quicklook) if path is not None),
            self.class_map,
        )


@dataclass(frozen=True)
class PredictionSummary:
    """Result of a prediction: pixels of each label, and how much was resumed."""

    counts: tuple[int, ...]  # pixels of each label
    no_data: int  # pixels
    polygons: int | None
    resumed: int  # rows that an earlier call had finished


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

    Raises UserError for what a user can fix; no output is half written then.

    Args:
        source: the raster.
        network: a trained network, and what its labels mean.
        settings: how the raster is covered by tiles.
        outputs: the files to write.
        device: where the network runs.
        batch: tiles at once.
        say: called with a sentence on what is resumed, discarded, or measured in pixels.
        progress: called with tiles done, all tiles, and the name of the raster.
        check: called before every batch; what it raises ends the prediction, and keeps the finished rows.
    """
    height, width = source.size
    layers = {LABELS: 1, **({PROBABILITIES: network.task.channels} if outputs.probabilities else {})}
    _require_disk(source, outputs.class_map, sum(layers.values()))
    grid = Grid(height, width, settings.tile, settings.overlap, settings.shift)
    decisive = {
        **source.identity, **asdict(settings), "layers": layers, "parameters": parameters_digest(network.net),
        "device": device.type, "half": str(network.half), "classes": network.names, "grid": grid.digest,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
    with (
        rasterio.Env(GDAL_CACHEMAX=CACHE),
        PartialOutput(partial_folder(outputs.class_map), source.size, layers, digest) as partial,
    ):
        if partial.discarded:
            say(f"{partial.folder} is of another prediction (other settings, raster or network): it starts anew")
        if resumed := partial.written:
            say(f"goes on after {resumed} of {height} finished rows")
        _require_space(partial)
        if resumed < height:
            predictor = Predictor(network.net, grid, device, half=network.half, symmetries=settings.symmetries)
            done, total = 0, grid.count(grid.first_row(resumed))

            def before_batch(tiles: int) -> None:
                nonlocal done
                check()
                progress(done, total, source.path.name)
                done += tiles

            def write(probabilities: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
                rows: dict[str, NDArray[np.uint8]] = {LABELS: labels_of(probabilities, valid)[None]}
                if outputs.probabilities:
                    rows[PROBABILITIES] = as_steps(probabilities, valid)
                partial.append(rows)

            predict(
                source, write, predictor, network.task.channels, batch, written=resumed,
                before_batch=before_batch, after_rows=partial.commit,
            )  # fmt: skip
            progress(total, total, source.path.name)
        return _write_outputs(partial, source, network, settings, outputs, resumed, say)


def partial_folder(path: Path) -> Path:
    """Return the folder of unfinished work of an output."""
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


def _write_outputs(
    partial: PartialOutput,
    source: RasterSource,
    network: Network,
    settings: Settings,
    outputs: Outputs,
    resumed: int,
    say: Callable[[str], None],
) -> PredictionSummary:
    """Write all outputs in the partial folder, then rename them."""
    georeference = Georeference.of(source)
    tags = {
        "SOFTWARE": f"rssam-bench, {network.name}",
        "PRECISION": "float32" if network.half is None else str(network.half).removeprefix("torch."),
        **{f"CLASS_{label}": name for label, name in enumerate(network.names)},
        "SETTINGS": json.dumps({**asdict(settings), **{name: source.identity[name] for name in ("bands", "scale")}}),
    }
    files: list[tuple[Path, Path]] = []
    polygons = None
    class_map = partial.folder / "class_map.tif"
    write_cog(partial, LABELS, georeference, LayerStyle(("class",), tags, network.palette), class_map)
    if outputs.probabilities is not None:
        finished = partial.folder / "probabilities.tif"
        write_cog(
            partial, PROBABILITIES, georeference, LayerStyle(network.task.classes, tags, scale=1 / LEVELS), finished
        )
        files.append((finished, outputs.probabilities))
    if outputs.vectors is not None:
        finished = partial.folder / "vectors.gpkg"
        for stale in partial.folder.glob(f"{finished.name}*"):
            stale.unlink()
        ground = Ground(georeference, source.size)
        if ground.in_pixels is not None:
            say(f"{source.path}: areas and perimeters of polygons are in pixels, for {ground.in_pixels}")
        polygons = write_vectors(
            lambda top, bottom: partial.read(LABELS, top, bottom)[0],
            source.size,
            network.mapped,
            ground,
            finished,
        )
        files.append((finished, outputs.vectors))
    if outputs.quicklook is not None:
        finished = partial.folder / "quicklook.png"
        write_quicklook(source, class_map, network.mapped, network.palette, finished)
        files.append((finished, outputs.quicklook))
    counts = count_labels(partial, LABELS)
    for finished, final in [*files, (class_map, outputs.class_map)]:
        _move(finished, final)
    partial.remove()
    return PredictionSummary(tuple(counts[: len(network.names)].tolist()), int(counts[IGNORE]), polygons, resumed)


def _move(finished: Path, final: Path) -> None:
    """Rename a file to its final name atomically, on another disk too."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if finished.stat().st_dev != final.parent.stat().st_dev:
        copy = final.with_name(f".{final.name}.tmp")
        try:
            shutil.copyfile(finished, copy)
        except OSError as error:
            copy.unlink(missing_ok=True)
            raise UserError(f"{final} could not be written ({error.strerror}): run the same command again") from error
        finished = copy
    with finished.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(finished, final)


def _require_disk(source: RasterSource, out: Path, bands: int) -> None:
    """Raise UserError for a raster whose rows no disk here could hold: listing its tiles alone would take hours.

    A few bytes of a virtual raster can state any size.
    """
    height, width = source.size
    folder = next(parent for parent in out.absolute().parents if parent.is_dir())
    total = shutil.disk_usage(folder).total
    if height * width * bands > total:
        raise UserError(
            f"{source.path} states {width} x {height} pixels (width x height): its rows need "
            f"{height * width * bands >> 30} GiB, and the disk of {folder} has {total >> 30} GiB in all; cut it first: "
            "gdal_translate -srcwin LEFT TOP WIDTH HEIGHT IN OUT"
        )


def _require_space(partial: PartialOutput) -> None:
    free = shutil.disk_usage(partial.folder).free
    if partial.bytes_left > free:
        raise UserError(
            f"the rows of {partial.height} x {partial.width} pixels need {partial.bytes_left >> 20} MiB beside "
            f"the output while they are predicted, and {free >> 20} MiB are free: free some, or choose another disk "
            "with --out"
        )
