"""A thread that works for the length of a block."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from surgery import limits
from surgery.processes.background import background


def test_one_piece_of_work_is_done_after_another_in_another_thread():
    with background("test") as thread:
        found = [thread.start(lambda n=n: (n, threading.current_thread().name)) for n in range(3)]
        numbers, names = zip(*[future.result() for future in found], strict=True)
    assert numbers == (0, 1, 2)
    assert len(set(names)) == 1
    assert names[0].startswith("test")


def test_the_limits_of_the_caller_apply():
    with limits.raised({"batch_seconds": 7}), background("test") as thread:
        assert thread.start(lambda: limits.limit("batch_seconds")).result() == 7


def test_an_error_comes_out_where_the_result_is_wanted():
    def fail():
        raise LookupError("gone")

    with background("test") as thread:
        future = thread.start(fail)
        with pytest.raises(LookupError, match="gone"):
            future.result()


def test_leaving_the_block_ends_work_at_its_next_step_and_drops_what_has_not_begun():
    begun, may_end, steps = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        may_end.wait(10)
        while len(steps) < 1000:
            steps.append(thread.go_on())

    with pytest.raises(KeyboardInterrupt), background("test") as thread:  # noqa: PT012
        first, second = thread.start(work), thread.start(work)
        begun.wait(10)
        threading.Timer(0.05, may_end.set).start()
        raise KeyboardInterrupt
    assert isinstance(first.exception(), CancelledError)
    assert second.cancelled()
    assert not steps


def test_at_once_there_is_no_thread():
    with background("test", at_once=True) as thread:
        assert thread.start(threading.current_thread).result() is threading.current_thread()
