"""What `reproduce` can be asked for: tables, figures, claims and a study by name, and the runs behind each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import get_args

from benchmarks.protocol.claims import REPLICATES, ClaimSet, claim_bearing
from benchmarks.protocol.figures import FIGURES, Figure
from benchmarks.protocol.paper_runs import PAPER_RUNS
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.run_names import find_rows
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.studies.still_sam import STILL_SAM
from benchmarks.protocol.studies.study import Study
from benchmarks.protocol.tables import TABLES, Table
from data_prep.splits import SplitRule, require_rule
from rssam.contract import Model, cli_options
from rssam.errors import UnknownName, UserError
from rssam.sam.encoder_sizes import SMALL_ENCODERS, EncoderInit

Item = Table | Figure | ClaimSet | Study

CLAIM_SET = ClaimSet()
WITH_TABLES: dict[str, Table | Study] = {**TABLES, STILL_SAM.id: STILL_SAM}
"""What results are tabled in, and bundles hold."""
ITEMS: dict[str, Item] = {**TABLES, **FIGURES, CLAIM_SET.id: CLAIM_SET, STILL_SAM.id: STILL_SAM}


def find_items(names: Sequence[str]) -> list[Item]:
    """Return the items of those names, in the given order without repeats; "all" is every table and figure.

    The claims are asked for by name, because they repeat runs, and a study, because the paper does not have it. Raises
    UnknownName listing the choices, also where no item is named.
    """
    if not names:
        raise UnknownName(f"expected an item, found none: choose from {', '.join((*ITEMS, 'all'))}")
    all_names = [*TABLES, *FIGURES]
    item_names = [item_name for name in names for item_name in (all_names if name == "all" else (name,))]
    for name in item_names:
        if name not in ITEMS:
            raise UnknownName(f"unknown item {name!r}: choose from {', '.join((*ITEMS, 'all'))}")
    return [ITEMS[name] for name in dict.fromkeys(item_names)]


def tables_of(items: Iterable[Item]) -> list[Table]:
    """Return the tables among items, and those of studies, one for each data set."""
    tables: list[Table] = []
    for item in items:
        tables += item.tables.values() if isinstance(item, Study) else [item] if isinstance(item, Table) else []
    return tables


def default_profile(items: Sequence[Item]) -> str:
    """Return the profile of items for which none is named. Raises UnknownName if a study is asked for beside others."""
    profiles = {item.profile if isinstance(item, Study) else "paper": item.id for item in items}
    if len(profiles) > 1:
        found = " and ".join(f"{profile} for {name}" for profile, name in profiles.items())
        raise UnknownName(f"expected items of one profile, found {found}: name a --profile, or ask for them apart")
    return next(iter(profiles), "paper")


def under(item: Item, setting: Setting) -> Item:
    """Return the item as it is run under a setting: a study for its wiring alone is run on its first data set."""
    if isinstance(item, Study) and PROFILES[setting.profile].claims_nothing:
        return dataclasses.replace(item, datasets=item.datasets[:1])
    return item


def only_rows(items: Sequence[Item], wishes: Sequence[str]) -> Table | Study:
    """Return the only item, with these rows alone. Raises UnknownName unless it is a table or a study that has them."""
    (item, *others) = items
    if others or not isinstance(item, Table | Study):
        raise UnknownName(f"--row goes with one table, found {', '.join(item.id for item in items)}: choose one table")
    if isinstance(item, Study):
        rows = find_rows(next(iter(item.tables.values())), wishes)
        return dataclasses.replace(item, rows=rows, questions=())
    return dataclasses.replace(item, rows=find_rows(item, wishes), controls=())


def setting_of(
    profile: str,
    encoder: str | None = None,
    init: EncoderInit | None = None,
    dataset: str | None = None,
    split: SplitRule = "random",
) -> Setting:
    """Return the setting of these options, see `choose`. Raises UnknownName for a name that does not exist."""
    require_rule(split)
    if init not in (None, *get_args(EncoderInit)):
        raise UnknownName(f"unknown init {init!r}: choose from {', '.join(get_args(EncoderInit))}")
    return Setting(profile, encoder, init, dataset, "blocked" if split == "blocked" else None)


def choose(
    names: Sequence[str],
    profile: str | None = None,
    encoder: str | None = None,
    init: EncoderInit | None = None,
    dataset: str | None = None,
    split: SplitRule = "random",
    rows: Sequence[str] = (),
    own: Sequence[Model] = (),
) -> tuple[list[Item], Setting]:
    """Return the items to run, and the setting to run them under.

    Args:
        names: of the items.
        profile: the recipe; None for that of the items, see `default_profile`.
        encoder: SAM encoder of every row.
        init: how networks start.
        dataset: the data set to run the rows on.
        split: how the split is drawn.
        rows: of the only table, these alone, by number or name.
        own: systems of the user, which replace the rows.

    Raises UnknownName for a name or a row that does not exist, or an item that does not suit, see `require_suitable`.
    Raises UserError for rows together with `own` systems, which replace them.
    """
    chosen = find_items(names)
    setting = setting_of(profile or default_profile(chosen), encoder, init, dataset, split)
    require_suitable(chosen, setting, own)
    if rows and own:
        raise UserError("--row chooses rows of a table, and --model replaces them: leave one out")
    return ([only_rows(chosen, rows)] if rows else chosen), setting


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
    if isinstance(item, Study):
        return [(row.model, dataset) for dataset in item.datasets for row in item.rows]
    return [(panel.model, dataset) for dataset in item.datasets for panel in item.panels]


def datasets_of(items: Sequence[Item], setting: Setting, own: Sequence[Model] = ()) -> list[str]:
    """Return the names of the data sets that the items are run on, each once."""
    names = [dataset for asked in items for _, dataset in systems(under(asked, setting), own=own)]
    return list(dict.fromkeys(names if setting.dataset is None else [setting.dataset]))


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

    These are a table of encoder sizes, or the claims, which compare them too, with one encoder. And the claims, which
    are on three data sets, with one. A study under the paper's recipe, or with an encoder that not every row has a
    counterpart of. And with `own` systems what is no table of systems, or an encoder that none of them takes.
    """
    if own:
        require_encoder_taken(own, setting)
    for item in items:
        if isinstance(item, Study) and setting.profile == "paper":
            raise UnknownName(
                f"{item.id} is not in the paper: it is run under the recipe {item.profile}, with the same budget for "
                f"every system and a rate chosen by validation. Leave --profile out, or choose {item.profile}"
            )
        if isinstance(item, Study) and setting.encoder not in (None, *SMALL_ENCODERS):
            raise UnknownName(
                f"{item.id} compares encoders: --encoder is {' or '.join(SMALL_ENCODERS)} there, with which every row "
                f"takes the small encoder of its own family; found {setting.encoder}"
            )
        if own and not (isinstance(item, Table) and item.compares_systems):
            tables = ", ".join(name for name, table in TABLES.items() if table.compares_systems)
            raise UnknownName(f"{item.id} has no place for a system of your own: --model goes with {tables}")
        if isinstance(item, ClaimSet) and setting.dataset is not None:
            raise UnknownName(
                "the claims are on the paper's three data sets, so they take no --dataset: leave it out, or name a "
                f"table ({', '.join(TABLES)})"
            )
        if setting.encoder is not None and not _takes_any_encoder(item) and not isinstance(item, Study):
            raise UnknownName(
                f"{item.id} compares encoders, so it takes no --encoder: leave it out, or name other items "
                f"({', '.join(name for name, other in ITEMS.items() if _takes_any_encoder(other))})"
            )


def _takes_any_encoder(item: Item) -> bool:
    return not (isinstance(item, ClaimSet | Study) or (isinstance(item, Table) and item.compares_encoders))


def require_encoder_taken(models: Sequence[Model], setting: Setting) -> None:
    """Raise UnknownName for a SAM encoder that would change none of these systems; small encoders change every one."""
    if setting.encoder in (None, *SMALL_ENCODERS) or any("encoder" in cli_options(model) for model in models):
        return
    having = f"{' and '.join(model.name for model in models)} {'have' if len(models) > 1 else 'has'}"
    raise UnknownName(f"{having} no SAM encoder that --encoder {setting.encoder} could replace: leave it out")
