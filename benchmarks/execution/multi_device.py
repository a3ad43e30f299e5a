"""One run at a time on several devices, each with a process: the first goes through the plan, the others follow it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.execution.execute_run import follow
from benchmarks.execution.observer import Outcome, Unwatched
from benchmarks.execution.runner import execute_all
from benchmarks.execution.session import Session
from benchmarks.protocol.run import ResolvedRun
from benchmarks.signals import heed_parent
from benchmarks.tracking.tracker import Silent
from benchmarks.training.device_layout import Layout, start_others
from benchmarks.training.rank_group import DistributedTeam


def execute_on_devices(resolved: Sequence[ResolvedRun], session: Session, layout: Layout) -> list[Outcome] | None:
    """Execute the runs in order, as `execute_all` does, each on all devices; None on all devices but the first.

    What fails on one device alone ends the plan with it.
    """
    children = start_others(layout)
    session.team = DistributedTeam(layout, session.device, session.precision, children)
    if session.team.leads:
        outcomes = execute_all(resolved, session)
        session.team.release()
        return outcomes
    heed_parent(session.stop)  # the first passes the wish to stop on
    session.observer, session.tracker = Unwatched(), Silent()
    follow(session)
    return None
