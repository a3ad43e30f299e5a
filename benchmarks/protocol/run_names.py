"""Name runs and rows for people: "RS-SAM · Neck + MFF", table5:3. Names are printed and looked up, never hashed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.run import plain_fields
from benchmarks.protocol.studies.still_sam import STILL_SAM
from benchmarks.protocol.tables import TABLE5, TABLE6, TABLES, Row, Table
from rssam.errors import UnknownName


@dataclass(frozen=True)
class RunName:
    """Name that a person calls a run by."""

    system: str
    variant: str  # the row's switches, then its size
    rows: tuple[str, ...]  # of the paper's tables, as table5:3, and the controls after them
    dataset: str
    recipe: str
    split_seed: int
    seed: int

    @property
    def title(self) -> str:
        """Return system and variant."""
        return " · ".join(filter(None, (self.system, self.variant)))

    @property
    def place(self) -> str:
        """Return data, recipe, seeds and rows."""
        seeds = f"split {self.split_seed} seed {self.seed}"
        return " · ".join(filter(None, (self.dataset, self.recipe, seeds, " ".join(self.rows))))


def run_name(declared: Mapping[str, Any]) -> RunName:
    """Return the name of a declared run, from `Run.declared` or the identity of a result."""
    model, dataset, recipe = declared["model"], declared["dataset"]["name"], declared["recipe"]["name"]
    listed = MODELS.get(model["name"])
    return RunName(
        model["name"] if listed is None else listed.title, variant(model), rows_of(declared), dataset, recipe,
        declared["split_seed"], declared["seed"],
    )  # fmt: skip


def row_name(table: Table, row: Row) -> str:
    """Return the row's label; of a row of switches those that are on, without any the system's title."""
    odd = [label for label in row.labels if label not in ("yes", "no")]
    if odd:
        return odd[0].removeprefix("yes: ").removeprefix("no: ")
    on = [column for column, label in zip(table.label_columns, row.labels, strict=True) if label == "yes"]
    return _short(" + ".join(on)) or row.model.title


def find_rows(table: Table, wishes: Sequence[str]) -> tuple[Row, ...]:
    """Return rows by number from 1, controls after the paper's, by name, or by the beginning of one name alone.

    Raises UnknownName listing the choices.
    """
    rows = (*table.rows, *table.controls)
    names = [row_name(table, row) for row in rows]
    found: list[Row] = []
    for wish in wishes:
        asked = _short(wish).casefold()
        numbers = [number for number, name in enumerate(names) if asked in (str(number + 1), _short(name).casefold())]
        numbers = numbers or [number for number, name in enumerate(names) if name.casefold().startswith(asked)]
        if len(numbers) != 1:
            choices = ", ".join(f'{number} "{name}"' for number, name in enumerate(names, start=1))
            raise UnknownName(f"{table.id} has no row {wish!r}: choose from {choices}")
        if rows[numbers[0]] not in found:
            found.append(rows[numbers[0]])
    return tuple(found)


def rows_of(declared: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the rows of the paper's tables that a declared run fills, as table5:3, then those of a study.

    A run with another encoder than its profile's has the rows of the paper that it would have with that one.
    """
    model, dataset = declared["model"], declared["dataset"]["name"]
    profile = PROFILES.get(declared["recipe"]["name"])
    encoders = profile.encoders if profile else {}

    def has_encoder(row: Row) -> bool:
        encoder = plain_fields(row.model).get("encoder")
        return encoder is None or model["options"].get("encoder") == encoders.get(encoder, encoder)

    places = [
        (table, number, row)
        for table in TABLES.values()
        if table.dataset == dataset
        for number, row in enumerate((*table.rows, *table.controls), start=1)
        if _is_of_row(row, model)
    ]
    exact = [place for place in places if has_encoder(place[2])]
    loose = [place for place in places if not place[0].compares_encoders]
    return (*(f"{table.id}:{number}" for table, number, _ in exact or loose), *_study_rows(declared))


def is_listed(model: Mapping[str, Any]) -> bool:
    """Return whether a declared system is, apart from its size and start, that listed under its name: no ablation."""
    listed = MODELS.get(model["name"])
    return listed is None or _same_switches(Row((), listed, {}), model["options"])


def _study_rows(declared: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rows of the study that a run fills, whatever the data set: with the row's encoder or its small one."""
    if declared["recipe"]["name"] == "paper":
        return
    for number, row in enumerate(STILL_SAM.rows, start=1):
        sizes = (plain_fields(row.model).get("encoder"), row.model.small.get("encoder"))
        if _is_of_row(row, declared["model"]) and declared["model"]["options"].get("encoder") in sizes:
            yield f"{STILL_SAM.id}:{number}"


def _is_of_row(row: Row, model: Mapping[str, Any]) -> bool:
    return row.model.name == model["name"] and _same_switches(row, model["options"])


def _same_switches(row: Row, options: Mapping[str, Any]) -> bool:
    """Return whether all options are the row's, except those of size and start."""
    free = {"encoder", "init", *row.model.small}
    return all(options.get(name) == value for name, value in plain_fields(row.model).items() if name not in free)


def variant(model: Mapping[str, Any]) -> str:
    """Return a system's switches by the name of their row, then its size, and its start if that is not as listed."""
    options, listed = model["options"], MODELS.get(model["name"])
    given = plain_fields(listed) if listed is not None else options
    first = "encoder" if listed is None and "encoder" in options else next(iter(given), "")
    size = str(options.get(first, ""))  # the option that names the size is the first of every system of this suite
    if listed is None:
        return size
    start = "scratch" if options.get("init") == "scratch" and given["init"] != "scratch" else ""
    sized = ", ".join(filter(None, (size, start)))
    if is_listed(model):
        return sized
    rows = [(table, row) for table in (TABLE5, TABLE6) for row in (*table.rows, *table.controls)]
    names = [row_name(table, row) for table, row in rows if _is_of_row(row, model)]
    free = {"encoder", "init", *listed.small}
    changed = [f"{name}={value}" for name, value in options.items() if name not in free and value != given.get(name)]
    return " · ".join([names[0] if names else " ".join(changed), sized])


def _short(name: str) -> str:
    return re.sub("multi-scale ", "", " ".join(name.split()), flags=re.IGNORECASE)
