"""Read and write the record of a run that was tried and has no result, because it diverged or failed.

Reports show such a run beside its row, because a mean over the runs that are left would flatter the system.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmarks.divergence import DivergedRate
from benchmarks.protocol.run import declared_part, make_key
from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged, decoding, read_record

FailureState = Literal["diverged", "failed"]

LONGEST = 300
"""Characters that are kept of a reason."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_WHEN = re.compile(r"[0-9T:+. Z-]{0,40}")


@dataclass(frozen=True, eq=False)
class FailedRun:
    """A run without a result: its identity as a result would have it, and why there is none."""

    identity: Mapping[str, Any]
    reason: str  # one line, where it was read
    when: str  # UTC, ISO 8601
    diverged: tuple[DivergedRate, ...]  # all rates of the recipe; empty for a run that failed otherwise
    data: Mapping[str, Any]  # as of a result, or empty if the data could not be read
    provenance: Mapping[str, Any]  # the record of a system that is not of this suite, else empty

    @cached_property
    def key(self) -> str:
        """The run's name, from its identity."""
        return make_key(self.identity)

    @property
    def state(self) -> FailureState:
        """Whether its loss diverged, or something else kept it from a result."""
        return "diverged" if self.diverged else "failed"

    def declared(self) -> dict[str, Any]:
        """The declared part of the identity, comparable with `Run.declared`."""
        return declared_part(self.identity)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives the same run back."""
        return {
            "key": self.key,
            "identity": dict(self.identity),
            "reason": self.reason,
            "when": self.when,
            "diverged": [rate.to_json() for rate in self.diverged],
            "data": dict(self.data),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, raw: Any) -> FailedRun:
        """Raises ResultDamaged if a part is missing, of another kind, or does not fit its key."""
        with decoding():
            if not isinstance(raw, Mapping):
                raise ResultDamaged(f"it holds a {type(raw).__name__}, where a failure is expected")
            if "identity" not in raw:
                raise ResultDamaged("an earlier version wrote it, without what was run: run it again")
            failed = cls(
                identity=raw["identity"],
                reason=_one_line(raw["reason"]),
                when=raw["when"],
                diverged=tuple(DivergedRate.from_json(rate) for rate in raw["diverged"]),
                data=raw["data"],
                provenance=raw["provenance"],
            )
            _require_fit(failed, raw["key"])
        return failed


def read_failed_runs(home: Path) -> Iterator[FailedRun | ResultDamaged]:
    """Yield every failed run of a home that has no result, by key; a damaged record comes as its error."""
    for path in Home(home).failures:
        key = path.parent.name
        if Home(home).result(key).is_file():
            continue
        try:
            failed = read_failed_run(path)
            if failed.key != key:
                raise ResultDamaged(f"{path}: it is of the run {failed.key}")
            yield failed
        except ResultDamaged as error:
            yield error


def read_failed_run(path: Path) -> FailedRun:
    """Read one record. Raises ResultDamaged naming the file."""
    return read_record(path, FailedRun.from_json)


def _one_line(text: str) -> str:
    """Return a text as one printable line of bounded length."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def _require_fit(failed: FailedRun, key: str) -> None:
    """Raise ResultDamaged unless names are no paths, and each part that tables use is of its kind."""
    identity = failed.identity
    for part in ("model", "dataset"):
        if not (isinstance(identity[part]["name"], str) and _NAME.fullmatch(identity[part]["name"])):
            raise ResultDamaged(f"its {part} has no name as {part}s have")
    kinds = {
        "seed": int, "split_seed": int, "data": str, "precision": str, "weights": list, "recipe": dict,
    }  # fmt: skip
    if wrong := [name for name, kind in kinds.items() if type(identity[name]) is not kind]:
        raise ResultDamaged(f"its {wrong[0]} is of another kind than a run's")
    if not all(isinstance(part, dict) for part in (failed.data, failed.provenance, identity["model"]["options"])):
        raise ResultDamaged("its data, provenance or options are no record")
    if not isinstance(failed.when, str) or not _WHEN.fullmatch(failed.when):
        raise ResultDamaged("it names no time")
    if failed.key != key:
        raise ResultDamaged(f"the key {str(key)[:80]!r} does not belong to its identity ({failed.key})")
