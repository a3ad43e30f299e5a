"""List the data sets by name: those of this suite, a user's own, and those of other packages.

To add one, write a file with its data sheet and add a line here.

A user's own sets, made with `prepare folder`, belong to a home. Importing finds none: the code that opens a home (the
command line, once) registers them. Sets of other installed packages, declared as entry points `rssam_bench.datasets`,
are imported when their name is asked for.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from data_prep.dataset import Dataset
from data_prep.datasets.declared import METHODS, NAME, SHEET, DeclaredElsewhere
from data_prep.datasets.deepglobe import DeepGlobe
from data_prep.datasets.folder import Folder, load_folder, own_folders
from data_prep.datasets.published import Publication
from data_prep.datasets.whdld import Whdld
from data_prep.datasets.whu import Whu
from data_prep.errors import DataError, UnknownDataset
from data_prep.plugins import Broken, declared, find, load, source

_ALL: tuple[Dataset, ...] = (DeepGlobe(), Whu(), Whdld())

BUILT_IN = tuple(entry.name for entry in _ALL)

DATASETS: dict[str, Dataset] = {entry.name: entry for entry in _ALL}

PUBLICATIONS: dict[str, Publication] = {entry.name: entry.publication for entry in (DeepGlobe, Whu, Whdld)}
"""What is known of the sources of the published sets."""

GROUP = "rssam_bench.datasets"
"""Entry points of other packages: the name of a data set, and the class that declares it."""

_installed: set[str] = set()  # those of DATASETS that came from other packages


def find_dataset(name: str) -> Dataset:
    """Return the declaration of the data set called `name`, prepared or not: "deepglobe", "whu", "whdld" or your own.

    Data sets made with `prepare_folders` are known once `benchmarks.open_home` has opened the home in which they lie.
    Those of installed packages are known at once. To open the prepared images, see `open_prepared`.

    Raises:
        UnknownDataset: There is none; the message lists the choices. A DataError.
        DataError: The name is declared twice, or by a package that is broken.

    Examples:
        >>> from data_prep import find_dataset
        >>> find_dataset("whdld").average
        'classes'
    """
    entry = find(GROUP, name, _owner(name))
    if name not in DATASETS and entry is not None:
        DATASETS[name] = _checked(load(entry), name, source(entry))
        _installed.add(name)
    if name not in DATASETS:
        choices = dict.fromkeys((*DATASETS, *(installed.name for installed in declared(GROUP))))
        raise UnknownDataset(
            f"unknown data set {name!r}: choose from {', '.join(choices)}, or make your own: rssam-bench prepare "
            f'folder --name {name} --source DIR --classes "road=255"'
        )
    return DATASETS[name]


def has_published_split(declared: Dataset, drawn: Collection[str] = ()) -> bool:
    """Return whether the split of a data set comes with it, as it declares.

    `drawn` are names of sets of which the manifest knows better: they were cut anew, and their split was drawn.
    """
    official = declared.official_sizes is not None and declared.name not in drawn
    return official or (isinstance(declared, Folder) and declared.published_split)


def load_installed() -> list[str]:
    """Load the data sets of all installed packages; return one sentence for each that cannot be loaded."""
    problems = []
    for name in dict.fromkeys(entry.name for entry in declared(GROUP)):
        try:
            find_dataset(name)
        except DataError as error:
            problems.append(str(error))
    return problems


def register(own: Dataset) -> None:
    """Add a data set of the user's own under its name. Raises DataError if the name is taken."""
    if own.name in BUILT_IN:
        raise DataError(f"the name {own.name} is taken by this suite: choose another --name")
    DATASETS[own.name] = own


def _owner(name: str) -> str:
    """Return the owner, in words, of a name that no other package may declare; empty if it is free."""
    if name in BUILT_IN:
        return "this suite"
    return f"the folder data/{name} of this home" if name in DATASETS and name not in _installed else ""


def _checked(declaration: object, name: str, declared_by: str) -> Dataset:
    """Return the data set of a class. Raises Broken if it is none, or has another name than its entry point."""
    try:
        instance = declaration() if isinstance(declaration, type) else declaration
    except TypeError as error:
        raise Broken(f"{declared_by} cannot be made without arguments ({error}) and is left out") from error
    if not isinstance(instance, Dataset):
        lacking = [member for member in (*SHEET, *METHODS) if not hasattr(instance, member)]
        raise Broken(f"{declared_by} is no data set: it lacks {', '.join(lacking)}; see docs/extend.md. It is left out")
    if not NAME.fits(name):  # a result with another name cannot be read
        raise Broken(
            f"{declared_by} is declared as {name!r}: expected at most 60 small letters, digits, - and _. It is left out"
        )
    if instance.name != name:
        raise Broken(f"{declared_by} has the name {instance.name}, and is declared as {name}: left out")
    return instance


def register_home(data: Path) -> list[str]:
    """Register what `prepare folder` made in the folder `data` of a home, in place of another home's.

    Return one sentence for each data set that cannot be registered.
    """
    for name in [name for name, entry in DATASETS.items() if isinstance(entry, Folder | DeclaredElsewhere)]:
        del DATASETS[name]
    problems = []
    for folder in own_folders(data):
        try:
            own = load_folder(folder)
            if isinstance(own, DeclaredElsewhere) and any(entry.name == own.name for entry in declared(GROUP)):
                continue  # the package itself is here
            if own.name != folder.name:
                raise DataError(f"{folder} holds the data set {own.name}: rename the folder to {own.name}")
            register(own)
        except DataError as error:
            problems.append(str(error))
    return problems
