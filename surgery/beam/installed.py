"""Whether Apache Beam and pyarrow are there: the extra `beam`."""

from __future__ import annotations

from surgery.errors import UsageError


def require_beam() -> None:
    """Raises UsageError, with the command that installs the extra, where a package of it is missing."""
    try:
        import apache_beam  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"extract runs on Apache Beam: {error.name} is not installed",
            hint="pip install 'hub-surgery[beam]'",
        ) from error
