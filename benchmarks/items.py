"""What can be reproduced: the tables and figures by name, and the runs behind each."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import FIGURES, Figure
from benchmarks.spec import Setting
from benchmarks.tables import TABLES, Table
from rssam.contract import Model, UnknownName

Item = Table | Figure

ITEMS: dict[str, Item] = {**TABLES, **FIGURES}


def find_items(names: Sequence[str]) -> list[Item]:
    """The items of those names, in the given order without repeats; "all" is every table and figure.

    Raises UnknownName listing the choices.
    """
    wanted = [each for name in names for each in (ITEMS if name == "all" else (name,))]
    for name in wanted:
        if name not in ITEMS:
            raise UnknownName(f"unknown item {name!r}: choose from {', '.join((*ITEMS, 'all'))}")
    return [ITEMS[name] for name in dict.fromkeys(wanted)]


def systems(item: Item, controls: bool = False) -> list[tuple[Model, str]]:
    """The systems of an item with the data set each is run on, as declared; with `controls`, those of a table too."""
    if isinstance(item, Table):
        rows = (*item.rows, *item.controls) if controls else item.rows
        return [(row.model, item.dataset) for row in rows]
    return [(panel.model, dataset) for dataset in item.datasets for panel in item.panels]


def require_suitable(items: Sequence[Item], setting: Setting) -> None:
    """Raise UnknownName for an item that cannot be run under the setting: a table of encoder sizes with one encoder."""
    for item in items:
        if isinstance(item, Table) and item.compares_encoders and setting.encoder is not None:
            raise UnknownName(
                f"{item.id} compares encoders, so it takes no --encoder: leave it out, or name the other items "
                f"({', '.join(name for name in ITEMS if name != item.id)})"
            )
