"""What the module could do besides computing: its scan."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section


def view(documents: Documents) -> Data:
    """The scan, with the number of operations and of their types by group."""
    scan = documents["scan"]
    groups = [
        {
            "group": group,
            "count": sum(sum(counts.values()) for counts in kinds.values()),
            "types": len({operation for counts in kinds.values() for operation in counts}),
            "kinds": [{"kind": kind, "count": sum(counts.values())} for kind, counts in kinds.items()],
        }
        for group, kinds in scan["operations"].items()
    ]
    return {"scan": scan, "groups": groups}


SAFETY = Section(name="safety", title="Safety scan", view=view)
