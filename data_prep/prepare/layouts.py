"""Layouts: which files of a source are images and masks, by patterns of their paths, or named one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar, Literal, cast

from data_prep.file_names import nfc
from data_prep.rules import Rule
from data_prep.splits import SPLIT_NAMES, SPLITS, Split

FileRole = Literal["image", "mask"]

LARGEST = 1 << 30
"""Bytes of one file: pictures are read whole."""


@dataclass(frozen=True)
class Layout:
    r"""Where a data set keeps its files: patterns of their whole paths in the source, with "/" on every system.

    Both patterns name a group "stem", which an image and its mask share. Both or none name a group "split", whose text
    is train, val or test in any case. A group "folder" may name the folder that makes files images or masks. A source
    with two such folders of images, or of masks, is refused.

    Attributes:
        image: pattern of the whole path of an image.
        mask: pattern of the whole path of a mask; a path that fits both is an image.
        described: what both say, for messages: "images ID_sat.jpg with masks ID_mask.png".
        largest: bytes that a file may have, because pictures are read whole; 1 GiB.
        scenes: whether larger TIFFs are taken too, and cut by windows.

    Examples:
        >>> import re
        >>> from data_prep import Layout
        >>> layout = Layout(
        ...     image=re.compile(r"(?:.*/)?photos/(?P<stem>[^/]+)\.png"),
        ...     mask=re.compile(r"(?:.*/)?water/(?P<stem>[^/]+)\.png"),
        ...     described="images photos/NAME.png with masks water/NAME.png",
        ... )
        >>> layout.classify("lakes/water/lake7.png")
        ('mask', 'lake7', None)
    """

    image: re.Pattern[str]
    mask: re.Pattern[str]
    described: str
    largest: int = LARGEST
    scenes: bool = False
    splits: ClassVar[tuple[Split, ...]] = SPLITS
    found: ClassVar[str] = ""
    split_rules: ClassVar[tuple[Rule, ...]] = ()

    def classify(self, name: str) -> tuple[FileRole, str, Split | None] | None:
        """Return role, stem and published split of a file, or None. Splits make stems unique: "train_12".

        The stem is composed, see `nfc`, so that an image meets its mask and its split whatever system named the files.
        """
        name = nfc(name)
        for role, pattern in (("image", self.image), ("mask", self.mask)):
            if match := pattern.fullmatch(name):
                groups = match.groupdict()
                split = cast("Split", groups["split"].lower()) if "split" in groups else None
                return cast("FileRole", role), f"{split}_{groups['stem']}" if split else groups["stem"], split
        return None

    def folder(self, role: FileRole, name: str) -> str | None:
        """Return the folder that makes a file an image or a mask, with "*" for splits that the layout does not name."""
        match = (self.image if role == "image" else self.mask).fullmatch(nfc(name))
        if match is None or "folder" not in match.re.groupindex:
            return None
        parts = PurePosixPath(match["folder"]).parts
        splits = () if "split" in match.re.groupindex else SPLIT_NAMES
        return "/".join("*" if part.lower() in splits else part for part in parts)


@dataclass(frozen=True)
class NamedFiles:
    """Layout that was found by looking at all names of a source: role, stem and published split by composed path.

    A stem may name folders, as in "cityA/0". Either all pairs have a split, or none.
    """

    files: Mapping[str, tuple[FileRole, str, Split | None]]
    described: str
    found: str = ""  # what the source holds in place of pairs, as the end of a message
    splits: tuple[Split, ...] = SPLITS  # those that were published
    split_rules: tuple[Rule, ...] = ()  # how the published split was found, and what it leaves out
    largest: ClassVar[int] = LARGEST
    scenes: ClassVar[bool] = True

    def classify(self, name: str) -> tuple[FileRole, str, Split | None] | None:
        """Return role, stem and published split of a file, or None."""
        return self.files.get(nfc(name))

    def folder(self, role: FileRole, name: str) -> str | None:
        """Return None: no folder excludes another."""
        return None
