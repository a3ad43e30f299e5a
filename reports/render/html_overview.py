"""The head of the page: what was run, said before any number is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.run import Run, canonical
from benchmarks.protocol.tables import TABLES, Table
from benchmarks.results.result import Result
from reports.select.results import Collection, Source, profile_of
from reports.select.settings import PAPER_SETTING, command, declare
from reports.tables.assemble import Report


@dataclass(frozen=True)
class Coverage:
    """How far one table has come: rows with a result of the user's, by setting; the paper's setting first."""

    table: Table
    done: int  # under the paper's setting
    rows: int
    others: tuple[str, ...]  # in words


@dataclass(frozen=True)
class Overview:
    """`state` is one sentence a line, the gravest first; `facts` are terms with their texts."""

    state: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    coverage: tuple[Coverage, ...]
    done: int  # different runs under the paper's setting
    runs: int


def overview(report: Report, collection: Collection) -> Overview:
    """What stands in the report's head."""
    own, published = results(report, collection, "own"), results(report, collection, "published")
    tables = [table for table, _ in report.tables]
    wanted = _different_runs(tables)
    done = [key for key, run in wanted.items() if any(one.source == "own" for one in collection.replicates(run))]
    return Overview(
        state=tuple(_state(report, own, published, len(done), len(wanted))),
        facts=tuple((term, text) for term, text in _facts(own or published) if text),
        coverage=tuple(_coverage(report, table) for table in tables),
        done=len(done),
        runs=len(wanted),
    )


def results(report: Report, collection: Collection, source: Source) -> tuple[Result, ...]:
    """The results of one owner behind the tables; behind figures and claims alone, all there are."""
    if report.tables:
        return report.results(source)
    return tuple(one.result for one in collection.stored if one.source == source)


def _different_runs(tables: Sequence[Table]) -> dict[str, Run]:
    """The runs behind all rows under the paper's setting, each once."""
    runs = (declare(PAPER_SETTING, table, row) for table in tables for row in table.rows)
    return {canonical(run.declared()): run for run in runs if run is not None}


def _state(
    report: Report, own: Sequence[Result], published: Sequence[Result], done: int, runs: int
) -> list[str]:  # fmt: skip
    """What a reader must know first."""
    first = report.tables[0][0] if report.tables else TABLES["table5"]
    begin = command(first, PAPER_SETTING)
    beside = "The numbers in its tables are published results that come with this version." if published else ""
    if not own:
        lines = [
            "Nothing of yours has been run.",
            beside or "The tables show what the paper printed, and no other number.",
        ]
        return [*lines, f"To run the first: `{begin}`."]
    profiles = [name for name in reversed(PROFILES) if any(profile_of(one) == name for one in own)]
    collapsed = sum(result.collapsed for result in own)
    lines = []
    if profiles == ["smoke"]:
        lines.append("Smoke runs only: they prove the wiring and claim nothing about the paper.")
    elif "paper" not in profiles:
        lines.append(f"No run under the paper's recipe: what was run is {_joined(profiles)}.")
    if not report.tables:
        lines.append("This report was asked for without any table.")
    elif done:
        lines.append(f"{done} of the {runs} different runs behind these tables are done as the paper declares them.")
    else:
        lines.append(f"None of the {runs} different runs behind these tables is done as the paper declares it.")
    if len(profiles) > 1:
        lines.append(f"Recipes, each in tables of its own: {_joined(profiles)}.")
    incomplete = _distinct(str(one.data["describe"]) for one in own if not one.data.get("complete"))
    if incomplete:
        lines.append(f"Not on the whole data: {_joined(incomplete)}.")
    if collapsed:
        lines.append(
            f"{collapsed} of {len(own)} results collapsed: not above the constant answer, and so not tabled as a score."
        )
    return [line for line in (*lines, beside) if line]


def _facts(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Profile, data, seeds, software, device and days, as the results recorded them."""
    records = [result.provenance for result in results]
    versions = [record.get("versions") or {} for record in records]
    software = [
        f"{name} {_joined(_distinct(str(one[name]) for one in versions if one.get(name)))}"
        for name in ("rssam-bench", "torch", "python")
        if any(one.get(name) for one in versions)
    ]
    days = _distinct(str(record["finished"])[:10] for record in records if record.get("finished"))
    pairs = sorted({(result.identity["split_seed"], result.identity["seed"]) for result in results})
    return [
        ("Results", f"{len(results)}" if results else ""),
        ("Recipe", _joined(_distinct(str(profile_of(result)) for result in results))),
        ("Data", "; ".join(_distinct(f"{one.identity['dataset']['name']}: {one.data['describe']}" for one in results))),
        ("Split seed / seed", ", ".join(f"{split} / {seed}" for split, seed in pairs)),
        ("Software", ", ".join(software)),
        ("Commit", _joined(_distinct(str(one["commit"]) for one in records if one.get("commit")))),
        ("Device", _joined(_distinct(str(one["device"]) for one in records if one.get("device")))),
        ("Precision", _joined(_distinct(str(result.identity["precision"]) for result in results))),
        ("Finished", days[0] + (f" to {days[-1]}" if len(days) > 1 else "") if days else ""),
    ]


def _coverage(report: Report, table: Table) -> Coverage:
    frames = next(frames for of, frames in report.tables if of is table)
    done, others = 0, []
    for frame in frames:
        rows = frame.rows.head(len(table.rows))
        filled = int((rows["state"] != "not run").sum())
        if frame.setting == PAPER_SETTING and frame.source == "own":
            done = max(done, filled)
        elif filled:
            others.append(f"{frame.setting.profile if frame.source == 'own' else 'published'} {filled}")
    return Coverage(table, done, len(table.rows), tuple(dict.fromkeys(others)))


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def _joined(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
