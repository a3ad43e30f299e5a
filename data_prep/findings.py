"""What a source holds, and how messages list what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_prep.base import DataError, Split

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


@dataclass(frozen=True)
class Found:
    """What a source holds: usable pairs ordered by stem, images without a mask, and wrong files, one line each."""

    pairs: tuple[Pair, ...]
    without_mask: int
    faults: tuple[str, ...]

    @property
    def published_splits(self) -> dict[str, Split]:
        """The split of each stem as published; empty if the data set came without splits."""
        return {pair.stem: pair.split for pair in self.pairs if pair.split is not None}


def bad_files(faults: Sequence[str]) -> DataError:
    """The error that lists files which cannot be used."""
    return DataError(
        f"{len(faults)} files of the source cannot be used; nothing was prepared. Mend or remove them (an image always "
        f"with its mask) and run prepare again.\n{shown(faults)}"
    )


def shown(lines: Sequence[str]) -> str:
    """The lines indented, a long list cut with the number of the rest."""
    rest = len(lines) - SHOWN
    return "\n".join([*(f"  {line}" for line in lines[:SHOWN]), *([f"  ... and {rest} more"] if rest > 0 else [])])
