"""Write the notes on runs that have no result, and on rates that diverged while others of their recipe went on."""

from __future__ import annotations

from benchmarks.results.failed_run import FailedRun
from benchmarks.results.result import Result
from reports.formatting import format_number, gathered, join_words, plural
from reports.select.comparable import ResultGroup, ResultGroupRow
from reports.tables.recipe_text import describe_replicate

LOST = "Diverged or failed"
"""First words of the note on diverged and failed runs."""


def without_result(group: ResultGroup) -> str:
    """Return each row with a replicate that diverged or failed; its other replicates are named, not averaged."""
    parts = [_row(group, row) for row in group.rows if row.failed]
    if not parts:
        return ""
    return f"{LOST}, so no mean over the other replicates is tabled: it would flatter the system. {'; '.join(parts)}."


def diverged_rates(group: ResultGroup) -> str:
    """Return the rates that diverged in runs whose other rates went on; empty without one."""
    parts = []
    for row in group.filled:
        epochs = gathered((lost.rate, lost.epoch) for result in row.results for lost in result.diverged)
        parts += [
            f"{group.name(row)} at rate {rate:g} in {len(found)} of {len(row.results)} "
            f"{plural(len(row.results), 'run')} (epoch {join_words([str(epoch) for epoch in sorted(set(found))])})"
            for rate, found in epochs.items()
        ]
    if not parts:
        return ""
    return f"Diverged, and so left out of the choice of the rate by validation loss: {'; '.join(parts)}."


def _row(group: ResultGroup, row: ResultGroupRow) -> str:
    kept = [_dice(result) for result in row.results]
    rest = f"; its other {plural(len(kept), 'replicate')}, not tabled: Dice {join_words(kept)}" if kept else ""
    return f"{group.name(row)}, {row.runs} ({', '.join(_cause(failed) for failed in row.failed)}{rest})"


def _cause(failed: FailedRun) -> str:
    """Return a run without a result with its seeds, and why: from its numbers alone, never in words of foreign code."""
    seeds = describe_replicate(failed, " with ")
    if not failed.diverged:
        return f"{seeds} failed, see `runs/{failed.key}/failure.json`"
    where = [f"in epoch {lost.epoch} at rate {lost.rate:g}" for lost in failed.diverged]
    return f"{seeds}: no finite loss {join_words(where)}"


def _dice(result: Result) -> str:
    return format_number(result.scores.dice, missing="undefined")
