"""Tabulate scores outside the paper's tables: systems tested on another data set, predictions on other data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from benchmarks.protocol.tables import TABLES
from benchmarks.results.submission import Submission
from data_prep.errors import DataError
from data_prep.registry import find_dataset
from reports.extra_tables.extra_table import ExtraSection, ExtraTable
from reports.formatting import format_limits, format_number, join_words
from reports.select.results import Collection
from reports.statistics.replicates import LEVEL_TEXT
from reports.statistics.units import dice_interval
from reports.tables.assemble import Report
from reports.tables.class_means import class_mean_notes
from reports.tables.rs_sam_note import rs_sam_note
from rssam.config import RSSAM
from rssam.escape import in_prose

TRANSFER = "transfer"
OTHERS = "scored"


def scored_sections(report: Report, collection: Collection) -> list[ExtraSection]:
    """Return the sections that have a row; a report without any table of the paper has none of these either."""
    if not report.tables:
        return []
    shown = {frame.dataset for frame in report.frames} | {table.dataset for table in TABLES.values()}
    other_datasets = {submission.dataset for submission in collection.submissions} - shown
    scored = [submission for dataset in sorted(other_datasets) for submission in collection.scored_on(dataset)]
    tables = [_transfer(collection)] if collection.evaluated else []
    tables += [_others(scored)] if scored else []
    return [ExtraSection(table.id, table.id.title(), table.caption, (table,)) for table in tables]


def _transfer(collection: Collection) -> ExtraTable:
    by_key = {stored.result.key: stored.result for stored in collection.stored}
    rows, models = [], []
    for submission in collection.evaluated:
        system = submission.identity["system"]
        result = by_key.get(system["key"])
        models.append(_model(submission.name) if result is None else result.identity["model"])
        at_home = "-" if result is None else "collapsed" if result.collapsed else format_number(result.scores.dice)
        rows.append((
            submission.name, _title(system["dataset"]), _title(submission.dataset), _images(submission),
            *_numbers(submission), at_home, _file(submission),
        ))  # fmt: skip
    return ExtraTable(
        id=TRANSFER,
        caption="Trained on one data set, tested on another",
        heads=(
            "System",
            "Trained on",
            "Tested on",
            "Images",
            "Dice",
            LEVEL_TEXT,
            "Jaccard",
            "Dice at home",
            "File",
        ),
        left=3,
        texts=tuple(rows),
        tidy=_tidy(collection.evaluated),
        notes=(
            *_shared_notes(collection.evaluated),
            "Dice at home is that of the same run on the test split of its own data set; - where its result is "
            "not in this home. Nothing was trained or chosen on the data it was tested on; no verdict is drawn.",
            *dict.fromkeys(note for submission in collection.evaluated if (note := _circumstances(submission))),
            *rs_sam_note(models),
        ),
    )


def _model(title: str) -> dict[str, Any]:
    """Return name and options of a system whose result is not here, as far as its title tells them."""
    return {"name": RSSAM.name if title == RSSAM.title else title, "options": {}}


def _others(scored: Sequence[Submission]) -> ExtraTable:
    return ExtraTable(
        id=OTHERS,
        caption="Scored predictions on data sets without a table here",
        heads=("Predictions", "Data set", "Images", "Dice", LEVEL_TEXT, "Jaccard", "File"),
        left=2,
        texts=tuple(
            (submission.name, _title(submission.dataset), _images(submission), *_numbers(submission), _file(submission))
            for submission in scored
        ),
        tidy=_tidy(scored),
        notes=_shared_notes(scored),
    )


def _shared_notes(submissions: Sequence[Submission]) -> tuple[str, ...]:
    averages = {
        "foreground": "of the foreground class, pooled over all pixels",
        "classes": "of each class pooled over all pixels, then the plain mean over classes",
    }
    used_averages = {submission.average for submission in submissions}
    used = [words for average, words in averages.items() if average in used_averages]
    data = dict.fromkeys(f"{submission.dataset}, {submission.data_description}" for submission in submissions)
    found = [dice_interval(submission) for submission in submissions]
    over = dict.fromkeys(limits.units for limits in found if not limits.why)
    missing = dict.fromkeys(limits.why for limits in found if limits.why)
    return (
        f"Scores {'; with several classes '.join(used)}."
        + (f" Intervals are {LEVEL_TEXT} of a jackknife over {join_words(list(over))}." if over else "")
        + (f" No interval: {'; '.join(missing)}." if missing else "")
        + f" Data: {'; '.join(data)}.",
        *class_mean_notes(
            {f"{in_prose(one.name)} (`{_file(one)}`)": [one] for one in submissions}, ("dice", "jaccard")
        ),
    )


def _circumstances(submission: Submission) -> str:
    """Return mapped classes of an evaluation, images that may be training images, whether it is a constant answer."""
    system = submission.identity["system"]
    pairs = [f"{before} as {after}" for before, after in system["classes"] if before != after]
    parts = [f"classes {', '.join(pairs)}"] if pairs else []
    if system["crop"] is not None:
        parts.append(f"images covered by squares of {system['crop']} pixels")
    copies = submission.data.get("copies")
    if copies is None:
        parts.append(f"{system['dataset']} is not prepared here as it was trained on, so shared images are not known")
    elif copies:
        parts.append(f"{copies} of the images are also in {system['dataset']}, and may have been trained on")
    if not submission.scores.dice > submission.constant_dice:
        parts.append(f"not above the constant answer, Dice {format_number(submission.constant_dice)}")
    return (
        f"{in_prose(submission.name)} (`{system['key']}`) on {submission.dataset}: {'; '.join(parts)}." if parts else ""
    )


def _numbers(submission: Submission) -> tuple[str, str, str]:
    scores, limits = submission.scores, dice_interval(submission)
    shown = format_limits(limits.low, limits.high, missing="-")
    return format_number(scores.dice), shown, format_number(scores.jaccard)


def _file(submission: Submission) -> str:
    return f"scores/{submission.key}.json"


def _images(submission: Submission) -> str:
    return f"{len(submission.images)} ({'test split' if submission.identity['images'] == 'test' else 'all'})"


def _title(dataset: str) -> str:
    try:
        return find_dataset(dataset).title
    except DataError:
        return dataset


def _tidy(submissions: Sequence[Submission]) -> pd.DataFrame:
    """Return a line for each submission, not rounded."""
    lines = []
    for submission in submissions:
        identity, limits = submission.identity, dice_interval(submission)
        system = identity["system"] or {}
        lines.append({
            "kind": submission.kind,
            "name": submission.name,
            "trained_on": system.get("dataset"),
            "run": system.get("key"),
            "dataset": submission.dataset,
            "images": len(submission.images),
            "part": identity["images"],
            "split_seed": identity["split_seed"],
            "data": submission.data_description,
            **asdict(submission.scores),
            "dice_low": limits.low,
            "dice_high": limits.high,
            "key": submission.key,
        })  # fmt: skip
    return pd.DataFrame(lines)
