"""Many runs on many machines: one Ray task a run, on a home folder that every node sees under the same path.

Ray decides where and when; what is done already, who has a run, and where a lost one goes on is decided by the home, as
everywhere. Importing this needs Ray, which is an extra.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Literal

from benchmarks.board import Board
from benchmarks.executors import Settings, execute_keeping_notes
from benchmarks.interruption import Stop
from benchmarks.runner import execute, explain
from benchmarks.session import Outcome, Session
from benchmarks.spec import ResolvedRun, resolve
from benchmarks.states import WorkNotes, standing
from data_prep.base import DataError, load_manifest, sha256_file
from rssam.contract import UserError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a benchmark does not phone home
try:
    import ray
    from ray.exceptions import RayError, RayTaskError, TaskCancelledError
except ImportError as error:
    raise UserError('--executor ray needs Ray, which is an extra: pip install "ray>=2.40"') from error

RETRIES = 3
"""How often a run whose worker was lost is begun again, from its last checkpoint."""
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_TO_ANSWER = 10.0
OBJECT_STORE = 128 * 2**20
"""Bytes of shared memory for a Ray on this machine: nothing but outcomes goes through it."""
GIB = 2**30


@dataclass(frozen=True)
class Needs:
    """What a run reserves on a node. Ray counts it and does not hold a run to it; memory is that of the host."""

    gpus: int
    cpus: int
    memory: int  # bytes

    @property
    def text(self) -> str:
        """For a person."""
        gpus = f"{self.gpus} GPU, " if self.gpus else ""
        return f"{gpus}{self.cpus} CPU and {self.memory / GIB:.0f} GiB of memory"


NEEDS = {"cpu": Needs(0, 1, 2 * GIB), "cuda": Needs(1, 1, 6 * GIB)}
"""Of a run by its device, when it reads images in its own process."""
NEEDS_OF_A_READER = Needs(0, 1, GIB)
"""Of each process of `--workers` besides."""


def needs(device: Literal["cpu", "cuda"], workers: int) -> Needs:
    """What each run of a session reserves."""
    own, reader = NEEDS[device], NEEDS_OF_A_READER
    return Needs(own.gpus, own.cpus + workers * reader.cpus, own.memory + workers * reader.memory)


@contextmanager
def open_cluster(address: str | None, wish: Literal["auto", "cpu", "cuda"]) -> Iterator[Literal["cpu", "cuda"]]:
    """Join the cluster at that address, or start one of this machine alone; gives the device that its runs use.

    Raises UserError if nobody answers there, or if a GPU is wanted and no node has one.
    """
    _require_answer(address)
    alone: dict[str, Any] = {} if address else {"object_store_memory": OBJECT_STORE, "include_dashboard": False}
    try:
        ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **alone)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _no_cluster(address or "this machine", first) from error
    try:
        offered = any(node["Resources"].get("GPU", 0) >= 1 for node in _nodes())
        if wish == "cuda" and not offered:
            raise UserError("--device cuda was asked for, but no node of the Ray cluster has a GPU; use --device cpu")
        yield "cuda" if offered and wish != "cpu" else "cpu"
    finally:
        ray.shutdown()


def _require_answer(address: str | None) -> None:
    """Raise UserError if nobody listens at HOST:PORT: Ray itself would try for minutes without a word."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise _no_cluster(str(address), error.strerror or str(error)) from error


def _no_cluster(where: str, why: str) -> UserError:
    return UserError(
        f"Ray at {where} cannot be used ({why}); start a cluster with: ray start --head, and give its address, or "
        "leave out --ray-address to use this machine alone"
    )


def execute_on_ray(resolved: Sequence[ResolvedRun], session: Session, board: Board) -> list[Outcome]:
    """Execute the runs on the cluster that is open, and return their outcomes in order; a failure stays its own.

    A run whose worker is lost goes on elsewhere from its last checkpoint, at most RETRIES times. Runs that another
    command has are waited for at the end. Runs not begun when the session was asked to stop have no outcome. Raises
    UserError if no node has room for a run.
    """
    return _Dispatch(resolved, session, board).run()


@dataclass(frozen=True)
class _Order:
    """What every task of a plan is told besides its run."""

    settings: Settings
    mlflow: Mapping[str, str]  # environment by which MLflow is reached
    weights: Mapping[str, str]  # SHA-256 of each prepared checkpoint, for nodes that have a copy

    @classmethod
    def of(cls, session: Session, resolved: Sequence[ResolvedRun]) -> _Order:
        """Reads every checkpoint that the runs need, once."""
        mlflow = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
        names = {name for item in resolved for name in item.run.model.weights_needed()}
        weights = {name: sha256_file(session.weights.path(name)) for name in sorted(names)}
        return cls(Settings.of(session), mlflow, weights)


@dataclass
class _Dispatch:
    """The driver's side of one plan."""

    resolved: Sequence[ResolvedRun]
    session: Session
    board: Board
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    busy: list[int] = field(default_factory=list)  # another command has them
    lost: Counter[int] = field(default_factory=Counter)  # how often a worker was lost with that run

    def run(self) -> list[Outcome]:
        """All that have no result yet, then once more those that another command had."""
        left = []
        for number, item in enumerate(self.resolved):
            if self.session.store.path(item.key).is_file():
                self._end(number, execute(item, self.session))
            else:
                left.append(number)
        if left:
            wanted = needs(self.session.device, self.session.workers)
            _require_room(wanted)
            task, order = _task(wanted), _Order.of(self.session, [self.resolved[number] for number in left])
            with self.board:
                self._round(left, task, order, wait=False)
                self._round(self.busy, task, order, wait=True)
        return [self.outcomes[number] for number in sorted(self.outcomes)]

    def _round(self, numbers: Sequence[int], task: Any, order: _Order, *, wait: bool) -> None:
        def submit(number: int) -> Any:
            return task.remote(self.resolved[number], order, wait)

        at_work = {} if self.session.stop.wanted else {submit(number): number for number in numbers}
        cancelled = False
        while at_work:
            if self.session.stop.wanted and not cancelled:
                cancelled = True
                for reference in at_work:
                    ray.cancel(reference)
            ready, _ = ray.wait(list(at_work), timeout=SECONDS_BETWEEN_LOOKS)
            for reference in ready:
                number = at_work.pop(reference)
                if self._received(number, reference):
                    at_work[submit(number)] = number
            self._show(list(at_work.values()))

    def _received(self, number: int, reference: Any) -> bool:
        """Take what became of a task; whether it must be submitted once more."""
        item = self.resolved[number]
        try:
            outcome: Outcome = ray.get(reference)
        except TaskCancelledError:  # before it had begun, or too early to save anything
            return False
        except RayTaskError as error:  # the node has another version of the code, or none
            outcome = Outcome(item.key, "failed", reason=explain(error, self.session.home)[0])
        except RayError as error:
            return self._lost(number, error)
        if outcome.status == "busy":
            self.session.observer.note(f"{outcome.key}: {outcome.reason} has it; it is waited for at the end")
            self.busy.append(number)
            return False
        if outcome.result is not None and not self.session.store.path(item.key).is_file():
            self.session.store.put(outcome.result)  # the node has a home of its own at that path
        self._end(number, outcome)
        return False

    def _lost(self, number: int, error: RayError) -> bool:
        """Whether a run whose worker is gone shall be tried again."""
        key = self.resolved[number].key
        who = f"{WorkNotes(self.session.store.work(key)).holder()} ({type(error).__name__})"
        if self.session.stop.wanted:
            self._end(number, Outcome(key, "interrupted", reason=f"lost {who}; what was saved is kept"))
            return False
        self.lost[number] += 1
        if self.lost[number] > RETRIES:
            reason = f"its worker was lost {self.lost[number]} times, at last {who}; what was saved is kept"
            self._end(number, Outcome(key, "failed", reason=reason))
            return False
        self.session.observer.note(
            f"{key}: lost {who}; another worker goes on from the last checkpoint, try {self.lost[number]} of {RETRIES}"
        )
        return True

    def _end(self, number: int, outcome: Outcome) -> None:
        self.session.observer.begin(len(self.outcomes) + 1, len(self.resolved), self.resolved[number])
        self.outcomes[number] = outcome
        self.session.observer.end(outcome)

    def _show(self, at_work: Sequence[int]) -> None:
        standings = [standing(self.session.store, self.resolved[number].key) for number in at_work]
        running = [item for item in standings if item.state == "running"]
        ended = Counter(item.status for item in self.outcomes.values())
        self.board.show(running, ended, len(self.resolved) - len(self.outcomes) - len(running))


def _nodes() -> list[dict[str, Any]]:
    client: Any = ray  # it leaves this function without types
    return [node for node in client.nodes() if node["Alive"]]


def _require_room(wanted: Needs) -> None:
    """Raise UserError if no node could ever take a run: Ray would wait for one without a word."""
    for node in _nodes():
        offered = node["Resources"]
        if (
            offered.get("GPU", 0) >= wanted.gpus
            and offered.get("CPU", 0) >= wanted.cpus
            and offered.get("memory", 0) >= wanted.memory
        ):
            return
    raise UserError(
        f"a run needs {wanted.text}, and no node of the Ray cluster offers that; see: ray status. Fewer --workers need "
        "less, and ray start takes --num-gpus, --num-cpus and --memory"
    )


def _task(wanted: Needs) -> Any:
    """The task as Ray knows it. Lost ones are not retried by Ray, which would not say whom it lost."""
    options = ray.remote(num_gpus=wanted.gpus, num_cpus=wanted.cpus, memory=wanted.memory, max_retries=0)
    return options(_execute)


_worker: tuple[_Order, Session] | None = None  # one a process, so that prepared files are verified once in each
_compared: set[str] = set()  # checkpoints that this process has found to be the driver's


def _execute(resolved: ResolvedRun, order: _Order, wait: bool) -> Outcome:
    """In a worker of the cluster: execute one run. A cancelled task finishes its step and saves."""
    global _worker
    if _worker is None or _worker[0] != order:
        os.environ.update(order.mlflow)
        _worker = order, order.settings.open()
        _compared.clear()
    session = _worker[1]
    session.stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        session.stop.signal = "SIGINT"

    before = signal.signal(signal.SIGINT, handle)  # Ray cancels by it
    try:
        if (fault := _difference(resolved, order, session)) is not None:
            return Outcome(resolved.key, "failed", reason=f"on {socket.gethostname()}: {fault}")
        return execute_keeping_notes(resolved, session, wait)
    finally:
        signal.signal(signal.SIGINT, before)


def _difference(resolved: ResolvedRun, order: _Order, session: Session) -> str | None:
    """What keeps this node from executing that very run: data or weights that it lacks, or has otherwise.

    The prepared images are compared with the manifest's digests when the run begins, on every node.
    """
    run, name = resolved.run, resolved.run.dataset.name
    try:
        manifest = load_manifest(session.data_folder(name), name)
        here = resolve(run, manifest, session.weights, session.precision)
    except (DataError, UserError) as error:
        return str(error)
    if here.data_digest != resolved.data_digest:
        return f"{session.data_folder(name)} was prepared otherwise than where the command was given: copy it anew"
    for needed in run.model.weights_needed():
        path = session.weights.path(needed)
        if needed not in _compared and sha256_file(path) != order.weights[needed]:
            return f"{path} is not the file that it is where the command was given: copy it anew"
        _compared.add(needed)
    return None
