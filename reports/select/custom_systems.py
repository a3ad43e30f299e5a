"""Rows of systems that are not of this suite: a table that compares systems shows each of which there is a result."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from benchmarks.protocol.tables import Row, Table
from benchmarks.results.custom_system import SYSTEM, stand_in
from reports.select.results import Collection
from rssam.contract import Model

LABEL = "own system"


def with_own_systems(table: Table, collection: Collection) -> Table:
    """The table with a row for every system of the user's own, by name; the table itself if there is none."""
    if not table.compares_systems:
        return table
    found: dict[Model, str] = {}
    for stored in collection.stored:
        if (model := stand_in(stored.result)) is not None:
            found[model] = stored.result.provenance[SYSTEM]["class"]
    ordered = sorted(found, key=lambda model: (model.name, model.version, found[model]))
    labels = _labels(ordered, found)
    return replace(table, own=tuple(Row((labels[model],), model, {}) for model in ordered))


def _labels(models: list[Model], classes: dict[Model, str]) -> dict[Model, str]:
    """Titles with the word that they are the user's own, and what tells apart those of one title."""
    labels = {model: f"{model.title} ({LABEL})" for model in models}
    more = {model: f"version {model.version}" for model in models}, classes
    for distinction in more:
        often = Counter(labels.values())
        labels = {
            model: f"{label[:-1]}, {distinction[model]})" if often[label] > 1 else label
            for model, label in labels.items()
        }
    return labels
