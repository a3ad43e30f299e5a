"""Scored predictions in a report: a row of their own below the systems of a table, and what is said of it there.

Such a row is in no verdict, rank or test: nobody here knows how the predictions were made.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

from benchmarks.metrics.counts import FloatArray
from benchmarks.results.submission import Submission
from reports.select.comparable import ResultGroup
from reports.statistics.bootstrap import DRAWS, Interval, interval, mean_over_classes, resampled_class_dice
from reports.statistics.replicates import LEVEL
from reports.tables.intervals import column

LABEL = "(scored predictions)"
"""Behind the name of such a row, wherever it stands."""


def labels(section: ResultGroup) -> list[tuple[str, ...]]:
    """The label columns of each scored row of a section: its name in the first, the others empty.

    Rows of one name are told apart by the end of their key.
    """
    names = Counter(one.name for one in section.scored)
    blank = ("",) * (len(section.table.label_columns) - 1)
    return [
        (f"{one.name} {one.key[-10:] if names[one.name] > 1 else ''}".strip() + f" {LABEL}", *blank)
        for one in section.scored
    ]


@cache
def limits(submission: Submission) -> dict[str, Interval]:
    """The 95 % interval of Dice, and of the Dice of each class, by column: as of a run with the same counts."""
    drawn = resampled_class_dice([submission.counts])[0]  # [classes, draws]
    by_class: dict[str, FloatArray] = {
        column(title): drawn[index] for index, title in enumerate(submission.classes)
    }  # fmt: skip
    return {name: interval(values) for name, values in {**by_class, "dice": mean_over_classes(drawn[None])[0]}.items()}


def dice_interval(submission: Submission) -> Interval:
    """That of Dice alone."""
    return limits(submission)["dice"]


def notes(section: ResultGroup) -> tuple[str, ...]:
    """What must be known of the scored rows under a table; empty without any."""
    if not section.scored:
        return ()
    found = [_who(section.scored)]
    found += [sentence for one in section.scored if (sentence := _apart(section, one))]
    return tuple(found)


def _who(scored: Sequence[Submission]) -> str:
    each = "; ".join(f"{one.name} (`scores/{one.key}.json`, {_images(one)}, {_split(one)})" for one in scored)
    return (
        "Scored predictions, made elsewhere and counted here; no runs of this suite, so they are in no verdict, rank "
        f"or test, and their intervals hold {100 * LEVEL:g} % of {DRAWS:,} resamples of their own test images: {each}."
    )


def _apart(section: ResultGroup, one: Submission) -> str:
    """Why a scored row may not be compared with the column it stands in; empty where it may."""
    reasons = []
    digests = {result.identity["data"] for result in section.results}
    if digests and one.identity["data"] not in digests:
        reasons.append(
            f"scored on another test split ({_split(one)}; {one.data['describe']}) than the runs of this table"
        )
    elif len(digests) > 1:
        reasons.append(f"scored on one of the {len(digests)} test splits that the runs of this table rest on")
    elif used := {len(result.images) for result in section.results if set(result.images) != set(one.images)}:
        reasons.append(f"scored on all {len(one.images)} test images, where runs of this table have {min(used)}")
    if not digests and not one.data.get("complete"):
        reasons.append(f"the data are {one.data['describe']}, not the paper's")
    if not one.scores.dice > one.constant_dice:
        reasons.append(f"not above the constant answer, Dice {_three(one.constant_dice)}")
    return f"{one.name} is not comparable here: {'; '.join(reasons)}." if reasons else ""


def _images(one: Submission) -> str:
    return f"{len(one.images)} test images"


def _split(one: Submission) -> str:
    identity = one.identity
    rule = ", by scenes" if identity["split_rule"] == "blocked" else ""
    return f"split seed {identity['split_seed']}{rule}"


def _three(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"
