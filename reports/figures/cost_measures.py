"""The kinds of cost that Dice is drawn against: counted with each result, or measured by `rssam-bench speed`.

A record of speed is of a result's system only if name, version and options, classes and the size of the images are
those of the result. Nothing is scaled from another size, batch or device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.results.result import Result

PRECISIONS: Mapping[str, str] = {"bf16-mixed": "bf16", "32-true": "fp32"}
"""Names of precisions as a reader knows them."""


class CostKind(Protocol):
    """One chart's scale of cost."""

    @property
    def title(self) -> str:
        """Of the chart."""

    @property
    def unit(self) -> str:
        """Of the cost."""

    @property
    def where(self) -> str:
        """What every mark was measured on; "" for what is counted."""

    def of(self, result: Result) -> float | None:
        """Cost of a result's system in `unit`; None where it is not known."""

    def sentences(self, shown: Sequence[Result], without: Sequence[str]) -> tuple[str, ...]:
        """What is said below: how the costs `shown` came about, and which systems are `without` one."""


@dataclass(frozen=True)
class Counted:
    """A count that results carry; old ones lack some."""

    title: str
    unit: str
    name: str  # among `Result.parameters`
    scale: float  # of the unit
    where: str = ""

    def of(self, result: Result) -> float | None:
        """See CostKind."""
        count = result.parameters.get(self.name)
        return None if count is None else count / self.scale

    def sentences(self, shown: Sequence[Result], without: Sequence[str]) -> tuple[str, ...]:
        """Nothing: how it is counted does not depend on where."""
        return ()


COUNTED = (
    Counted("Dice against parameters", "million parameters in all", "total", 1e6),
    Counted("Dice against multiply-adds", "GMACs for one image of the trained size", "macs", 1e9),
)


@dataclass(frozen=True, order=True)
class Bench:
    """What decides a time beside the system: times of two benches are in two charts."""

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

    bench: Bench
    system: Mapping[str, Any]
    classes: Sequence[str]
    size: tuple[int, int]  # (height, width)
    milliseconds: float
    torch: str
    finished: str  # ISO 8601, UTC

    def fits(self, result: Result) -> bool:
        """Whether it is of the very system of the result, on images as that was trained on."""
        model = result.identity["model"]
        return (
            all(self.system[name] == model[name] for name in ("name", "version", "options"))
            and tuple(self.classes) == result.classes
            and self.size == result.task.image_size
        )


@dataclass(frozen=True)
class Measured:
    """Times on one bench."""

    title: str
    unit: str
    bench: Bench
    timings: tuple[Timing, ...]

    @property
    def where(self) -> str:
        """Device, precision, and what else is not as usual."""
        return str(self.bench)

    def timing(self, result: Result) -> Timing | None:
        """The latest that fits: records of other batches or rounds are of the same system on the same bench."""
        fitting = [timing for timing in self.timings if timing.fits(result)]
        return max(fitting, key=lambda timing: timing.finished, default=None)

    def of(self, result: Result) -> float | None:
        """See CostKind."""
        timing = self.timing(result)
        return None if timing is None else timing.milliseconds

    def sentences(self, shown: Sequence[Result], without: Sequence[str]) -> tuple[str, ...]:
        """Days and versions of the records behind the marks, and the systems that have none."""
        used = [timing for result in shown if (timing := self.timing(result)) is not None]
        days = sorted({timing.finished[:10] for timing in used})
        versions = sorted({timing.torch for timing in used})
        height, width = used[0].size
        made = (
            f"Measured {' to '.join(dict.fromkeys((days[0], days[-1])))} with torch {' and '.join(versions)}: "
            f"medians of alternating rounds, random weights, images of {height}x{width} pixels."
        )
        if not without:
            return (made,)
        return made, f"Without a record of rssam-bench speed under these conditions: {', '.join(without)}."


def timings(record: Mapping[str, Any]) -> tuple[Timing, Timing]:
    """Latency of one image, and training time of one, from a record of `rssam-bench speed`.

    Raises KeyError, TypeError, ValueError or IndexError if it is malformed.
    """
    conditions, made, system = record["conditions"], record["provenance"], record["system"]
    group = conditions["group"]
    if conditions["precision"] not in PRECISIONS:
        raise ValueError(f"unknown precision {conditions['precision']!r}")

    def timing(images: int, seconds: float) -> Timing:
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"{seconds} seconds is no time")
        height, width = record["image_size"]
        bench = Bench(
            device=str(record["device"]),
            precision=conditions["precision"],
            compiled=bool(conditions["compiled"]),
            way=str(record["way"]),
            threads=int(made["threads"]) if conditions["device"] == "cpu" else 0,
            group=images,
        )
        return Timing(
            bench=bench,
            system={name: system[name] for name in ("name", "version", "options")},
            classes=tuple(record["classes"]),
            size=(height, width),
            milliseconds=1e3 * seconds,
            torch=str(made["versions"]["torch"]),
            finished=str(made["finished"]),
        )

    return timing(0, record["latency_seconds"]["median"]), timing(group, record["step_seconds"]["median"] / group)


def measured(records: Sequence[Mapping[str, Any]]) -> tuple[Measured, ...]:
    """Latency and training time on every bench of these records, beside each other."""
    every = [timing for record in records for timing in timings(record)]
    benches = sorted({timing.bench for timing in every})
    return tuple(_measured(bench, tuple(timing for timing in every if timing.bench == bench)) for bench in benches)


def _measured(bench: Bench, of: tuple[Timing, ...]) -> Measured:
    if bench.group == 0:
        return Measured("Dice against latency", "ms for one image by itself", bench, of)
    images = "1 image" if bench.group == 1 else f"{bench.group} images"
    return Measured("Dice against training time", f"ms of training for an image, in steps of {images}", bench, of)
