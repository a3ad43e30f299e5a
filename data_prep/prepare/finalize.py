"""Finalize entries once all pairs are converted: find identical images and assign splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from data_prep.manifest import Entry
from data_prep.prepare.convert import Record
from data_prep.splits import SPLITS, Split, assign_splits, exact_counts


def finalize_entries(
    records: Sequence[Record], published: Mapping[str, Split], *, whole: bool = True
) -> tuple[tuple[Entry, ...], str]:
    """Return the final entries ordered by stem, with groups of identical images and splits; and the split's rule.

    The split is the published one where there is one, otherwise that of seed 0. With `whole` the tiles of a source
    image share a split, otherwise each is assigned by itself.
    """
    ordered = sorted(records, key=lambda record: record.entry.stem)
    first: dict[str, str] = {}
    groups = {record.entry.stem: first.setdefault(record.pixel_digest, record.entry.stem) for record in ordered}
    splits = published or assign_splits(groups, 0)
    entries = tuple(
        replace(record.entry, split=splits[record.entry.stem], group=groups[record.entry.stem]) for record in ordered
    )
    return entries, published_rule(entries) if published else drawn_rule(entries, whole)


def drawn_rule(entries: Sequence[Entry], whole: bool) -> str:
    """Return the sentence on a split that was drawn; `entries` have that of seed 0."""
    counts = _sizes(entries)
    # hashed: part of every run key
    rule = f"train/val/test 70/15/15 by the SHA-256 of seed and stem; seed 0 gives {'/'.join(map(str, counts))}"
    exact = exact_counts(len(entries))
    if whole and any(entry.tile_of is not None for entry in entries):
        rule += f"; tiles of one image never part, exact would be {'/'.join(map(str, exact))}"
    if shared := _copies(entries, whole):
        rule += f"; {sum(map(len, shared))} images that have identical copies never part (groups: {len(shared)})"
        rule += ", sizes stay exact" if counts == exact else f", exact would be {'/'.join(map(str, exact))}"
    return rule


def published_rule(entries: Sequence[Entry]) -> str:
    """Return the sentence on a split that came with the data."""
    # hashed: part of every run key
    rule = f"train/val/test as published: {'/'.join(map(str, _sizes(entries)))}"
    if shared := _copies(entries, whole=True):
        parted = sum(len({entry.split for entry in group}) > 1 for group in shared)
        rule += f"; {sum(map(len, shared))} images have identical copies (groups: {len(shared)}, of which {parted} lie "
        rule += "in more than one split), none was moved"
    return rule


def _sizes(entries: Sequence[Entry]) -> tuple[int, ...]:
    """Number of entries in train, val and test."""
    sizes = Counter(entry.split for entry in entries)
    return tuple(sizes[split] for split in SPLITS)


def _copies(entries: Sequence[Entry], whole: bool) -> list[list[Entry]]:
    """Return the groups of at least two identical images; a `whole` image cut into tiles counts once."""
    groups: dict[str, dict[str, Entry]] = defaultdict(dict)
    for entry in entries:
        groups[entry.group].setdefault((whole and entry.tile_of) or entry.stem, entry)
    return [list(group.values()) for group in groups.values() if len(group) > 1]
