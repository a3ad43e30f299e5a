"""Mark folders of invented scenes, and refuse them where published data are expected."""

from __future__ import annotations

from pathlib import Path

from data_prep.dataset import Dataset
from data_prep.errors import DataError
from rssam.files import write_atomic

MARKER = "SYNTHETIC.txt"


def mark_synthetic(folder: Path, title: str) -> None:
    """Write `SYNTHETIC.txt`, the marker of invented scenes in the layout of the data set called `title`.

    `Dataset.synthesize` calls it. `prepare_from` refuses a source with the marker anywhere in it as origin "source".
    The folder is made if it is missing.

    Examples:
        >>> from pathlib import Path
        >>> from data_prep import mark_synthetic
        >>> mark_synthetic(Path("invented"), "Lakes")
        >>> print(Path("invented/SYNTHETIC.txt").read_text())
        Invented scenes in the layout of Lakes. They show no real place.
        <BLANKLINE>
    """
    write_atomic(folder / MARKER, f"Invented scenes in the layout of {title}. They show no real place.\n".encode())


def refuse_marked(folder: Path, source: Path, dataset: Dataset) -> None:
    """Raise DataError if there is a marker anywhere below `folder`; `source` is its name in the message."""
    if any(folder.rglob(MARKER)):
        raise DataError(
            f"{source} holds synthetic scenes, not {dataset.title}: to use these, run "
            f"rssam-bench prepare {dataset.name} --synthetic N"
        )
