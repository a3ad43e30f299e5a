"""The sentences under a table: everything a reader must know before comparing its numbers with the paper's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from benchmarks.metrics.counts import foreground_share
from benchmarks.protocol.paper_numbers import IMPLIED_FOREGROUND
from benchmarks.protocol.recipe import PROFILES
from benchmarks.results.custom_system import SYSTEM
from benchmarks.results.result import Result
from data_prep.splits import SPLITS
from reports.select.comparable import ResultGroup, ResultGroupRow
from reports.select.not_comparable import from_scratch, replaced, section_reasons, variant
from reports.select.settings import PAPER_SETTING, command
from reports.tables.recipe_text import describe_recipe
from reports.tables.train_neighbours import describe_neighbours, neighbours
from rssam.config import RSSAM

STARTS = {
    "sam": "from SAM's checkpoint",
    "imagenet": "from ImageNet weights",
    "scratch": "from scratch: no pretrained weights, not comparable with the paper",
}


def notes(section: ResultGroup, intervals: Sequence[str] = (), beside: Sequence[str] = ()) -> tuple[str, ...]:
    """All notes of a section, in the order of their weight, with those on intervals. Commands stand in backquotes.

    `beside` are those on rows that are no runs.
    """
    if not section.results:
        fill = command(section.table, section.setting)
        return (f"Nothing of this table has been run. To fill it: `{fill}`.", *beside)
    parts = (
        _owner(section),
        _not_a_reproduction(section),
        _missing(section),
        _collapsed(section),
        _average(section),
        *intervals,
        *beside,
        f"Recipe {section.setting.profile}: {describe_recipe(PROFILES[section.setting.profile].recipe)}.",
        _start(section),
        _encoders(section),
        _variants(section),
        _controls(section),
        _own(section),
        _data(section),
        _split_rule(section),
        _neighbours(section),
        _disputed(section),
        _foreground(section),
        _constant(section),
        _replicates(section),
        _parameters(section),
        f"Precision: {_joined(sorted({result.identity['precision'] for result in section.results}))}.",
    )
    return tuple(part for part in parts if part)


def row_name(section: ResultGroup, row: ResultGroupRow) -> str:
    """A row in words: its only label, or its labels with their columns."""
    labels = row.row.labels
    if len(labels) == 1:
        return labels[0]
    return ", ".join(f"{column} {label}" for column, label in zip(section.table.label_columns, labels, strict=True))


def _owner(section: ResultGroup) -> str:
    if section.source == "own":
        return ""
    return "Published results that come with this version, not runs of yours."


def _missing(section: ResultGroup) -> str:
    total = len(section.table.rows)
    missing = total - len([row for row in section.filled if row.row in section.table.rows])
    if not missing:
        return ""
    if section.source == "published":
        return f"{missing} of {total} rows are not among the published results."
    return f"{missing} of {total} rows not run. To fill them: `{command(section.table, section.setting)}`."


def _not_a_reproduction(section: ResultGroup) -> str:
    """Why the numbers cannot confirm or contradict the paper; empty where they can."""
    reasons = section_reasons(section)
    if not reasons:
        return ""
    return f"Not a reproduction: {'; '.join(reasons)}. The paper's setting: `{command(section.table, PAPER_SETTING)}`."


def _collapsed(section: ResultGroup) -> str:
    """Each row with a collapsed replicate; its survivors are named, not averaged."""
    parts = []
    for row in section.filled:
        if not row.collapsed:
            continue
        dices = _joined([_three(one.scores.dice) for one in row.collapsed])
        answers = _joined(sorted({_three(one.constant_dice) for one in row.collapsed}))
        kept = [_three(one.scores.dice) for one in row.results if one not in row.collapsed]
        rest = f" (its other replicates, not tabled either: {_joined(kept)})" if kept else ""
        parts.append(f"{row_name(section, row)}: Dice {dices} against {answers}{rest}")
    if not parts:
        return ""
    return f"Collapsed, not above the constant answer, and so not tabled as a score. {'; '.join(parts)}."


def _average(section: ResultGroup) -> str:
    """Which average the scores are."""
    results, columns = section.results, section.table.scores
    if all(result.average == "foreground" for result in results):
        return "Scores of the foreground class, pooled over all test pixels."
    if "dice" not in columns:
        return "Dice of each class, pooled over all test pixels."
    return (
        f"Scores of each class pooled over all test pixels, then the plain mean over {len(results[0].classes)} classes "
        "(a class absent from truth and prediction is left out); Acc is the mean one-vs-rest accuracy."
    )


def _start(section: ResultGroup) -> str:
    """How the networks are initialised, by system where they differ."""
    starts: dict[str, list[str]] = defaultdict(list)
    for row in section.filled:
        options = row.results[0].identity["model"]["options"]
        init = options.get("init")
        if init is None:
            starts["from random numbers, as published"].append(row_name(section, row))
            continue
        words = STARTS.get(init, str(init)) if init != "scratch" or from_scratch(row) else "from scratch"
        starts[f"{words} {options['encoder']}" if init == "sam" and "encoder" in options else words].append(
            row_name(section, row)
        )
    if not starts:
        return ""
    if len(starts) == 1:
        return f"Initialisation: {next(iter(starts))}."
    return f"Initialisation: {'; '.join(f'{_joined(names)} {words}' for words, names in starts.items())}."


def _encoders(section: ResultGroup) -> str:
    pairs = dict.fromkeys(pair for row in section.filled if (pair := replaced(row)))
    return f"Encoder: {_joined([f'{new} in place of {old}' for old, new in pairs])}." if pairs else ""


def _variants(section: ResultGroup) -> str:
    """Options other than encoder and start in which what was run differs from what the table declares."""
    found = [f"{row_name(section, row)} ({', '.join(variant(row))})" for row in section.filled if variant(row)]
    return f"Smaller variants than the paper's: {_joined(found)}." if found else ""


def _controls(section: ResultGroup) -> str:
    """Rows the paper does not have: which stand here, or how to get them."""
    table = section.table
    if not table.controls:
        return ""
    shown = [row_name(section, row) for row in section.filled if row.row in table.controls]
    if shown:
        return f"Not in the paper, run as a control: {_joined(shown, '; ')}."
    run = command(table, section.setting)
    many = len(table.controls)
    return f"{many} control{'s' if many > 1 else ''} that the paper does not have can be run: `{run} --controls`."


def _own(section: ResultGroup) -> str:
    """Systems that are not of this suite: who declares them."""
    rows = [row for row in section.filled if row.row in section.table.own]
    names = [f"{row_name(section, row)}, declared in `{row.results[0].provenance[SYSTEM]['class']}`" for row in rows]
    return f"Neither in the paper nor of this suite: {_joined(names, '; ')}." if names else ""


def _data(section: ResultGroup) -> str:
    """Completeness of the data and sizes of the splits."""
    name = section.setting.dataset or section.table.dataset
    data = section.results[0].data
    sizes = {split: sorted({int(one.data[split]) for one in section.results if split in one.data}) for split in SPLITS}
    counts = ", ".join(
        f"{_joined([str(size) for size in values])} {split}" for split, values in sizes.items() if values
    )
    return f"Data: {name}, {data['describe']}" + (f"; images used: {counts}." if counts else ".")


def _split_rule(section: ResultGroup) -> str:
    if all(result.identity.get("split_rule") != "blocked" for result in section.results):
        return ""
    return (
        "Split by scenes (--split blocked): tiles found to abut never part, so no test tile has a known neighbour in "
        "training. The paper gives no such rule."
    )


def _neighbours(section: ResultGroup) -> str:
    """Dice without the test images that have neighbours in training; rows without a score are left out."""
    if _split_rule(section) and not any(neighbours(result) for result in section.results):
        return ""  # the note on the split says so
    sound = [row for row in section.filled if not row.collapsed]
    ours = [row_name(section, row) for row in sound if row.row.model == RSSAM()]
    return describe_neighbours({row_name(section, row): row.results for row in sound}, ours[0] if ours else None)


def _disputed(section: ResultGroup) -> str:
    """Why this section stands apart from others of the same data and precision."""
    if not section.disputed:
        return ""
    mine = [f"{name} is {digest[:12]}" for name, digest in section.disputed]
    return f"Results under this setting disagree on files they share; here the SHA-256 of {_joined(mine)}."


def _foreground(section: ResultGroup) -> str:
    """The test split's foreground share beside the one the paper's tables imply."""
    results = section.results
    if any(result.average != "foreground" for result in results):
        return ""
    shares = [foreground_share(result.counts) for result in results]
    text = f"Foreground share of the test pixels: {_range(shares)} %"
    implied = IMPLIED_FOREGROUND.get(section.setting.dataset or section.table.dataset)
    if implied is None:
        return f"{text}."
    low, high = implied
    bounds = f"{100 * low:.2f} to {100 * high:.2f} %"
    if low <= min(shares) and max(shares) <= high:
        return f"{text}, within the {bounds} that the paper's tables imply."
    return f"{text}, where the paper's tables imply {bounds}."


def _constant(section: ResultGroup) -> str:
    binary = all(result.average == "foreground" for result in section.results)
    answer = "everything foreground" if binary else "everything the commonest class"
    values = sorted({_three(result.constant_dice) for result in section.results})
    between = values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"
    return f"A constant answer ({answer}) has Dice {between}."


def _replicates(section: ResultGroup) -> str:
    """Which replicates each row rests on; a row with others than its neighbours is named."""
    groups: dict[str, list[str]] = defaultdict(list)
    for row in section.filled:
        pairs = _joined([_pair(result) for result in row.results])
        groups[pairs].append(row_name(section, row))
    counts = {len(row.results) for row in section.filled}
    if counts == {1}:
        meaning = " One replicate: only the difference is shown, no verdict."
    else:
        meaning = " Numbers are means over a row's replicates."
    if len(groups) == 1:
        return f"Replicates: {next(iter(groups))}.{meaning}"
    each = "; ".join(f"{_joined(names)}: {pairs}" for pairs, names in groups.items())
    return f"Rows rest on different replicates. {each}.{meaning}"


def _pair(result: Result) -> str:
    return f"split seed {result.identity['split_seed']} with seed {result.identity['seed']}"


def _parameters(section: ResultGroup) -> str:
    if "params_m" not in section.table.scores:
        return ""
    return (
        "Parameters are counted as published: modules that run, without positional parameters, embeddings "
        "and two-dimensional layer norms; beside them all parameters, and those that are trained."
    )


def _three(value: float) -> str:
    return f"{value:.3f}" if value == value else "undefined"


def _range(shares: Iterable[float]) -> str:
    values = sorted({f"{100 * share:.2f}" for share in shares}, key=float)
    return values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _joined(words: list[str], comma: str = ", ") -> str:
    """Words as a list in a sentence."""
    return words[0] if len(words) == 1 else f"{comma.join(words[:-1])} and {words[-1]}"
