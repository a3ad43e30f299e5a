"""Find the split that a user's own folder was published with: folders train, val and test, or lists of names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from data_prep.datasets.folder_names import PICTURE, OwnFile
from data_prep.errors import DataError
from data_prep.file_names import nfc
from data_prep.prepare.pairs import shown
from data_prep.rules import Rule, rule
from data_prep.splits import FRACTIONS, SPLIT_NAMES, SPLITS, Split
from rssam.foreign_json import read_bytes

LIST = re.compile(rf"(?:.*/)?(?:{'|'.join(SPLIT_NAMES)})\.txt", re.IGNORECASE)
MOST_BYTES = 64 << 20
"""Of a list: a million names."""

UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How lists begin that were saved on Windows as "Unicode"."""

OwnPairs = Mapping[str, tuple[OwnFile, OwnFile]]
"""Image and mask by the stem of the pair."""

REMEDY = "Mend the source, or deal the pairs anew with --ignore-split."


@dataclass(frozen=True)
class PublishedSplit:
    """Split of each pair by its stem, and how it was found. Pairs that it does not name are in no split."""

    of_stem: Mapping[str, Split]
    origin: Literal["folders", "lists"]
    names: tuple[str, ...]  # of the folders or lists

    def rules(self, pairs: int) -> tuple[Rule, ...]:
        """Return how the split was found, and what was done where it is not whole; `pairs` are in the source."""
        # hashed: part of every run key
        rules = [rule(f"by-{self.origin}", names=self.names)]
        if self.val_as_test:
            rules.append(rule("val-as-test"))
        if self.val_as_test or "val" not in self.of_stem.values():
            rules.append(rule("val-dealt", percent=(FRACTIONS[1], FRACTIONS[0] + FRACTIONS[1])))
        if rest := pairs - len(self.of_stem):
            rules.append(rule("not-in-split", pairs=rest))
        return tuple(rules)

    @property
    def val_as_test(self) -> bool:
        """Return whether the validation pairs are the only ones held out: they are the test split then."""
        return "test" not in self.of_stem.values()

    @property
    def used(self) -> dict[str, Split]:
        """Return the split of each stem, with validation pairs as test where no others were published."""
        held = {"val": "test"} if self.val_as_test else {}
        return {stem: held.get(split, split) for stem, split in self.of_stem.items()}  # type: ignore[misc]


def published_split(folder: Path, names: Iterable[str], pairs: OwnPairs) -> PublishedSplit | None:
    """Return the published split of a source, or None: it takes training pairs and others.

    Args:
        folder: the source.
        names: all paths in it.
        pairs: its pairs.

    Raises DataError if an image and its mask lie in two splits, or if lists contradict each other or the folders.
    """
    by_folders = _by_folders(pairs)
    by_lists = _by_lists(folder, names, pairs)
    if by_folders is None or by_lists is None:
        return by_folders or by_lists
    parted = [
        f"{pairs[stem][0].name}: in {by_lists.of_stem[stem]} by a list, in {split} by its folder"
        for stem, split in by_folders.of_stem.items()
        if by_lists.of_stem.get(stem, split) != split
    ]
    if parted:
        raise DataError(f"folders and lists of the source give two splits. {REMEDY}\n{shown(parted)}")
    return by_folders


def _whole(of_stem: Mapping[str, Split]) -> bool:
    return "train" in of_stem.values() and len(set(of_stem.values())) > 1


def _by_folders(pairs: OwnPairs) -> PublishedSplit | None:
    of_stem = {stem: split for stem, (image, mask) in pairs.items() if (split := image.split or mask.split) is not None}
    if not _whole(of_stem):
        return None
    parted = [
        f"{mask.name}: its image is in {image.split}"
        for image, mask in pairs.values()
        if None not in (image.split, mask.split) and image.split != mask.split
    ]
    if parted:
        raise DataError(f"{len(parted)} masks lie in another split than their images. {REMEDY}\n{shown(parted)}")
    return PublishedSplit(of_stem, "folders", tuple(split for split in SPLITS if split in of_stem.values()))


def _by_lists(folder: Path, names: Iterable[str], pairs: OwnPairs) -> PublishedSplit | None:
    """Return the split of the lists of one folder; of several folders with lists, that for segmentation."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if LIST.fullmatch(name):
            folders[PurePosixPath(name).parent.as_posix()].append(name)
    by_name = _by_name(pairs)
    found = {place: split for place in folders if (split := _of_lists(folder, folders[place], pairs, by_name))}
    if not found:
        return None
    for_segmentation = [place for place in found if "segmentation" in place.lower()]
    chosen = sorted(for_segmentation or found)
    if len({tuple(sorted(found[place].of_stem.items())) for place in chosen}) > 1:
        raise DataError(f"the source has lists of different splits in {' and in '.join(chosen)}. {REMEDY}")
    return found[chosen[0]]


def _of_lists(
    folder: Path, lists: Sequence[str], pairs: OwnPairs, by_name: Mapping[str, set[str]]
) -> PublishedSplit | None:
    of_stem: dict[str, Split] = {}
    twice = []
    for name in sorted(lists):
        split = SPLIT_NAMES[PurePosixPath(name).stem.lower()]
        for stem in _listed(folder / name, name, pairs, by_name):
            if of_stem.setdefault(stem, split) != split:
                twice.append(f"{stem}: in {of_stem[stem]} and in {split}")
    if not _whole(of_stem):
        return None
    if twice:
        raise DataError(f"lists of the source name {len(twice)} pairs in two splits. {REMEDY}\n{shown(twice)}")
    return PublishedSplit(of_stem, "lists", tuple(sorted(PurePosixPath(name).name.lower() for name in lists)))


def _listed(path: Path, name: str, pairs: OwnPairs, by_name: Mapping[str, set[str]]) -> Iterable[str]:
    """Yield the stems of the pairs that the lines of a list name: by file name, with or without ending and folders.

    A line may go on behind the name, with the mask or a number. Lines without a pair are passed over, so that another
    text is no list. Raises DataError if a line could be several pairs, or if the file cannot be read.
    """
    try:
        content = read_bytes(path, most_bytes=MOST_BYTES)
        text = content.decode("utf-16" if content[:2] in UTF_16 else "utf-8-sig", errors="replace")
    except (OSError, ValueError) as error:
        raise DataError(f"{name} cannot be read as a list of names ({error}). {REMEDY}") from error
    for line in text.splitlines():
        for given in (line.strip(), *re.split(r"[\s,;]+", line.strip(), maxsplit=1)[:1]):
            path_of = PICTURE.sub("", nfc(given).replace("\\", "/"))
            stems = by_name.get(path_of.rpartition("/")[2], set())
            if "/" in path_of and (deeper := {stem for stem in stems if _ends(pairs[stem], path_of)}):
                stems = deeper
            if len(stems) > 1:
                raise DataError(f"{name}: the line {given[:200]!r} names {len(stems)} pairs. {REMEDY}")
            if stems:
                yield from stems
                break


def _by_name(pairs: OwnPairs) -> dict[str, set[str]]:
    """Return the stems of pairs by every name that their files have, without folders and ending."""
    by_name: dict[str, set[str]] = defaultdict(set)
    for stem, files in pairs.items():
        for file in files:
            by_name[file.stem].add(stem)
            by_name[PICTURE.sub("", file.name.rpartition("/")[2])].add(stem)
    return by_name


def _ends(files: Sequence[OwnFile], path: str) -> bool:
    """Return whether a path without ending, or the end of it that lies in the source, is that of an image or mask."""
    return any(
        f"/{place}".endswith(f"/{path.lstrip('./')}")
        for file in files
        for place in (PICTURE.sub("", file.name), file.place)
    )
