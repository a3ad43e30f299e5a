"""The protocol of a data set: what a class must declare to be prepared and trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from data_prep.manifest import Manifest
from data_prep.processes import Progress
from rssam.contract import Colour


@runtime_checkable
class Dataset(Protocol):
    """A data set: a frozen dataclass that is its own data sheet.

    Examples:
        >>> from data_prep import Dataset, find_dataset
        >>> deepglobe = find_dataset("deepglobe")
        >>> isinstance(deepglobe, Dataset), deepglobe.classes, deepglobe.image_size
        (True, ('road',), (512, 512))
    """

    # Properties, so that a class variable of a published set and a field of a user's own both will do.
    @property
    def name(self) -> str:
        """As the command line, keys and folders have it."""
        ...

    @property
    def title(self) -> str:
        """As reports have it."""
        ...

    @property
    def version(self) -> int:
        """Raised when the same source would now be prepared otherwise."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """One for a binary task, with the background implied; else all that a pixel may be."""
        ...

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) as prepared."""
        ...

    @property
    def average(self) -> Literal["foreground", "classes"]:
        """Which scores the paper prints."""
        ...

    @property
    def expected_pairs(self) -> int | None:
        """Pairs of the full published set; None for a user's own."""
        ...

    @property
    def official_sizes(self) -> tuple[int, int, int] | None:
        """Sizes of train, val and test where the split comes with the data."""
        ...

    @property
    def palette(self) -> tuple[Colour, ...]:
        """How figures and label files show each class."""
        ...

    def prepare(
        self,
        source: Path,
        out: Path,
        *,
        origin: Literal["source", "synthetic"],
        workers: int,
        progress: Progress,
        skip_bad: bool = False,
    ) -> Manifest:
        """Read `source` (folder or archive), write the prepared folder `out`, return its manifest.

        A second call verifies and writes nothing. Raises DataError listing every bad file; leaves nothing half-written.
        With `skip_bad` pairs with a bad file are left out instead, and the manifest lists the files.
        """
        ...

    def synthesize(self, out: Path, count: int, seed: int) -> None:
        """Write `count` stand-in pairs in the real layout below `out`."""
        ...
