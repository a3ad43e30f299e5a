"""Write the notes under a table: all that a reader must know before comparing its numbers with the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.metrics.counts import foreground_share
from benchmarks.protocol.claims import REPLICATES
from benchmarks.protocol.paper_numbers import IMPLIED_FOREGROUND
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.setting import Setting
from benchmarks.results.custom_system import SYSTEM
from benchmarks.results.result import Result
from data_prep.splits import SPLITS
from reports.formatting import format_number, format_range, gathered, join_words, plural
from reports.select.comparable import ResultGroup, ResultGroupRow
from reports.select.not_comparable import from_scratch, group_reasons, is_compared, replaced, variant
from reports.select.settings import PAPER_SETTING, command
from reports.tables.class_means import class_mean_notes
from reports.tables.mixed_software import mixed_software
from reports.tables.recipe_text import describe_recipe, describe_replicates
from reports.tables.rs_sam_note import rs_sam_note
from reports.tables.train_neighbours import describe_neighbours, neighbours
from reports.tables.without_result import diverged_rates, without_result
from rssam.config import RSSAM

INITIALISATIONS = {
    "sam": "from SAM's checkpoint",
    "imagenet": "from ImageNet weights",
    "pretrained": "from the published weights of its encoder",
    "scratch": "from scratch: no pretrained weights, not comparable with the paper",
}
SPLIT_NOTES = {  # by the field `split` of `Folder`
    "folders": ", in the split of the source's folders",
    "lists": ", in the split of the source's lists",
    "ignored": ", dealt anew although the source has a split of its own",
}


def notes(group: ResultGroup, intervals: Sequence[str] = (), scored: Sequence[str] = ()) -> tuple[str, ...]:
    """Return all notes on a group of results, in the order of their weight. Commands stand in backquotes.

    `intervals` are the notes on intervals, `scored` those on rows of scored predictions.
    """
    if not group.results:
        fill = command(group.table, group.setting)
        if group.failed:
            ending = f"No row of this table has a result. To fill it: `{fill}`."
            return tuple(part for part in (_owner(group), without_result(group), ending, *scored) if part)
        return (f"Nothing of this table has been run. To fill it: `{fill}`.", *scored)
    tabled = {group.name(row): row.results for row in group.filled if row.state == "done"}
    parts = (
        _owner(group),
        _not_a_reproduction(group),
        _missing(group),
        *rs_sam_note(result.identity["model"] for result in group.results),
        _collapsed(group),
        without_result(group),
        diverged_rates(group),
        mixed_software(group),
        _average(group),
        *class_mean_notes(tabled, group.table.scores),
        *intervals,
        *scored,
        f"Recipe {group.setting.profile}: {describe_recipe(PROFILES[group.setting.profile].recipe)}.",
        _start(group) if not group.table.study or _other_start(group) else "",
        _encoders(group),
        _variants(group),
        _controls(group),
        _own(group),
        _data(group),
        _split_rule(group),
        _neighbours(group, tabled),
        _disputed(group),
        *(() if group.table.study else (_foreground(group), _constant(group))),
        _replicates(group),
        _parameters(group),
        f"Precision: {join_words(sorted({result.identity['precision'] for result in group.results}))}.",
        _overflows(group),
    )
    return tuple(part for part in parts if part)


def _owner(group: ResultGroup) -> str:
    return "" if group.source == "own" else "Published results that come with this version, not runs of yours."


def _missing(group: ResultGroup) -> str:
    total, missing = len(group.table.rows), group.missing
    if not missing:
        return ""
    if group.source == "published":
        return f"{missing} of {total} rows are not among the published results."
    return f"{missing} of {total} rows not run. To fill them: `{command(group.table, group.setting)}`."


def _not_a_reproduction(group: ResultGroup) -> str:
    """Return why the numbers cannot confirm or contradict the paper, or answer a study; empty where they can."""
    reasons = group_reasons(group)
    if not reasons:
        return ""
    if group.table.study:
        own = command(group.table, Setting(group.table.profile))
        return f"It answers none of its questions: {'; '.join(reasons)}. As it is declared: `{own}`."
    return f"Not a reproduction: {'; '.join(reasons)}. The paper's setting: `{command(group.table, PAPER_SETTING)}`."


def _collapsed(group: ResultGroup) -> str:
    """Return a note on each row with a collapsed replicate; its survivors are named, not averaged."""
    parts = []
    for row in group.filled:
        if not row.collapsed:
            continue
        dices = join_words([_score(result.scores.dice) for result in row.collapsed])
        answers = join_words(sorted({_score(result.constant_dice) for result in row.collapsed}))
        kept = [_score(result.scores.dice) for result in row.results if result not in row.collapsed]
        rest = f" (its other replicates, not tabled either: {join_words(kept)})" if kept else ""
        parts.append(f"{group.name(row)}: Dice {dices} against {answers}{rest}")
    if not parts:
        return ""
    return f"Collapsed, not above the constant answer, and so not tabled as a score. {'; '.join(parts)}."


def _average(group: ResultGroup) -> str:
    results, columns = group.results, group.table.scores
    if all(result.average == "foreground" for result in results):
        return "Scores of the foreground class, pooled over all test pixels."
    if "dice" not in columns:
        return "Dice of each class, pooled over all test pixels."
    return (
        f"Scores of each class pooled over all test pixels, then the plain mean over {len(results[0].classes)} classes "
        "(a class absent from truth and prediction is left out); Acc is the mean one-vs-rest accuracy."
    )


def _start(group: ResultGroup) -> str:
    starts = gathered((_row_start(row), group.name(row)) for row in group.filled)
    if len(starts) == 1:
        return f"Initialisation: {next(iter(starts))}."
    return f"Initialisation: {'; '.join(f'{join_words(names)} {words}' for words, names in starts.items())}."


def _row_start(row: ResultGroupRow) -> str:
    options = row.results[0].identity["model"]["options"]
    init = options.get("init")
    if init is None:
        return "from random numbers, as published"
    words = INITIALISATIONS.get(init, str(init)) if init != "scratch" or from_scratch(row) else "from scratch"
    if custom := row.results[0].custom_weights:
        words = f"from custom weights {join_words(list(custom))}, in place of the published file"
    return f"{words} {options['encoder']}" if init == "sam" and "encoder" in options else words


def _other_start(group: ResultGroup) -> bool:
    """Return whether a row started from other weights than the declared ones, which a study has in a column."""
    return any(from_scratch(row) or any(result.custom_weights for result in row.results) for row in group.filled)


def _encoders(group: ResultGroup) -> str:
    pairs = dict.fromkeys(pair for row in group.filled if (pair := replaced(row)))
    return f"Encoder: {join_words([f'{new} in place of {old}' for old, new in pairs])}." if pairs else ""


def _variants(group: ResultGroup) -> str:
    """Return options other than encoder and start in which what was run differs from what the table declares."""
    if group.table.study:
        small = dict.fromkeys(option for row in group.filled for option in variant(row))
        return f"Smaller than declared: {join_words(list(small))}." if small else ""
    variants = [f"{group.name(row)} ({', '.join(variant(row))})" for row in group.filled if variant(row)]
    return f"Smaller variants than the paper's: {join_words(variants)}." if variants else ""


def _controls(group: ResultGroup) -> str:
    table = group.table
    if not table.controls:
        return ""
    shown = [group.name(row) for row in group.filled if row.row in table.controls]
    if shown:
        return f"Not in the paper, run as a control: {join_words(shown, '; ')}."
    run = command(table, group.setting)
    count = len(table.controls)
    return f"{count} {plural(count, 'control')} that the paper does not have can be run: `{run} --controls`."


def _own(group: ResultGroup) -> str:
    rows = [row for row in group.filled if row.row in group.table.own]
    classes = [row.results[0].provenance[SYSTEM]["class"].replace("`", "?") for row in rows]
    names = [f"{group.name(row)}, declared in `{name}`" for row, name in zip(rows, classes, strict=True)]
    return f"Neither in the paper nor of this suite: {join_words(names, '; ')}." if names else ""


def _data(group: ResultGroup) -> str:
    result = group.results[0]
    described = result.data_description + SPLIT_NOTES.get(str(result.identity["dataset"].get("split")), "")
    recorded = {
        split: {int(result.data[split]) for result in group.results if split in result.data} for split in SPLITS
    }
    counts = ", ".join(
        f"{join_words([str(size) for size in sorted(sizes)])} {split}" for split, sizes in recorded.items() if sizes
    )
    return f"Data: {group.dataset}, {described}" + (f"; images used: {counts}." if counts else ".")


def _split_rule(group: ResultGroup) -> str:
    if all(result.identity["split_rule"] != "blocked" for result in group.results):
        return ""
    return (
        "Split by scenes (--split blocked): tiles found to abut never part, so no test tile has a known neighbour in "
        "training. The paper gives no such rule."
    )


def _neighbours(group: ResultGroup, tabled: Mapping[str, Sequence[Result]]) -> str:
    """Return Dice without the test images that have neighbours in training; rows without a score are left out."""
    if _split_rule(group) and not any(neighbours(result) for result in group.results):
        return ""  # the note on the split says so
    ours = [group.name(row) for row in group.filled if row.row.model == RSSAM()]
    return describe_neighbours(tabled, ours[0] if ours else None)


def _overflows(group: ResultGroup) -> str:
    runs = [result.overflows for result in group.results if result.overflows]
    if not runs:
        return ""
    return f"Steps whose gradients overflowed float16 and were left out: {sum(runs)}, in {len(runs)} of the runs."


def _disputed(group: ResultGroup) -> str:
    if not group.disputed:
        return ""
    files = [f"{name} is {digest[:12]}" for name, digest in group.disputed]
    return f"Results under this setting disagree on files they share; here the SHA-256 of {join_words(files)}."


def _foreground(group: ResultGroup) -> str:
    results = group.results
    if any(result.average != "foreground" for result in results):
        return ""
    shares = [foreground_share(result.counts) for result in results]
    span = format_range(f"{100 * min(shares):.2f}", f"{100 * max(shares):.2f}")
    text = f"Foreground share of the test pixels: {span} %"
    implied = IMPLIED_FOREGROUND.get(group.dataset)
    if implied is None:
        return f"{text}."
    low, high = implied
    bounds = f"{100 * low:.2f} to {100 * high:.2f} %"
    if low <= min(shares) and max(shares) <= high:
        return f"{text}, within the {bounds} that the paper's tables imply."
    return f"{text}, where the paper's tables imply {bounds}."


def _constant(group: ResultGroup) -> str:
    binary = all(result.average == "foreground" for result in group.results)
    answer = "everything foreground" if binary else "everything the commonest class"
    values = sorted({_score(result.constant_dice) for result in group.results})
    return f"A constant answer ({answer}) has Dice {format_range(values[0], values[-1])}."


def _replicates(group: ResultGroup) -> str:
    rows_by_replicates = gathered((describe_replicates(row.results), group.name(row)) for row in group.filled)
    counts = {len(row.results) for row in group.filled}
    meaning = "" if counts == {1} else " Numbers are means over a row's replicates."
    if max(counts) < REPLICATES and any(is_compared(group, row) for row in group.filled):
        meaning += f" No verdict: it takes {REPLICATES} replicates."
    if len(rows_by_replicates) == 1:
        return f"Replicates: {next(iter(rows_by_replicates))}.{meaning}"
    listed = "; ".join(f"{join_words(names)}: {replicates}" for replicates, names in rows_by_replicates.items())
    return f"Rows rest on different replicates. {listed}.{meaning}"


def _parameters(group: ResultGroup) -> str:
    if "params_m" not in group.table.scores:
        return ""
    return (
        "Parameters are counted as published: modules that run, without positional parameters, embeddings "
        "and two-dimensional layer norms; beside them all parameters, and those that are trained."
    )


def _score(value: float) -> str:
    return format_number(value, missing="undefined")
