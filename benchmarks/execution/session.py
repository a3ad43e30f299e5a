"""What the runs of one command share: home folder, device, store, and who watches. Imports no torch."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from benchmarks.protocol.run import Precision, ResolvedRun
from benchmarks.results.store import Result, Store
from benchmarks.signals import Stop
from benchmarks.tracking.tracker import Silent, Tracker
from data_prep.errors import DataError
from data_prep.manifest import Manifest, verify_files
from rssam.errors import UserError
from rssam.weights.folder import WeightsFolder

if TYPE_CHECKING:
    from benchmarks.training.rank_group import DistributedTeam

Status = Literal["cached", "resumed", "trained", "failed", "interrupted", "busy"]
"""Busy: another process has it. That never is the end of it: such a run is waited for."""
FAULTS_SHOWN = 20


@dataclass(frozen=True)
class Outcome:
    """What became of one run; `reason` says why it failed, or who has it; `notes` what was said on the way."""

    key: str
    status: Status
    result: Result | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()


class Observer(Protocol):
    """Who watches the runs of a session."""

    def begin(self, number: int, total: int, resolved: ResolvedRun) -> None:
        """Run `number` of `total` begins."""

    def step(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """An optimiser step is done."""

    def epoch(self, metrics: dict[str, float]) -> None:
        """An epoch is done."""

    def testing(self, done: int, total: int) -> None:
        """Test images are being predicted."""

    def note(self, text: str) -> None:
        """Something a person should know: a wait, a damaged checkpoint, a second try."""

    def end(self, outcome: Outcome) -> None:
        """The run has ended."""


class Unwatched:
    """An observer that looks away."""

    def begin(self, number: int, total: int, resolved: ResolvedRun) -> None:
        """Ignored."""

    def step(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """Ignored."""

    def epoch(self, metrics: dict[str, float]) -> None:
        """Ignored."""

    def testing(self, done: int, total: int) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""

    def end(self, outcome: Outcome) -> None:
        """Ignored."""


@dataclass
class Session:
    """One command's view of the home folder and the machine. None of it is in a run's key but the precision."""

    home: Path
    device: Literal["cpu", "cuda"]
    observer: Observer
    tracker: Tracker = field(default_factory=Silent)
    workers: int = 0  # processes that read images; 0 reads in this one
    stop: Stop = field(default_factory=Stop)
    save_every: float = 600.0  # seconds between checkpoints within an epoch
    team: DistributedTeam | None = None  # where one run has several devices
    compiled: bool = False  # whether networks are compiled, on CUDA
    pixels: dict[str, Any] = field(default_factory=dict)  # of each data set, decoded: `Pixels | None`
    _verified: set[str] = field(default_factory=set)

    @cached_property
    def store(self) -> Store:
        """Results and work folders of this home."""
        return Store(self.home)

    @property
    def weights(self) -> WeightsFolder:
        """Prepared checkpoints of this home."""
        return WeightsFolder(self.home / "weights")

    @property
    def precision(self) -> Precision:
        """bf16 on a GPU, fp32 on the CPU."""
        return "bf16-mixed" if self.device == "cuda" else "32-true"

    def data_folder(self, dataset: str) -> Path:
        """Prepared folder of a data set."""
        return self.home / "data" / dataset

    def verify(self, dataset: str, manifest: Manifest) -> None:
        """Compare every prepared file with its digest, once a session. Raises DataError listing what differs."""
        if dataset in self._verified:
            return
        folder = self.data_folder(dataset)
        faults = verify_files(folder, manifest.entries)
        if faults:
            shown = "".join(f"\n  {fault}" for fault in faults[:FAULTS_SHOWN])
            more = f"\n  ... and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
            raise DataError(
                f"{len(faults)} prepared files of {dataset} are not as they were made:{shown}{more}\n"
                f"Delete {folder} and run: rssam-bench prepare {dataset} --source DIR"
            )
        self._verified.add(dataset)


def cuda_devices() -> int:
    """Number of CUDA devices the driver offers, 0 without a driver; asks the driver itself, so that torch can wait."""
    name = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def choose_workers(wish: int | None, device: Literal["cpu", "cuda"], jobs: int = 1) -> int:
    """Processes that read images, for each of `jobs` runs: those wished for, else by the cores.

    A network on the CPU uses every core itself, and reading takes next to none of its time.
    """
    if wish is not None:
        return wish
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if device == "cpu" else max(1, min(8, cores // 2 // jobs))


def choose_device(wish: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """The device for a wish. Raises UserError if a GPU is wanted and there is none."""
    if wish == "cpu":
        return "cpu"
    if cuda_devices():
        return "cuda"
    if wish == "cuda":
        raise UserError("--device cuda was asked for, but the driver offers no CUDA device; use --device cpu")
    return "cpu"
