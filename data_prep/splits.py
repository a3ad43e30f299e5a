"""Split images 70/15/15 by a hash of their stems, keeping groups together."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

from data_prep.file_names import nfc
from rssam.errors import UnknownName

Split = Literal["train", "val", "test"]


SPLITS: tuple[Split, ...] = ("train", "val", "test")

SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What folders and lists of a published split are called, in small letters."""


SplitRule = Literal["random", "blocked"]
"""How a split is drawn: image by image, or scene by scene, so that abutting tiles never part."""


def require_rule(rule: str) -> None:
    """Raise UnknownName listing the rules unless `rule` is a `SplitRule`."""
    if rule not in get_args(SplitRule):
        raise UnknownName(f"unknown split rule {rule!r}: choose from {', '.join(get_args(SplitRule))}")


ImageSelection = Literal["all", "test"]
"""Which images of a data set are scored: all, or those of its test split."""


FRACTIONS = (70, 15, 15)
"""Per cent of the images in train, val and test (paper, section 4.1)."""


def exact_counts(total: int) -> tuple[int, int, int]:
    """Return the sizes of train, val and test for `total` images: largest remainder, ties to test (36 gives 25/5/6)."""
    floors = [total * percent // 100 for percent in FRACTIONS]
    remainders = [total * percent % 100 for percent in FRACTIONS]
    for index in sorted(range(3), key=lambda i: (-remainders[i], -i))[: total - sum(floors)]:
        floors[index] += 1
    return floors[0], floors[1], floors[2]


def assign_splits(groups: Mapping[str, str], split_seed: int) -> dict[str, Split]:
    """Split stems 70/15/15 by a rule that depends neither on listing order nor on the machine.

    `groups` maps each stem to its group. Stems are ordered and hashed composed, see `nfc`. Groups are ordered by the
    SHA-256 of "seed:first stem" and fill train, then val, then test. A group that no longer fits goes to the next split
    with room for it. Where no split has room, it goes to the split with most room left. The fractions are exact
    whenever every group has one member.
    """
    room = dict(zip(SPLITS, exact_counts(len(groups)), strict=True))
    chosen: dict[str, Split] = {}
    for stems in _in_order(groups, groups, split_seed):
        fitting = [split for split in SPLITS if room[split] >= len(stems)]
        split = fitting[0] if fitting else max(SPLITS, key=lambda name: room[name])
        room[split] -= len(stems)
        chosen.update(dict.fromkeys(stems, split))
    return chosen


def deal_validation(splits: Mapping[str, Split], groups: Mapping[str, str]) -> dict[str, Split]:
    """Return a published split without validation images with one: 15 of 85 parts of train, by the hash of stems.

    `groups` maps each stem to its group, which is never parted. The first group stays in train.
    """
    ordered = _in_order([stem for stem, split in splits.items() if split == "train"], groups, 0)
    room = max(1, round(sum(map(len, ordered)) * FRACTIONS[1] / (FRACTIONS[0] + FRACTIONS[1])))
    dealt = dict(splits)
    for stems in ordered[1:]:
        if len(stems) <= room:
            room -= len(stems)
            dealt.update(dict.fromkeys(stems, "val"))
    return dealt


def _in_order(stems: Iterable[str], groups: Mapping[str, str], split_seed: int) -> list[list[str]]:
    """Return the groups of stems by the SHA-256 of "seed:first stem", as no listing order decides."""
    members: dict[str, list[str]] = defaultdict(list)
    for stem in sorted(stems, key=nfc):
        members[groups[stem]].append(stem)
    return sorted(members.values(), key=lambda group: hashlib.sha256(f"{split_seed}:{nfc(group[0])}".encode()).digest())


def joined(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Map each name to the first, in order, of all names that `pairs` join it to, directly or through others."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for pair in pairs:
        first, second = sorted(map(root, pair))
        parent[second] = first
    return {name: root(name) for name in names}
