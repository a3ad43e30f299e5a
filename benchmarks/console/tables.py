"""Show a plan, and the states of runs: a line or two for each run, at any width, and no key is ever cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.execution.run_status import RunStatus, duration
from benchmarks.protocol.run_names import RunName, run_name
from rssam.amounts import counted, format_bytes
from rssam.escape import one_line

if TYPE_CHECKING:
    from benchmarks.execution.cost_estimate import Basis, Forecast
    from benchmarks.needs import Need

NARROW = 60
"""On fewer columns, and without a terminal, a run is one line that the terminal may wrap."""

HOURS_WORTH_COUNTING = 1 / 60
"""By operation count; of a shorter run the arithmetic tells nothing."""

BASES: dict[Basis, str] = {
    "runs": "by finished runs",
    "steps": "by timed steps",
    "operations": "of a GPU, by operation count",
    "unknown": "not timed",
}


@dataclass(frozen=True)
class RunLine:
    """Line on a run: its state, its name, its key, and what else there is to say."""

    state: str
    name: RunName | None  # None where nothing says what it is
    key: str  # empty as long as data or weights are missing
    more: str


def show_forecasts(forecasts: Sequence[Forecast], lacking: Sequence[Need], console: Console) -> None:
    """Print every run of a plan, then what it lacks with the command for each, and how long the rest would take."""
    lines = [
        RunLine(forecast.state, run_name(forecast.run.declared()), forecast.key or "", _cost(forecast))
        for forecast in forecasts
    ]
    show_runs(lines, console)
    states = ", ".join(f"{count} {state}" for state, count in Counter(forecast.state for forecast in forecasts).items())
    console.print(f"{_runs(forecasts)}: {states}", soft_wrap=True)
    reasons = [forecast.remedy for forecast in forecasts if forecast.remedy and forecast.key]
    for remedy in dict.fromkeys([*reasons, *(need.commands[0][1] for need in lacking)]):
        console.print(f"  -> {remedy}", soft_wrap=True)
    for line in left_in_words(forecasts):
        console.print(line, soft_wrap=True)


def left_in_words(forecasts: Sequence[Forecast]) -> list[str]:
    """Return what is left to do, in time and memory, and how that is known."""
    from benchmarks.execution.cost_estimate import SUSTAINED, cost_key

    left = {basis: [item for item in forecasts if item.left != 0 and item.basis == basis] for basis in BASES}
    measured, assumed = left["runs"] + left["steps"], left["operations"]
    lines = []
    if measured:
        how = " and ".join(["finished runs"] * bool(left["runs"]) + ["timed steps"] * bool(left["steps"]))
        lines.append(f"about {_sum(measured)} for {_runs(measured)} on this device, from {how} in this home")
    memory = [item.memory for item in forecasts if item.left != 0 and item.memory]
    if memory:
        lines.append(f"about {format_bytes(max(memory))} of memory for the largest run, measured on this device")
    if assumed and sum(item.left or 0.0 for item in assumed) >= HOURS_WORTH_COUNTING:
        lines.append(
            f"about {_sum(assumed)} of a GPU for {_runs(assumed)}: not measured, by operation count for a card that "
            f"sustains {SUSTAINED / 1e12:.0f} TFLOP/s"
        )
    if assumed or left["unknown"]:
        count = len({cost_key(item.run.model, item.run.task) for item in assumed + left["unknown"]})
        lines.append(
            f"how long on this machine: add --time, which times two training steps of {counted(count, 'network')} once"
        )
    return lines or ["nothing is left to do"]


def show_statuses(statuses: Sequence[RunStatus], console: Console) -> None:
    """Print every run, then how many are in which state."""
    lines = [
        RunLine(status.state, status.name, status.key, "" if status.state == "missing" else one_line(status.text))
        for status in statuses
    ]
    show_runs(lines, console)
    states = Counter(status.state for status in statuses)
    words = ", ".join(f"{count} {state}" for state, count in states.items())
    console.print(f"{_runs(statuses)}: {words}", soft_wrap=True)
    for reason in dict.fromkeys(status.reason for status in statuses if status.state == "missing" and status.reason):
        console.print(f"  -> {reason}", soft_wrap=True)


def show_runs(lines: Iterable[RunLine], console: Console) -> None:
    """Show runs: on a terminal the name with what there is to say, and below the key with data, recipe, seeds, rows."""
    if not console.is_terminal or console.width < NARROW:
        for line in lines:
            parts = (*_name(line), one_line(line.key), line.more)
            console.print(Text(f"{line.state}: " + "; ".join(filter(None, parts))), soft_wrap=True)
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines:
        title, *place = _name(line) or [one_line(line.key)]
        below = filter(None, (one_line(line.key) if line.name else "", *place))
        table.add_row(line.state, ": ".join(filter(None, (title, line.more))))
        table.add_row("", " · ".join(below))
    console.print(table)


def _name(line: RunLine) -> list[str]:
    return [] if line.name is None else [one_line(line.name.title), one_line(line.name.place)]


def _cost(forecast: Forecast) -> str:
    """Return time and memory of what is left of a run, and how they are known; of a finished run its Dice."""
    if forecast.left == 0:
        return forecast.outcome
    if forecast.left is None or (forecast.basis == "operations" and forecast.left < HOURS_WORTH_COUNTING):
        return BASES["unknown"]
    memory = f", {format_bytes(forecast.memory)}" if forecast.memory else ""
    return f"{duration(3600 * forecast.left)}{memory} {BASES[forecast.basis]}"


def _runs(runs: Sequence[object]) -> str:
    return counted(len(runs), "run")


def _sum(forecasts: Sequence[Forecast]) -> str:
    hours = sum(item.left or 0.0 for item in forecasts)
    return f"{hours:.1f} hours" if hours >= 1 else duration(3600 * hours)
