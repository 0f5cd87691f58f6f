"""A command that runs a module goes on in a child process, because TensorFlow's native code may end its process.

Checks come first (surgery.formats.checkpoint_check, the limits), but no list of them is complete: TensorFlow aborts
where it finds what it takes for its own error, and the system ends a process that has taken all memory. The parent
stays small, imports no TensorFlow, and turns such an end into an error. A fork costs a millisecond; it comes before
anything is imported that could not stand it.

Signals of a terminal reach both processes. Those that are sent to the parent alone are handed on; the child ends with
its parent. Only Linux has all that this takes: elsewhere a command stays in one process. The Python functions stay in
the process of their caller.
"""

from __future__ import annotations

import os
import signal
import sys

from surgery.cli.stopping import exit_stopped
from surgery.errors import ModuleError
from surgery.processes.signals import STOPPING

ENDING = frozenset(STOPPING)
PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent ends."""


def go_on_in_child() -> None:
    """Returns in a child process. The parent waits for it, and exits as it does.

    Raises ModuleError in the parent if the child was ended by other than a signal that asks for it, and no such signal
    has come before.
    """
    if sys.platform != "linux":
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING | {signal.SIGCHLD})
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended before the line above
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    _exit_as(*_status_of(child))


def _status_of(child: int) -> tuple[int, int | None]:
    """The status with which a child has ended, and the last signal before that asked for its end, or None.

    Signals that were sent to this process alone are handed on to the child.
    """
    asked = None
    while True:
        received = signal.sigwaitinfo(ENDING | {signal.SIGCHLD})
        if received.si_signo != signal.SIGCHLD:
            asked = received.si_signo
            if received.si_code <= 0:  # from kill(2); the terminal sends its own to both
                os.kill(child, received.si_signo)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended == child:
            return status, asked


def _exit_as(status: int, asked: int | None) -> None:
    """Exits as a child has, or raises the error that its end is. TensorFlow may abort because of a signal, too."""
    if os.WIFEXITED(status):
        sys.exit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    if number in ENDING:
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        os.kill(os.getpid(), number)
    if asked is not None:
        exit_stopped(asked, "the destination is as it was, or whole and new")
    ended = f"its process ({signal.Signals(number).name})"
    raise ModuleError(
        "running the command: "
        + (
            f"the system ended {ended}, as it does when memory runs out"
            if number == signal.SIGKILL
            else f"TensorFlow's native code ended {ended}"
        )
        + ". The destination is as it was, or whole and new",
        hint="free memory, or take a machine with more"
        if number == signal.SIGKILL
        else "the module's files are damaged, or made to do harm: fetch it again",
    )
