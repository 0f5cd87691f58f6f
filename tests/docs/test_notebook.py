"""The notebook of the docs, run cell by cell in a kernel of this environment, from a module to its plots."""

from __future__ import annotations

import json
import os
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.support.documentation import ROOT

PNG = "image/png"


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> list[Any]:
    """The cells of code with their outputs. The kernel runs in a folder with the samples, and finds no other kernel."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "tests").symlink_to(ROOT / "tests")
    notebook = nbformat.read(ROOT / "docs" / "notebooks.ipynb", as_version=4)
    nbformat.validate(notebook)
    # Without folders to look in, "python3" is the interpreter of this process.
    kernels = KernelSpecManager(kernel_dirs=[])
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=kernels, transport="ipc")
    manager.ip = str(folder / "kernel")
    client = NotebookClient(notebook, km=manager, timeout=300, resources={"metadata": {"path": str(folder)}})
    quiet = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "IPYTHONDIR": str(folder / "ipython")}
    client.execute(env=quiet, cleanup_kc=True)
    assert (folder / "exported" / "notebook_text" / "1" / "saved_model.pb").is_file()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any, kind: str) -> str:
    """What the last line of a cell shows, of a kind."""
    (result,) = (output for output in cell.outputs if output.output_type == "execute_result")
    return str(result.data[kind])


def printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


def test_results_show_a_few_lines_and_the_tables_of_the_command_line(cells):
    inspected, architecture, converted, *_ = cells
    assert printed(inspected).startswith("Inspection(module=<InspectedModule 'g3_small'>")
    assert len(printed(inspected).splitlines()) <= 6
    assert "num_attention_heads" in shown(architecture, "text/html")
    assert "verdict: the same function" in shown(converted, "text/html")
    assert "passed=True" in shown(converted, "text/plain")


def test_nothing_is_said_of_folders_that_tensorflow_reads_and_writes(cells):
    said = [output.text for cell in cells for output in cell.outputs if output.output_type == "stream"]
    assert len([text for text in said if "INFO:" not in text]) == len(said) > 0


def test_texts_become_arrays_tokens_and_pictures(cells):
    _, _, _, encoded, tokens, first, last, similarity = cells
    assert printed(encoded) == "(2, 48) float32\n"
    words = json.loads(printed(tokens).replace("'", '"'))
    assert (words[0], words[-1]) == ("[CLS]", "[SEP]")
    assert "one" in words
    pictures = [shown(cell, PNG) for cell in (first, last, similarity)]
    assert all(picture.startswith("iVBORw0KGgo") for picture in pictures)
    assert len(set(pictures)) == 3
