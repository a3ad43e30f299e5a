"""Mark what stands out in a column: its best and second number, and rows that differ from the reference row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from reports.formatting import DECIMALS, plural
from reports.statistics.replicates import LEVEL
from reports.tables.frames import PARAMETER_COLUMNS, TableFrame

RankMark = Literal["", "best", "second"]

DAGGER = "†"
"""At a number that differs from that of the reference row."""


def ranks(frame: TableFrame, score: str) -> list[RankMark]:
    """Return the marks of our column, one for each row; none where `frame.unranked` says why."""
    values = frame.rows[score].where(frame.rows["state"] != "scored").tolist()  # of runs alone
    return [""] * len(values) if frame.unranked else _ranks(values, score)


def paper_ranks(frame: TableFrame, score: str) -> list[RankMark]:
    """Return the marks of the paper's column, one for each row."""
    return _ranks(frame.rows[f"{score}_paper"].tolist(), score)


def differs(frame: TableFrame, score: str) -> list[bool]:
    """Return for each row whether it differs from the reference row; False for a score or a row without a test."""
    if score not in frame.interval_columns:
        return [False] * len(frame.rows)
    return [bool(p < 1 - LEVEL) for p in frame.rows[f"{score}_p"]]


def legend(frame: TableFrame, best: str, second: str) -> str:
    """Return what the marks and the dagger mean; `best` and `second` are how the marks look."""
    columns = [column for score in frame.table.scores for column in (ranks(frame, score), paper_ranks(frame, score))]
    marks = {mark for column in columns for mark in column}
    looks = [f"best of a column {best}"] * ("best" in marks) + [f"second {second}"] * ("second" in marks)
    parts = [f"{', '.join(looks)}.".capitalize() if looks else "", _tested(frame) if frame.results else ""]
    return " ".join(part for part in parts if part)


def _tested(frame: TableFrame) -> str:
    """Return which rows of ours differ from the reference row by which test, or why none is tested."""
    if frame.unranked:
        return f"Of ours nothing is marked: {frame.unranked}."
    if frame.untested:
        return f"No difference is tested: {frame.untested}."
    tests = sum(not math.isnan(p) for score in frame.interval_columns for p in frame.rows[f"{score}_p"])
    return (
        f"{DAGGER} these runs differ from those of {frame.reference}: paired jackknife over the units of the "
        f"intervals, not over training; two-sided, p < {1 - LEVEL:.2f} after Holm's correction for "
        f"{tests} {plural(tests, 'test')}."
    )


def _ranks(values: Sequence[float], score: str) -> list[RankMark]:
    """Return marks of numbers as printed, larger first.

    Numbers that print alike share a mark, and a shared best has no second. Of two rows the second is the last, and gets
    no mark; nor do parameters.
    """
    printed = [math.nan if math.isnan(value) else round(value, DECIMALS) for value in values]
    known = [value for value in printed if not math.isnan(value)]
    if score in PARAMETER_COLUMNS or len(known) < 2:
        return [""] * len(values)
    best, *rest = sorted(set(known), reverse=True)
    second = rest[0] if rest and len(known) > 2 and known.count(best) == 1 else math.inf
    return ["best" if value == best else "second" if value == second else "" for value in printed]
