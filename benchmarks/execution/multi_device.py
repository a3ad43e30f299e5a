"""Execute runs on several devices, a process each: rank zero goes through the plan, the other ranks follow."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.execution.execute_run import follow_rank_zero
from benchmarks.execution.observer import Observer, Outcome
from benchmarks.execution.runner import execute_all
from benchmarks.execution.session import Session
from benchmarks.protocol.run import ResolvedRun
from benchmarks.signals import ignore_ctrl_c
from benchmarks.tracking.tracker import Tracker
from benchmarks.training.device_layout import Layout, start_others
from benchmarks.training.rank_group import RankGroup


def execute_on_devices(resolved: Sequence[ResolvedRun], session: Session, layout: Layout) -> list[Outcome] | None:
    """Execute the runs in order, as `execute_all` does, each on all devices; None on all devices but the first.

    What fails on one device alone ends the plan with it.
    """
    children = start_others(layout)
    session.ranks = RankGroup(layout, session.device, session.precision, children)
    if session.ranks.is_rank_zero:
        outcomes = execute_all(resolved, session)
        session.ranks.release()
        return outcomes
    ignore_ctrl_c(session.stop)  # the first passes the request to stop on
    session.observer, session.tracker = Observer(), Tracker()
    follow_rank_zero(session)
    return None
