"""Say of each row of a study what its encoder was trained on, and what its system costs: counted, or measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.execution.cost_estimate import kept_cost
from benchmarks.protocol.run import Run, plain_fields
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.studies.study import Study
from data_prep.registry import find_dataset
from reports.figures.cost_measures import TimingConditions, conditions_of, is_of
from reports.formatting import format_number
from reports.select.comparable import ResultGroup, ResultGroupRow
from reports.select.settings import declare
from reports.select.studies import tables_under
from rssam.encoders.declared import ENCODERS

COST_HEADS = ("Total (M)", "Trainable (M)", "GMACs", "Latency (ms)", "Memory (GiB)")
COST_NAMES = ("total", "trainable", "gmacs", "latency_seconds", "memory_of_a_step")
UNKNOWN = ("-", "-")

Numbers = tuple[float | None, ...]
"""In the order of COST_NAMES, not rounded."""


@dataclass(frozen=True)
class Costs:
    """Origins and costs by row, and how they were found."""

    origins: Mapping[str, tuple[str, str]]
    numbers: Mapping[str, Numbers]
    notes: tuple[str, ...]

    def origin(self, label: str) -> tuple[str, str]:
        """Return what the encoder was trained on before, and the licence of these weights."""
        return self.origins.get(label, UNKNOWN)

    def values(self, label: str) -> Numbers:
        """Return the costs of a row; None for what is not known, as of predictions of another tool."""
        return self.numbers.get(label, (None,) * len(COST_NAMES))

    def cells(self, label: str) -> tuple[str, ...]:
        """Return the costs as printed."""
        units = ((1e6, 2), (1e6, 2), (1, 1), (1e-3, 1), (2**30, 2))
        return tuple(
            format_number(None if value is None else value / unit, decimals)
            for value, (unit, decimals) in zip(self.values(label), units, strict=True)
        )


def read_costs(
    study: Study,
    setting: Setting,
    groups: Mapping[str, ResultGroup],
    dataset: str,
    speed: Sequence[Mapping[str, Any]],
) -> Costs:
    """Return the costs of the networks for one data set.

    Args:
        study: whose rows are meant.
        setting: under which they are run.
        groups: results by data set; of one with a result the counts are those that it carries.
        dataset: whose classes and size the networks are built for.
        speed: records of `rssam-bench speed`.
    """
    table = tables_under(study, setting)[dataset]
    runs = {row.labels[0]: run for row in study.rows if (run := declare(setting, table, row)) is not None}
    rows = {row.row.labels[0]: row for row in groups[dataset].rows} if dataset in groups else {}
    conditions, measured = _measured(runs, speed)
    numbers = {
        label: (*_counted(run, rows.get(label)), *measured.get(label, (None, None))) for label, run in runs.items()
    }
    origins = {label: _origin(run) for label, run in runs.items()}
    tasks = {run.task for run in runs.values()}
    notes = _notes(study, setting, dataset, tasks.pop().image_size, conditions) if tasks else []
    return Costs(origins, numbers, tuple(notes))


def _origin(run: Run) -> tuple[str, str]:
    encoder = ENCODERS[plain_fields(run.model)["encoder"]]
    return (encoder.pretraining, encoder.licence) if run.model.weights_needed() else ("none", "none")


def _counted(run: Run, row: ResultGroupRow | None) -> Numbers:
    """Parameters in all and trained, and 1e9 multiply-accumulates: of the result, else as kept for the declaration."""
    kept = kept_cost(run.model, run.task) or {}
    found = row.results[0].parameters if row is not None and row.results else {}
    macs = found.get("macs")
    return (
        found.get("total", kept.get("total")),
        found.get("trainable", kept.get("trainable")),
        kept.get("gmacs") if macs is None else macs / 1e9,
    )


def _measured(
    runs: Mapping[str, Run], speed: Sequence[Mapping[str, Any]]
) -> tuple[tuple[TimingConditions, int] | None, Mapping[str, Numbers]]:
    """Seconds of one image and bytes of a training step, all under the conditions that most rows have."""
    found: dict[tuple[TimingConditions, int], dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for record in sorted(speed, key=lambda record: str(record["provenance"]["finished"])):
        for label, run in runs.items():
            system = {"name": run.model.name, "version": run.model.version, "options": plain_fields(run.model)}
            if is_of(record, system, run.task.classes, run.task.image_size):
                found[conditions_of(record), record["conditions"]["group"]][label] = record
    if not found:
        return None, {}
    conditions = max(found, key=lambda key: (len(found[key]), key))
    return conditions, {
        label: (record["latency_seconds"]["median"], record["peak_memory"]["step"])
        for label, record in found[conditions].items()
    }


def _notes(
    study: Study,
    setting: Setting,
    dataset: str,
    size: tuple[int, int],
    conditions: tuple[TimingConditions, int] | None,
) -> list[str]:
    title, (height, width) = find_dataset(dataset).title, size
    lines = [
        f"Parameters and GMACs (1e9 multiply-accumulates of one image) are those of the networks for {title} at "
        f"{height}x{width}. Pretraining and licence are those of the encoder's weights."
    ]
    if conditions is None:
        ask = f": `rssam-bench speed {study.id}`" if setting == Setting(study.profile) else ""
        return [*lines, f"Latency and memory are not measured here{ask}."]
    timed, group = conditions
    return [
        *lines,
        f"Latency is of one image by itself, memory the peak of a training step of {group} images, with random "
        f"weights: {timed}.",
    ]
