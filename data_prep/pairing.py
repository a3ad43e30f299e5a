"""Which files of a source belong together, by the layout that its data set was published in."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, cast

from data_prep.base import SPLITS, DataError, Split, sha256_file
from data_prep.findings import Found, Pair

Role = Literal["image", "mask"]


@dataclass(frozen=True)
class Layout:
    """Where a data set keeps its files: patterns of their whole paths in the source, with "/" on every system.

    Both patterns name a group "stem", which an image and its mask share, and both or none a group "split".
    """

    image: re.Pattern[str]
    mask: re.Pattern[str]
    described: str  # "images ID_sat.jpg with masks ID_mask.png"

    def part(self, name: str) -> tuple[Role, str, Split | None] | None:
        """Role, stem and published split of a file; None for any other file. Splits make stems unique: "train_12"."""
        for role, pattern in (("image", self.image), ("mask", self.mask)):
            if match := pattern.fullmatch(name):
                groups = match.groupdict()
                split = cast("Split", groups["split"].lower()) if "split" in groups else None
                return cast("Role", role), f"{split}_{groups['stem']}" if split else groups["stem"], split
        return None


def find_pairs(folder: Path, source: str, layout: Layout) -> Found:
    """All pairs below `folder`, by stem; `source` is its name in messages.

    Copies of a file count once; copies that differ and masks without an image are faults. Raises DataError if there is
    no image with a mask at all, or none in one of the published splits.
    """
    copies: dict[tuple[Role, str], list[Path]] = defaultdict(list)
    splits: dict[str, Split | None] = {}
    others = 0
    for path in sorted(folder.rglob("*")):
        name = _name(path, folder)
        if path.is_dir() or hidden(name):
            continue
        if part := layout.part(name):
            role, stem, split = part
            copies[role, stem].append(path)
            splits[stem] = split
        else:
            others += 1
    images = {stem for role, stem in copies if role == "image"}
    masks = {stem for role, stem in copies if role == "mask"}
    if not images & masks:
        raise DataError(
            f"expected {layout.described} in {source}, found no such pair "
            f"({len(images)} images, {len(masks)} masks, {others} other files)"
        )
    published = {splits[stem] for stem in images & masks}
    if published != {None} and (missing := [split for split in SPLITS if split not in published]):
        raise DataError(f"expected {layout.described} in {source}, found no pair in {' and none in '.join(missing)}")

    faults, ambiguous = [], set()
    for (_, stem), paths in copies.items():
        if len(paths) > 1 and len({_content(path) for path in paths}) > 1:
            ambiguous.add(stem)
            faults.append(f"{' and '.join(_name(path, folder) for path in paths)}: same ID, different content")
    for stem in sorted(masks - images):
        faults.append(f"{_name(copies['mask', stem][0], folder)}: there is no image of this ID")
    pairs = []
    for stem in sorted(images & masks):
        image, mask = copies["image", stem][0], copies["mask", stem][0]
        pairs.append(Pair(stem, image, mask, _name(image, folder), _name(mask, folder), splits[stem]))
    return Found(tuple(pairs), without_mask=len(images - masks), faults=tuple(faults), ambiguous=frozenset(ambiguous))


def hidden(name: str) -> bool:
    """Whether a path inside the source is what systems leave there, such as twins named ._1_sat.jpg."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _content(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError:
        return f"unreadable {path}"  # equal to nothing, so that it is listed


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
