"""The command line. Heavy imports stand inside the commands: help, status and reports need no torch."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table as RichTable

from benchmarks.conformance_cli import conformance
from benchmarks.devices import DevicesUnfit, local_rank
from benchmarks.export_cli import export
from benchmarks.metrics_cli import metrics
from benchmarks.predict_cli import predict
from benchmarks.prepare_cli import prepare
from benchmarks.publish_cli import publish, verify
from benchmarks.root import Json, print_json, root, screen, warnings
from benchmarks.score_cli import evaluate, score
from benchmarks.session import Outcome
from benchmarks.speed_cli import speed
from data_prep.base import DataError, UnknownDataset
from rssam.contract import UnknownName, UserError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Reproduce RS-SAM (ACCV 2024), and compare SAM-based segmentation of remote-sensing images fairly.",
)

Device = Literal["auto", "cpu", "cuda"]
Init = Literal["sam", "scratch"]
SplitRuleName = Literal["random", "blocked"]
ProfileName = Literal["smoke", "mini", "fair", "paper"]
Executor = Literal["local", "ray"]


def default_home() -> Path:
    """$RSSAM_HOME, or a folder in the user's cache."""
    return Path(os.environ.get("RSSAM_HOME") or Path.home() / ".cache" / "rssam-bench")


def _show_version(wanted: bool) -> None:
    if wanted:
        screen.print(f"rssam-bench {package_version('rssam-bench')}")
        raise typer.Exit


@app.callback()
def options(
    home: Annotated[Path | None, typer.Option(help="Data, weights, runs and results. [$RSSAM_HOME]")] = None,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Root options, before the command."""
    root.home, root.debug = (home or default_home()).expanduser().resolve(), debug
    from data_prep.catalog import register_home

    for problem in register_home(root.home):
        warnings.print(f"note: {problem}", soft_wrap=True)


app.command()(prepare)
app.command()(predict)
app.command()(export)
app.command()(conformance)
app.command()(score)
app.command()(evaluate)
app.command()(publish)
app.command()(verify)
app.command()(metrics)
app.command()(speed)


@app.command()
def reproduce(
    context: typer.Context,
    items: Annotated[list[str], typer.Argument(metavar="ITEM...", help="table1 to table7, fig6, fig7, claims, or all")],
    profile: Annotated[ProfileName, typer.Option(help="How much: the recipe.")] = "paper",
    dataset: Annotated[str | None, typer.Option(help="Run the rows on another data set.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="SAM encoder of every row: vit_b, vit_l, vit_h, vit_t, vit_s")
    ] = None,
    init: Annotated[Init | None, typer.Option(help="Start from SAM's checkpoint, or everything from scratch.")] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Pairs of seed and split seed, counted up. [1; of claims 5]")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Seed; may be given several times. [0]")] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="Seed of the 70/15/15 split.")] = 0,
    split: Annotated[
        SplitRuleName, typer.Option(help="Split image by image, or by whole scenes (see: prepare NAME --check).")
    ] = "random",
    controls: Annotated[bool, typer.Option("--controls", help="Also the rows that the paper does not have.")] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE:CLASS", help="Train this system of yours in place of the rows; may be repeated."),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that read images, for each run. [by the cores]")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time, each with its share of the cores.")] = 1,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Devices of this node that share each run. [1, or torchrun's]")
    ] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Nodes that share each run. [1, or torchrun's]")] = None,
    part: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only this part of the runs, as one of N jobs of a cluster.")
    ] = None,
    executor: Annotated[Executor, typer.Option(help="This machine, or a Ray cluster (see docs/cluster.md).")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="HOST:PORT of the cluster. [a Ray of this machine alone]")
    ] = None,
    save_every: Annotated[
        float, typer.Option(min=0, help="Minutes between checkpoints within an epoch; after each there is one anyway.")
    ] = 10,
    track: Annotated[bool, typer.Option(help="Mirror the runs to MLflow.")] = True,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile networks, on CUDA (torch.compile).")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Train and test what is missing for tables and figures of the paper; what is finished is not run again.

    Ctrl-C lets the step finish and saves; the same command goes on from there.
    """
    from benchmarks.devices import find_layout, require_fit
    from benchmarks.interruption import heed_signals
    from benchmarks.items import find_items, require_suitable
    from benchmarks.mlflow_mirror import MlflowMirror
    from benchmarks.own_models import find_model
    from benchmarks.own_record import changes
    from benchmarks.runner import execute_all, part_of, plan, resolve_all
    from benchmarks.screen import Screen, show_forecasts
    from benchmarks.session import Session, choose_device, choose_workers, cuda_devices
    from benchmarks.spec import Setting
    from benchmarks.tracking import Silent

    chosen = find_items(items)
    setting = Setting(profile, encoder, init, dataset, "blocked" if split == "blocked" else None)
    own = [find_model(name) for name in model or []]
    require_suitable(chosen, setting, own)
    observer = Screen(warnings if as_json else screen)
    tracker = MlflowMirror(root.home, lambda text: warnings.print(text, soft_wrap=True)) if track else Silent()
    if executor == "ray":
        place = _join_ray(context, ray_address, device, jobs)
    elif ray_address is not None:
        raise UserError("--ray-address is for --executor ray, which was not asked for")
    else:
        place = choose_device(device)
    if compiled and place == "cpu":
        raise UserError("--compile is for CUDA: on the CPU it would change numbers by rounding; leave it out")
    readers = choose_workers(workers, place, jobs * (devices or 1))
    session = Session(root.home, place, observer, tracker, readers, save_every=60 * save_every, compiled=compiled)
    runs = plan(chosen, setting, seed or [0], split_seed, repeats, controls, own)
    if part is not None:
        runs = part_of(runs, part)
    layout = find_layout(devices, nodes)
    if layout.size > 1:
        if jobs > 1 or executor == "ray":
            other = f"--jobs {jobs}" if jobs > 1 else "--executor ray"
            raise DevicesUnfit(f"{other} runs several at a time, and --devices shares each run: leave one out")
        available = cuda_devices() if session.device == "cuda" else None
        require_fit(layout, dict.fromkeys(run.recipe for run in runs), available)
    if dry_run:
        from benchmarks.forecast import forecast

        forecasts = forecast(runs, session)
        if as_json:
            print_json([item.to_json() for item in forecasts])
        else:
            show_forecasts(forecasts, screen)
        return
    with heed_signals(session.stop, lambda text: warnings.print(text, soft_wrap=True)):
        resolved = resolve_all(runs, session)
        for note in changes(resolved, session.store):
            warnings.print(f"note: {note}", soft_wrap=True)
        if layout.size > 1:
            from benchmarks.together import execute_on_devices

            if (found := execute_on_devices(resolved, session, layout)) is None:
                return  # the first device tells what came of it
            outcomes = found
        elif executor == "ray":
            from benchmarks.board import Board
            from benchmarks.ray_executor import execute_on_ray

            outcomes = execute_on_ray(resolved, session, Board(observer.console))
        elif jobs == 1:
            outcomes = execute_all(resolved, session)
        else:
            from benchmarks.executors import execute_in_processes

            outcomes = execute_in_processes(resolved, session, jobs)
    if as_json:
        print_json([{"key": item.key, "status": item.status, "reason": item.reason} for item in outcomes])
    elif not session.stop.wanted:
        _show_items(chosen, setting)
    summary = _unfinished(outcomes, len(resolved))
    for line in summary:
        (warnings if as_json else screen).print(line, soft_wrap=True)
    if summary:
        raise typer.Exit(1)


def _join_ray(context: typer.Context, address: str | None, device: Device, jobs: int) -> Literal["cpu", "cuda"]:
    """Join the cluster until the command ends, and the device that its nodes offer."""
    if jobs != 1:
        raise UserError("--jobs is for --executor local: Ray runs as many at a time as its nodes have room for")
    from benchmarks.ray_cluster import open_cluster

    return context.with_resource(open_cluster(address, device))


def _unfinished(outcomes: Sequence[Outcome], total: int) -> list[str]:
    """What has no result, why, and the command that goes on; empty if everything has one."""
    failed = [item for item in outcomes if item.status == "failed"]
    saved = [item for item in outcomes if item.status == "interrupted"]
    left = total - len(outcomes)
    lines = [f"failed: {item.key}: {item.reason}" for item in failed]
    lines += [f"stopped: {item.key}: {item.reason}" for item in saved]
    if not (failed or saved or left):
        return []
    counts = {"finished": total - len(failed) - len(saved) - left, "failed": len(failed), "stopped": len(saved)}
    counts["not begun"] = left
    numbers = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    command = shlex.join(["rssam-bench", *sys.argv[1:]])
    return [*lines, f"of {total} runs: {numbers}. What is finished is kept; go on with: {command}"]


def _show_items(items: list[Any], setting: Any) -> None:
    from benchmarks.claims import ClaimSet
    from benchmarks.tables import Table
    from reports.collection import collect
    from reports.findings import find
    from reports.frames import table_frames
    from reports.object_table import object_tables
    from reports.object_text import object_chapter
    from reports.terminal import show, show_beside
    from reports.verdict_text import answers

    collection = collect(root.home)
    for item in items:
        if isinstance(item, Table):
            for frame in (frames := table_frames(item, collection, setting)):
                show(frame, screen)
            for chapter in object_chapter(object_tables(frames, root.home).tables):
                for table in chapter.tables:
                    show_beside(table, screen)
            continue
        if isinstance(item, ClaimSet):
            for line in answers(find(collection, root.home), setting):
                screen.print(line.replace("`", ""), soft_wrap=True)
        screen.print(f"{item.id}: in full with rssam-bench report {item.id}")


@app.command()
def report(
    items: Annotated[
        list[str] | None, typer.Argument(metavar="[ITEM...]", help="Tables, figures, claims. [all]")
    ] = None,
    formats: Annotated[str, typer.Option("--format", help="Of: md, tex, csv, html.")] = "md,tex,csv,html",
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("report"),
    image: Annotated[
        list[str] | None, typer.Option(help="Also this image in the figures, as DATASET:STEM; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write every table, ours beside the paper, from result files alone, and the figures (PNG, PDF); trains nothing."""
    from reports.write import write_report

    written = write_report(items or ["all"], formats.split(","), out, root.home, named=image or [])
    if as_json:
        print_json([str(path) for path in written.paths])
    else:
        for path in written.paths:
            screen.print(f"wrote {path.resolve()}", soft_wrap=True)
    for note in written.notes:
        warnings.print(note, soft_wrap=True)


@app.command()
def audit(as_json: Json = False) -> None:
    """The paper's arithmetic: what its numbers say of how they were made, and which of them contradict each other."""
    from dataclasses import asdict

    from reports.audit import audit as findings

    if as_json:
        print_json([asdict(finding) for finding in findings()])
        return
    for finding in findings():
        screen.print(f"{finding.verdict}: {finding.finding}", soft_wrap=True)
        for line in finding.evidence:
            screen.print(f"    {line}", soft_wrap=True)
        screen.print(f"    -> {finding.consequence}\n", soft_wrap=True)


@app.command()
def models(
    model: Annotated[
        list[str] | None, typer.Option(metavar="MODULE:CLASS", help="Also this system of yours; may be repeated.")
    ] = None,
    dataset: Annotated[str, typer.Option(help="Count for the classes of this data set.")] = "deepglobe",
    size: Annotated[int, typer.Option(help="Side of the image in pixels.")] = 512,
    as_json: Json = False,
) -> None:
    """Every system with its parameters, counted three ways, and its cost; needs no weights."""
    from benchmarks.inventory import systems
    from benchmarks.own_models import find_model, installed_models
    from data_prep.catalog import dataset as find_dataset
    from rssam.contract import Task

    own, problems = installed_models()
    own += [find_model(name) for name in model or []]
    for problem in problems:
        warnings.print(f"note: {problem}", soft_wrap=True)
    records = systems(Task(find_dataset(dataset).classes, (size, size)), own)
    if as_json:
        print_json(records)
        return
    table = RichTable("system", "size", "total", "trainable", "as published", "paper", f"GMACs at {size}", box=None)
    for record in records:
        counts = (f"{record[name] / 1e6:.2f} M" for name in ("total", "trainable", "as_published"))
        paper = "" if record["paper_m"] is None else f"{record['paper_m']} M"
        table.add_row(record["name"], record["size"], *counts, paper, f"{record['gmacs']:.2f}")
    screen.print(table)
    screen.print("as published: the counting rule of the paper's Table 7; see docs/decisions.md, Parameters")


@app.command()
def datasets(as_json: Json = False) -> None:
    """Every data set: classes, size, the average its scores are under, and whether it is prepared."""
    from benchmarks.inventory import data_sets
    from data_prep.catalog import load_installed

    for problem in load_installed():
        warnings.print(f"note: {problem}", soft_wrap=True)
    records = data_sets(root.home)
    if as_json:
        print_json(records)
        return
    for record in records:
        height, width = record["image_size"]
        classes = ", ".join(record["classes"])
        screen.print(f"{record['name']}: {classes}; {height}x{width}; {record['state']}", soft_wrap=True)


@app.command()
def status(
    items: Annotated[
        list[str] | None, typer.Argument(metavar="[ITEM...]", help="table1 to table7, fig6, fig7, all. [this home]")
    ] = None,
    profile: Annotated[ProfileName, typer.Option(help="With ITEM: how much, the recipe.")] = "paper",
    dataset: Annotated[str | None, typer.Option(help="With ITEM: the rows on another data set.")] = None,
    encoder: Annotated[str | None, typer.Option(help="With ITEM: SAM encoder of every row.")] = None,
    init: Annotated[Init | None, typer.Option(help="With ITEM: how networks start.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="With ITEM: pairs of seed and split seed.")] = 1,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="With ITEM: seed; may be repeated. [0]")] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="With ITEM: seed of the split.")] = 0,
    split: Annotated[SplitRuleName, typer.Option(help="With ITEM: how the split is drawn.")] = "random",
    controls: Annotated[bool, typer.Option("--controls", help="With ITEM: also the rows beside the paper's.")] = False,
    device: Annotated[Device, typer.Option(help="With ITEM: where its runs train.")] = "auto",
    as_json: Json = False,
) -> None:
    """What is finished, running (where, how far, time left), failed (why) and missing: of this home, or of items."""
    from benchmarks.inventory import by_state, planned_standings, standings
    from benchmarks.screen import show_standings

    if items:
        from benchmarks.items import find_items, require_suitable
        from benchmarks.runner import plan
        from benchmarks.session import Session, Unwatched, choose_device
        from benchmarks.spec import Setting

        chosen = find_items(items)
        setting = Setting(profile, encoder, init, dataset, "blocked" if split == "blocked" else None)
        require_suitable(chosen, setting)
        runs = plan(chosen, setting, seed or [0], split_seed, repeats, controls)
        found = planned_standings(runs, Session(root.home, choose_device(device), Unwatched()))
    else:
        found = standings(root.home)
    if as_json:
        print_json({"home": str(root.home), **by_state(found)})
        return
    screen.print(f"home: {root.home}", soft_wrap=True)
    if found:
        show_standings(found, screen)
    else:
        screen.print("nothing run yet; see: rssam-bench reproduce table5 --profile smoke")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Python, torch, GPU, disk, weights, data: what is there, what is missing, the command that mends it."""
    from benchmarks.doctor import examine

    findings = examine(root.home)
    if as_json:
        print_json([finding.to_json() for finding in findings])
    else:
        for finding in findings:
            screen.print(f"{finding.state:8} {finding.what}: {finding.found}", soft_wrap=True)
            if finding.remedy:
                screen.print(f"         -> {finding.remedy}", soft_wrap=True)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; a user's mistake ends in a sentence, not in a traceback."""
    from benchmarks.store import ResultDamaged

    screen.quiet = warnings.quiet = local_rank() > 0  # of the processes of one run on several devices the first speaks
    try:
        app()
    except (UserError, DataError, ResultDamaged) as error:
        if root.debug:
            raise
        warnings.print(f"error: {error}", soft_wrap=True)
        sys.exit(2 if isinstance(error, UnknownName | UnknownDataset | DevicesUnfit) else 1)
    except OSError as error:
        if root.debug:
            raise
        warnings.print(f"error: {error}; free or choose another disk with --home", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
