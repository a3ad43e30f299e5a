"""Look at all names of a user's own folder: find its pairs, name them without ambiguity, and find its split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from data_prep.datasets.folder_names import ACCEPTED, PICTURE, Globs, OwnFile, find_files, paired_names
from data_prep.datasets.folder_splits import LIST, OwnPairs, PublishedSplit, published_split
from data_prep.file_names import nfc
from data_prep.prepare.layouts import FileRole, NamedFiles
from data_prep.prepare.pairs import hidden, readable, walk
from data_prep.rules import rule
from data_prep.splits import SPLITS, Split
from rssam.files import sha256_file

OwnSplit = Literal["folders", "lists", "ignored"]
"""Where the published split of a user's own data stands, or that it was ignored."""

PLACES = 6
"""Folders that a message shows where there is no pair."""

Stemmed = Sequence[tuple[str, OwnFile]]
"""Files with the stem of their pair."""


def is_own(name: str) -> bool:
    """Return whether a file of a source may be a picture, or a list of a published split."""
    return not hidden(name) and bool(PICTURE.search(name) or LIST.fullmatch(name))


def find_published(folder: Path, globs: Globs | None) -> PublishedSplit | None:
    """Return the published split of a source, or None. Raises DataError if it contradicts itself."""
    names = _names(folder)
    return published_split(folder, names, _pairs(_stemmed(folder, find_files(names, globs), parted=True)))


def own_layout(folder: Path, globs: Globs | None, split: OwnSplit | None) -> NamedFiles:
    """Return the layout of a source: where its images and masks are, and what split they have.

    With a published split, pairs that it does not name are left out. Stems are file names; where names repeat, all have
    their folders before them, as in "cityA/0".

    Args:
        folder: the source.
        globs: patterns of the paths of images and masks, if the user gave such.
        split: the published split that the data set declares; None for one that deals its pairs.
    """
    names = _names(folder)
    files = find_files(names, globs)
    stemmed = _stemmed(folder, files, parted=split is not None)
    published = None if split is None else published_split(folder, names, _pairs(stemmed))
    expected = ACCEPTED
    if globs is not None:
        expected = f"images {globs[0]} and masks {globs[1]} that share what their wildcards stand for"
    if published is None or split == "ignored":
        ignored = () if published is None else (rule("split-ignored", names=published.names),)  # hashed: see `rule`
        of_file: dict[str, tuple[FileRole, str, Split | None]] = {
            file.name: (file.role, stem, None) for stem, file in _stemmed(folder, files, parted=False)
        }
        return NamedFiles(of_file, expected, _found(names), split_rules=ignored)
    pairs, used = _pairs(stemmed), published.used
    return NamedFiles(
        {file.name: (file.role, stem, used.get(stem)) for stem, file in stemmed if stem in used or stem not in pairs},
        expected,
        splits=tuple(name for name in SPLITS if name in used.values()),
        split_rules=published.rules(len(pairs)),
    )


def _names(folder: Path) -> list[str]:
    """Return the composed paths of all files of a source, and of folders that are called like pictures."""
    found = ((path, nfc(path.relative_to(folder).as_posix())) for path, _ in walk(folder))
    return [name for path, name in found if PICTURE.search(name) or not path.is_dir()]


def _pairs(stemmed: Stemmed) -> OwnPairs:
    by_role: dict[FileRole, dict[str, OwnFile]] = {"image": {}, "mask": {}}
    for stem, file in stemmed:
        by_role[file.role].setdefault(stem, file)
    return {stem: (image, by_role["mask"][stem]) for stem, image in by_role["image"].items() if stem in by_role["mask"]}


def _stemmed(folder: Path, files: Sequence[OwnFile], *, parted: bool) -> Stemmed:
    """Return the files with the stem of their pair: the file name, or folders and file name where names repeat.

    Copies of one content are one file, as they always were; with `parted` not if they lie in two splits.
    """
    groups: dict[tuple[FileRole, str], list[OwnFile]] = defaultdict(list)
    for file in files:
        groups[file.role, file.stem].append(file)
    repeated = (group for group in groups.values() if len({file.place for file in group}) > 1)
    if any(_are_different(folder, group, parted) for group in repeated) and _places_pair(files):
        return [(file.place, file) for file in files]
    return [(file.stem, file) for file in files]


def _are_different(folder: Path, group: Sequence[OwnFile], parted: bool) -> bool:
    if parted and len({file.split for file in group}) > 1:
        return True
    try:
        return len({sha256_file(folder / file.name) for file in group}) > 1
    except OSError:
        return True  # listed as a fault when the pairs are found


def _places_pair(files: Sequence[OwnFile]) -> bool:
    """Return whether folders and name pair each file that its name alone would pair, but in splits without masks."""
    paired = paired_names(files, lambda file: file.place)
    paired_stems = paired_names(files)
    folders = {"/".join(file.folders[:depth]) for file in files for depth in range(1, len(file.folders) + 1)}
    if any(f"{place}.png" in folders for place in paired):
        return False  # a prepared picture and a folder would have one name
    splits = {file.split for file in files if file.place in paired}
    return all(
        file.place in paired or (file.split is not None and file.split not in splits)
        for file in files
        if file.stem in paired_stems
    )


def _found(names: Iterable[str]) -> str:
    """Return which folders of a source hold pictures, as the end of a message; empty if none does."""
    pictures: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if PICTURE.search(name):
            place, _, base = name.rpartition("/")
            pictures[place].append(base)
    most_first = sorted(pictures.items(), key=lambda item: -len(item[1]))
    lines = [f"{len(bases)} in {readable(place) or 'it'} such as {readable(bases[0])}" for place, bases in most_first]
    rest = [f"more in {len(lines) - PLACES} other folders"] if len(lines) > PLACES else []
    return f"; pictures: {', '.join([*lines[:PLACES], *rest])}" if lines else ""
