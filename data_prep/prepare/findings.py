"""What a source holds, and how messages list what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_prep.errors import DataError
from data_prep.prepare.tiles import Tile
from data_prep.splits import Split

Origin = Literal["source", "synthetic"]

SHOWN = 20
"""Lines of a long list that a message shows."""


@dataclass(frozen=True)
class Pair:
    """An image and its mask in the source; `name` is how messages call the files, relative to the source."""

    stem: str
    image: Path
    mask: Path
    image_name: str
    mask_name: str
    split: Split | None = None  # where the data set was published with splits
    tile: Tile | None = None  # where the pair is a piece of large rasters, which `image` and `mask` are then


@dataclass(frozen=True)
class Found:
    """What a source holds: pairs ordered by stem, images without a mask, and wrong files, one line each."""

    pairs: tuple[Pair, ...]
    without_mask: int
    faults: tuple[str, ...]
    ambiguous: frozenset[str] = frozenset()  # stems of pairs that are faults already, whatever their files hold

    @property
    def in_tiles(self) -> bool:
        """Whether the pairs are pieces of large rasters."""
        return any(pair.tile is not None for pair in self.pairs)

    @property
    def published_splits(self) -> dict[str, Split]:
        """The split of each stem as published; empty if the data set came without splits."""
        return {pair.stem: pair.split for pair in self.pairs if pair.split is not None}


KINDS = (
    ("cannot be read", "unreadable"),
    ("cannot be decoded", "damaged"),
    ("cannot be opened", "damaged"),
    ("there is no image", "without its image"),
    ("same ID, different content", "in several versions"),
)
"""How the reason in a fault's line begins, and what such faults are called; all others are not what was expected."""


def bad_files(faults: Sequence[str]) -> DataError:
    """The error that lists files which cannot be used."""
    return DataError(
        f"{len(faults)} files of the source cannot be used; nothing was prepared. Mend or remove them (an image always "
        f"with its mask) and run prepare again, or leave them out with --skip-bad. Kinds: {kinds(faults)}.\n"
        f"{shown(faults)}"
    )


def kinds(faults: Sequence[str]) -> str:
    """How many faults there are of each kind, the most frequent first."""
    counts = Counter(_kind(line) for line in faults)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _kind(line: str) -> str:
    reason = line.partition(": ")[2]
    return next((kind for beginning, kind in KINDS if reason.startswith(beginning)), "not as expected")


def shown(lines: Sequence[str]) -> str:
    """The lines indented, a long list cut with the number of the rest."""
    rest = len(lines) - SHOWN
    return "\n".join([*(f"  {line}" for line in lines[:SHOWN]), *([f"  ... and {rest} more"] if rest > 0 else [])])
