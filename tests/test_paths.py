"""`~` at the start of a path: the home folder for every command and function, unless there is such a file."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import surgery
from surgery.boundary import public
from surgery.cli.main import main
from surgery.errors import UsageError
from surgery.paths import at_home
from tests.support.running import surgery as run


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The home folder, with another one as the current folder."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def test_a_tilde_is_the_home_folder_unless_a_file_is_called_so(home):
    assert at_home("~/x") == str(home / "x")
    assert at_home(Path("~/x")) == home / "x"
    assert at_home(("~", "a~", "hub://~", None)) == (str(home), "a~", "hub://~", None)
    Path("~").mkdir()
    Path("~/x").touch()
    assert at_home("~/x") == "~/x"
    assert at_home("~/y") == str(home / "y")


def test_a_user_that_is_not_there_is_named(home):
    with pytest.raises(UsageError, match=r"(?s)expected ~nobody-here to be the home folder.*write \./~nobody-here/x"):
        at_home("~nobody-here/x")


def test_the_commands_and_functions_read_and_write_at_home(home, modules):
    shutil.copytree(modules("g3_small"), home / "bert" / "1")
    assert surgery.inspect("~/bert/1").architecture["hidden_size"] == 48
    done = run("serving", "~/bert/1", "--output", "~/config", HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert (home / "config" / "models.config").is_file()
    assert list(Path().iterdir()) == []
    with pytest.raises(surgery.UsageError, match=f"writing to {home}/bert/1: it exists already"):
        surgery.convert("~/bert/1", "~/bert/1")


def test_an_empty_path_does_not_stand_for_the_current_folder(home):
    """With --overwrite, a shell variable that is not set would replace an export in the current folder."""
    for call, name in (
        (lambda: surgery.inspect(""), "module"),
        (lambda: surgery.convert("m", "", overwrite=True), "destination"),
        (lambda: surgery.extract("m", ["a.txt", ""], "features"), "inputs"),
    ):
        with pytest.raises(UsageError, match=f"reading the argument {name}: expected a path, found an empty text"):
            call()
    for arguments in (["plan", ""], ["serving", "m", "--output", ""], ["convert", "m", ""]):
        done = CliRunner().invoke(main, arguments)
        assert (done.exit_code, "a shell variable" in done.stderr) == (2, True), done.stderr


def test_what_can_be_no_path_is_no_name_of_a_module():
    with pytest.raises(UsageError, match="reading the argument module: expected a path or a handle, found None"):
        surgery.inspect(None)
    with pytest.raises(UsageError, match="reading the argument html: expected a path or a handle, found 3"):
        surgery.diff("a", "b", html=3)


def test_every_argument_that_is_a_path_goes_through_the_same_door(home):
    @public
    def look(module, other: PathOrHandle, vocab: PathOrHandle | None = None, inputs: OneOrMore[PathOrHandle] = ()):  # noqa: F821
        return module, other, vocab, inputs

    assert look("~/m", "~/o", vocab=Path("~/v"), inputs=["~/i", "j"]) == (
        "~/m",
        str(home / "o"),
        home / "v",
        (str(home / "i"), "j"),
    )
    functions = [getattr(surgery, name) for name in surgery.__all__ if name.islower() and not name.startswith("_")]
    assert surgery.extract in functions
    for function in functions:
        first = next(iter(inspect.signature(function).parameters.values()))
        assert "PathOrHandle" in first.annotation
