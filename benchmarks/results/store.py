"""Store finished results: one small JSON file a run, written atomically and last. Imports no torch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged, read_keyed, read_records, write_record
from benchmarks.results.result import Result


@dataclass(frozen=True)
class Store:
    """Results and work folders below one home folder."""

    home: Path

    @property
    def results(self) -> Path:
        """Return the folder of finished results."""
        return Home(self.home).results

    @property
    def keys(self) -> list[str]:
        """Return the keys of all results, which are not read."""
        return sorted(path.stem for path in self.results.glob("*.json"))

    def path(self, key: str) -> Path:
        """Return the file of a finished result."""
        return Home(self.home).result(key)

    def work(self, key: str) -> Path:
        """Return the folder of a run's large and private files: checkpoints, log, predictions."""
        return Home(self.home).run(key)

    def get(self, key: str) -> Result | None:
        """Return the finished result of that key, or None.

        Raises ResultDamaged, naming the file, if it cannot be used.
        """
        path = self.path(key)
        return read_result(path) if os.path.lexists(path) else None

    def no_result(self, key: str) -> str:
        """Return the message for a key without a result: the keys of the home that have one, or how to list others."""
        if not self.keys:
            return f"no finished run {key!r} in {self.home}: none is finished there. {self.list_command}"
        shown = ", ".join(self.keys[:8]) + (", ..." if len(self.keys) > 8 else "")
        return f"no finished run {key!r} in {self.home}: choose from {shown}"

    @property
    def list_command(self) -> str:
        """Return a sentence with the command that lists the runs of this home."""
        return f"All runs: {shlex.join(['rssam-bench', '--home', str(self.home), 'status'])}"

    def put(self, result: Result) -> None:
        """Write a finished result, down to the disk; a reader sees all of it or nothing."""
        write_record(self.path(result.key), result.to_json())

    def lock(self, key: str) -> FileLock:
        """Return the lock of a run; the operating system frees it when its holder ends, however that happens."""
        self.work(key).mkdir(parents=True, exist_ok=True)
        return FileLock(self.work(key) / "lock")

    def sweep(self, key: str) -> None:
        """Remove what a killed process left half-written of this run. For the holder of its lock only."""
        for path in (*self.results.glob(f".{key}.json.*.tmp"), *self.work(key).rglob(".*.tmp")):
            path.unlink(missing_ok=True)


def read_result(path: Path, *, follow_links: bool = True) -> Result:
    """Read one result file. Raises ResultDamaged naming it, also if it bears another name than its key."""
    return read_keyed(path, Result.from_json, follow_links=follow_links)


def read_results(folder: Path) -> Iterator[Result | ResultDamaged]:
    """Yield every result file of a folder in the order of their names; a damaged file comes as its error."""
    return read_records(folder, read_result)
