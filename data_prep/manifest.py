"""Manifest of a prepared folder: its entries with digests, their splits under every rule, and the digest of all."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from data_prep.errors import DataError
from data_prep.facts import describe_data
from data_prep.file_names import nfc
from data_prep.rules import Rules
from data_prep.splits import SPLITS, Split, SplitRule, assign_splits, joined, require_rule
from rssam.amounts import counted

MANIFEST_SCHEMA = 2

AffineCoefficients = tuple[float, float, float, float, float, float]
"""An affine transform a, b, c, d, e, f: x = a * column + b * row + c, y = d * column + e * row + f."""


@dataclass(frozen=True)
class Entry:
    """One prepared image with its mask. Paths are relative to the prepared folder, digests are SHA-256 in hex.

    Attributes:
        stem: its name: the file name without ending, of a tile with its place.
        split: the published split, otherwise that of split seed 0. For another seed see `Manifest.split_by_stem`.
        image: path of the image, PNG of 8 bits in RGB.
        mask: path of the mask, PNG with a palette whose indices are the labels.
        native_mask: path of the mask at the source's resolution; None if the source was not shrunk.
        image_sha256: digest of the prepared image.
        mask_sha256: digest of the prepared mask.
        native_mask_sha256: digest of the native mask.
        source_image_sha256: digest of the image file in the source.
        source_mask_sha256: digest of the mask file in the source.
        source_size: (height, width) in pixels of the source.
        size: (height, width) in pixels as prepared.
        foreground: share of labelled pixels that belong to any class, 0..1.
        group: equal for images of identical content. Only a published split parts them.
        scene: equal for tiles that abut; None where this was not looked for.
        crs: coordinate system of the source raster, as WKT.
        transform: (a, b, c, d, e, f) from prepared pixels to `crs`: x = a * column + b * row + c,
            y = d * column + e * row + f.
        tile_of: stem of the source pair that it was cut from; None for a whole image.
        labelled: share of pixels that are not ignored, 0..1.

    Examples:
        The first image of docs/python.md, which was taken as it is:

        >>> from data_prep import open_prepared
        >>> entry = open_prepared("example/data/roads").manifest.entries[0]
        >>> entry.stem, entry.image, entry.source_size == entry.size
        ('0', 'images/0.png', True)
    """

    stem: str
    split: Split
    image: str
    mask: str
    native_mask: str | None
    image_sha256: str
    mask_sha256: str
    native_mask_sha256: str | None
    source_image_sha256: str
    source_mask_sha256: str
    source_size: tuple[int, int]
    size: tuple[int, int]
    foreground: float
    group: str
    scene: str | None = None
    crs: str | None = None
    transform: AffineCoefficients | None = None
    tile_of: str | None = None
    labelled: float = 1.0

    def __post_init__(self) -> None:
        for name in ("stem", "group", "scene", "tile_of"):  # they are hashed and ordered: see `nfc`
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, nfc(value))

    @property
    def source(self) -> str:
        """Return the stem of the source pair."""
        return self.tile_of or self.stem

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Return every prepared file of this entry as (relative path, digest)."""
        files = [(self.image, self.image_sha256), (self.mask, self.mask_sha256)]
        if self.native_mask is not None and self.native_mask_sha256 is not None:
            files.append((self.native_mask, self.native_mask_sha256))
        return tuple(files)


@dataclass(frozen=True)
class Manifest:
    """What a prepared folder holds and how it was made; `reproduce` refuses a folder without one.

    Attributes:
        dataset: name of the data set.
        version: of its declaration.
        classes: their names, in the order of the labels.
        image_size: (height, width) in pixels.
        origin: "source" for real data, "synthetic" for stand-ins.
        expected_pairs: pairs of the full published set; None for your own data.
        without_mask: images of the source that have no mask and were left out.
        rules: how "image", "mask" and "split" were made, as rules with a `sentence` each.
        official_split: whether the split came with the data. Split seeds change nothing then.
        entries: the prepared images, ordered by stem.
        schema: version of the file format.
        skipped: bad files of the source that were left out on demand, one line each.
        absent: classes that no mask shows.

    Examples:
        The set of docs/python.md. Another split seed gives another split:

        >>> from data_prep import open_prepared
        >>> manifest = open_prepared("example/data/roads").manifest
        >>> [len(manifest.splits(1)[name]) for name in ("train", "val", "test")]
        [4, 1, 1]
        >>> manifest.digest(split_seed=0) == manifest.digest(split_seed=1)
        False
        >>> manifest.rules["split"][0].sentence
        'train/val/test 70/15/15 by the SHA-256 of seed and stem; seed 0 gives 4/1/1'
    """

    dataset: str
    version: int
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    origin: Literal["source", "synthetic"]
    expected_pairs: int | None
    without_mask: int
    rules: Rules
    official_split: bool
    entries: tuple[Entry, ...]
    schema: int = MANIFEST_SCHEMA
    skipped: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Return whether all pairs of the published set are here, and none is a stand-in or was cut anew."""
        if self.origin != "source":
            return False
        return self.expected_pairs is None or (self.expected_pairs == len(self.entries) and not self.cut_anew)

    @property
    def cut_anew(self) -> bool:
        """Return whether a published set was cut from its raw rasters here: its tiles are not the published ones."""
        return self.expected_pairs is not None and any(entry.tile_of is not None for entry in self.entries)

    @property
    def scenes_known(self) -> bool:
        """Return whether abutting tiles were looked for; a data set that does its own preparation may not."""
        return any(entry.scene is not None for entry in self.entries)

    def split_by_stem(self, split_seed: int, rule: SplitRule = "random") -> dict[str, Split]:
        """Return the split of every entry by its stem; a published split is the same for every seed and rule.

        The rule "random" splits image by image, "blocked" keeps scenes whole. Any other raises UserError.
        """
        require_rule(rule)
        if self.official_split:
            return {entry.stem: entry.split for entry in self.entries}
        if rule == "blocked":
            return assign_splits(_blocks(self.entries), split_seed)
        return assign_splits({entry.stem: entry.group for entry in self.entries}, split_seed)

    def require_split(self, split_seed: int, rule: SplitRule) -> None:
        """Raise DataError for a split by scenes that cannot be drawn: no scenes are known, or a part has no image."""
        if rule != "blocked" or self.official_split:
            return
        if not self.scenes_known:
            raise DataError(
                f"expected the scenes of {self.dataset} to split by, found a folder prepared without. Delete the "
                f"folder data/{self.dataset} of your home and run: rssam-bench prepare {self.dataset} --source DIR"
            )
        if empty := [name for name, entries in self.splits(split_seed, rule).items() if not entries]:
            units = len(set(_blocks(self.entries).values()))
            raise DataError(
                f"{self.dataset} has no {' and no '.join(empty)} images if whole scenes are split: its "
                f"{counted(len(self.entries), 'image')} lie in {counted(units, 'scene')}. Leave out "
                "--split blocked, or prepare more scenes"
            )

    def split_note(self, rule: SplitRule) -> str:
        """Return a sentence where a rule changes nothing, because the split came with the data; otherwise empty."""
        if rule == "random" or not self.official_split:
            return ""
        return f"{self.dataset} has a published split, which is kept: --split {rule} changes nothing"

    def splits(self, split_seed: int, rule: SplitRule = "random") -> dict[Split, tuple[Entry, ...]]:
        """Return the entries of "train", "val" and "test", ordered by stem; see `split_by_stem`."""
        split_of = self.split_by_stem(split_seed, rule)
        ordered = sorted(self.entries, key=lambda entry: entry.stem)
        return {split: tuple(entry for entry in ordered if split_of[entry.stem] == split) for split in SPLITS}

    def digest(self, split_seed: int, rule: SplitRule = "random") -> str:
        """Compute the SHA-256 of source files, rules and split: equal on every machine for equal data.

        No prose is in it: rules are codes with values, and names are composed (see `nfc`).
        """
        lines = [f"{self.dataset} {self.version} {self.origin}"]
        for subject, rules in sorted(self.rules.items()):
            lines.append(f"{subject}: {' '.join(rule.identity for rule in rules)}")
        lines += [f"skipped {name}" for name in sorted(skipped_name(line) for line in self.skipped)]
        if rule == "blocked" and not self.official_split:
            lines.append("split rule: blocked")
        for split, entries in self.splits(split_seed, rule).items():
            lines += [
                f"{split} {entry.stem} {entry.source_image_sha256} {entry.source_mask_sha256}" for entry in entries
            ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @cached_property
    def foreground(self) -> float:
        """Return the share of foreground among the labelled pixels of all entries, 0..1."""
        # All entries have one size. A tile that is mostly padding must not count as much as a full one.
        labelled = sum(entry.labelled for entry in self.entries)
        return sum(entry.foreground * entry.labelled for entry in self.entries) / labelled if labelled else 0.0

    @cached_property
    def labelled(self) -> float:
        """Return the share of the prepared pixels that are not ignored, 0..1; all entries have one size."""
        return sum(entry.labelled for entry in self.entries) / max(len(self.entries), 1)

    @property
    def copies_across_splits(self) -> tuple[tuple[str, ...], ...]:
        """Return stems of identical images in more than one split, a tuple a group: only a published split has any."""
        groups: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            groups[entry.group].append(entry)
        parted = [group for group in groups.values() if len({entry.split for entry in group}) > 1]
        return tuple(tuple(entry.stem for entry in group) for group in parted)

    @property
    def facts(self) -> dict[str, Any]:
        """Return what results and submissions store of the data, as JSON values, see `describe_data`."""
        named = {"bands": "bands", "scaled": "scale"}
        declared = {named[rule.code]: dict(rule.values) for rule in self.rules.get("image", ()) if rule.code in named}
        return {
            "origin": self.origin,
            "complete": self.complete,
            "pairs": len(self.entries),
            "sources": len({entry.source for entry in self.entries}),
            "expected": self.expected_pairs,
            "cut_anew": self.cut_anew,
            "skipped": len(self.skipped),
            **declared,
        }

    def describe(self) -> str:
        """Return one sentence on completeness, as reports print it under a table."""
        return describe_data(self.dataset, self.facts)


def _blocks(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the group of each stem if neither a scene nor identical images may lie in two splits."""
    first: dict[tuple[str, str], str] = {}  # the first stem of each scene and of each group
    pairs = []
    for entry in entries:
        pairs.append((entry.stem, first.setdefault(("group", entry.group), entry.stem)))
        if entry.scene is not None:
            pairs.append((entry.stem, first.setdefault(("scene", entry.scene), entry.stem)))
    return joined([entry.stem for entry in entries], pairs)


def skipped_name(line: str) -> str:
    """Return the file name in a line of `Manifest.skipped`.

    Composed, see `nfc`, and without its folders, which depend on where the source was unpacked, and without the reason,
    which libraries word.
    """
    return nfc(line.partition(": ")[0].rpartition("/")[2])
