"""List what there is: the commands `models`, `datasets`, `status` and `doctor`. Heavy imports stand inside."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table as RichTable

from benchmarks.cli.options import (
    ItemDataset,
    ItemEncoder,
    ItemInit,
    ItemProfile,
    Json,
    PrecisionOption,
    dataset_option,
    items_argument,
    note,
    print_json,
    root,
    screen,
)
from benchmarks.execution.hardware import DeviceChoice
from benchmarks.results.home import Home
from data_prep.splits import SplitRule


def models(
    model: Annotated[
        list[str] | None, typer.Option(metavar="MODULE:CLASS", help="Also this system of yours; may be repeated.")
    ] = None,
    dataset: Annotated[str, dataset_option("Count for the classes of this data set.")] = "deepglobe",
    size: Annotated[int, typer.Option(help="Side of the image in pixels.")] = 512,
    as_json: Json = False,
) -> None:
    """List every system with its parameters, counted three ways, and its cost; needs no weights."""
    from benchmarks.inventory import systems
    from benchmarks.protocol.custom import find_model, installed_models
    from data_prep.registry import find_dataset
    from rssam.contract import Task

    own, problems = installed_models()
    own += [find_model(name) for name in model or []]
    note(*problems)
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


def datasets(as_json: Json = False) -> None:
    """List every data set: classes, size, the average its scores are under, and whether it is prepared."""
    from benchmarks.inventory import data_sets
    from data_prep.registry import load_installed

    note(*load_installed())
    records = data_sets(root.home)
    if as_json:
        print_json(records)
        return
    for record in records:
        height, width = record["image_size"]
        classes = ", ".join(record["classes"])
        screen.print(f"{record['name']}: {classes}; {height}x{width}; {record['state']}")


def status(
    items: Annotated[
        list[str] | None, items_argument("table1 to table7, fig6, fig7, all, still-sam. [this home]")
    ] = None,
    profile: ItemProfile = None,
    dataset: ItemDataset = None,
    encoder: ItemEncoder = None,
    init: ItemInit = None,
    repeats: Annotated[int, typer.Option(min=1, help="With ITEM: pairs of seed and split seed.")] = 1,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="With ITEM: seed; may be repeated. [0]")] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="With ITEM: seed of the split.")] = 0,
    split: Annotated[SplitRule, typer.Option(help="With ITEM: how the split is drawn.")] = "random",
    controls: Annotated[bool, typer.Option("--controls", help="With ITEM: also the rows beside the paper's.")] = False,
    device: Annotated[DeviceChoice, typer.Option(help="With ITEM: where its runs train.")] = "auto",
    precision: PrecisionOption = "auto",
    as_json: Json = False,
) -> None:
    """Show what is finished, running (where, how far, time left), diverged or failed (why), and missing, with keys.

    Without ITEM that of this home. A key is found by its beginning, by a row such as table5:3, or by rs-sam@deepglobe.
    """
    nothing = "nothing run yet; see: rssam-bench reproduce table5 --profile smoke"
    if not items and not as_json and Home(root.home).is_new:
        screen.print(f"home: {root.home}")
        screen.print(nothing)
        return
    from benchmarks.console.tables import show_statuses
    from benchmarks.earlier_version import left_by_0_1
    from benchmarks.inventory import by_state, planned_statuses, run_statuses

    if items:
        from benchmarks.execution.hardware import choose_device
        from benchmarks.execution.plan import plan, settle_split
        from benchmarks.execution.session import Session
        from benchmarks.protocol.targets import choose, datasets_of

        chosen, setting = choose(items, profile, encoder, init, dataset, split)
        setting, kept_splits = settle_split(setting, datasets_of(chosen, setting), root.home)
        note(*kept_splits)
        runs = plan(chosen, setting, seed or [0], split_seed, repeats, controls)
        statuses = planned_statuses(runs, Session(root.home, choose_device(device), precision_choice=precision))
    else:
        statuses = run_statuses(root.home)
    earlier = left_by_0_1(root.home).sentence
    if as_json:
        print_json({"home": str(root.home), **by_state(statuses), **({"left_out": earlier} if earlier else {})})
        return
    screen.print(f"home: {root.home}")
    if earlier:
        screen.print(f"note: {earlier}")
    if statuses:
        show_statuses(statuses, screen)
    else:
        screen.print(nothing)


def doctor(
    items: Annotated[
        list[str] | None,
        items_argument("Only what these need: table1 to table7, fig6, fig7, all, still-sam. [everything]"),
    ] = None,
    profile: ItemProfile = None,
    dataset: ItemDataset = None,
    encoder: ItemEncoder = None,
    init: ItemInit = None,
    as_json: Json = False,
) -> None:
    """Check Python, torch, GPU, disk, weights, data: what is there, what is missing, the command that mends it."""
    from benchmarks.doctor import examine

    runs = None
    if items:
        from benchmarks.execution.plan import plan
        from benchmarks.protocol.targets import choose

        runs = plan(*choose(items, profile, encoder, init, dataset), [0], 0, None)
    checks = examine(root.home, runs)
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            screen.print(f"{check.state:8} {check.what}: {check.found}")
            if check.remedy:
                screen.print(f"         -> {check.remedy}")
    if any(check.state == "problem" for check in checks):
        raise typer.Exit(1)
