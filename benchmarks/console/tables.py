"""Show a plan, and the states of runs, as tables."""

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
from rssam.escape import one_line


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
    for forecast in forecasts:
        run = forecast.run
        seeds = f"{run.split_seed}/{run.seed}"
        name = forecast.key or f"{run.dataset.name}-{run.model.name}"  # there is no key without data and weights
        basis = "" if forecast.left == 0 else "measured" if forecast.measured else "assumed"
        table.add_row(forecast.state, name, variant(run.model), seeds, f"{forecast.left:.2f}", basis)
    console.print(table)
    states = ", ".join(f"{count} {state}" for state, count in Counter(forecast.state for forecast in forecasts).items())
    console.print(f"{len(forecasts)} runs: {states}")
    for remedy in dict.fromkeys(forecast.remedy for forecast in forecasts if forecast.remedy):
        console.print(f"  -> {remedy}")
    for line in left_in_words(forecasts):
        console.print(line, soft_wrap=True)


def left_in_words(forecasts: Sequence[Forecast]) -> list[str]:
    """What is left to do, and how it is known."""
    measured = [forecast for forecast in forecasts if forecast.left and forecast.measured]
    assumed = [forecast for forecast in forecasts if forecast.left and not forecast.measured]
    lines = []
    if measured:
        hours = sum(forecast.left for forecast in measured)
        lines.append(
            f"about {hours:.1f} hours for {len(measured)} run(s), from steps measured in this home on this device"
        )
    if assumed:
        hours = sum(forecast.left for forecast in assumed)
        lines.append(
            f"about {hours:.1f} GPU hours for {len(assumed)} run(s), not measured: by operation count, for a card that "
            f"sustains {SUSTAINED / 1e12:.0f} TFLOP/s"
        )
    return lines or ["nothing is left to do"]


def show_statuses(statuses: Sequence[RunStatus], console: Console) -> None:
    """A line for each run, then how many are in which state."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in ("state", "run", "more"):
        table.add_column(name, no_wrap=name != "more", overflow="fold")
    for status in statuses:
        table.add_row(
            status.state, one_line(status.key), Text("" if status.state == "missing" else one_line(status.text))
        )
    console.print(table)
    states = Counter(status.state for status in statuses)
    console.print(f"{len(statuses)} runs: " + ", ".join(f"{count} {state}" for state, count in states.items()))
    for reason in dict.fromkeys(status.reason for status in statuses if status.state == "missing" and status.reason):
        console.print(f"  -> {reason}", soft_wrap=True)
