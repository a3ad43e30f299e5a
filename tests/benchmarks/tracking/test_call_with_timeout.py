"""A service that does not answer is neither waited for twice nor called twice at once."""

import threading

import pytest

from benchmarks.tracking.call_with_timeout import TimeoutCaller


def ready():
    pass


def broken():
    raise ConnectionError("gone")


@pytest.mark.parametrize("calls", [(broken, ready), (ready, broken)], ids=["call", "ready"])
def test_a_fault_is_told_and_then_there_is_silence(calls):
    told, made = [], []
    caller = TimeoutCaller(told.append)
    caller.call(*calls)
    caller.call(lambda: made.append(1), ready)
    assert ([str(fault) for fault in told], made) == (["gone"], [])
    after = TimeoutCaller(told.append, seconds_of_pause=0)
    after.call(*calls)
    after.call(lambda: made.append(1), ready)
    assert (len(told), made) == (2, [1])


def test_a_call_that_was_given_up_ends_before_the_next():
    """Two that flush the same metrics would send them twice."""
    told, made, answer = [], [], threading.Event()
    caller = TimeoutCaller(told.append, seconds_to_answer=0.05, seconds_of_pause=0)

    def slow():
        answer.wait(20)
        made.append("slow")

    caller.call(slow, ready)
    caller.call(lambda: made.append("early"), ready)
    assert [str(fault) for fault in told] == ["no answer within 0 s"]
    answer.set()
    caller._calling.join(20)
    caller.call(lambda: made.append("late"), ready)
    assert made == ["slow", "late"]
