"""Runs in several processes give what they give one after another."""

import dataclasses
import json
import multiprocessing
import os
import signal
import threading
import time
from unittest.mock import patch

from baselines.unet import UNet
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.process_pool import execute_in_processes
from benchmarks.execution.run_status import StatusFiles
from benchmarks.execution.runner import execute_all
from tests.benchmarks.prepared import TINY, Watcher, make_session, tiny_run
from tests.benchmarks.processes import FORKSERVER


def test_two_at_a_time(tmp_path, forked_jobs):
    recipe = dataclasses.replace(TINY, epochs=1)
    broken = dataclasses.replace(tiny_run(recipe=recipe), recipe=dataclasses.replace(recipe, crop=96))
    runs = [tiny_run(recipe=recipe), broken, tiny_run(UNet(width=8), recipe)]
    watcher = Watcher()
    together = make_session(tmp_path / "together", observer=watcher)
    outcomes = execute_in_processes(resolve_all(runs, together), together, 2)
    alone = make_session(tmp_path / "alone")
    expected = execute_all(resolve_all(runs, alone), alone)
    assert [item.status for item in outcomes] == ["trained", "failed", "trained"]
    assert [item.key for item in outcomes] == [item.key for item in expected]
    assert "do not tile" in outcomes[1].reason
    assert {item.key for item in outcomes if item.result} == {
        path.stem for path in together.store.results.glob("*.json")
    }
    for outcome, other in zip(outcomes, expected, strict=True):
        assert (outcome.result is None) == (other.result is None)
        if outcome.result and other.result:
            assert outcome.result.counts.images == other.result.counts.images
    again = execute_in_processes(resolve_all(runs[:1], together), together, 2)
    assert [item.status for item in again] == ["cached"]


def test_a_process_that_imports_everything_anew_counts_the_same(tmp_path):
    """As the command starts it: what it works with comes in pickles, and nothing from its parent's memory."""
    run = tiny_run(recipe=dataclasses.replace(TINY, epochs=1))
    apart, alone = make_session(tmp_path / "apart"), make_session(tmp_path / "alone")
    (found,) = execute_in_processes(resolve_all([run], apart), apart, 2)
    (expected,) = execute_all(resolve_all([run], alone), alone)
    assert (found.status, found.key) == ("trained", expected.key)
    assert found.result.counts.to_json() == expected.result.counts.to_json()


def test_a_process_that_dies_takes_its_own_run_only(tmp_path, forked_jobs):
    """One dead process once failed every run of the plan that had not ended."""
    runs = [
        tiny_run(recipe=dataclasses.replace(TINY, epochs=200)),
        tiny_run(recipe=dataclasses.replace(TINY, epochs=1)),
    ]
    watcher = Watcher()
    session = make_session(tmp_path, observer=watcher)
    first, second = resolve_all(runs, session)
    holder = session.store.work(first.key) / "holder.json"

    def kill_the_first():
        while not holder.exists():
            time.sleep(0.01)
        os.kill(json.loads(holder.read_text())["pid"], signal.SIGKILL)

    threading.Thread(target=kill_the_first, daemon=True).start()
    outcomes = execute_in_processes([first, second], session, 2)
    assert [item.status for item in outcomes] == ["failed", "trained"]
    assert "run again with fewer --jobs" in outcomes[0].reason


def test_orphans_end_with_their_parent(tmp_path):
    """Killed with kill -9, the command leaves no process that trains on unseen and holds a lock."""
    session = make_session(tmp_path)
    (item,) = resolve_all([tiny_run(recipe=dataclasses.replace(TINY, epochs=2000))], session)
    parent = FORKSERVER.Process(target=run_in_pool, args=(tmp_path, item))
    parent.start()
    notes = StatusFiles(session.store.work(item.key))
    while not (notes.folder / "progress.json").exists():
        assert parent.is_alive()
        time.sleep(0.05)
    assert notes.held()
    parent.kill()
    parent.join()
    until = time.monotonic() + 20
    while notes.held():
        assert time.monotonic() < until
        time.sleep(0.05)


def run_in_pool(home, item):
    """Execute in a process that is forked: to start it afresh imports torch for four seconds."""
    fork = multiprocessing.get_context("fork")
    with patch.object(multiprocessing, "get_context", lambda method: fork):
        execute_in_processes([item], make_session(home), 2)
