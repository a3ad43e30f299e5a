"""Finalize entries once all pairs are converted: find identical images and assign splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from data_prep.checks.duplicates import exact_copies
from data_prep.manifest import Entry
from data_prep.prepare.convert import Record
from data_prep.rules import Rule, rule
from data_prep.splits import FRACTIONS, SPLITS, Split, assign_splits, deal_validation, exact_counts
from rssam.contract import IGNORE


def finalize_entries(
    records: Sequence[Record], published: Mapping[str, Split], *, whole: bool = True
) -> tuple[tuple[Entry, ...], tuple[Rule, ...]]:
    """Return the final entries ordered by stem, with groups of identical images and splits; and the split's rules.

    The split is the published one where there is one, with validation images dealt from train if it has none;
    otherwise that of seed 0. `published` maps stems of source pairs. With `whole` the tiles of a source image share a
    split, otherwise each is assigned by itself.
    """
    ordered = sorted(records, key=lambda record: record.entry.stem)
    first: dict[str, str] = {}
    groups = {record.entry.stem: first.setdefault(record.pixel_digest, record.entry.stem) for record in ordered}
    if published:
        splits = {record.entry.stem: published[record.entry.source] for record in ordered}
        if "val" not in published.values():
            splits = deal_validation(splits, groups)
    else:
        splits = assign_splits(groups, 0)
    entries = tuple(
        replace(record.entry, split=splits[record.entry.stem], group=groups[record.entry.stem]) for record in ordered
    )
    return entries, published_rules(entries) if published else drawn_rules(entries, whole)


def rules_of_sources(records: Sequence[Record]) -> list[tuple[str, Rule]]:
    """Return rules on pixels without data, on clipped values and on alpha that masks nothing, each with its subject."""
    # hashed: part of every run key
    sources = {record.entry.source: record for record in records}.values()  # all tiles of a source say the same
    found = []
    if no_data := [source.no_data for source in sources if source.no_data]:
        found.append(("mask", rule("no-data", pixels=sum(no_data), pairs=len(no_data), ignored=IGNORE)))
    if outside := [source.outside for source in sources if source.outside]:
        found.append(("image", rule("clipped", values=sum(outside), images=len(outside))))
    if no_mask := sum(source.no_mask for source in sources):
        found.append(("image", rule("alpha-no-mask", images=no_mask)))
    return found


def drawn_rules(entries: Sequence[Entry], whole: bool) -> tuple[Rule, ...]:
    """Return the rules of a split that was drawn; `entries` have that of seed 0."""
    counts, exact = _sizes(entries), exact_counts(len(entries))
    # hashed: part of every run key
    rules = [rule("stem-hash", percent=FRACTIONS, counts=counts)]
    if whole and any(entry.tile_of is not None for entry in entries):
        rules.append(rule("tiles-together"))
    if shared := exact_copies(entries, whole=whole):
        rules.append(rule("copies-together", images=sum(map(len, shared)), groups=len(shared)))
    return (*rules, rule("exact-counts", counts=exact)) if len(rules) > 1 else tuple(rules)


def published_rules(entries: Sequence[Entry]) -> tuple[Rule, ...]:
    """Return the rules of a split that came with the data."""
    # hashed: part of every run key
    rules = [rule("published-split", counts=_sizes(entries))]
    if shared := exact_copies(entries):
        parted = sum(len({entry.split for entry in group}) > 1 for group in shared)
        rules.append(rule("copies-parted", images=sum(map(len, shared)), groups=len(shared), parted=parted))
    return tuple(rules)


def _sizes(entries: Sequence[Entry]) -> tuple[int, ...]:
    """Return the number of entries in train, val and test."""
    sizes = Counter(entry.split for entry in entries)
    return tuple(sizes[split] for split in SPLITS)
