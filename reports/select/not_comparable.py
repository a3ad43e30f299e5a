"""Find why a run cannot confirm or contradict the paper's number, for notes under tables and for verdicts alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.metrics.counts import foreground_share
from benchmarks.protocol.paper_numbers import IMPLIED_FOREGROUND
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.run import plain_fields
from benchmarks.results.result import Result
from data_prep.registry import find_dataset
from data_prep.splits import SPLITS
from reports.formatting import join_words
from reports.select.comparable import ResultGroup, ResultGroupRow

Reason = str
"""Half a sentence without a full stop; empty for "no reason"."""

ERRORS = 3
"""Standard errors of a random split's foreground share beyond which it is not the paper's data."""


def group_reasons(group: ResultGroup) -> tuple[Reason, ...]:
    """Return why a group's numbers are no reproduction, each reason once; empty where they are, or nothing was run."""
    reasons = [rule(group, row) for rule in RULES for row in group.filled]
    return tuple(dict.fromkeys(reason for reason in reasons if reason))


def row_reasons(group: ResultGroup, row: ResultGroupRow, *, any_recipe: bool = False) -> tuple[Reason, ...]:
    """Return why one row's numbers cannot be compared with the paper's: reasons of its group that apply, and its own.

    With `any_recipe` another recipe is no reason: a claim may be about another.
    """
    if not row.results:
        return (_without_result(group, row),)
    rules = [rule for rule in (*RULES, *ROW_RULES) if not (any_recipe and rule is _recipe)]
    reasons = [rule(group, row) for rule in rules]
    return tuple(reason for reason in reasons if reason)


def is_compared(group: ResultGroup, row: ResultGroupRow) -> bool:
    """Return whether a row has differences from the paper: another recipe has, other data or another network do not."""
    return not (PROFILES[group.setting.profile].claims_nothing or row_reasons(group, row, any_recipe=True))


def from_scratch(row: ResultGroupRow) -> bool:
    """Return whether a row starts from scratch although its declaration starts from pretrained weights."""
    declared = getattr(row.row.model, "init", None)
    return declared != "scratch" and _options(row).get("init") == "scratch"


def replaced(row: ResultGroupRow) -> tuple[str, str] | None:
    """Return the declared encoder and the encoder that was run in its place; None where it is the declared one."""
    declared = getattr(row.row.model, "encoder", None)
    used = _options(row).get("encoder", declared)
    return None if declared == used else (str(declared), str(used))


def variant(row: ResultGroupRow) -> tuple[str, ...]:
    """Return the options, except encoder and start, that differ from the declared ones, as "width 16"."""
    declared, used = plain_fields(row.row.model), _options(row)
    return tuple(
        f"{name} {used[name]}" for name in used if name not in ("encoder", "init") and used[name] != declared.get(name)
    )


def share_error(results: Sequence[Result]) -> float:
    """Return the standard error of the foreground share of a random split, 0..1: the mean over the results' test sets.

    A ratio of sums over images, so its linearised variance; 0 where all images have the same share.
    """
    errors = []
    for result in results:
        counts = result.counts
        positive = (counts.tp + counts.fn)[:, 0].astype(np.float64)
        total = positive + (counts.fp + counts.tn)[:, 0]
        images = len(positive)
        if images < 2 or not total.sum():
            return math.nan
        residual = positive - positive.sum() / total.sum() * total
        errors.append(math.sqrt(float((residual**2).sum()) * images / (images - 1)) / float(total.sum()))
    return float(np.mean(errors))


def _options(row: ResultGroupRow) -> dict[str, object]:
    options: dict[str, object] = row.results[0].identity["model"]["options"]
    return options


def _whose(group: ResultGroup, declared: str = "the declared one") -> str:
    """Return what a table of the paper, or of a study, is declared with."""
    return declared if group.table.study else "the paper's"


def _recipe(group: ResultGroup, row: ResultGroupRow) -> Reason:
    setting = group.setting
    profile = PROFILES[setting.profile]
    recipe = profile.recipe
    if profile.claims_nothing:
        return f"the {setting.profile} profile claims nothing"
    declared = PROFILES[group.table.profile].recipe
    return "" if recipe == declared else f"the recipe is {recipe.name}, not {_whose(group, declared.name)}"


def _start(group: ResultGroup, row: ResultGroupRow) -> Reason:
    if from_scratch(row):
        return "trained from scratch, without the pretrained weights"
    custom = dict.fromkeys(digits for result in row.results for digits in result.custom_weights)
    return f"started from custom weights {join_words(list(custom))}, not the published file" if custom else ""


def _encoder(group: ResultGroup, row: ResultGroupRow) -> Reason:
    return f"another encoder than {_whose(group)}" if replaced(row) else ""


def _variant(group: ResultGroup, row: ResultGroupRow) -> Reason:
    return f"smaller variants than {_whose(group)}" if variant(row) else ""


def _elsewhere(group: ResultGroup, row: ResultGroupRow) -> Reason:
    if group.setting.dataset is None:
        return ""
    elsewhere = f"data set {group.setting.dataset} in place of"
    if group.table.study:
        return f"{elsewhere} those of {group.table.study}"
    return f"{elsewhere} {group.table.dataset}, for which the paper has no row here"


def _blocked(group: ResultGroup, row: ResultGroupRow) -> Reason:
    blocked = any(result.identity["split_rule"] == "blocked" for result in row.results)
    return "split by scenes, which the paper does not do" if blocked else ""


def _data(group: ResultGroup, row: ResultGroupRow) -> Reason:
    data = row.results[0].data
    if data.get("origin") == "synthetic":
        return "synthetic data"
    return "" if data.get("complete") else "partial data"


def _collapsed(group: ResultGroup, row: ResultGroupRow) -> Reason:
    if not row.collapsed:
        return ""
    return f"collapsed: {len(row.collapsed)} of {len(row.results)} not above the constant answer"


def _without_result(group: ResultGroup, row: ResultGroupRow) -> Reason:
    return row.runs if row.failed else ""


def _whole(group: ResultGroup, row: ResultGroupRow) -> bool:
    """Return whether all images of the data set were used: of a part, its size and share say nothing more."""
    return not _data(group, row) and PROFILES[group.setting.profile].recipe.limit is None


def _official(group: ResultGroup, row: ResultGroupRow) -> Reason:
    """Return why a published split has not its published sizes, "" if it has."""
    official = find_dataset(group.dataset).official_sizes
    if official is None or not _whole(group, row):
        return ""
    for result in row.results:
        sizes = tuple(result.data.get(split) for split in SPLITS)
        if sizes != official:
            used = " / ".join(str(size) for size in sizes)
            return f"the official split was changed: {used} images in place of {' / '.join(map(str, official))}"
    return ""


def _share(group: ResultGroup, row: ResultGroupRow) -> Reason:
    """Return why the test images have another share of foreground than the paper's tables imply, "" if they do not.

    They are then other images or labels. The paper's own split and each of ours are random draws of the same images, so
    that a share may differ by chance. An official split may not.
    """
    implied = IMPLIED_FOREGROUND.get(group.dataset)
    if implied is None or not _whole(group, row) or any(result.average != "foreground" for result in row.results):
        return ""
    share = float(np.mean([foreground_share(result.counts) for result in row.results]))
    slack = 0.0
    if not all(result.published_split for result in row.results):
        slack = ERRORS * share_error(row.results) * math.sqrt(1 + 1 / len(row.results))
    low, high = implied
    if low - slack <= share <= high + slack:
        return ""
    chance = f", by more than the {100 * slack:.2f} that a random split may move it" if slack else ""
    return (
        f"the test images are {100 * share:.2f} % foreground, where the paper's tables imply {100 * low:.2f} to "
        f"{100 * high:.2f} %{chance}"
    )


ReasonRule = Callable[[ResultGroup, ResultGroupRow], Reason]
RULES: tuple[ReasonRule, ...] = (_recipe, _start, _encoder, _variant, _elsewhere, _blocked, _data)
"""What a note under a table says of all its rows."""
ROW_RULES: tuple[ReasonRule, ...] = (_collapsed, _without_result, _official, _share)
"""What has a note of its own there."""
