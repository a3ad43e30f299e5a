"""Open the session of a command, which its runs share: home, device, store, observer, tracker. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.divergence import DivergedRate
from benchmarks.execution.hardware import choose_precision
from benchmarks.execution.observer import Observer
from benchmarks.execution.run_status import StatusFiles
from benchmarks.protocol.custom import is_own
from benchmarks.protocol.recipe import Precision, PrecisionChoice
from benchmarks.protocol.run import ResolvedRun
from benchmarks.results.custom_system import SYSTEM, record
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.home import Home
from benchmarks.results.store import Store
from benchmarks.signals import Stop
from benchmarks.tracking.tracker import Tracker
from benchmarks.training.device_layout import Device
from data_prep.errors import DataError
from data_prep.manifest import Entry, Manifest
from data_prep.manifest_file import load_manifest, verify_files
from rssam.amounts import SHOWN
from rssam.errors import UserError
from rssam.weights.folder import WeightsFolder

if TYPE_CHECKING:
    from benchmarks.training.rank_group import RankGroup
    from data_prep.loading.decoded_cache import Pixels


@dataclass
class Session:
    """Session of a command: its view of the home folder and the machine. Of it only the precision is in a run's key."""

    home: Path
    device: Device
    observer: Observer = field(default_factory=Observer)
    tracker: Tracker = field(default_factory=Tracker)
    workers: int = 0  # processes that read images; 0 reads in this one
    stop: Stop = field(default_factory=Stop)
    save_every: float = 600.0  # seconds between checkpoints within an epoch
    ranks: RankGroup | None = None  # where one run has several devices
    keep: bool = False  # whether the last checkpoint of a finished run stays, with its optimiser's state
    compiled: bool = False  # whether networks are compiled, on CUDA
    precision_choice: PrecisionChoice = "auto"
    _verified: set[str] = field(default_factory=set)  # data sets
    _pixels: dict[str, Pixels | None] = field(default_factory=dict)  # by data set

    @cached_property
    def store(self) -> Store:
        """Return results and work folders of this home."""
        return Store(self.home)

    @property
    def weights(self) -> WeightsFolder:
        """Return the prepared checkpoints of this home."""
        return WeightsFolder(Home(self.home).weights)

    @cached_property
    def precision(self) -> Precision:
        """Return the precision of every run."""
        return choose_precision(self.precision_choice, self.device)

    def require_precision(self, precision: Precision) -> None:
        """Raise UserError if this process would train a run in another precision than it was planned in."""
        if self.precision != precision:
            raise UserError(
                f"expected {precision} as on the first device, found {self.precision}, which suits the device here: "
                "give --precision on every node"
            )

    def data_folder(self, dataset: str) -> Path:
        """Return the prepared folder of a data set."""
        return Home(self.home).dataset(dataset)

    def note_failure(
        self, resolved: ResolvedRun, reason: str, trace: str = "", diverged: Sequence[DivergedRate] = ()
    ) -> None:
        """Note in a run's work folder why it has no result, and what was run, so that reports can show it.

        Args:
            resolved: the run.
            reason: one sentence for a person.
            trace: of an exception that was not foreseen.
            diverged: the rates of the recipe, if all of them diverged.
        """
        run = resolved.run
        try:
            data = load_manifest(self.data_folder(run.dataset.name), run.dataset.name).facts
        except DataError:
            data = {}  # its data, which is then the reason
        failed = FailedRun(
            identity=resolved.identity(),
            reason=reason,
            when=datetime.now(UTC).isoformat(timespec="seconds"),
            diverged=tuple(diverged),
            data=data,
            provenance={SYSTEM: record(run.model)} if is_own(run.model) else {},
        )
        StatusFiles(self.store.work(resolved.key)).fail(failed, trace)

    def decoded_pixels(self, dataset: str) -> Pixels | None:
        """Return the decoded pixels of a whole prepared data set, None if they do not fit; looked up once a session."""
        if dataset not in self._pixels:
            from data_prep.loading.decoded_cache import decoded

            folder = self.data_folder(dataset)
            entries = load_manifest(folder, dataset).entries
            cache = Home(self.home).decoded
            self._pixels[dataset] = decoded(folder, entries, cache, self.observer.note, self.stop.check)
        return self._pixels[dataset]

    def verify(self, dataset: str, manifest: Manifest) -> None:
        """Compare every prepared file with its digest, once a session. Raises DataError listing what differs."""
        if dataset not in self._verified:
            require_unchanged(self.data_folder(dataset), dataset, manifest.entries)
            self._verified.add(dataset)


def require_unchanged(folder: Path, dataset: str, entries: Sequence[Entry]) -> None:
    """Raise DataError listing the prepared files of these entries whose digest is not that of the manifest."""
    if faults := verify_files(folder, entries):
        shown = "".join(f"\n  {fault}" for fault in faults[:SHOWN])
        more = f"\n  ... and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise DataError(
            f"{len(faults)} prepared files of {dataset} are not as they were made:{shown}{more}\n"
            f"Delete {folder} and run: rssam-bench prepare {dataset} --source DIR"
        )
