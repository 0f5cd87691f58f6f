"""How arguments are given, and how an error's text names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from surgery.arguments import argument, one_or_more, spelled
from surgery.cli.options import as_option
from surgery.errors import UnexplainedError, UsageError


@pytest.mark.parametrize(
    ("given", "things"),
    [
        ("query", ("query",)),
        (Path("corpus.txt"), (Path("corpus.txt"),)),
        (6, (6,)),
        (["a", "b"], ("a", "b")),
        (("a",), ("a",)),
        ((), ()),
        ((name for name in "ab"), ("a", "b")),
    ],
)
def test_a_string_a_path_or_a_number_is_one_thing(given: Any, things: tuple[Any, ...]):
    assert one_or_more(given) == things


COMMAND = click.Command(
    "command",
    params=[
        click.Option(["--tap", "taps"], multiple=True),
        click.Option(["--text/--no-text", "with_text"]),
        click.Option(["--overwrite"], is_flag=True),
        click.Option(["--assume"], multiple=True),
        click.Option(["--outputs"]),
        click.Option(["--seq-length"], type=int),
    ],
)


@pytest.mark.parametrize(
    ("marked", "in_python", "as_options"),
    [
        (argument("taps"), "taps=...", "--tap"),
        (argument("taps", "query@9"), "taps='query@9'", "--tap query@9"),
        (argument("taps", "it's"), 'taps="it\'s"', "--tap it's"),
        (argument("seq_length", 4000), "seq_length=4000", "--seq-length 4000"),
        (argument("overwrite", True), "overwrite=True", "--overwrite"),
        (argument("with_text", True), "with_text=True", "--text"),
        (argument("with_text", False), "with_text=False", "--no-text"),
        (argument("outputs", ["a", "b"]), "outputs=['a', 'b']", "--outputs a,b"),
        (argument("assume", {"a": 1, "b": ...}), "assume={'a': 1, 'b': ...}", "--assume a=1 --assume b=VALUE"),
        (argument("vocab", Path("a/b")), "vocab='a/b'", "--vocab a/b"),
        (argument("features", "v=mean"), "features='v=mean'", "--feature v=mean"),  # convert's, to which it leads
        (argument("keep_failed", False), "keep_failed=False", "--no-keep-failed"),
        (argument("keep_failed", True), "keep_failed=True", "--keep-failed"),
        (argument("taps", len), f"taps={len!r}", f"taps={len!r}"),
    ],
)
def test_an_argument_is_spelled_for_its_reader(marked: str, in_python: str, as_options: str):
    error = UsageError(f"{marked}: refused", hint=f"give another than {marked}")
    assert str(error) == f"{in_python}: refused\n  what to do: give another than {in_python}"
    assert (error.message, error.hint) == (f"{in_python}: refused", f"give another than {in_python}")
    told = error.spelled(lambda name, value: as_option(COMMAND, name, value))
    assert told == f"{as_options}: refused\n  what to do: give another than {as_options}"


def test_an_error_with_details_names_arguments_too():
    error = UnexplainedError("unexplained", hint=argument("assume", {"a": ...}), details=tuple("abcdefgh"))
    assert error.spelled(lambda name, value: "OPTION").endswith("… and 2 more\n  what to do: OPTION")
    assert str(error).endswith("what to do: assume={'a': ...}")


def test_text_without_arguments_stays_as_it_is():
    assert spelled("layers='-4:' and --layers", lambda name, value: "") == "layers='-4:' and --layers"
