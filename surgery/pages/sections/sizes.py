"""Sizes: the files, the weights, and the reply of each signature against the default limit of gRPC."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section, found


def view(documents: Documents) -> Data | None:
    """The bytes of weights and graph, and of a reply by signature."""
    serving = found(documents, "serving")
    return {"inspect": documents["inspect"], "serving": serving}


SIZES = Section(name="sizes", title="Sizes", view=view, scripts=("charts.js",), charts=True)
