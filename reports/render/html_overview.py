"""Summarize for the head of the HTML page what was run, before any number is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.run import Run, canonical
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES, Table
from benchmarks.results.result import Result
from reports.formatting import join_words
from reports.select.results import Collection, ResultSource, StoredResult, profile_of
from reports.select.settings import PAPER_SETTING, command, declare
from reports.tables.assemble import Report, finished_days


@dataclass(frozen=True)
class Coverage:
    """Number of a table's rows with a result of the user's, by setting; the paper's setting first."""

    table: Table
    done: int  # under the paper's setting
    rows: int
    others: tuple[str, ...]  # in words


@dataclass(frozen=True)
class Overview:
    """Head of a report. `state` has one sentence a line, the gravest first; `facts` are terms with their texts."""

    state: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    coverage: tuple[Coverage, ...]
    done: int  # different runs under the paper's setting
    runs: int


def overview(report: Report, collection: Collection) -> Overview:
    """Return the head of a report."""
    own, published = results(report, collection, "own"), results(report, collection, "published")
    tables = [table for table, _ in report.tables]
    declared = (declare(PAPER_SETTING, table, row) for table in tables for row in table.rows)
    runs = {canonical(run.declared()): run for run in declared if run is not None}.values()  # each once
    done = [run for run in runs if _is_done(collection, run)]
    return Overview(
        state=tuple(_state(report, own, published, len(done), len(runs))),
        facts=tuple((term, text) for term, text in _facts(own or published) if text),
        coverage=tuple(_coverage(report, table) for table in tables),
        done=len(done),
        runs=len(runs),
    )


def _is_done(collection: Collection, run: Run) -> bool:
    """Return whether the user has a result of a run, and no replicate of it without a result."""
    own = [stored for stored in collection.tried(run) if stored.source == "own"]
    return bool(own) and all(isinstance(stored, StoredResult) for stored in own)


def results(report: Report, collection: Collection, source: ResultSource) -> tuple[Result, ...]:
    """Return the results of one owner behind the tables; all of the owner's if the report has no table."""
    if report.tables or report.studies:
        return report.results(source)
    return tuple(stored.result for stored in collection.stored if stored.source == source)


def _state(report: Report, own: Sequence[Result], published: Sequence[Result], done: int, runs: int) -> list[str]:
    """Return the sentences that a reader must know first."""
    asked = [*(table for table, _ in report.tables), *(group.table for group in report.studies), TABLES["table5"]]
    begin = command(asked[0], Setting(asked[0].profile))
    lost = [sentence] if (sentence := report.without_result("own")) else []
    published_note = "The numbers in its tables are published results that come with this version." if published else ""
    if not own:
        lines = [
            "Nothing of yours has a result." if lost else "Nothing of yours has been run.",
            published_note or ("The tables show what the paper printed, and no other number." if report.tables else ""),
        ]
        return [*filter(None, lines), *lost, f"To run the first: `{begin}`."]
    profiles = [name for name in reversed(PROFILES) if any(profile_of(result) == name for result in own)]
    collapsed = sum(result.collapsed for result in own)
    lines = []
    if profiles and all(PROFILES[name].claims_nothing for name in profiles):
        lines.append(f"Runs of {join_words(profiles)} only: they claim nothing about the paper.")
    elif "paper" not in profiles:
        lines.append(f"No run under the paper's recipe: what was run is {join_words(profiles)}.")
    if not report.tables:
        lines.append(f"This report was asked for without any table{' of the paper' if report.studies else ''}.")
    elif done:
        lines.append(f"{done} of the {runs} different runs behind these tables are done as the paper declares them.")
    else:
        lines.append(f"None of the {runs} different runs behind these tables is done as the paper declares it.")
    if len(profiles) > 1:
        lines.append(f"Recipes, each in tables of its own: {join_words(profiles)}.")
    incomplete = _distinct(result.data_description for result in own if not result.data.get("complete"))
    if incomplete:
        lines.append(f"Not on the whole data: {incomplete}.")
    if collapsed:
        lines.append(
            f"{collapsed} of {len(own)} results collapsed: not above the constant answer, and so not tabled as a score."
        )
    return [line for line in (*lines, *lost, published_note) if line]


def _facts(results: Sequence[Result]) -> list[tuple[str, str]]:
    records = [result.provenance for result in results]
    versions = [record.get("versions") or {} for record in records]
    software = {
        name: _distinct(installed.get(name) for installed in versions) for name in ("rssam-bench", "torch", "python")
    }
    seeds = sorted({(result.identity["split_seed"], result.identity["seed"]) for result in results})
    data = sorted({f"{result.identity['dataset']['name']}: {result.data_description}" for result in results})
    return [
        ("Results", f"{len(results)}" if results else ""),
        ("Recipe", _distinct(profile_of(result) for result in results)),
        ("Data", "; ".join(data)),
        ("Split seed / seed", ", ".join(f"{split} / {seed}" for split, seed in seeds)),
        ("Software", ", ".join(f"{name} {installed}" for name, installed in software.items() if installed)),
        ("Commit", _distinct(record.get("commit") for record in records)),
        ("Device", _distinct(record.get("device") for record in records)),
        ("Precision", _distinct(result.identity["precision"] for result in results)),
        ("Finished", finished_days(results)),
    ]


def _coverage(report: Report, table: Table) -> Coverage:
    frames = next(frames for reported, frames in report.tables if reported is table)
    done, others = 0, []
    for frame in frames:
        rows = frame.rows.head(len(table.rows))
        filled = int(rows["state"].isin(["done", "collapsed"]).sum())
        if frame.setting == PAPER_SETTING and frame.source == "own":
            done = max(done, filled)
        elif filled:
            others.append(f"{frame.setting.profile if frame.source == 'own' else 'published'} {filled}")
    return Coverage(table, done, len(table.rows), tuple(dict.fromkeys(others)))


def _distinct(values: Iterable[object]) -> str:
    return join_words(sorted({str(value) for value in values if value}))
