"""A figure seen as one table for each data set, so that settings and sections are found by the tables' own rules."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.protocol.figures import FIGURES, Figure
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES, Row, Table
from reports.select.results import Collection
from reports.select.settings import command, overrides, settings


def as_table(figure: Figure, dataset: str) -> Table:
    """One row a panel, on one of the figure's data sets, without scores."""
    rows = tuple(Row((panel.title,), panel.model, {}) for panel in figure.panels)
    return Table(f"{figure.id}-{dataset}", figure.title, dataset, ("Method",), (), rows)


def datasets(figure: Figure, setting: Setting) -> tuple[str, ...]:
    """The data sets in the figure's order: under a setting that names one, that one."""
    return figure.datasets if setting.dataset is None else (setting.dataset,)


def figure_settings(figure: Figure, collection: Collection) -> list[Setting]:
    """Settings under which a panel has a result on any of the data sets: the paper's first, the smoke run last."""
    views = [as_table(one, name) for one in (figure, *FIGURES.values()) for name in one.datasets]
    every = (*TABLES.values(), *views)
    found = {one for name in figure.datasets for one in settings(collection, as_table(figure, name), every)}
    profiles = list(reversed(PROFILES))
    return sorted(found, key=lambda one: (profiles.index(one.profile), overrides(one), str(one)))


def remedy(figure: Figure, setting: Setting) -> str:
    """The command that runs what the figure lacks under this setting."""
    return command(replace(as_table(figure, figure.datasets[0]), id=figure.id), setting)
