"""What was counted without a table of the paper: systems on data that is not their own, predictions on other sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from benchmarks.protocol.tables import TABLES
from benchmarks.results.submission import Submission
from data_prep.errors import DataError
from data_prep.registry import dataset as find_dataset
from reports.extra_tables.extra_table import ExtraSection, ExtraTable
from reports.select.results import Collection
from reports.statistics.bootstrap import DRAWS
from reports.statistics.replicates import LEVEL
from reports.tables.assemble import Report
from reports.tables.scored_rows import dice_interval

TRANSFER = "transfer"
OTHERS = "scored"


def scored_sections(report: Report, collection: Collection) -> list[ExtraSection]:
    """Those that have a row; a report without any table of the paper has none of these either."""
    if not report.tables:
        return []
    shown = {frame.setting.dataset or frame.table.dataset for frame in report.frames}
    homeless = {one.dataset for one in collection.submissions} - {table.dataset for table in TABLES.values()} - shown
    others = [one for name in sorted(homeless) for one in collection.scored_on(name)]
    made = [_transfer(collection)] if collection.evaluated else []
    made += [_others(others)] if others else []
    return [ExtraSection(table.id, table.id.title(), table.caption, (table,)) for table in made]


def _transfer(collection: Collection) -> ExtraTable:
    """Trained on one data set, tested on another."""
    own = {stored.result.key: stored.result for stored in collection.stored}
    rows = []
    for one in collection.evaluated:
        system = one.identity["system"]
        home = own.get(system["key"])
        at_home = "-" if home is None else "collapsed" if home.collapsed else _three(home.scores.dice)
        rows.append((
            one.name, _title(system["dataset"]), _title(one.dataset), _images(one), *_numbers(one), at_home, _file(one),
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
            f"{100 * LEVEL:g} %",
            "Jaccard",
            "Dice at home",
            "File",
        ),
        left=3,
        texts=tuple(rows),
        tidy=_tidy(collection.evaluated),
        notes=(
            *_shared_notes(collection.evaluated),
            "Dice at home is that of the same run on the test split of what it was trained on; - where its result is "
            "not in this home. Nothing was trained or chosen on the data it was tested on; no verdict is drawn.",
            *dict.fromkeys(note for one in collection.evaluated if (note := _met(one))),
        ),
    )


def _others(scored: Sequence[Submission]) -> ExtraTable:
    """Predictions on data sets of which no table has a row yet."""
    return ExtraTable(
        id=OTHERS,
        caption="Scored predictions on data sets without a table here",
        heads=("Predictions", "Data set", "Images", "Dice", f"{100 * LEVEL:g} %", "Jaccard", "File"),
        left=2,
        texts=tuple((one.name, _title(one.dataset), _images(one), *_numbers(one), _file(one)) for one in scored),
        tidy=_tidy(scored),
        notes=_shared_notes(scored),
    )


def _shared_notes(found: Sequence[Submission]) -> tuple[str, ...]:
    averages = {
        "foreground": "of the foreground class, pooled over all pixels",
        "classes": "of each class pooled over all pixels, then the plain mean over classes",
    }
    used = [words for name, words in averages.items() if any(one.average == name for one in found)]
    data = dict.fromkeys(f"{one.dataset}, {one.data['describe']}" for one in found)
    return (
        f"Scores {'; with several classes '.join(used)}. Intervals hold {100 * LEVEL:g} % of {DRAWS:,} resamples of "
        f"the images. Data: {'; '.join(data)}.",
    )


def _met(one: Submission) -> str:
    """What is particular of one evaluation: classes under other names, images it may have seen, a constant answer."""
    system = one.identity["system"]
    pairs = [f"{before} as {after}" for before, after in system["classes"] if before != after]
    parts = [f"classes {', '.join(pairs)}"] if pairs else []
    if system["crop"] is not None:
        parts.append(f"images covered by squares of {system['crop']} pixels")
    copies = one.data.get("copies")
    if copies is None:
        parts.append(f"{system['dataset']} is not prepared here, so it is not known whether it shares images")
    elif copies:
        parts.append(f"{copies} of the images are also in {system['dataset']}, and may have been trained on")
    if not one.scores.dice > one.constant_dice:
        parts.append(f"not above the constant answer, Dice {_three(one.constant_dice)}")
    return f"{one.name} (`{system['key']}`) on {one.dataset}: {'; '.join(parts)}." if parts else ""


def _numbers(one: Submission) -> tuple[str, str, str]:
    found = dice_interval(one)
    limits = "-" if math.isnan(found.low) else f"[{found.low:.3f}, {found.high:.3f}]"
    return _three(one.scores.dice), limits, _three(one.scores.jaccard)


def _file(one: Submission) -> str:
    return f"scores/{one.key}.json"


def _images(one: Submission) -> str:
    return f"{len(one.images)} ({'test split' if one.identity['images'] == 'test' else 'all'})"


def _title(dataset: str) -> str:
    try:
        return find_dataset(dataset).title
    except DataError:
        return dataset


def _three(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _tidy(found: Sequence[Submission]) -> pd.DataFrame:
    """One line each, not rounded."""
    lines = []
    for one in found:
        system, limits = one.identity["system"] or {}, dice_interval(one)
        lines.append({
            "kind": one.kind,
            "name": one.name,
            "trained_on": system.get("dataset"),
            "run": system.get("key"),
            "dataset": one.dataset,
            "images": len(one.images),
            "part": one.identity["images"],
            "split_seed": one.identity["split_seed"],
            "data": one.data["describe"],
            **asdict(one.scores),
            "dice_low": limits.low,
            "dice_high": limits.high,
            "key": one.key,
        })  # fmt: skip
    return pd.DataFrame(lines)
