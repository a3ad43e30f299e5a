"""Make the rows of scored predictions, which stand below the systems of a table, and the notes on them.

Such a row is in no verdict, rank or test, because nobody here knows how the predictions were made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

from benchmarks.metrics.counts import FloatArray
from benchmarks.results.submission import Submission
from reports.formatting import format_number
from reports.select.comparable import ResultGroup
from reports.statistics.bootstrap import RESAMPLES, Interval, interval, mean_over_classes, resampled_class_dice
from reports.tables.class_means import class_mean_notes
from reports.tables.intervals import column

SCORED_LABEL = "(scored predictions)"
"""Behind the name of such a row, wherever it stands."""


def labels(group: ResultGroup) -> list[tuple[str, ...]]:
    """Return the labels of each scored row of a group: its name in the first column, the others empty.

    The end of the key distinguishes rows of one name.
    """
    names = Counter(submission.name for submission in group.scored)
    blank = ("",) * (len(group.table.label_columns) - 1)
    return [
        (
            f"{submission.name} {submission.key[-10:] if names[submission.name] > 1 else ''}".strip()
            + f" {SCORED_LABEL}",
            *blank,
        )
        for submission in group.scored
    ]


@cache
def limits(submission: Submission) -> dict[str, Interval]:
    """Return the 95 % interval of Dice and of the Dice of each class, by column, as of a run with the same counts."""
    drawn = resampled_class_dice([submission.counts])[0]  # [classes, draws]
    by_class: dict[str, FloatArray] = {
        column(title): drawn[index] for index, title in enumerate(submission.classes)
    }  # fmt: skip
    return {name: interval(values) for name, values in {**by_class, "dice": mean_over_classes(drawn[None])[0]}.items()}


def dice_interval(submission: Submission) -> Interval:
    """Return the 95 % interval of Dice."""
    return limits(submission)["dice"]


def notes(group: ResultGroup) -> tuple[str, ...]:
    """Return the notes on the scored rows of a group; empty without such a row."""
    if not group.scored:
        return ()
    warnings = [_not_comparable(group, submission) for submission in group.scored]
    tests = {label[0]: [submission] for label, submission in zip(labels(group), group.scored, strict=True)}
    return (
        _origin(group.scored),
        *(sentence for sentence in warnings if sentence),
        *class_mean_notes(tests, group.table.scores),
    )


def _origin(scored: Sequence[Submission]) -> str:
    listed = [
        f"{submission.name} (`scores/{submission.key}.json`, {len(submission.images)} test images, "
        f"{_split(submission)})"
        for submission in scored
    ]
    return (
        "Scored predictions, made elsewhere and counted here; no runs of this suite, so they are in no verdict, rank "
        f"or test, and their intervals hold {RESAMPLES} of their own test images: {'; '.join(listed)}."
    )


def _not_comparable(group: ResultGroup, submission: Submission) -> str:
    """Why a scored row may not be compared with the column it stands in; empty where it may."""
    reasons = []
    digests = {result.identity["data"] for result in group.results}
    data = submission.data
    if digests and submission.identity["data"] not in digests:
        reasons.append(
            f"scored on another test split ({_split(submission)}; {data['describe']}) than the runs of this table"
        )
    elif len(digests) > 1:
        reasons.append(f"scored on one of the {len(digests)} test splits that the runs of this table rest on")
    elif used := {len(result.images) for result in group.results if set(result.images) != set(submission.images)}:
        reasons.append(f"scored on all {len(submission.images)} test images, where runs of this table have {min(used)}")
    if not digests and not data.get("complete"):
        reasons.append(f"the data are {data['describe']}, not the paper's")
    if not submission.scores.dice > submission.constant_dice:
        answer = format_number(submission.constant_dice, missing="undefined")
        reasons.append(f"not above the constant answer, Dice {answer}")
    return f"{submission.name} is not comparable here: {'; '.join(reasons)}." if reasons else ""


def _split(submission: Submission) -> str:
    rule = ", by scenes" if submission.identity["split_rule"] == "blocked" else ""
    return f"split seed {submission.identity['split_seed']}{rule}"
