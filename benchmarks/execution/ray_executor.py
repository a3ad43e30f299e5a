"""Many runs on many machines: one Ray task a run, on a home folder that every node sees under the same path.

Ray decides where and when; what is done already, who has a run, and where a lost one goes on is decided by the home, as
everywhere. Importing this needs Ray, which is an extra.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from benchmarks.execution.failures import explain
from benchmarks.execution.observer import Outcome, RunTable
from benchmarks.execution.ray_cluster import Needs, needs, require_room
from benchmarks.execution.ray_task import Order, execute_task
from benchmarks.execution.run_status import WorkNotes, standing
from benchmarks.execution.runner import execute
from benchmarks.execution.session import Session
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
    return _Dispatch(resolved, session, table).run()


@dataclass
class _Dispatch:
    """The driver's side of one plan."""

    resolved: Sequence[ResolvedRun]
    session: Session
    table: RunTable
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
            require_room(wanted)
            task, order = _task(wanted), Order.of(self.session, [self.resolved[number] for number in left])
            with self.table:
                self._round(left, task, order, wait=False)
                self._round(self.busy, task, order, wait=True)
        return [self.outcomes[number] for number in sorted(self.outcomes)]

    def _round(self, numbers: Sequence[int], task: Any, order: Order, *, wait: bool) -> None:
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
        self.table.show(running, ended, len(self.resolved) - len(self.outcomes) - len(running))


def _task(wanted: Needs) -> Any:
    """The task as Ray knows it. Lost ones are not retried by Ray, which would not say whom it lost."""
    options = ray.remote(num_gpus=wanted.gpus, num_cpus=wanted.cpus, memory=wanted.memory, max_retries=0)
    return options(execute_task)
