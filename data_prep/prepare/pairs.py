"""Find the pairs of image and mask in a source, by the layout of its data set, and list the files that do not fit."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from data_prep.errors import DataError
from data_prep.file_names import same_composed
from data_prep.images.tiff_header import MAX_FILE, is_large
from data_prep.prepare.layouts import FileRole, Layout, NamedFiles
from data_prep.prepare.tiles import Tile
from data_prep.rules import Rule
from data_prep.splits import Split
from rssam.amounts import SHOWN, counted
from rssam.files import sha256_file

Origin = Literal["source", "synthetic"]


LONGEST_STEM = 200
"""Bytes of a stem: file systems take 255, and prepared files and their drafts add to it."""


class NoPairs(DataError):
    """Raised for a source in which no image has a mask."""


@dataclass(frozen=True)
class Pair:
    """Image and its mask in the source; `name` is how messages call the files, relative to the source."""

    stem: str
    image: Path
    mask: Path
    image_name: str
    mask_name: str
    split: Split | None = None  # where the data set was published with splits
    tile: Tile | None = None  # where the pair is a piece of large rasters, which `image` and `mask` are then


@dataclass(frozen=True)
class PairSearch:
    """Contents of a source: pairs ordered by stem, images without a mask, and wrong files, one line each."""

    pairs: tuple[Pair, ...]
    without_mask: int
    faults: tuple[str, ...]
    ambiguous: frozenset[str] = frozenset()  # stems of pairs that are faults already, whatever their files hold
    split_rules: tuple[Rule, ...] = ()  # of the layout, see `NamedFiles`

    @property
    def in_tiles(self) -> bool:
        """Return whether the pairs are pieces of large rasters."""
        return any(pair.tile is not None for pair in self.pairs)

    @property
    def published_splits(self) -> dict[str, Split]:
        """Return the split of each stem as published; empty if the data set came without splits."""
        return {pair.stem: pair.split for pair in self.pairs if pair.split is not None}


def find_pairs(folder: Path, source: str, layout: Layout | NamedFiles) -> PairSearch:
    """Find all pairs below `folder`, ordered by stem; `source` is its name in messages.

    Copies of a file count once; copies that differ, masks without an image and files that cannot be pictures are
    faults. Raises NoPairs if there is no image with a mask at all. Raises DataError if there is none in one of the
    published splits, or if two folders may be that of images or masks.
    """
    copies: dict[tuple[FileRole, str], list[Path]] = defaultdict(list)
    splits: dict[str, Split | None] = {}
    faults, unusable, other_files = [], set(), 0
    for path, problem in walk(folder):
        name = _name(path, folder)
        classified = layout.classify(name)
        if classified is None:
            other_files += not path.is_dir()
            if problem is not None:
                faults.append(f"{readable(name)}: {problem}")
            continue
        role, stem, split = classified
        splits[stem] = split
        largest = MAX_FILE if layout.scenes and is_large(path) else layout.largest
        if problem := problem or problem_of(path, name, stem, largest):
            faults.append(f"{readable(name)}: {problem}")
            unusable.add((role, stem))
        else:
            copies[role, stem].append(path)
    images = {stem for role, stem in copies.keys() | unusable if role == "image"}
    masks = {stem for role, stem in copies.keys() | unusable if role == "mask"}
    paired = images & masks
    if not paired:
        listed = f"\n{shown(faults)}" if faults else ""
        raise NoPairs(
            f"expected {layout.described} in {source}, found no such pair "
            f"({len(images)} images, {len(masks)} masks, {other_files} other files){layout.found}{listed}"
        )
    published = {splits[stem] for stem in paired}
    if published != {None} and (missing := [name for name in layout.splits if name not in published]):
        raise DataError(f"expected {layout.described} in {source}, found no pair in {' and none in '.join(missing)}")
    usable = {key: paths for key, paths in copies.items() if key not in unusable}
    _refuse_two_folders(folder, source, layout, {key: usable[key] for key in usable if key[1] in paired}, splits)
    ambiguous = set()
    for (_, stem), paths in copies.items():
        if twins := same_composed([_name(path, folder) for path in paths]):
            ambiguous.add(stem)
            faults += twins
        elif len(paths) > 1 and len({_content(path) for path in paths}) > 1:
            ambiguous.add(stem)
            faults.append(f"{' and '.join(_name(path, folder) for path in paths)}: same ID, different content")
    for stem in sorted(masks - images):
        if ("mask", stem) in usable:
            faults.append(f"{_name(copies['mask', stem][0], folder)}: there is no image of this ID")
    pairs = []
    for stem in sorted(paired):
        if ("image", stem) in usable and ("mask", stem) in usable:
            image, mask = copies["image", stem][0], copies["mask", stem][0]
            pairs.append(Pair(stem, image, mask, _name(image, folder), _name(mask, folder), splits[stem]))
    return PairSearch(
        tuple(pairs), len(images - masks), tuple(faults), frozenset(ambiguous), split_rules=layout.split_rules
    )


def walk(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield everything below a folder once, ordered, linked folders too; with the reason where it cannot be read."""
    paths: list[tuple[Path, str | None]] = []
    entered = {os.path.realpath(folder)}

    def unreadable(error: OSError) -> None:
        paths.append((Path(error.filename), f"cannot be listed ({error.strerror})"))

    for root, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        parent = Path(root)
        folders.sort()
        fresh = []
        for name in folders:
            real = os.path.realpath(parent / name)
            if not hidden(name) and real not in entered:
                entered.add(real)
                fresh.append(name)
                paths.append((parent / name, None))
        folders[:] = fresh
        paths += [(parent / name, None) for name in files if not hidden(name)]
    yield from sorted(paths, key=lambda item: (item[0], item[1] is None))


def problem_of(path: Path, name: str, stem: str, largest: int) -> str | None:
    """Return why a file of the right name cannot be a picture, without reading it; None if it can.

    Args:
        path: the file.
        name: its path in the source, for messages.
        stem: its name without ending.
        largest: most bytes that such a file may have.
    """
    if readable(name) != name:
        return "expected a name in UTF-8 without control characters; rename it"
    if len(stem.encode()) > LONGEST_STEM:
        return f"expected a name of at most {LONGEST_STEM} bytes, found {len(stem.encode())}; rename it"
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not stat.S_ISREG(status.st_mode):
        return f"expected a file, found {'a folder' if stat.S_ISDIR(status.st_mode) else 'a device or a pipe'}"
    if status.st_size > largest:
        return f"expected a picture of at most {largest} bytes, found {status.st_size}"
    return None


def _refuse_two_folders(
    folder: Path,
    source: str,
    layout: Layout | NamedFiles,
    copies: dict[tuple[FileRole, str], list[Path]],
    splits: dict[str, Split | None],
) -> None:
    """Raise DataError if two folders hold usable images, or masks, of one split: neither can be preferred."""
    candidates: dict[tuple[FileRole, Split | None], set[str]] = defaultdict(set)
    for (role, stem), paths in copies.items():
        for path in paths:
            if (candidate := layout.folder(role, _name(path, folder))) is not None:
                candidates[role, splits[stem]].add(candidate)
    for (role, _), folders in candidates.items():
        if len(folders) > 1:
            raise DataError(
                f"expected {layout.described} in {source}, found {len(folders)} folders of {role}s that fit: "
                f"{' and '.join(sorted(folders))}. Give a folder with one of them as --source, or move the others away."
            )


def is_tiff(name: str) -> bool:
    """Return whether a file is a TIFF by its name."""
    return name.lower().endswith((".tif", ".tiff"))


def holds_tiffs(folder: Path, layout: Layout) -> bool:
    """Return whether there are TIFFs below a folder and no file of the layout: perhaps large rasters."""
    names = [_name(path, folder) for path, _ in walk(folder)]
    return any(map(is_tiff, names)) and not any(map(layout.classify, names))


def readable(name: str) -> str:
    """Return a name as it can be printed: control characters and bytes that are no UTF-8 are escaped."""
    unfit = ("Cc", "Cs")
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in unfit else c for c in name)


def hidden(name: str) -> bool:
    """Return whether a path inside the source was left by an operating system, for example ._1_sat.jpg."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _content(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError:
        return f"unreadable {path}"  # equal to nothing, so that it is listed


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


FAULT_KINDS = (
    ("cannot be read", "unreadable"),
    ("cannot be decoded", "damaged"),
    ("cannot be opened", "damaged"),
    ("there is no image", "without its image"),
    ("same ID, different content", "in several versions"),
    ("one name, composed", "in several versions"),
)
"""How the reason in a fault's line begins, and what such faults are called; all others are not what was expected."""


def bad_files(faults: Sequence[str]) -> DataError:
    """Return the error that lists the files which cannot be used."""
    return DataError(
        f"{counted(len(faults), 'file')} of the source cannot be used; nothing was prepared. Mend or remove them (an "
        "image always with its mask) and run prepare again, or leave them out with --skip-bad. "
        f"Kinds: {kinds(faults)}.\n"
        f"{shown(faults)}"
    )


def kinds(faults: Sequence[str]) -> str:
    """Return in words how many faults there are of each kind, the most frequent first."""
    counts = Counter(_kind(line) for line in faults)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _kind(line: str) -> str:
    reason = line.partition(": ")[2]
    return next((kind for beginning, kind in FAULT_KINDS if reason.startswith(beginning)), "not as expected")


def shown(lines: Sequence[str]) -> str:
    """Return the lines indented; a long list is cut, with the number of the rest."""
    rest = len(lines) - SHOWN
    return "\n".join([*(f"  {line}" for line in lines[:SHOWN]), *([f"  ... and {rest} more"] if rest > 0 else [])])
