"""The boundary of the public functions: whatever fails inside comes out as a SurgeryError.

Every public function is decorated with `public`, which holds its limits and turns exceptions into errors that say what
was being done to which module. The original exception stays the error's `__cause__`. Three kinds pass unchanged: a
SurgeryError, an exception of the caller's own `progress` or of a wrong call (an argument that does not exist), and
what is no Exception, such as KeyboardInterrupt.
"""

from __future__ import annotations

import errno
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from surgery import limits
from surgery.errors import InternalError, ModuleError, SurgeryError, UsageError, WriteError
from surgery.paths import at_home

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

PACKAGE = Path(__file__).parent
STACK = "SURGERY_TRACEBACK"
"""The environment variable with which the command line shows the stack of an error."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
TENSORFLOW_ERRORS = "tensorflow.python.framework.errors_impl"

_running: ContextVar[bool] = ContextVar("running", default=False)


def public(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A public function, inside the boundary. Its arguments `limits` and `timeout` hold for the call.

    In its arguments of type PathOrHandle a leading `~` is the home folder (surgery.paths). The first argument of the
    function is what it works on, and is named in errors; a method names the function alone.
    """
    signature = inspect.signature(function)
    subject = next(iter(signature.parameters))
    paths = {
        name: str(found.annotation)
        for name, found in signature.parameters.items()
        if "PathOrHandle" in str(found.annotation)
    }

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:  # a wrong call is the caller's
            raise TypeError(f"{function.__qualname__}() {error}") from None
        given = bound.arguments
        doing = function.__qualname__ + (f" of {given[subject]}" if subject != "self" else "")
        own: list[Exception] = []
        if (progress := given.get("progress")) is not None:
            given["progress"] = _noted(progress, own)
        for name, annotation in paths.items():
            if name in given:
                given[name] = at_home(_path(name, given[name], annotation), name)
        timeout = given.get("timeout")
        values = {**(given.get("limits") or {}), **({} if timeout is None else {"batch_seconds": timeout})}
        token = _running.set(True)
        try:
            with limits.raised(values), boundary(doing, own):
                return function(*bound.args, **bound.kwargs)
        finally:
            _running.reset(token)

    return call


def _path(name: str, value: Any, annotation: str) -> Any:
    """The value of an argument, which is a path or a handle if its annotation allows nothing else."""
    allowed = {"PathOrHandle": str | PathLike, "PathOrHandle | None": str | PathLike | None}
    if annotation in allowed and not isinstance(value, allowed[annotation]):
        raise UsageError(f"reading the argument {name}: expected a path or a handle, found {value!r:.80}")
    return value


def is_running() -> bool:
    """Whether this thread is inside a public function."""
    return _running.get()


@contextmanager
def boundary(doing: str, own: list[Exception] | None = None) -> Iterator[None]:
    """Turns every Exception inside the block into a SurgeryError, except for those in `own`, the caller's."""
    try:
        yield
    except SurgeryError:
        raise
    except Exception as error:
        if any(error is other for other in own or ()):
            raise
        raise as_surgery_error(error, doing) from error


def as_surgery_error(error: Exception, doing: str) -> SurgeryError:
    """The error that says what an exception means: a damaged file, a lack of room, or a defect of surgery."""
    if isinstance(error, RecursionError):
        return ModuleError(
            f"{doing}: its parts are nested more deeply than Python's stack allows, {_place(error)}",
            hint="no published module is nested so deeply: the files are damaged, or made to do harm",
        )
    if isinstance(error, MemoryError):
        return ModuleError(
            f"{doing}: more memory was asked for than this machine has, {_place(error)} ({error or 'no size given'})",
            hint="free memory, or take a machine with more; a small module that needs so much is damaged",
        )
    if isinstance(error, OSError) and error.errno is not None:
        where = f" {error.filename}" if error.filename is not None else ""
        if error.errno in NO_ROOM:
            return WriteError(f"{doing}: writing{where}: {error.strerror}", hint="make room on that disk")
        return ModuleError(
            f"{doing}: opening{where}: {error.strerror}", hint="check that the file is there, and its permissions"
        )
    if type(error).__module__ == TENSORFLOW_ERRORS:
        lines = str(getattr(error, "message", error)).strip().splitlines() or ["no reason given"]
        return ModuleError(
            f"{doing}: TensorFlow failed with {type(error).__name__}: {lines[0][:500]}",
            hint="the module is damaged, or needs more than this machine has; "
            f"the environment variable {STACK}=1 shows the stack",
        )
    return InternalError(
        f"{doing}: a defect of surgery {_version()}: {type(error).__name__}: {str(error)[:500] or 'no message'}, "
        f"{_place(error)}",
        hint=f"please report these lines; the environment variable {STACK}=1 shows the stack",
    )


def _noted(progress: Callable[..., Any], own: list[Exception]) -> Callable[..., Any]:
    """The caller's function for progress. An exception with which it ends a job is the caller's: it goes into `own`."""

    def call(*args: Any) -> Any:
        try:
            return progress(*args)
        except Exception as error:
            own.append(error)
            raise

    return call


def _place(error: Exception) -> str:
    """The line of this package from which an exception came, or the last line where it passed none."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if PACKAGE in Path(frame.filename).parents and frame.filename != __file__]
    if not (chosen := own or frames):
        return "at an unknown place"
    frame = chosen[-1]
    path = Path(frame.filename)
    shown = path.relative_to(PACKAGE.parent) if PACKAGE in path.parents else path.name
    return f"at {shown}:{frame.lineno} in {frame.name}"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # 20 ms, which only a defect costs

    try:
        return version("hub-surgery")
    except PackageNotFoundError:
        return "(not installed)"
