"""The data sets this suite knows. Adding one: a file with its data sheet, and a line here."""

from __future__ import annotations

from data_prep.base import Dataset, UnknownDataset
from data_prep.deepglobe import DeepGlobe
from data_prep.whdld import Whdld
from data_prep.whu import Whu

_ALL: tuple[Dataset, ...] = (DeepGlobe(), Whu(), Whdld())

DATASETS: dict[str, Dataset] = {entry.name: entry for entry in _ALL}


def dataset(name: str) -> Dataset:
    """The data set called `name`; raises UnknownDataset listing the choices if there is none."""
    if name not in DATASETS:
        raise UnknownDataset(f"unknown data set {name!r}: choose from {', '.join(DATASETS)}")
    return DATASETS[name]
