"""What the module is: its format, its encoder, its size and its files."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section


def view(documents: Documents) -> Data:
    """The facts of an inspection, in a few words."""
    return {"inspect": documents["inspect"]}


ABOUT = Section(name="about", title="What it is", view=view)
