"""Write, read and verify the manifest of a prepared folder: its entries with digests, splits and rules."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from data_prep.errors import DataError, NotPrepared
from data_prep.facts import describe_data
from data_prep.file_names import nfc
from data_prep.processes import Progress
from data_prep.rules import RULES, Rules, rules_from_json, rules_to_json
from data_prep.splits import SPLITS, Split, SplitRule, assign_splits, joined
from rssam.errors import made_by_0_1
from rssam.files import sha256_file, write_atomic
from rssam.foreign_json import Unreadable, read_json
from rssam.kinds import BOOLEAN, COUNT, LINE, NUMBER, STEM, TEXT, Leaf, fault, one_of, whole

MANIFEST_NAME = "manifest.json"
MANIFEST_SCHEMA = 2
MOST_BYTES = 128 << 20
"""A hundred thousand tiles."""

AffineCoefficients = tuple[float, float, float, float, float, float]
"""An affine transform a, b, c, d, e, f: x = a * column + b * row + c, y = d * column + e * row + f."""


@dataclass(frozen=True)
class Entry:
    """One prepared image with its mask. Paths are relative to the prepared folder, digests are SHA-256 in hex.

    Examples:
        The first image of docs/python.md, which was taken as it is:

        >>> from data_prep import open_prepared
        >>> entry = open_prepared("example/data/roads").manifest.entries[0]
        >>> entry.image, entry.source_size == entry.size
        ('images/0.png', True)
    """

    stem: str
    split: Split  # the official split, or the one of split seed 0
    image: str
    mask: str
    native_mask: str | None  # the mask at the source's own resolution, for scores beside the headline
    image_sha256: str
    mask_sha256: str
    native_mask_sha256: str | None
    source_image_sha256: str
    source_mask_sha256: str
    source_size: tuple[int, int]  # (height, width) before resizing
    size: tuple[int, int]  # (height, width) as prepared
    foreground: float  # share of labelled pixels that belong to any class, 0..1
    group: str  # equal for images of identical content: only an official split parts such
    scene: str | None = None  # equal for tiles that abut, where known
    crs: str | None = None  # coordinate system of the source raster, as WKT
    transform: AffineCoefficients | None = None  # prepared pixels to coordinates in crs
    tile_of: str | None = None  # stem of the source pair that it was cut from; None for a whole image
    labelled: float = 1.0  # share of pixels that are not ignored, 0..1

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

    Examples:
        The set of docs/python.md. Another split seed deals the pairs otherwise:

        >>> from data_prep import open_prepared
        >>> manifest = open_prepared("example/data/roads").manifest
        >>> [len(manifest.splits(1)[name]) for name in ("train", "val", "test")]
        [4, 1, 1]
        >>> manifest.digest(split_seed=0) == manifest.digest(split_seed=1)
        False
    """

    dataset: str
    version: int
    classes: tuple[str, ...]
    image_size: tuple[int, int]  # (height, width)
    origin: Literal["source", "synthetic"]
    expected_pairs: int | None  # pairs known to be in the full published set
    without_mask: int  # images of the source that have no mask and were left out
    rules: Rules  # how image, mask and split were made
    official_split: bool  # the split came with the data: split seeds change nothing
    entries: tuple[Entry, ...]
    schema: int = MANIFEST_SCHEMA
    skipped: tuple[str, ...] = ()  # bad files of the source that were left out on demand, one line each
    absent: tuple[str, ...] = ()  # classes that no mask shows

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
        """Return the split of every entry; an official split is the same for every seed and rule."""
        if self.official_split:
            return {entry.stem: entry.split for entry in self.entries}
        if rule == "blocked":
            return assign_splits(_blocks(self.entries), split_seed)
        return assign_splits({entry.stem: entry.group for entry in self.entries}, split_seed)

    def splits(self, split_seed: int, rule: SplitRule = "random") -> dict[Split, tuple[Entry, ...]]:
        """Return the entries of each split, ordered by stem."""
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


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest; it comes last, so that a folder with a manifest is whole."""
    raw = {**asdict(replace(manifest, rules={})), "rules": rules_to_json(manifest.rules)}
    text = json.dumps(raw, indent=1, sort_keys=True)
    write_atomic(folder / MANIFEST_NAME, text.encode())


def load_manifest(folder: Path, dataset: str) -> Manifest:
    """Read the manifest of a prepared folder.

    Args:
        folder: the prepared folder.
        dataset: the data set that is expected there.

    Raises:
        NotPrepared: The folder has no manifest.
        DataError: The manifest is damaged, of another format, or of another data set.

    Examples:
        The folder of docs/python.md:

        >>> from pathlib import Path
        >>> from data_prep import load_manifest
        >>> load_manifest(Path("example/data/roads"), "roads").describe()
        "the user's own data: 6 pairs"
    """
    path = folder / MANIFEST_NAME
    remedy = f"rssam-bench prepare {dataset} --source DIR"
    if not os.path.lexists(path):
        raise NotPrepared(f"{dataset} is not prepared: no {MANIFEST_NAME} in {folder}. Run: {remedy}")
    try:
        raw = read_json(path, most_bytes=MOST_BYTES)
        if isinstance(raw, dict) and raw.get("schema") == 1:
            raise DataError(made_by_0_1(str(folder), remedy))
        if isinstance(raw, dict) and raw.get("schema") != MANIFEST_SCHEMA:
            raise DataError(
                f"{path} has manifest format {ascii(raw.get('schema'))[:60]}, this version reads {MANIFEST_SCHEMA}. "
                f"Delete {folder} and run: {remedy}"
            )
        if words := fault(raw, KINDS):
            raise Unreadable(words)
        if raw["dataset"] != dataset:
            raise DataError(
                f"expected the data set {dataset} in {folder}, found {raw['dataset']}: name that one, or delete the "
                f"folder and run: {remedy}"
            )
        entries = tuple(Entry(**with_tuples(entry)) for entry in raw.pop("entries"))
        rules = rules_from_json(raw.pop("rules"))
        return Manifest(**with_tuples(raw), rules=rules, entries=entries)
    except (OSError, ValueError, TypeError) as error:  # TypeError: of fields that only a later version has
        raise DataError(f"{path} is damaged ({error}). Delete {folder} and run: {remedy}") from error


def _is_inside(relative: object) -> bool:
    """Return whether it is a path that does not lead out of the prepared folder."""
    if not (isinstance(relative, str) and 0 < len(relative) <= 1000) or "\0" in relative:
        return False
    return not relative.startswith("/") and ".." not in relative.split("/")


def _is_stem(stem: object) -> bool:
    """Return whether it is the name of a file, perhaps after folders that lead nowhere else: "cityA/0"."""
    if not (isinstance(stem, str) and STEM.fits(stem)) or "\0" in stem:
        return False
    return not {"", ".", ".."} & set(stem.split("/"))


def _list_of(length: int, item: Leaf, words: str) -> Leaf:
    return Leaf(words, lambda value: isinstance(value, list) and len(value) == length and all(map(item.fits, value)))


_FILE = Leaf("a path inside of the folder", _is_inside)
_SIZE = _list_of(2, whole(1, 1 << 20), "height and width")
_SHARE = Leaf("a share from 0 to 1", lambda value: NUMBER.fits(value) and 0 <= value <= 1)
_DIGESTS = ("image_sha256", "mask_sha256", "source_image_sha256", "source_mask_sha256")
_ENTRY = {
    "stem": Leaf("a file name", _is_stem),
    "split": one_of(*SPLITS),
    "image": _FILE,
    "mask": _FILE,
    "native_mask": (None, _FILE),
    **dict.fromkeys(_DIGESTS, LINE),
    "native_mask_sha256": (None, LINE),
    "source_size": _SIZE,
    "size": _SIZE,
    "foreground": _SHARE,
    "group": STEM,
    "scene?": (None, STEM),
    "crs?": (None, TEXT),
    "transform?": (None, _list_of(6, NUMBER, "six numbers")),
    "tile_of?": (None, STEM),
    "labelled?": _SHARE,
}
KINDS = {
    "dataset": LINE,
    "version": COUNT,
    "classes": [LINE],
    "image_size": _SIZE,
    "origin": one_of("source", "synthetic"),
    "expected_pairs": (COUNT, None),
    "without_mask": COUNT,
    "rules": RULES,
    "official_split": BOOLEAN,
    "entries": [_ENTRY],
    "skipped?": [TEXT],
    "absent?": [LINE],
}
"""Kinds of the fields of a manifest and of its entries."""


def with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields read from JSON with tuples in place of lists, as the declarations have them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def verify_files(folder: Path, entries: Sequence[Entry], progress: Progress | None = None) -> list[str]:
    """Compare every file with its digest; return one line per missing or changed file, none if all are unchanged."""
    faults = []
    for done, entry in enumerate(entries, start=1):
        for relative, digest in entry.files:
            path = folder / relative
            if not path.is_file():
                faults.append(f"{relative}: missing")
            elif sha256_file(path) != digest:
                faults.append(f"{relative}: changed since it was prepared")
        if progress is not None:
            progress(done, len(entries), "verify")
    return faults


def skipped_name(line: str) -> str:
    """Return the file name in a line of `Manifest.skipped`.

    Composed, see `nfc`, and without its folders, which depend on where the source was unpacked, and without the reason,
    which libraries word.
    """
    return nfc(line.partition(": ")[0].rpartition("/")[2])
