"""Find what `reproduce` can be asked for: tables, figures and claims by name, and the runs behind each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from benchmarks.protocol.claims import REPLICATES, ClaimSet, claim_bearing
from benchmarks.protocol.figures import FIGURES, Figure
from benchmarks.protocol.paper_runs import PAPER_RUNS
from benchmarks.protocol.run_names import find_rows
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES, Table
from rssam.contract import Model
from rssam.errors import UnknownName

Item = Table | Figure | ClaimSet

CLAIM_SET = ClaimSet()
ITEMS: dict[str, Item] = {**TABLES, **FIGURES, CLAIM_SET.id: CLAIM_SET}


def find_items(names: Sequence[str]) -> list[Item]:
    """Return the items of those names, in the given order without repeats; "all" is every table and figure.

    The claims are asked for by name: they repeat runs. Raises UnknownName listing the choices.
    """
    all_names = [name for name in ITEMS if name != CLAIM_SET.id]
    item_names = [item_name for name in names for item_name in (all_names if name == "all" else (name,))]
    for name in item_names:
        if name not in ITEMS:
            raise UnknownName(f"unknown item {name!r}: choose from {', '.join((*ITEMS, 'all'))}")
    return [ITEMS[name] for name in dict.fromkeys(item_names)]


def only_rows(items: Sequence[Item], wishes: Sequence[str]) -> Table:
    """Return the only item, with these rows alone. Raises UnknownName unless it is a table that has them."""
    if len(items) != 1 or not isinstance(items[0], Table):
        raise UnknownName(f"--row goes with one table, found {', '.join(item.id for item in items)}: choose one table")
    return dataclasses.replace(items[0], rows=find_rows(items[0], wishes), controls=())


def systems(item: Item, controls: bool = False, own: Sequence[Model] = ()) -> list[tuple[Model, str]]:
    """Return the systems of an item with the data set each is run on, as declared.

    With `controls` those of a table too. With `own` systems of the user these and no others, of an item that
    `require_suitable` has let pass.
    """
    if isinstance(item, Table):
        if own:
            return [(model, item.dataset) for model in own]
        rows = (*item.rows, *item.controls) if controls else item.rows
        return [(row.model, item.dataset) for row in rows]
    if isinstance(item, ClaimSet):
        claim_runs = claim_bearing()
        other_runs = [run for run in PAPER_RUNS if run not in claim_runs]
        return [(run.model, run.dataset) for run in (*claim_runs, *other_runs)]
    return [(panel.model, dataset) for dataset in item.datasets for panel in item.panels]


def replicates(item: Item, model: Model, dataset: str, repeats: int | None) -> int:
    """Return how many replicates of a system of an item are run.

    Of the claims, those runs are repeated that they rest on, and each other run is made once.

    Args:
        item: the table, figure or claims.
        model: a system of it.
        dataset: name of the data set it is run on.
        repeats: the number asked for, None if none was.
    """
    if not isinstance(item, ClaimSet):
        return repeats or 1
    is_claim_bearing = any((run.model, run.dataset) == (model, dataset) for run in claim_bearing())
    return (repeats or REPLICATES) if is_claim_bearing else 1


def require_suitable(items: Sequence[Item], setting: Setting, own: Sequence[Model] = ()) -> None:
    """Raise UnknownName for an item that cannot be run under the setting.

    With an encoder these are a table of encoder sizes, and the claims, which compare sizes too. With a data set these
    are the claims, which are on three. With `own` systems these are all but tables of systems.
    """
    for item in items:
        if own and not (isinstance(item, Table) and item.compares_systems):
            tables = ", ".join(name for name, table in TABLES.items() if table.compares_systems)
            raise UnknownName(f"{item.id} has no place for a system of your own: --model goes with {tables}")
        if isinstance(item, ClaimSet) and setting.dataset is not None:
            raise UnknownName(
                "the claims are on the paper's three data sets, so they take no --dataset: leave it out, or name a "
                f"table ({', '.join(TABLES)})"
            )
        compares_encoders = isinstance(item, ClaimSet) or (isinstance(item, Table) and item.compares_encoders)
        if compares_encoders and setting.encoder is not None:
            raise UnknownName(
                f"{item.id} compares encoders, so it takes no --encoder: leave it out, or name other items "
                f"({', '.join(_with_any_encoder())})"
            )


def _with_any_encoder() -> list[str]:
    """Return the names of the items that can be run with one encoder for all rows."""
    return [
        name
        for name, item in ITEMS.items()
        if not isinstance(item, ClaimSet) and not (isinstance(item, Table) and item.compares_encoders)
    ]
