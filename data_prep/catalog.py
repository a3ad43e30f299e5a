"""The data sets this suite knows. Adding one: a file with its data sheet, and a line here.

A user's own sets, made with `prepare folder`, belong to a home. Importing finds none: whoever opens a home (the command
line, once) registers them.
"""

from __future__ import annotations

from pathlib import Path

from data_prep.base import DataError, Dataset, UnknownDataset
from data_prep.deepglobe import DeepGlobe
from data_prep.folder import Folder, load_folder, own_folders
from data_prep.whdld import Whdld
from data_prep.whu import Whu

_ALL: tuple[Dataset, ...] = (DeepGlobe(), Whu(), Whdld())

BUILT_IN = tuple(entry.name for entry in _ALL)

DATASETS: dict[str, Dataset] = {entry.name: entry for entry in _ALL}


def dataset(name: str) -> Dataset:
    """The data set called `name`; raises UnknownDataset listing the choices if there is none."""
    if name not in DATASETS:
        raise UnknownDataset(
            f"unknown data set {name!r}: choose from {', '.join(DATASETS)}, or make your own: rssam-bench prepare "
            f'folder --name {name} --source DIR --classes "road=255"'
        )
    return DATASETS[name]


def register(own: Dataset) -> None:
    """Make a data set of the user's own known under its name; raises DataError if the name is one of this suite's."""
    if own.name in BUILT_IN:
        raise DataError(f"the name {own.name} is taken by this suite: choose another --name")
    DATASETS[own.name] = own


def register_home(home: Path) -> list[str]:
    """Register what `prepare folder` made in a home, in place of another home's; one sentence for each it cannot."""
    for name in [name for name, entry in DATASETS.items() if isinstance(entry, Folder)]:
        del DATASETS[name]
    problems = []
    for folder in own_folders(home / "data"):
        try:
            own = load_folder(folder)
            if own.name != folder.name:
                raise DataError(f"{folder} holds the data set {own.name}: rename the folder to {own.name}")
            register(own)
        except DataError as error:
            problems.append(str(error))
    return problems
