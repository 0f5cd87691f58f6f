"""A page of docs/ as a notebook: its blocks of Python become cells of code, the text between them cells of text."""

from __future__ import annotations

import json
import re
from typing import Any


def as_notebook(page: str) -> str:
    """The notebook of a page in Markdown, in the format of Jupyter (nbformat 4.5), without outputs.

    Links to other pages are left out: a notebook is opened where these pages are not.
    """
    parts = re.split(r"^```python\n(.*?)^```\n", page, flags=re.MULTILINE | re.DOTALL)
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(parts):
        code = number % 2 == 1
        text = part.strip() if code else re.sub(r"\[([^\]]+)\]\((?!http)[^)]*\)", r"\1", part).strip()
        if text:
            cell: dict[str, Any] = {"cell_type": "code" if code else "markdown", "id": f"cell-{number}", "metadata": {}}
            cell |= {"execution_count": None, "outputs": []} if code else {}
            cells.append({**cell, "source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
