"""Declare the protocol of a data set: what a class must have to be prepared and trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from data_prep.manifest import Manifest
from data_prep.processes import Progress
from rssam.contract import Colour


@runtime_checkable
class Dataset(Protocol):
    """A data set: a frozen dataclass that is its own data sheet, and prepares its source.

    docs/extend.md has a whole class. `prepare_folders` makes one of two folders without code.

    Examples:
        >>> from data_prep import Dataset, find_dataset
        >>> deepglobe = find_dataset("deepglobe")
        >>> isinstance(deepglobe, Dataset), deepglobe.classes, deepglobe.image_size
        (True, ('road',), (512, 512))
        >>> deepglobe.average, deepglobe.expected_pairs, deepglobe.official_sizes
        ('foreground', 6226, None)
    """

    # Properties, so that a class variable of a published set and a field of a user's own both will do.
    @property
    def name(self) -> str:
        """Return the name as the command line, keys and folders have it."""
        ...

    @property
    def title(self) -> str:
        """Return the title as reports have it."""
        ...

    @property
    def version(self) -> int:
        """Return the version, which is raised when the same source would now be prepared otherwise."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes: one if the background is implied; otherwise all, by label from 0."""
        ...

    @property
    def image_size(self) -> tuple[int, int]:
        """Return (height, width) of the prepared images, in pixels."""
        ...

    @property
    def average(self) -> Literal["foreground", "classes"]:
        """Return "foreground" for one class, "classes" for the mean over several; see `benchmarks.scores`."""
        ...

    @property
    def expected_pairs(self) -> int | None:
        """Return the number of pairs of the full published set; None for a user's own."""
        ...

    @property
    def official_sizes(self) -> tuple[int, int, int] | None:
        """Return the sizes of train, val and test where the split comes with the data; otherwise None."""
        ...

    @property
    def palette(self) -> tuple[Colour, ...]:
        """Return the colour (R, G, B) in 0..255 of each class in figures and label files."""
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
        """Read `source`, write the prepared folder `out`, return its manifest.

        A second call verifies and writes nothing. Raises DataError listing every bad file; leaves nothing half-written.

        Args:
            source: folder or archive.
            out: the prepared folder.
            origin: "source" for real data, "synthetic" for stand-ins; only these may have the marker.
            workers: processes.
            progress: called as progress(done, total, what) after each pair, such as (3, 40, "prepare").
            skip_bad: leave out pairs with a bad file, which the manifest then lists.
        """
        ...

    def synthesize(self, out: Path, count: int, seed: int) -> None:
        """Write `count` stand-in pairs in the real layout below `out`, the same ones for the same `seed`."""
        ...
