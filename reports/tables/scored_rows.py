"""Make the rows of scored predictions, which stand below the systems of a table, and the notes on them.

Such a row is in no verdict, rank or test, because nobody here knows how the predictions were made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks.results.submission import Submission
from reports.formatting import format_number
from reports.select.comparable import ResultGroup
from reports.statistics.units import Interval, dice_interval, interval, number_units
from reports.tables.class_means import class_mean_notes
from reports.tables.intervals import by_column
from rssam.escape import in_prose

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


def limits(submission: Submission) -> dict[str, Interval]:
    """Return the 95 % interval of Dice and of the Dice of each class, by column, as of a run with the same counts."""
    units = number_units([submission])
    return {name: interval(estimate, units) for name, estimate in by_column([submission], units).items()}


def notes(group: ResultGroup) -> tuple[str, ...]:
    """Return the notes on the scored rows of a group; empty without such a row."""
    if not group.scored:
        return ()
    warnings = [_not_comparable(group, submission) for submission in group.scored]
    tests = {in_prose(label[0]): [submission] for label, submission in zip(labels(group), group.scored, strict=True)}
    return (
        _origin(group.scored),
        *(sentence for sentence in warnings if sentence),
        *class_mean_notes(tests, group.table.scores),
    )


def _origin(scored: Sequence[Submission]) -> str:
    listed = [
        f"{in_prose(submission.name)} (`scores/{submission.key}.json`, {_over(submission)}, {_split(submission)})"
        for submission in scored
    ]
    return (
        "Scored predictions, made elsewhere and counted here; no runs of this suite, so they are in no verdict, rank "
        f"or test, and their intervals are over their own test images: {'; '.join(listed)}."
    )


def _over(submission: Submission) -> str:
    """Return the test images, their scenes where those are fewer, and why there is no interval."""
    limits = dice_interval(submission)
    images = f"{len(submission.images)} test images"
    of = f" of {limits.units}" if limits.scenes else ""
    return f"{images}{of}; no interval: {limits.why}" if limits.why else f"{images}{of}"


def _not_comparable(group: ResultGroup, submission: Submission) -> str:
    """Return why a scored row may not be compared with the column it stands in; empty where it may."""
    reasons = []
    digests = {result.identity["data"] for result in group.results}
    data = submission.data
    if digests and submission.identity["data"] not in digests:
        reasons.append(
            f"scored on another test split ({_split(submission)}; {submission.data_description}) than the runs of this "
            "table"
        )
    elif len(digests) > 1:
        reasons.append(f"scored on one of the {len(digests)} test splits that the runs of this table rest on")
    elif used := {len(result.images) for result in group.results if set(result.images) != set(submission.images)}:
        reasons.append(f"scored on all {len(submission.images)} test images, where runs of this table have {min(used)}")
    if not digests and not data.get("complete"):
        reasons.append(f"the data are {submission.data_description}, not the paper's")
    if not submission.scores.dice > submission.constant_dice:
        answer = format_number(submission.constant_dice, missing="undefined")
        reasons.append(f"not above the constant answer, Dice {answer}")
    return f"{in_prose(submission.name)} is not comparable here: {'; '.join(reasons)}." if reasons else ""


def _split(submission: Submission) -> str:
    rule = ", by scenes" if submission.identity["split_rule"] == "blocked" else ""
    return f"split seed {submission.identity['split_seed']}{rule}"
