"""Train and test what tables and figures lack: the command `reproduce`. Heavy imports stand inside."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from benchmarks.cli.options import (
    EncoderOption,
    Json,
    PrecisionOption,
    ProfileName,
    complete_items,
    complete_systems,
    dataset_option,
    note,
    print_json,
    root,
    screen,
    show_needs,
    warnings,
)
from benchmarks.execution.hardware import DeviceChoice
from benchmarks.training.device_layout import Device, DevicesUnfit
from data_prep.splits import SplitRule
from rssam.errors import UserError
from rssam.sam.encoder_sizes import EncoderInit

if TYPE_CHECKING:
    from benchmarks.execution.observer import Outcome
    from benchmarks.execution.session import Session
    from benchmarks.protocol.run import Run
    from benchmarks.reproduction import Executor

ExecutorName = Literal["local", "ray"]


def reproduce(
    context: typer.Context,
    items: Annotated[
        list[str],
        typer.Argument(
            metavar="ITEM...",
            help="table1 to table7, fig6, fig7, claims, all; or still-sam",
            autocompletion=complete_items,
        ),
    ],
    profile: Annotated[
        ProfileName | None, typer.Option(help="The recipe and its sizes. [paper; still-sam: fair]")
    ] = None,
    dataset: Annotated[str | None, dataset_option("Run the rows on another data set.")] = None,
    encoder: EncoderOption = None,
    init: Annotated[
        EncoderInit | None, typer.Option(help="Start from SAM's checkpoint, or train everything from scratch.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Pairs of seed and split seed, counted up. [1; of claims 5]")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Seed; may be given several times. [0]")] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="Seed of the 70/15/15 split.")] = 0,
    split: Annotated[
        SplitRule, typer.Option(help="Split image by image, or by whole scenes (see: prepare NAME --check).")
    ] = "random",
    controls: Annotated[bool, typer.Option("--controls", help="Also the rows that the paper does not have.")] = False,
    row: Annotated[
        list[str] | None,
        typer.Option(help='Only this row of a table, by number or name: 3 or "Neck + MFF"; may be repeated.'),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|MODULE:CLASS",
            autocompletion=complete_systems,
            help="Train this system in place of the rows: a name of rssam-bench models, or your own; may be repeated.",
        ),
    ] = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where to train.")] = "auto",
    precision: PrecisionOption = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that read images, for each run. [from the cores]")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time, each with its share of the cores.")] = 1,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Devices of this node that share each run. [1, or torchrun's]")
    ] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Nodes that share each run. [1, or torchrun's]")] = None,
    part: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only this part of the runs, as one of N jobs of a cluster.")
    ] = None,
    executor: Annotated[
        ExecutorName, typer.Option(help="This machine, or a Ray cluster (see docs/cluster.md).")
    ] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="HOST:PORT of the cluster. [a Ray of this machine alone]")
    ] = None,
    save_every: Annotated[
        float, typer.Option(min=0, help="Minutes between checkpoints within an epoch, beside that at its end.")
    ] = 10,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep a finished run's last checkpoint with its optimiser's state.")
    ] = False,
    track: Annotated[bool, typer.Option(help="Mirror the runs to MLflow.")] = True,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile networks, on CUDA (torch.compile).")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run and how long, and stop.")] = False,
    timed: Annotated[
        bool, typer.Option("--time", help="With --dry-run: time two training steps of each network here, once.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train and test what is missing for tables and figures of the paper; what is finished is not run again.

    still-sam is not in the paper: newer encoders and heads beside RS-SAM, on the paper's three data sets.
    Ctrl-C lets the step finish and saves; the same command goes on from there.
    """
    from benchmarks.console.progress import ProgressBars
    from benchmarks.console.tables import show_forecasts
    from benchmarks.earlier_version import left_by_0_1
    from benchmarks.execution.hardware import choose_device, choose_workers, cuda_devices, precision_note
    from benchmarks.execution.plan import part_of, plan, settle_split
    from benchmarks.execution.session import Session
    from benchmarks.needs import needs
    from benchmarks.protocol.custom import find_model
    from benchmarks.protocol.targets import choose, datasets_of, find_items
    from benchmarks.reproduction import execute_runs, on_this_machine
    from benchmarks.tracking.mlflow import MlflowTracker
    from benchmarks.tracking.tracker import Tracker
    from benchmarks.training.device_layout import find_layout, require_fit
    from reports.model_card import write_with_card

    own_models = [find_model(name) for name in model or []]
    planned_items, setting = choose(items, profile, encoder, init, dataset, split, row or [], own_models)
    setting, kept_splits = settle_split(setting, datasets_of(planned_items, setting, own_models), root.home)
    note(left_by_0_1(root.home).sentence, *kept_splits)
    observer = ProgressBars(warnings if as_json else screen)
    tracker = MlflowTracker(root.home, warnings.print, write_with_card) if track else Tracker()
    if executor == "ray":
        chosen_device = _join_ray(context, ray_address, device, jobs)
    elif ray_address is not None:
        raise UserError("--ray-address is for --executor ray: add that option, or leave --ray-address out")
    else:
        chosen_device = choose_device(device)
    if compiled and chosen_device == "cpu":
        raise UserError("--compile is for CUDA: on the CPU it would change numbers by rounding; leave it out")
    readers = choose_workers(workers, chosen_device, jobs * (devices or 1))
    session = Session(
        root.home, chosen_device, observer, tracker, readers, save_every=60 * save_every, compiled=compiled,
        precision_choice=precision, keep=keep,
    )  # fmt: skip
    note(precision_note(session.precision, chosen_device))
    if timed and not dry_run:
        raise UserError("--time goes with --dry-run, which forecasts: add it, or leave --time out")
    runs = plan(planned_items, setting, seed or [0], split_seed, repeats, controls, own_models)
    if part is not None:
        runs = part_of(runs, part)
    layout = find_layout(devices, nodes)
    if layout.size > 1:
        if jobs > 1 or executor == "ray":
            option = f"--jobs {jobs}" if jobs > 1 else "--executor ray"
            raise DevicesUnfit(f"{option} runs several at a time, and --devices shares each run: leave one out")
        available = cuda_devices() if session.device == "cuda" else None
        require_fit(layout, dict.fromkeys(run.recipe for run in runs), available)
    lacking = [need for need in needs(root.home, runs) if not need.ready]
    if dry_run:
        from benchmarks.execution.cost_estimate import forecast

        if timed:
            _time_steps(runs, session)
        forecasts = forecast(runs, session)
        if as_json:
            print_json([item.to_json() for item in forecasts])
        else:
            show_forecasts(forecasts, lacking, screen)
        return
    if lacking:
        show_needs(lacking)
        raise typer.Exit(1)
    execute: Executor[list[Outcome] | None] = on_this_machine(jobs)
    if layout.size > 1:
        from benchmarks.execution.multi_device import execute_on_devices

        execute = partial(execute_on_devices, layout=layout)
    elif executor == "ray":
        from benchmarks.console.live_table import LiveTable
        from benchmarks.execution.ray_executor import execute_on_ray

        execute = partial(execute_on_ray, table=LiveTable(observer.console))
    outcomes = execute_runs(runs, session, execute, warnings.print)
    if outcomes is None:
        return  # rank zero prints them
    if as_json:
        print_json([{"key": outcome.key, "status": outcome.status, "reason": outcome.reason} for outcome in outcomes])
    elif not session.stop.wanted:
        _show_items(find_items(items), setting)
    summary = _unfinished(outcomes, len(runs))
    for line in summary:
        (warnings if as_json else screen).print(line)
    if summary:
        raise typer.Exit(1)


def _time_steps(runs: Sequence[Run], session: Session) -> None:
    """Time every network of the plan that was not timed on this device before, and that is not finished."""
    from benchmarks.execution.cost_estimate import cost_key, forecast
    from benchmarks.protocol.run_names import run_name
    from benchmarks.speed.step_time import time_step

    todo = {
        (cost_key(item.run.model, item.run.task), item.run.recipe.group): item.run
        for item in forecast(runs, session)
        if item.left != 0 and not item.measured
    }
    for number, run in enumerate(todo.values(), start=1):
        warnings.print(f"[{number}/{len(todo)}] timing {run_name(run.declared()).title} ...")
        time_step(session.home, run, session.device, session.precision)


def _join_ray(context: typer.Context, address: str | None, device: DeviceChoice, jobs: int) -> Device:
    """Join the cluster until the command ends, and the device that its nodes offer."""
    if jobs != 1:
        raise UserError("--jobs is for --executor local: Ray runs as many at a time as its nodes have room for")
    from benchmarks.execution.ray_cluster import open_cluster

    return context.with_resource(open_cluster(address, device))


def _unfinished(outcomes: Sequence[Outcome], total: int) -> list[str]:
    """Return what has no result, why, and the command that resumes; empty if everything has a result."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    interrupted = [outcome for outcome in outcomes if outcome.status == "interrupted"]
    not_begun = total - len(outcomes)
    lines = [f"failed: {outcome.key}: {outcome.reason}" for outcome in failed]
    lines += [f"stopped: {outcome.key}: {outcome.reason}" for outcome in interrupted]
    if not (failed or interrupted or not_begun):
        return []
    finished = total - len(failed) - len(interrupted) - not_begun
    counts = {"finished": finished, "failed": len(failed), "stopped": len(interrupted), "not begun": not_begun}
    numbers = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    command = shlex.join(["rssam-bench", *sys.argv[1:]])
    return [*lines, f"of {total} runs: {numbers}. What is finished is kept; go on with: {command}"]


def _show_items(items: list[Any], setting: Any) -> None:
    from benchmarks.protocol.claims import ClaimSet
    from benchmarks.protocol.studies.study import Study
    from benchmarks.protocol.tables import Table
    from reports.extra_tables.objects import object_tables
    from reports.extra_tables.objects_text import object_section
    from reports.extra_tables.speed import read_efficiency
    from reports.extra_tables.study import study_section
    from reports.render.terminal import print_extra, show
    from reports.select.results import collect
    from reports.tables.frames import table_frames
    from reports.verdicts.summary import summarize
    from reports.verdicts.wording import answers

    collection = collect(root.home)
    for item in items:
        if isinstance(item, Table):
            for frame in (frames := table_frames(item, collection, setting)):
                show(frame, screen)
            for section in object_section(object_tables(frames, root.home)[0]):
                for table in section.tables:
                    print_extra(table, screen)
            continue
        if isinstance(item, Study):
            for table in study_section(item, collection, read_efficiency(root.home).records, setting).tables:
                print_extra(table, screen)
        if isinstance(item, ClaimSet):
            for line in answers(summarize(collection, root.home), setting):
                screen.print(line.replace("`", ""))
        screen.print(f"{item.id}: in full with rssam-bench report {item.id}")
