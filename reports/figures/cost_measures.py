"""Look up what a result's system costs: counted with the result, or measured by `rssam-bench speed`.

A record of speed is of a result's system only if both have the same name, version, options, classes and size of images.
Nothing is scaled from another size, batch or device.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.results.result import Result
from reports.formatting import format_range, plural

PRECISIONS: Mapping[str, str] = {"bf16-mixed": "bf16", "16-mixed": "fp16", "32-true": "fp32"}
"""Names of precisions as a reader knows them."""


class CostKind(Protocol):
    """Scale of cost of a chart."""

    @property
    def title(self) -> str:
        """Return the title of the chart."""

    @property
    def unit(self) -> str:
        """Return the unit of the cost."""

    @property
    def where(self) -> str:
        """Return device and conditions of the measurement; "" for what is counted."""

    def cost_of(self, result: Result) -> float | None:
        """Return the cost of a result's system in `unit`; None where it is not known."""

    def sentences(self, shown: Sequence[Result], without: Sequence[str]) -> tuple[str, ...]:
        """Return the lines below: how the costs `shown` were measured, and which systems are `without` one."""


@dataclass(frozen=True)
class CountedCost:
    """Count that results carry; old results lack some."""

    title: str
    unit: str
    name: str  # among `Result.parameters`
    scale: float  # of the unit
    where: str = ""

    def cost_of(self, result: Result) -> float | None:
        """Return the count in the chart's unit; None if the result lacks it."""
        count = result.parameters.get(self.name)
        return None if count is None else count / self.scale

    def sentences(self, shown: Sequence[Result], without: Sequence[str]) -> tuple[str, ...]:
        """Return nothing: counts do not depend on device or day."""
        return ()


COUNTED_COSTS = (
    CountedCost("Dice against parameters", "million parameters in all", "total", 1e6),
    CountedCost("Dice against multiply-adds", "GMACs for one image of the trained size", "macs", 1e9),
)


@dataclass(frozen=True, order=True)
class TimingConditions:
    """Device and conditions that a time depends on, besides the system; each has charts of its own."""

    device: str
    precision: str
    compiled: bool
    way: str  # in which SAM's blocks attend
    threads: int  # of the CPU; 0 on other devices
    group: int  # images of the training step; 0 for the latency of one image

    def __str__(self) -> str:
        parts = [
            self.device,
            PRECISIONS[self.precision],
            "compiled" if self.compiled else "",
            "" if self.way == "auto" else f"attention {self.way}",
            {0: "", 1: "1 thread"}.get(self.threads, f"{self.threads} threads"),
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one image, from one record."""

    conditions: TimingConditions
    system: Mapping[str, Any]
    classes: Sequence[str]
    size: tuple[int, int]  # (height, width)
    milliseconds: float
    torch: str
    finished: str  # ISO 8601, UTC

    def fits(self, result: Result) -> bool:
        """Return whether it is of the result's system, with images of the size that system was trained on."""
        model = result.identity["model"]
        return (
            all(self.system[name] == model[name] for name in ("name", "version", "options"))
            and tuple(self.classes) == result.classes
            and self.size == result.task.image_size
        )


@dataclass(frozen=True)
class MeasuredCost:
    """Times under the same conditions."""

    title: str
    unit: str
    conditions: TimingConditions
    timings: tuple[Timing, ...]

    @property
    def where(self) -> str:
        """Return device, precision, and conditions that are not the usual ones."""
        return str(self.conditions)

    def timing(self, result: Result) -> Timing | None:
        """Return the latest time that fits: records of other batches or rounds have the same system and conditions."""
        fitting = [timing for timing in self.timings if timing.fits(result)]
        return max(fitting, key=lambda timing: timing.finished, default=None)

    def cost_of(self, result: Result) -> float | None:
        """Return the measured milliseconds; None if the result's system was not measured."""
        timing = self.timing(result)
        return None if timing is None else timing.milliseconds

    def sentences(self, shown: Sequence[Result], without: Sequence[str]) -> tuple[str, ...]:
        """Return days and versions of the records behind the marks, and the systems without a record."""
        used = [timing for result in shown if (timing := self.timing(result)) is not None]
        days = sorted({timing.finished[:10] for timing in used})
        versions = sorted({timing.torch for timing in used})
        height, width = used[0].size
        measurement = (
            f"Measured {format_range(days[0], days[-1])} with torch {' and '.join(versions)}: "
            f"medians of alternating rounds, random weights, images of {height}x{width} pixels."
        )
        if not without:
            return (measurement,)
        return measurement, f"Without a record of rssam-bench speed under these conditions: {', '.join(without)}."


def timings(record: Mapping[str, Any]) -> tuple[Timing, Timing]:
    """Return latency and training time of one image, from a record of `rssam-bench speed`.

    Raises KeyError, TypeError, ValueError or IndexError if it is malformed.
    """
    conditions, provenance, system = record["conditions"], record["provenance"], record["system"]
    group = conditions["group"]
    if conditions["precision"] not in PRECISIONS:
        raise ValueError(f"unknown precision {conditions['precision']!r}")

    def timing(images: int, seconds: float) -> Timing:
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"{seconds} seconds is no time")
        height, width = record["image_size"]
        timed_under = TimingConditions(
            device=str(record["device"]),
            precision=conditions["precision"],
            compiled=bool(conditions["compiled"]),
            way=str(record["way"]),
            threads=int(provenance["threads"]) if conditions["device"] == "cpu" else 0,
            group=images,
        )
        return Timing(
            conditions=timed_under,
            system={name: system[name] for name in ("name", "version", "options")},
            classes=tuple(record["classes"]),
            size=(height, width),
            milliseconds=1e3 * seconds,
            torch=str(provenance["versions"]["torch"]),
            finished=str(provenance["finished"]),
        )

    return timing(0, record["latency_seconds"]["median"]), timing(group, record["step_seconds"]["median"] / group)


def measured(records: Sequence[Mapping[str, Any]]) -> tuple[MeasuredCost, ...]:
    """Return latency and training time under all conditions of these records."""
    by_conditions: dict[TimingConditions, list[Timing]] = defaultdict(list)
    for record in records:
        for timing in timings(record):
            by_conditions[timing.conditions].append(timing)
    return tuple(_measured(conditions, tuple(by_conditions[conditions])) for conditions in sorted(by_conditions))


def _measured(conditions: TimingConditions, same: tuple[Timing, ...]) -> MeasuredCost:
    if conditions.group == 0:
        return MeasuredCost("Dice against latency", "ms for one image by itself", conditions, same)
    unit = f"ms of training for an image, in steps of {conditions.group} {plural(conditions.group, 'image')}"
    return MeasuredCost("Dice against training time", unit, conditions, same)
