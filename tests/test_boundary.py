"""The boundary of the public functions: what fails inside, and what comes out."""

from __future__ import annotations

import errno

import pytest

from surgery import limits
from surgery.boundary import public
from surgery.errors import InternalError, ModuleError, SurgeryError, UsageError, WriteError


def failing(error: Exception):
    @public
    def look(module, *, limits=None, timeout=None, progress=None):
        if progress is not None:
            progress("look", 0, 1)
        raise error

    return look


@pytest.mark.parametrize(
    ("error", "becomes", "words"),
    [
        (RecursionError(), ModuleError, "nested more deeply than Python's stack"),
        (MemoryError(), ModuleError, "more memory was asked for than this machine has"),
        (OSError(errno.ENOENT, "No such file", "a/vocab.txt"), ModuleError, "opening a/vocab.txt: No such file"),
        (OSError(errno.ENOSPC, "No space left", "b"), WriteError, "writing b: No space left"),
        (KeyError("x"), InternalError, "a defect of surgery 0.1.0: KeyError: 'x', at test_boundary.py:"),
        (OverflowError("too large"), InternalError, "OverflowError: too large"),
    ],
    ids=repr,
)
def test_every_exception_becomes_an_error_that_names_the_module(error, becomes, words):
    with pytest.raises(SurgeryError) as caught:
        failing(error)("bert.tar.gz")
    assert type(caught.value) is becomes
    assert words in caught.value.message
    assert "look of bert.tar.gz: " in caught.value.message
    assert caught.value.hint
    assert caught.value.__cause__ is error


def test_an_error_of_surgery_passes_as_it_is():
    error = UsageError("no")
    with pytest.raises(UsageError) as caught:
        failing(error)("bert.tar.gz")
    assert caught.value is error


def test_what_the_caller_s_own_progress_raises_is_the_caller_s():
    class Enough(Exception):
        pass

    def enough(step, done, total):
        raise Enough

    with pytest.raises(Enough):
        failing(KeyError())("bert.tar.gz", progress=enough)


def test_a_wrong_call_is_a_type_error_and_an_interrupt_stays_one():
    with pytest.raises(TypeError, match=r"look\(\) missing a required argument: 'module'"):
        failing(KeyError())(modul="bert.tar.gz")
    with pytest.raises(KeyboardInterrupt):
        failing(KeyboardInterrupt())("bert.tar.gz")


def test_limits_and_a_timeout_hold_for_the_call():
    @public
    def look(module, *, limits=None, timeout=None):
        return dict(changed())

    changed = limits.changed
    assert look("m", limits={"files": 3}, timeout=5) == {"files": 3, "batch_seconds": 5}
    assert changed() == {}
    with pytest.raises(UsageError, match="there is no such limit"):
        look("m", limits={"fields": 3})
