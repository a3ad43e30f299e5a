"""Join every path below the home folder; no other module joins one. Imports no torch."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rssam.errors import UserError


@dataclass(frozen=True)
class Home:
    """Folder where data, weights, runs and results lie: `--home`, RSSAM_HOME, or ~/.cache/rssam-bench.

    Use `open_home`, which also registers its own data sets. Nothing is made here, and no path need exist. An unpacked
    bundle has the same layout in part: `results`, `scores` and `data`.

    Attributes:
        root: the folder.

    Examples:
        >>> from pathlib import Path
        >>> from benchmarks import Home
        >>> Home(Path("example")).dataset("roads").as_posix()
        'example/data/roads'
    """

    root: Path

    @property
    def data(self) -> Path:
        """Return the folder of the prepared data sets."""
        return self.root / "data"

    def require_outside(self, path: Path) -> None:
        """Raise UserError if a file for others is to be written among those of the suite, which it may replace."""
        for folder in (self.data, self.weights, self.runs, self.results, self.scores):
            if path.resolve().is_relative_to(folder.resolve()):
                raise UserError(f"expected a place outside of {folder}, whose files are the suite's own, found {path}")

    @property
    def is_new(self) -> bool:
        """Return whether nothing was prepared, run or scored here, by this version or another."""
        folders = (self.data, self.weights, self.runs, self.results, self.scores)
        return not any(any(folder.glob("*")) for folder in folders)

    def dataset(self, name: str) -> Path:
        """Return the folder of a prepared data set."""
        return self.data / name

    def data_card(self, name: str) -> Path:
        """Return the folder of the data card of a data set."""
        return self.root / "data-cards" / name

    @property
    def decoded(self) -> Path:
        """Return the folder of decoded images, which may be deleted."""
        return self.root / "cache"

    @property
    def weights(self) -> Path:
        """Return the folder of the prepared checkpoints."""
        return self.root / "weights"

    @property
    def runs(self) -> Path:
        """Return the folder of the work folders of all runs."""
        return self.root / "runs"

    def run(self, key: str) -> Path:
        """Return the folder of a run's large and private files: checkpoints, predictions, notes for `status`."""
        return self.runs / key

    def failure(self, key: str) -> Path:
        """Return the file that says why a run failed; it is there until the run has a result."""
        return self.run(key) / "failure.json"

    @property
    def failures(self) -> list[Path]:
        """Return the files of `failure` that are there, by key."""
        return sorted(self.root.glob("runs/*/failure.json"))

    @property
    def results(self) -> Path:
        """Return the folder of finished results, a JSON file for each run."""
        return self.root / "results"

    def result(self, key: str) -> Path:
        """Return the file of a finished result."""
        return self.results / f"{key}.json"

    @property
    def scores(self) -> Path:
        """Return the folder of counts without a run: scored predictions, and trained systems on other data sets."""
        return self.root / "scores"

    def score(self, key: str) -> Path:
        """Return the file of scored predictions, or of a trained system on another data set."""
        return self.scores / f"{key}.json"

    def metrics(self, key: str) -> Path:
        """Return the file of the object metrics of a run."""
        return self.root / "metrics" / f"{key}.json"

    @property
    def test_set_log(self) -> Path:
        """Return the ledger, the file with a line for every use of a test split."""
        return self.root / "ledger.jsonl"

    @property
    def speed(self) -> Path:
        """Return the folder of speed records."""
        return self.root / "speed"

    def step_time(self, name: str) -> Path:
        """Return the file with the time of a training step on a machine, which may be deleted."""
        return self.root / "step-times" / f"{name}.json"

    @property
    def downloads(self) -> Path:
        """Return the folder in which `prepare` looks for files that the user fetched; nothing is written there."""
        return self.root / "downloads"

    @property
    def mlflow_database(self) -> Path:
        """Return the SQLite file in which MLflow tracks runs."""
        return self.root / "mlflow.db"

    @property
    def mlflow_lock(self) -> Path:
        """Return the lock file of the process that makes the database."""
        return self.root / "mlflow.lock"

    @property
    def mlflow_artifacts(self) -> Path:
        """Return the folder of MLflow's artifacts."""
        return self.root / "mlflow"


def open_home(home: Path | str | Home | None = None, note: Callable[[str], object] = warnings.warn) -> Home:
    """Return a home folder, after registering the data sets of your own that were prepared in it.

    From then on `data_prep.find_dataset` knows them by name, in place of those of another home. Every function of
    `benchmarks` and `reports` that takes a home opens it so. Nothing is written.

    Args:
        home: the folder; $RSSAM_HOME or ~/.cache/rssam-bench if None. It need not exist.
        note: called with a sentence for each data set that cannot be used; by default a warning.

    Examples:
        The home of docs/python.md:

        >>> from benchmarks import open_home
        >>> from data_prep import find_dataset
        >>> home = open_home("example")
        >>> find_dataset("roads").classes
        ('road',)
    """
    opened = home if isinstance(home, Home) else Home(Path(home or default_home()).expanduser().resolve())
    if any(opened.data.glob("*/")) or "data_prep.registry" in sys.modules:  # nothing to register: it imports slowly
        from data_prep.registry import register_home

        for problem in register_home(opened.data):
            note(problem)
    return opened


def default_home() -> Path:
    """Return the home folder where none is named: $RSSAM_HOME, or a folder in the user's cache."""
    return Path(os.environ.get("RSSAM_HOME") or Path.home() / ".cache" / "rssam-bench")
