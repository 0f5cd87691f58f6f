"""Child processes do not import from the current folder, in any supported Python."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from surgery.processes import child
from tests.support.running import ROOT, environment

HOSTILE = (
    "json",
    "os",
    "re",
    "runpy",
    "importlib",
    "pkgutil",
    "tensorflow",
    "tensorflow_hub",
    "numpy",
    "sitecustomize",
)
"""Modules that a child would import from the current folder, if that came first."""
PROGRAM = "import json, site, sys, in_user_site; print(json.dumps([sys.argv[1:], sys.path, __name__]))"


def pythons() -> list[str]:
    """This Python and the other supported ones, as far as they are there. A name on the path may be a mere shim."""
    names = [shutil.which(f"python3.{minor}") for minor in (10, 11, 12)]
    return [
        sys.executable,
        *(name for name in names if name and subprocess.run([name, "-V"], capture_output=True).returncode == 0),
    ]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose modules leave a file `ran`."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in HOSTILE:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'ran')!r}, 'a').write('{name} ')\n")
    return folder


@pytest.mark.parametrize("python", pythons())
@pytest.mark.parametrize("safe_path", ["", "1"])
def test_the_current_folder_is_not_on_the_path_and_all_else_is(python: str, safe_path: str, hostile, tmp_path):
    version = subprocess.run([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True)
    user = tmp_path / "user" / "lib" / f"python{version.stdout.decode().strip()}" / "site-packages"
    user.mkdir(parents=True)
    (user / "in_user_site.py").touch()
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "program.py").write_text(PROGRAM)
    variables = {"PYTHONUSERBASE": str(tmp_path / "user"), "PYTHONPATH": str(tmp_path / "named")}
    if sys.prefix != sys.base_prefix and python == sys.executable:  # a virtual environment has no user site
        variables["PYTHONPATH"] += f"{os.pathsep}{user}"
    command = child.command("-m", "program", "a", "b c", python=python)
    done = subprocess.run(
        command,
        cwd=hostile,
        env={**os.environ, **variables, "PYTHONSAFEPATH": safe_path},
        capture_output=True,
        text=True,
        check=True,
    )
    arguments, path, name = json.loads(done.stdout)
    assert (arguments, name) == (["a", "b c"], "__main__")
    assert {"", ".", str(hostile), str(ROOT / "surgery")}.isdisjoint(path)
    assert not (hostile / "ran").exists()


def test_a_handle_runs_no_code_of_the_current_folder(hostile, tmp_path, modules):
    (tmp_path / "installed").mkdir()
    stand_in = f"def resolve(handle):\n    return {str(modules('g3_small'))!r}\n"
    (tmp_path / "installed" / "tensorflow_hub.py").write_text(stand_in)
    variables = environment(PYTHONPATH=f"{tmp_path / 'installed'}{os.pathsep}{ROOT}")
    with socket.create_server(("127.0.0.1", 0)) as server:  # a host that can be reached
        handle = f"http://127.0.0.1:{server.getsockname()[1]}/tensorflow/bert_small/2"
        command = child.command("-m", "surgery", "inspect", handle)
        done = subprocess.run(command, cwd=hostile, env=variables, capture_output=True, text=True)
    assert "bert_small" in done.stdout, done.stderr
    assert not (hostile / "ran").exists()


def test_no_program_of_python_starts_a_module_in_any_other_way():
    files = [path for folder in ("surgery", "scripts") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path) for path in files if re.search(r"""executable,\s*["']-m["']""", path.read_text())] == []
    # Scripts that stay in the folder where they were typed name the checkout's Python by its whole path.
    typed = [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
    assert [path.name for path in typed if re.search(r"""python" -m """, path.read_text())] == []
