"""What `reproduce` can be asked for: tables, figures and claims by name, and the runs behind each."""

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
from rssam.errors import UnknownName, UserError

Item = Table | Figure | ClaimSet

CLAIM_SET = ClaimSet()
ITEMS: dict[str, Item] = {**TABLES, **FIGURES, CLAIM_SET.id: CLAIM_SET}


def find_items(names: Sequence[str]) -> list[Item]:
    """The items of those names, in the given order without repeats; "all" is every table and figure.

    The claims are asked for by name: they repeat runs. Raises UnknownName listing the choices.
    """
    all_names = [name for name in ITEMS if name != CLAIM_SET.id]
    item_names = [item_name for name in names for item_name in (all_names if name == "all" else (name,))]
    for name in item_names:
        if name not in ITEMS:
            raise UnknownName(f"unknown item {name!r}: choose from {', '.join((*ITEMS, 'all'))}")
    return [ITEMS[name] for name in dict.fromkeys(item_names)]


def only_rows(items: Sequence[Item], wishes: Sequence[str]) -> Table:
    """The only item, with these rows alone. Raises UnknownName unless it is a table that has them."""
    if len(items) != 1 or not isinstance(items[0], Table):
        raise UnknownName(f"--row goes with one table, found {', '.join(item.id for item in items)}: choose one table")
    return dataclasses.replace(items[0], rows=find_rows(items[0], wishes), controls=())


def choose_items(names: Sequence[str], rows: Sequence[str], setting: Setting, own: Sequence[Model] = ()) -> list[Item]:
    """Return the items to run under a setting; with `rows` the only table with these rows alone.

    Raises UnknownName for a name or a row that does not exist, or an item that does not suit, see `require_suitable`;
    UserError for rows together with `own` systems, which replace them.
    """
    chosen = find_items(names)
    require_suitable(chosen, setting, own)
    if rows and own:
        raise UserError("--row chooses rows of a table, and --model replaces them: leave one out")
    return [only_rows(chosen, rows)] if rows else chosen


def systems(item: Item, controls: bool = False, own: Sequence[Model] = ()) -> list[tuple[Model, str]]:
    """The systems of an item with the data set each is run on, as declared; with `controls`, those of a table too.

    With `own` systems of the user these and no others, of an item that `require_suitable` has let pass.
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
    """How many replicates of one of an item's systems are run; `repeats` is what was asked for, None if nothing was.

    Of the claims, those runs are repeated that they rest on, and each other run is made once.
    """
    if not isinstance(item, ClaimSet):
        return repeats or 1
    is_claim_bearing = any((run.model, run.dataset) == (model, dataset) for run in claim_bearing())
    return (repeats or REPLICATES) if is_claim_bearing else 1


def require_suitable(items: Sequence[Item], setting: Setting, own: Sequence[Model] = ()) -> None:
    """Raise UnknownName for an item that cannot be run under the setting.

    These are a table of encoder sizes, or the claims, which compare them too, with one encoder; and the claims, which
    are on three data sets, with one. And with `own` systems what is no table of systems.
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
    """Names of the items that can be run with one encoder for all rows."""
    return [
        name
        for name, item in ITEMS.items()
        if not isinstance(item, ClaimSet) and not (isinstance(item, Table) and item.compares_encoders)
    ]
