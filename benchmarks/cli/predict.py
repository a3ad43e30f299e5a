"""Predict class maps of rasters of any size by a trained system: the command `predict`. Heavy imports stand inside."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from benchmarks.cli.options import Json, OwnModel, RunOption, note, print_json, require_one, root, screen, warnings
from benchmarks.execution.hardware import DeviceChoice
from benchmarks.failures import first_line
from benchmarks.protocol.recipe import PRECISION_NAMES, PrecisionChoice
from benchmarks.results.home import Home
from rssam.amounts import shortened
from rssam.errors import UserError

if TYPE_CHECKING:
    from rssam.inference.predict_raster import Network, Outputs, PredictionSummary
    from rssam.value_range import ValueRange

Symmetries = Literal["none", "flips", "all"]


def predict(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="GeoTIFF, COG, VRT, JPEG 2000, PNG, JPEG; of any size.")
    ],
    out: Annotated[Path, typer.Option(help="Class map (.tif); for several images a folder.")],
    run: RunOption = None,
    adapter: Annotated[Path | None, typer.Option(metavar="FILE", help="Or an exported adapter.")] = None,
    model: OwnModel = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also the probability of each class, beside the class map.")
    ] = False,
    vectors: Annotated[
        Path | None, typer.Option(help="Also polygons (.gpkg) with area and perimeter; or a folder.")
    ] = None,
    quicklook: Annotated[Path | None, typer.Option(help="Also a small picture (.png); or a folder.")] = None,
    bands: Annotated[
        str | None, typer.Option(help="Red, green and blue as band numbers, such as 4,3,2. [as declared, or 1,2,3]")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(metavar="MIN,MAX", help="Values that become 0 and 255, of all images; auto: percentiles."),
    ] = None,
    tile: Annotated[int | None, typer.Option(min=32, help="Side of a tile in pixels. [as trained]")] = None,
    overlap: Annotated[int | None, typer.Option(min=0, help="Pixels that tiles share. [half a tile]")] = None,
    tta: Annotated[Symmetries, typer.Option(help="Mean over 4 flips or all 8 symmetries of each tile.")] = "none",
    device: Annotated[DeviceChoice, typer.Option(help="Where the network runs.")] = "auto",
    precision: Annotated[
        PrecisionChoice, typer.Option(help="auto is fp32 on the CPU, and as trained on GPUs that have it natively.")
    ] = "auto",
    batch: Annotated[int | None, typer.Option(min=1, help="Tiles at once. [8 on a GPU, 2 without]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are there.")] = False,
    as_json: Json = False,
) -> None:
    """Predict rasters of any size with a finished run, in bounded memory; an ended prediction is resumed."""
    key = require_one(run, adapter)
    import torch

    from benchmarks.console.progress import data_progress
    from benchmarks.execution.hardware import choose_device, choose_predicting_precision, precision_note
    from benchmarks.export.adapter import load_network
    from benchmarks.export.predict import CPU_BATCH, CUDA_BATCH, choose_range, network_of, outputs_for
    from benchmarks.signals import Interrupted, Stop, handle_signals
    from data_prep.images.bands import parse_bands
    from rssam.inference.predict_raster import Settings, predict_raster, require_fit
    from rssam.inference.raster_input import RasterSource
    from rssam.inference.tile_grid import aligned

    named = None if bands is None else parse_bands(bands)
    outputs_of_images = outputs_for(images, out, vectors, quicklook, probabilities=probabilities, overwrite=overwrite)
    for path in (path for outputs in outputs_of_images for path in outputs.all):
        Home(root.home).require_outside(path)
    chosen_device = choose_device(device)
    trained = load_network(key, adapter=adapter, model=model, home=root.home)
    band_numbers = named or trained.bands
    chosen_precision = choose_predicting_precision(precision, chosen_device, trained.precision)
    network = network_of(trained, chosen_precision, chosen_device)
    tile_size = network.task.image_size if tile is None else (tile, tile)
    require_fit(network.net, tile_size, network.task.image_size)
    wished = (tile_size[0] // 2, tile_size[1] // 2) if overlap is None else (overlap, overlap)
    used = aligned(tile_size[0], wished[0]), aligned(tile_size[1], wished[1])
    settings = Settings(tile_size, used, tta)
    batch_size = batch or (CUDA_BATCH if chosen_device == "cuda" else CPU_BATCH)
    stop, records, failed = Stop(), list[dict[str, Any]](), set[Path]()

    def refuse(image: Path, error: Exception) -> None:
        if root.debug or len(images) == 1:
            raise error
        foreseen = isinstance(error, UserError)
        warnings.print(
            f"error: {error}" if foreseen else f"error: {image}: {type(error).__name__}: {first_line(error)} (--debug)"
        )
        failed.add(image)

    note(trained.warning)
    if named is None and trained.bands is not None:
        read = ",".join(map(str, trained.bands))
        note(f"the network was trained on bands {read} as red, green and blue, and so are these read (--bands)")
    decision = choose_range(images, band_numbers, scale, trained.value_range, refuse)

    note(precision_note(chosen_precision, chosen_device))
    if overlap is not None and used != wished:
        note(f"tiles share {used[0]} pixels, not {overlap}, to stand a multiple of 32 apart (docs/predict.md)")
    if decision is not None:
        note(decision.note)
    clipped: dict[Path, float] = {}
    ended: str | None = None
    with handle_signals(stop, warnings.print):
        for image, outputs in zip(images, outputs_of_images, strict=True):
            if decision is None or image in failed:
                continue
            began = time.monotonic()
            try:
                with RasterSource(image, band_numbers, decision.range) as source, data_progress(warnings) as progress:
                    note(*source.notes)
                    summary = predict_raster(
                        source, network, settings, outputs, torch.device(chosen_device), batch_size,
                        say=note, progress=progress, check=stop.check,
                    )  # fmt: skip
            except Interrupted as stopped:
                ended = f"{image}: {stopped}; its finished rows are kept, run the same command again to go on"
                break
            except Exception as error:  # noqa: BLE001  (whatever one file does, the others are predicted)
                refuse(image, error)
                continue
            if source.outside:
                clipped[image] = source.outside / (3 * max(sum(summary.counts), 1))
            records.append(_record(image, outputs, summary, network, PRECISION_NAMES[chosen_precision], source.outside))
            if not as_json:
                _show(image, summary, network, time.monotonic() - began)
    if decision is not None and clipped:
        note(f"{_said_of(clipped, decision.range)}")
    if as_json:
        print_json(records)
    else:
        for path in (path for record in records for path in record["written"]):
            screen.print(f"wrote {path}")
    if ended is not None:
        warnings.print(ended)
    if failed or ended is not None:
        if len(images) > 1:
            warnings.print(f"{len(records)} of {len(images)} were predicted")
        raise typer.Exit(1)


def _said_of(clipped: dict[Path, float], used: ValueRange) -> str:
    """Return how many values of which images lay outside of the range."""
    shares = [f"{image} ({share:.2%})" if share >= 5e-5 else f"{image} (a few)" for image, share in clipped.items()]
    return f"values outside of {used.text} were clipped, of {shortened(shares)}; another range: --scale MIN,MAX"


def _record(
    image: Path, outputs: Outputs, summary: PredictionSummary, network: Network, precision: str, outside: int
) -> dict[str, Any]:
    counts = dict(zip(network.names, summary.counts, strict=True))
    return {
        "image": str(image), "written": [str(path.resolve()) for path in outputs.all], "pixels": counts,
        "no_data": summary.no_data, "polygons": summary.polygons, "resumed_rows": summary.resumed,
        "precision": precision, "values_outside": outside,
    }  # fmt: skip


def _show(image: Path, summary: PredictionSummary, network: Network, seconds: float) -> None:
    total = max(sum(summary.counts), 1)
    shares = ", ".join(f"{name} {count / total:.1%}" for name, count in zip(network.names, summary.counts, strict=True))
    no_data = (
        f"; {summary.no_data / (sum(summary.counts) + summary.no_data):.1%} has no data" if summary.no_data else ""
    )
    polygons = "" if summary.polygons is None else f"; {summary.polygons} polygons"
    screen.print(f"{image}: {shares}{no_data}{polygons}; {seconds:.0f} s")
