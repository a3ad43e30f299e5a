"""Look up what a result's system costs: counted with the result, or measured by `rssam-bench speed`.

A record of speed is of a result's system only if both have the same name, version, options, classes and size of images.
Nothing is scaled from another size, batch or device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.protocol.recipe import PRECISION_NAMES, Precision
from benchmarks.results.result import Result
from reports.formatting import format_range, gathered, plural


@dataclass(frozen=True)
class CostKind:
    """Scale of cost of a chart.

    `cost_of` gives the cost of a result's system in `unit`, None where it is not known. `sentences` gives the lines
    below: how the costs of the results shown were measured, and which systems are without one.
    """

    title: str
    unit: str
    cost_of: Callable[[Result], float | None]
    where: str = ""  # device and conditions of the measurement; "" for what is counted
    sentences: Callable[[Sequence[Result], Sequence[str]], tuple[str, ...]] = lambda shown, without: ()


def _counted(title: str, unit: str, name: str, scale: float) -> CostKind:
    """Return the kind of a count that results carry in `Result.parameters`; old results lack some."""

    def cost_of(result: Result) -> float | None:
        count = result.parameters.get(name)
        return None if count is None else count / scale

    return CostKind(title, unit, cost_of)


COUNTED_COSTS = (
    _counted("Dice against parameters", "million parameters in all", "total", 1e6),
    _counted("Dice against multiply-adds", "GMACs for one image of the trained size", "macs", 1e9),
)


@dataclass(frozen=True, order=True)
class TimingConditions:
    """Device and conditions that a time depends on, besides the system; each has charts of its own."""

    device: str
    precision: Precision
    compiled: bool
    way: str  # in which SAM's blocks attend
    threads: int  # of the CPU; 0 on other devices
    group: int  # images of the training step; 0 for the latency of one image

    def __str__(self) -> str:
        parts = [
            self.device,
            PRECISION_NAMES[self.precision],
            "compiled" if self.compiled else "",
            "" if self.way == "auto" else f"attention {self.way}",
            {0: "", 1: "1 thread"}.get(self.threads, f"{self.threads} threads"),
        ]
        return ", ".join(part for part in parts if part)


def is_of(
    record: Mapping[str, Any], system: Mapping[str, Any], classes: tuple[str, ...], size: tuple[int, int]
) -> bool:
    """Return whether a record is of a system, with these classes and images of this size (height, width)."""
    return (
        all(record["system"][name] == system[name] for name in ("name", "version", "options"))
        and tuple(record["classes"]) == classes
        and tuple(record["image_size"]) == size
    )


def conditions_of(record: Mapping[str, Any], group: int = 0) -> TimingConditions:
    """Return the conditions of a record's latency, or of its training step with `group` images."""
    conditions = record["conditions"]
    return TimingConditions(
        device=record["device"],
        precision=conditions["precision"],
        compiled=conditions["compiled"],
        way=record["way"],
        threads=record["provenance"]["threads"] if conditions["device"] == "cpu" else 0,
        group=group,
    )


def measured(records: Sequence[Mapping[str, Any]]) -> tuple[CostKind, ...]:
    """Return latency and training time under all conditions of these records, which `read_efficiency` has checked."""
    by_conditions = gathered(
        (conditions_of(record, group), record) for record in records for group in (0, record["conditions"]["group"])
    )
    return tuple(_measured(conditions, by_conditions[conditions]) for conditions in sorted(by_conditions))


def _measured(conditions: TimingConditions, records: Sequence[Mapping[str, Any]]) -> CostKind:
    """Return the kind of milliseconds of one image under the same conditions."""
    group = conditions.group

    def latest(result: Result) -> Mapping[str, Any] | None:
        """Return the latest of the records of a system: those of other batches or rounds are of it too."""
        model, size = result.identity["model"], result.task.image_size
        fitting = [record for record in records if is_of(record, model, result.classes, size)]
        return max(fitting, key=lambda record: str(record["provenance"]["finished"]), default=None)

    def cost_of(result: Result) -> float | None:
        record = latest(result)
        if record is None:
            return None
        seconds = record["step_seconds"]["median"] / group if group else record["latency_seconds"]["median"]
        return float(1e3 * seconds)

    def sentences(shown: Sequence[Result], without: Sequence[str]) -> tuple[str, ...]:
        used = [record for result in shown if (record := latest(result)) is not None]
        days = sorted({record["provenance"]["finished"][:10] for record in used})
        versions = sorted({record["provenance"]["versions"]["torch"] for record in used})
        height, width = used[0]["image_size"]
        measurement = (
            f"Measured {format_range(days[0], days[-1])} with torch {' and '.join(versions)}: "
            f"medians of alternating rounds, random weights, images of {height}x{width} pixels."
        )
        if not without:
            return (measurement,)
        return measurement, f"Without a record of rssam-bench speed under these conditions: {', '.join(without)}."

    title, unit = "Dice against latency", "ms for one image by itself"
    if group:
        title = "Dice against training time"
        unit = f"ms of training for an image, in steps of {group} {plural(group, 'image')}"
    return CostKind(title, unit, cost_of, str(conditions), sentences)
