"""Give `predict` what it needs besides a raster: the network with its colours, names of outputs, a range of values."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.export.load_run import TrainedNetwork
from benchmarks.protocol.recipe import Precision
from benchmarks.training.compile import channels_last
from benchmarks.training.device_layout import Device
from data_prep.registry import DATASETS
from rssam.contract import Colour
from rssam.errors import UserError
from rssam.inference.predict_raster import Network, Outputs
from rssam.inference.raster_input import RasterSource
from rssam.value_range import Decision, Sample, ValueRange, decide, percentiles

BACKGROUND: Colour = (0, 0, 0)
MAP_SUFFIXES = (".tif", ".tiff")
AUTO = "auto"
SAMPLED = 1 << 20
"""Pixels of all images together that percentiles are taken of."""

CPU_BATCH = 2
CUDA_BATCH = 8
HALF: Mapping[Precision, torch.dtype | None] = {
    "32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16
}  # fmt: skip


def network_of(trained: TrainedNetwork, precision: Precision, device: Device = "cpu") -> Network:
    """Return a trained network as `predict` takes it, to compute in `precision`; on a GPU laid out as it was tested.

    Colours are those of its data set; where the set is of another home and unknown here, evenly spaced hues.
    """
    if device == "cuda":
        channels_last(trained.net)
    task = trained.task
    dataset = DATASETS.get(trained.dataset)
    colours = dataset.palette if dataset is not None and dataset.classes == task.classes else _hues(len(task.classes))
    palette = (BACKGROUND, *colours) if task.binary else colours
    return Network(trained.net, task, palette, HALF[precision], f"{trained.model.title}, {trained.key}")


def outputs_for(
    images: Sequence[Path],
    out: Path,
    vectors: Path | None,
    quicklook: Path | None,
    *,
    probabilities: bool,
    overwrite: bool,
) -> list[Outputs]:
    """Return the files to make of each image.

    Raises UserError if a name does not fit, is there already, or would be that of an input.

    Args:
        images: the rasters.
        out: the class map, or a folder for several images.
        vectors: the polygons, or a folder; None for no polygons.
        quicklook: the small picture, or a folder; None for no picture.
        probabilities: write the probabilities of each class too.
        overwrite: accept names that are there.
    """
    if twice := [stem for stem, count in Counter(image.stem for image in images).items() if count > 1]:
        raise UserError(
            f"several images are called {twice[0]}: their results would have one name; use several commands"
        )
    outputs_of_images = []
    for image in images:
        class_map = _named(image, out, "--out", MAP_SUFFIXES, len(images))
        outputs_of_images.append(
            Outputs(
                class_map,
                class_map.with_suffix(".probabilities.tif") if probabilities else None,
                None if vectors is None else _named(image, vectors, "--vectors", (".gpkg",), len(images)),
                None if quicklook is None else _named(image, quicklook, "--quicklook", (".png",), len(images)),
            )
        )
    inputs = {image.resolve() for image in images}
    for path in (path for outputs in outputs_of_images for path in outputs.all):
        if path.resolve() in inputs:
            raise UserError(f"{path} is an image to be predicted: choose another --out")
        if path.exists() and not overwrite:
            raise UserError(f"{path} is there already: choose another name, or replace it with --overwrite")
    return outputs_of_images


def choose_range(
    images: Sequence[Path],
    bands: Sequence[int] | None,
    scale: str | None,
    recorded: ValueRange | None,
    refuse: Callable[[Path, Exception], None],
) -> Decision | None:
    """Return which values of all images become 0 and 255; None if no image can be read.

    Args:
        images: the files of the command.
        bands: red, green and blue as band numbers, if they were named.
        scale: as the user gave it: MIN,MAX or "auto"; None for a decision by the values.
        recorded: the range that was declared for the training data.
        refuse: called with an image that cannot be read, and why.

    Raises UserError for a scale that is none, RangeUnknown if the values do not show a range.
    """
    if scale is not None and scale != AUTO:
        return Decision(ValueRange.parsed(scale))
    samples = []
    for image in images:
        try:
            with RasterSource(image, bands) as source:
                if scale == AUTO:
                    samples.append(source.sample(SAMPLED // len(images)))
                elif source.types == {"uint8"}:
                    samples.append(Sample(str(image), source.types, None))
                else:
                    samples.append(source.sample())
        except Exception as error:  # noqa: BLE001  (whatever one file does, the others are predicted)
            refuse(image, error)
    if not samples:
        return None
    return percentiles(samples) if scale == AUTO else decide(samples, recorded)


def _named(image: Path, path: Path, option: str, suffixes: Sequence[str], images: int) -> Path:
    """Return the requested path itself for a single image, otherwise a file in the folder of that name."""
    if path.is_dir() or (images > 1 and not path.exists() and path.suffix not in suffixes):
        return path / f"{image.stem}{suffixes[0]}"
    if images > 1:
        raise UserError(f"{option} {path}: expected a folder, because there are {images} images")
    if path.suffix.lower() not in suffixes:
        raise UserError(
            f"{option} {path}: expected a name ending in {' or '.join(suffixes)}, or a folder that is there"
        )
    return path


def _hues(count: int) -> tuple[Colour, ...]:
    colours = [colorsys.hsv_to_rgb(number / count, 0.75, 0.95) for number in range(count)]
    return tuple((round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in colours)
