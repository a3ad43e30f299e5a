"""Tables of a plan and of the state of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.execution.cost_estimate import SUSTAINED, Forecast
from benchmarks.execution.run_status import RunStatus
from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.run import plain_fields
from rssam.contract import Model


def variant(model: Model) -> str:
    """A system's size, and the options in which it differs from the one listed in MODELS."""
    options, listed = plain_fields(model), plain_fields(MODELS[model.name]) if model.name in MODELS else {}
    size = next(iter(options.items()), None)  # the option that names the size is the first of every system
    changed = [
        f"{name}={value}" for name, value in options.items() if value != listed.get(name) and (name, value) != size
    ]
    return " ".join([*([str(size[1])] if size else []), *changed])


def show_forecasts(forecasts: Sequence[Forecast], console: Console) -> None:
    """A line for each run of a plan, then what is missing and how long the rest would take."""
    table = Table("state", "run", "variant", "seeds", "hours", "by", box=None)
    for column in table.columns:
        column.no_wrap = True
    for item in forecasts:
        run = item.run
        seeds = f"{run.split_seed}/{run.seed}"
        name = item.key or f"{run.dataset.name}-{run.model.name}"  # there is no key without data and weights
        by = "" if item.left == 0 else "measured" if item.measured else "assumed"
        table.add_row(item.state, name, variant(run.model), seeds, f"{item.left:.2f}", by)
    console.print(table)
    states = ", ".join(f"{count} {state}" for state, count in Counter(item.state for item in forecasts).items())
    console.print(f"{len(forecasts)} runs: {states}")
    for remedy in dict.fromkeys(item.remedy for item in forecasts if item.remedy):
        console.print(f"  -> {remedy}")
    for line in left_in_words(forecasts):
        console.print(line, soft_wrap=True)


def left_in_words(forecasts: Sequence[Forecast]) -> list[str]:
    """What is left to do, and how it is known."""
    measured = [item for item in forecasts if item.left and item.measured]
    assumed = [item for item in forecasts if item.left and not item.measured]
    lines = []
    if measured:
        hours = sum(item.left for item in measured)
        lines.append(
            f"about {hours:.1f} hours for {len(measured)} run(s), from steps measured in this home on this device"
        )
    if assumed:
        hours = sum(item.left for item in assumed)
        lines.append(
            f"about {hours:.1f} GPU hours for {len(assumed)} run(s), not measured: by operation count, for a card that "
            f"sustains {SUSTAINED / 1e12:.0f} TFLOP/s"
        )
    return lines or ["nothing is left to do"]


def show_statuses(run_statuses: Sequence[RunStatus], console: Console) -> None:
    """A line for each run, then how many are in which state."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in ("state", "run", "more"):
        table.add_column(name, no_wrap=name != "more", overflow="fold")
    for item in run_statuses:
        table.add_row(item.state, item.key, Text("" if item.state == "missing" else item.text))
    console.print(table)
    states = Counter(item.state for item in run_statuses)
    console.print(f"{len(run_statuses)} runs: " + ", ".join(f"{count} {state}" for state, count in states.items()))
    for reason in dict.fromkeys(item.reason for item in run_statuses if item.state == "missing" and item.reason):
        console.print(f"  -> {reason}", soft_wrap=True)
