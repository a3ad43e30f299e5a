"""Measure what systems cost on this machine, into the home's folder of speed records: the command `speed`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer
from rich.table import Table as RichTable

from benchmarks.cli.options import (
    EncoderOption,
    Json,
    PrecisionOption,
    complete_systems,
    dataset_option,
    print_json,
    root,
    screen,
)
from benchmarks.execution.hardware import DeviceChoice
from benchmarks.failures import first_line
from benchmarks.results.home import Home
from rssam.errors import UnknownName, UserError

if TYPE_CHECKING:
    from rssam.sam.encoder_sizes import EncoderInit

ONE_VALUE = "Expected more than 1 value per channel"
"""Words of torch's batch norm about maps of one pixel of one image."""


def speed(
    systems: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SYSTEM...]",
            help="Names as in: models; MODULE:CLASS; encoder; all; still-sam. [rs-sam]",
            autocompletion=complete_systems,
        ),
    ] = None,
    encoder: EncoderOption = None,
    size: Annotated[int, typer.Option(min=32, help="Side of the image in pixels, a multiple of 32.")] = 512,
    dataset: Annotated[str, dataset_option("Take its classes, and its images if it is prepared.")] = "deepglobe",
    device: Annotated[DeviceChoice, typer.Option(help="Where to measure.")] = "auto",
    precision: PrecisionOption = "auto",
    batch: Annotated[int | None, typer.Option(min=1, help="Images of a forward pass. [8; on the CPU 2]")] = None,
    group: Annotated[int | None, typer.Option(min=1, help="Images of a training step. [6; on the CPU 2]")] = None,
    rounds: Annotated[int, typer.Option(min=7, help="Rounds; each times everything once.")] = 7,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            help="In the same rounds also: reference (segment_anything's blocks, LoRA as SAMed writes it), tiled, "
            "folded, dense; of encoder also stock, transformers, transformers-sdpa, timm. May be repeated."
        ),
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the networks (torch.compile).")] = False,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that read images. [from the cores]")] = None,
    as_json: Json = False,
) -> None:
    """Measure parameters, GMACs, latency, throughput, training step and memory of systems, with random weights."""
    from benchmarks.execution.hardware import choose_device, choose_precision, choose_workers
    from benchmarks.protocol.custom import find_model
    from benchmarks.protocol.registry import MODELS
    from benchmarks.protocol.setting import Setting
    from benchmarks.protocol.studies.still_sam import STILL_SAM
    from benchmarks.speed.loading import share_of_waiting
    from benchmarks.speed.peers import PEERS
    from benchmarks.speed.timing import Conditions, measure_encoder, measure_system, save_record
    from benchmarks.training.compile import COMPILE_FAULTS, is_compile_fault
    from data_prep.registry import find_dataset
    from rssam.contract import Task
    from rssam.sam.attention import AttentionKind
    from rssam.sam.encoder_sizes import SMALL_ENCODERS, check_encoder

    if size % 32:
        raise UserError(f"--size is a multiple of 32, found {size}: use {max(32, size // 32 * 32)}")
    if encoder is not None:
        check_encoder(encoder, "scratch")
    names = systems or ["rs-sam"]
    names = list(MODELS) if names == ["all"] else names
    rows = {row.labels[0]: row.model for row in STILL_SAM.rows} if STILL_SAM.id in names else {}
    declared = {name: find_model(name) for name in names if name not in ("encoder", STILL_SAM.id)} | rows
    names = [label for name in names for label in (rows if name == STILL_SAM.id else (name,))]
    chosen_device = choose_device(device)
    cuda = chosen_device == "cuda"
    conditions = Conditions(
        chosen_device, choose_precision(precision, chosen_device), batch or (8 if cuda else 2),
        group or (6 if cuda else 2), rounds, compiled,
    )  # fmt: skip
    peers = tuple(name for name in compare or () if name in PEERS)
    known = (*get_args(AttentionKind)[1:], *PEERS)
    if unknown := [name for name in compare or () if name not in known]:
        raise UnknownName(f"unknown --compare {unknown[0]!r}: choose from {', '.join(known)}")
    if peers and names != ["encoder"]:
        raise UserError(f"--compare {peers[0]} compares encoders: run rssam-bench speed encoder --compare {peers[0]}")
    ways = cast("tuple[AttentionKind, ...]", ("auto", *(name for name in compare or () if name not in PEERS)))
    task = Task(find_dataset(dataset).classes, (size, size))
    records = []
    for name in names:
        try:
            if name == "encoder":
                record = measure_encoder(encoder or "vit_b", task, conditions, ways, peers)
            else:
                model = declared[name]
                if encoder is not None:  # the network that `reproduce --encoder` trains: its results find the record
                    start: EncoderInit | None = "scratch" if encoder in SMALL_ENCODERS else None
                    model = Setting("paper", encoder, start).run(model, dataset).model
                record = measure_system(model, task, conditions, ways)
                readers = choose_workers(workers, chosen_device)
                record["waiting_for_images"] = share_of_waiting(root.home, dataset, model, task, conditions, readers)
        except COMPILE_FAULTS as error:
            if not is_compile_fault(error):
                raise
            reason = first_line(error, "no reason given")
            raise UserError(f"{name} cannot be compiled here ({reason}): leave out --compile") from error
        except ValueError as error:
            if ONE_VALUE not in str(error):
                raise
            mend = "use a larger --size or a larger --group"
            raise UserError(
                f"{name} has maps of one pixel here, too few for batch norm of one image: {mend}"
            ) from error
        record["command"] = shlex.join(["rssam-bench", *sys.argv[1:]])
        save_record(root.home, record)
        records.append(record)
    if as_json:
        print_json(records)
        return
    table = RichTable("system", "total", "GMACs", "latency", "images/s", "step", "memory", "of product", box=None)
    for name, record in zip(names, records, strict=True):
        gmacs, share = record["gmacs"], record["share_of_product_rate"]
        memory = record["peak_memory"]["step"]
        table.add_row(
            name if name in rows else record["system"]["title"],
            f"{record['parameters']['total'] / 1e6:.2f} M",
            f"{gmacs:.1f}",
            f"{1e3 * record['latency_seconds']['median']:.1f} ms",
            f"{record['images_per_second']['median']:.2f}",
            f"{1e3 * record['step_seconds']['median']:.0f} ms",
            "" if memory is None else f"{memory / 2**30:.2f} GiB",
            f"{share:.0%}",
        )
    screen.print(table)
    for record in records:
        system = record["system"]["name"]
        for operation, ratio in record["times_as_long"].items():
            spread = f"{ratio['low']:.2f} to {ratio['high']:.2f}"
            screen.print(f"{system}: {operation} takes {ratio['median']:.2f} times as long ({spread})")
        for operation, memory in record["memory_above_weights"].items():
            own, other = memory["own"], memory["other"]
            amounts = f"{own / 2**20:.0f} MiB above the weights, {other / 2**20:.0f} of {operation}"
            ratio = f" ({own / other:.2f})" if other else ""
            screen.print(f"{system}: {amounts}{ratio}")
        if (waiting := record["waiting_for_images"]) is not None:
            screen.print(f"{system}: {waiting:.2%} of a training was spent waiting for images")
    screen.print(f"random weights; medians of {rounds} alternating rounds; records in {Home(root.home).speed}")
