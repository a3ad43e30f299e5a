"""Arrange the paper's runs for the head of the HTML page: system by data set, each cell a state or a Dice, linked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.protocol.paper_runs import PAPER_RUNS, PaperRun
from benchmarks.protocol.setting import Setting
from data_prep.registry import find_dataset
from reports.formatting import format_number, join_words, plural
from reports.select.comparable import RowState
from reports.select.settings import PAPER_SETTING, describe, setting_order
from reports.tables.frames import TableFrame

STATES: tuple[RowState, ...] = ("done", "collapsed", "diverged", "failed", "not run")
"""In the order of the caption."""

AnchoredFrames = Sequence[tuple[str, TableFrame]]
"""The frames of a page with their anchors, in order."""


@dataclass(frozen=True)
class MatrixCell:
    """Run in the matrix: its Dice, or its state in words; `anchor` is where the page shows more."""

    text: str
    state: RowState
    anchor: str
    title: str


@dataclass(frozen=True)
class RunMatrix:
    """Runs by name and data set. `rows` have one cell a head, None where the paper has no such run."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[MatrixCell | None, ...]], ...]


@dataclass(frozen=True)
class RunsAtAGlance:
    """Runs of the reported tables under a setting: the systems, and the variants of RS-SAM on one data set."""

    caption: str
    matrices: tuple[RunMatrix, ...]


def runs_at_a_glance(frames: AnchoredFrames) -> RunsAtAGlance | None:
    """Return every run of the paper behind the frames, under the setting with most results; None without a run."""
    tables = {frame.table.id for _, frame in frames}
    runs = [run for run in PAPER_RUNS if tables & set(run.tables)]
    if not runs:
        return None
    setting = _setting(frames)
    cells = {id(run): _cell(run, setting, frames) for run in runs}
    states = Counter(cell.state for cell in cells.values())
    counted = join_words([f"{states[state]} {state}" for state in STATES if states[state]])
    caption = f"{len(runs)} {plural(len(runs), 'run')} of the paper, {describe(setting)}: {counted}."
    by_name: dict[str, dict[str, PaperRun]] = {}
    for run in runs:
        by_name.setdefault(run.name, {})[run.dataset] = run
    everywhere = {name: found for name, found in by_name.items() if not _is_variant(found)}
    variants = {name: found for name, found in by_name.items() if _is_variant(found)}
    matrices = tuple(_matrix(group, cells) for group in (everywhere, variants) if group)
    return RunsAtAGlance(caption, matrices)


def _setting(frames: AnchoredFrames) -> Setting:
    """Return the setting of most results on the paper's own data sets; of equals the paper's first."""
    keys: dict[Setting, set[str]] = {PAPER_SETTING: set()}
    for _, frame in frames:
        if frame.setting.dataset is None:
            keys.setdefault(frame.setting, set()).update(result.key for result in frame.results)
    return min(keys, key=lambda setting: (-len(keys[setting]), setting_order(setting)))


def _is_variant(found: Mapping[str, PaperRun]) -> bool:
    """Return whether runs of a name are in none of the tables that compare systems."""
    return not any({"table1", "table2", "table3"} & set(run.tables) for run in found.values())


def _matrix(by_name: Mapping[str, Mapping[str, PaperRun]], cells: Mapping[int, MatrixCell]) -> RunMatrix:
    datasets = tuple(dict.fromkeys(dataset for found in by_name.values() for dataset in found))
    rows = tuple(
        (name, tuple(cells[id(found[dataset])] if dataset in found else None for dataset in datasets))
        for name, found in by_name.items()
    )
    return RunMatrix(tuple(find_dataset(dataset).title for dataset in datasets), rows)


def _cell(run: PaperRun, setting: Setting, frames: AnchoredFrames) -> MatrixCell:
    """Return a run as the first frame with a result of it shows it; without a result, as not run."""
    where = " and ".join(name.replace("table", "Table ") for name in run.tables)
    title = f"{run.name} on {find_dataset(run.dataset).title}, {where}"
    first = run.tables[0]
    for anchor, frame in frames:
        if frame.table.id not in run.tables or frame.setting != setting:
            continue
        place = next(place for place, row in enumerate(frame.table.rows) if row.model == run.model)
        row = frame.rows.iloc[place]
        if row["state"] == "not run":
            first = frame.table.id
            continue
        dice = row.get("dice", float("nan"))
        done = row["state"] == "done"
        if done and dice != dice:  # a table of classes; another table has the run's Dice
            continue
        return MatrixCell(format_number(dice) if done else row["state"], row["state"], anchor, title)
    return MatrixCell("not run", "not run", first, title)
