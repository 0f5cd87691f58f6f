"""Where it comes from: the files by their SHA-256, the module that an export was made of, and how."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section, found


def view(documents: Documents) -> Data:
    """Files, source, request, packages and the documents of the page."""
    manifest = found(documents, "manifest")
    return {
        "inspect": documents["inspect"],
        "source": None if manifest is None else {"tensorflow_version": None, **manifest["source"]},
        "request": _request((manifest or {}).get("request")),
        "packages": {} if manifest is None else manifest["packages"],
        "notes": (found(documents, "verify") or {"notes": []})["notes"],
        "documents": list(documents),
    }


def _request(request: object) -> list[tuple[str, str]]:
    """What was asked for beyond the default, in words."""
    if not isinstance(request, dict):
        return []
    rows = [(str(key), value) for key, value in request.items() if not _is_default(value)]
    return [(key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)) for key, value in rows]


def _is_default(value: object) -> bool:
    return value is None or value is False or value in ([], "")


PROVENANCE = Section(name="provenance", title="Provenance", view=view)
