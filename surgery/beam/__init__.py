"""SavedModels in Apache Beam: `SavedModelHandler` for RunInference, and the pipeline behind `surgery extract`.

Needs the extra `beam`: pip install 'hub-surgery[beam]'. Importing this package does not import Beam; using it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surgery.beam.handler import SavedModelHandler

__all__ = ["SavedModelHandler"]


def __getattr__(name: str) -> Any:
    """The handler, imported with Beam when it is first asked for."""
    if name == "SavedModelHandler":
        from surgery.beam.handler import SavedModelHandler

        return SavedModelHandler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
