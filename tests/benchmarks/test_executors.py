"""Runs in several processes give what they give one after another."""

import dataclasses

from benchmarks.executors import execute_in_processes
from benchmarks.runner import execute_all, resolve_all
from rssam.config import RSSAM
from tests.benchmarks.prepared import TINY, Watcher, make_session, tiny_run


def test_two_at_a_time(tmp_path):
    recipe = dataclasses.replace(TINY, epochs=1)
    broken = dataclasses.replace(tiny_run(recipe=recipe), recipe=dataclasses.replace(recipe, crop=96))
    runs = [tiny_run(recipe=recipe), broken, tiny_run(RSSAM("vit_t", "scratch", mff=False, mhff=False), recipe)]
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
    for one, other in zip(outcomes, expected, strict=True):
        assert (one.result is None) == (other.result is None)
        if one.result and other.result:
            assert one.result.counts.images == other.result.counts.images
    again = execute_in_processes(resolve_all(runs[:1], together), together, 2)
    assert [item.status for item in again] == ["cached"]
