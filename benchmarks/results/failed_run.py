"""Read and write the record of a run that was tried and has no result, because it diverged or failed.

Reports show such a run beside its row, because a mean over the runs that are left would flatter the system.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.divergence import DIVERGED, DivergedRate
from benchmarks.results.home import Home
from benchmarks.results.json_files import MadeBy01, ResultDamaged, decoding, read_record, require_schema
from benchmarks.results.result import IDENTITY, SYSTEM, RunRecord, require_consistent
from data_prep.facts import FACTS, describe_data
from rssam.kinds import COUNT, TEXT, WORD, Leaf

FAILURE_SCHEMA = 2
"""Version 0.1 wrote none."""

FailureState = Literal["diverged", "failed"]

LONGEST = 300
"""Characters that are kept of a reason."""
_WHEN = re.compile(r"[0-9T:+. Z-]{0,40}")

KINDS: dict[str, Any] = {
    "key": WORD,
    "schema": COUNT,
    "identity": IDENTITY,
    "reason": TEXT,
    "when": Leaf("a time", lambda value: isinstance(value, str) and _WHEN.fullmatch(value) is not None),
    "diverged": [DIVERGED],
    "data": (Leaf("an object, empty or with facts of the data", lambda value: value == {}), FACTS),
    "provenance": {"system?": SYSTEM},
    "traceback?": (TEXT, None),
}
"""Kinds of all parts of a record in a file."""


@dataclass(frozen=True, eq=False)
class FailedRun(RunRecord):
    """Run without a result: its identity as a result would have it, and why there is none."""

    identity: Mapping[str, Any]
    reason: str  # one line, where it was read
    when: str  # UTC, ISO 8601
    diverged: tuple[DivergedRate, ...]  # all rates of the recipe; empty for a run that failed otherwise
    data: Mapping[str, Any]  # as of a result, or empty if the data could not be read
    provenance: Mapping[str, Any]  # the record of a system that is not of this suite, otherwise empty

    @property
    def state(self) -> FailureState:
        """Return whether its loss diverged, or something else kept it from a result."""
        return "diverged" if self.diverged else "failed"

    @property
    def data_description(self) -> str:
        """Return a sentence on how complete the data is; empty if the data could not be read."""
        return describe_data(self.identity["dataset"]["name"], self.data) if self.data else ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` gives the same run back."""
        return {
            "key": self.key,
            "schema": FAILURE_SCHEMA,
            "identity": dict(self.identity),
            "reason": self.reason,
            "when": self.when,
            "diverged": [rate.to_json() for rate in self.diverged],
            "data": dict(self.data),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, raw: Any) -> FailedRun:
        """Return the failed run of plain values.

        Raises ResultDamaged if a part is missing, of another kind, or does not fit its key.
        """
        if "schema" not in raw:
            raise MadeBy01()
        require_schema(raw, FAILURE_SCHEMA, "failure")
        with decoding(raw, KINDS):
            failed = cls(
                identity=raw["identity"],
                reason=_one_line(raw["reason"]),
                when=raw["when"],
                diverged=tuple(DivergedRate.from_json(rate) for rate in raw["diverged"]),
                data=raw["data"],
                provenance=raw["provenance"],
            )
            if failed.key != raw["key"]:
                raise ResultDamaged(f"the key {raw['key'][:80]!r} does not belong to its identity ({failed.key})")
            require_consistent(failed.identity, failed.provenance.get("system"))
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


def read_failed_run(path: Path, *, follow_links: bool = True) -> FailedRun:
    """Read one record. Raises ResultDamaged naming the file."""
    return read_record(path, FailedRun.from_json, follow_links=follow_links)


def _one_line(text: str) -> str:
    """Return a text as one printable line of bounded length."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
