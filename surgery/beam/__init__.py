"""SavedModels in Apache Beam: `SavedModelHandler` for RunInference, and the pipeline behind `surgery extract`.

Needs the extra `beam`: pip install 'hub-surgery[beam]'.
"""

from __future__ import annotations

from surgery.beam.handler import SavedModelHandler

__all__ = ["SavedModelHandler"]
