"""Execute many runs on many machines: a Ray task each, on a home folder that every node has at one path.

Ray decides where and when a run is executed. The home decides the rest, as everywhere: what is finished, which process
holds a run, and from which checkpoint a lost run goes on. Importing this needs Ray, which is an extra.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from benchmarks.execution.observer import Outcome, OutcomeStatus, RunTable
from benchmarks.execution.ray_cluster import Reservation, require_room, reservation
from benchmarks.execution.ray_task import TaskSettings, execute_task
from benchmarks.execution.run_status import StatusFiles, run_status
from benchmarks.execution.runner import execute, in_two_rounds
from benchmarks.execution.session import Session
from benchmarks.failures import explain
from benchmarks.protocol.run import ResolvedRun

RETRIES = 3
"""How often a run whose worker was lost is begun again, from its last checkpoint."""
SECONDS_BETWEEN_LOOKS = 2.0


def execute_on_ray(resolved: Sequence[ResolvedRun], session: Session, table: RunTable) -> list[Outcome]:
    """Execute the runs on the cluster that is open, and return their outcomes in order; a failure stays its own.

    A run whose worker is lost goes on elsewhere from its last checkpoint, at most RETRIES times. Runs that another
    command has are waited for at the end. Runs not begun when the session was asked to stop have no outcome. Raises
    UserError if no node has room for a run.
    """
    dispatch = _Dispatch(resolved, session, table)
    return in_two_rounds(len(resolved), session, dispatch.execute_round, "it is waited for at the end")


@dataclass
class _Dispatch:
    resolved: Sequence[ResolvedRun]
    session: Session
    table: RunTable
    ended: Counter[OutcomeStatus] = field(default_factory=Counter)
    lost: Counter[int] = field(default_factory=Counter)  # how often a worker was lost with that run

    def execute_round(self, numbers: Sequence[int], wait: bool) -> Iterator[tuple[int, Outcome]]:
        """Yield what has a result already, then what the cluster has executed, as it ends."""
        remaining = []
        for number in numbers:
            if self.session.store.path(self.resolved[number].key).is_file():
                yield self._announced(number, execute(self.resolved[number], self.session))
            else:
                remaining.append(number)
        if remaining:
            reserved = reservation(self.session.device, self.session.workers)
            require_room(reserved)
            settings = TaskSettings.of(self.session, [self.resolved[number] for number in remaining])
            with self.table:
                yield from self._on_cluster(remaining, _task(reserved), settings, wait)

    def _on_cluster(
        self, numbers: Sequence[int], task: Any, settings: TaskSettings, wait: bool
    ) -> Iterator[tuple[int, Outcome]]:
        def submit(number: int) -> Any:
            return task.remote(self.resolved[number], settings, wait)

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
                try:
                    outcome = self._received(number, reference)
                except TaskCancelledError:  # before it had begun, or too early to save anything
                    continue
                if outcome is None:
                    at_work[submit(number)] = number
                else:
                    yield self._announced(number, outcome)
            self._show(list(at_work.values()))

    def _received(self, number: int, reference: Any) -> Outcome | None:
        """Return what became of a task, None if it must be submitted once more. Raises TaskCancelledError."""
        resolved = self.resolved[number]
        try:
            outcome: Outcome = ray.get(reference)
        except TaskCancelledError:
            raise
        except RayTaskError as error:  # the node has another version of the code, or none
            return Outcome(resolved.key, "failed", reason=explain(error, self.session.home)[0])
        except RayError as error:
            return self._lost(number, error)
        if outcome.result is not None and not self.session.store.path(resolved.key).is_file():
            self.session.store.put(outcome.result)  # the node has a home of its own at that path
        if outcome.status == "failed" and not StatusFiles(self.session.store.work(resolved.key)).failure():  # likewise
            self.session.note_failure(resolved, outcome.reason, diverged=outcome.diverged)
        return outcome

    def _lost(self, number: int, error: RayError) -> Outcome | None:
        """Return None if a run whose worker is gone shall be tried again."""
        resolved = self.resolved[number]
        key = resolved.key
        holder = f"{StatusFiles(self.session.store.work(key)).holder()} ({type(error).__name__})"
        if self.session.stop.wanted:
            return Outcome(key, "interrupted", reason=f"lost {holder}; what was saved is kept")
        self.lost[number] += 1
        if self.lost[number] > RETRIES:
            reason = f"its worker was lost {self.lost[number]} times, at last {holder}; what was saved is kept"
            self.session.note_failure(resolved, reason)
            return Outcome(key, "failed", reason=reason)
        self.session.observer.note(
            f"{key}: lost {holder}; another worker goes on from the last checkpoint, "
            f"try {self.lost[number]} of {RETRIES}"
        )
        return None

    def _announced(self, number: int, outcome: Outcome) -> tuple[int, Outcome]:
        if outcome.status != "busy":
            self.session.observer.begin(self.ended.total() + 1, len(self.resolved), self.resolved[number])
            self.ended[outcome.status] += 1
        return number, outcome

    def _show(self, at_work: Sequence[int]) -> None:
        statuses = [run_status(self.session.store, self.resolved[number].key) for number in at_work]
        running = [status for status in statuses if status.state == "running"]
        self.table.show(running, self.ended, len(self.resolved) - self.ended.total() - len(running))


def _task(reserved: Reservation) -> Any:
    """Return the remote function. Ray does not retry lost tasks, because it would not name the worker that it lost."""
    options = ray.remote(num_gpus=reserved.gpus, num_cpus=reserved.cpus, memory=reserved.memory, max_retries=0)
    return options(execute_task)
