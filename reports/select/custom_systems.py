"""Give the user's own systems that were run a row in every table that compares systems."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from benchmarks.protocol.tables import Row, Table
from benchmarks.results.custom_system import SYSTEM, stand_in
from reports.select.results import Collection
from rssam.contract import Model

OWN_SYSTEM = "own system"


def with_own_systems(table: Table, collection: Collection) -> Table:
    """Return the table with a row for every system of the user's own, by name; unchanged without such a system."""
    if not table.compares_systems:
        return table
    classes: dict[Model, str] = {}
    for stored in collection.runs:
        if (model := stand_in(stored.result)) is not None:
            classes[model] = stored.result.provenance[SYSTEM]["class"]
    ordered = sorted(classes, key=lambda model: (model.name, model.version, classes[model]))
    labels = _labels(ordered, classes)
    return replace(table, own=tuple(Row((labels[model],), model, {}) for model in ordered))


def _labels(models: list[Model], classes: dict[Model, str]) -> dict[Model, str]:
    """Return titles marked as the user's own, with version or class where titles are equal."""
    labels = {model: f"{model.title} ({OWN_SYSTEM})" for model in models}
    more = {model: f"version {model.version}" for model in models}, classes
    for distinction in more:
        often = Counter(labels.values())
        labels = {
            model: f"{label[:-1]}, {distinction[model]})" if often[label] > 1 else label
            for model, label in labels.items()
        }
    return labels
