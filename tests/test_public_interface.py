"""What `import surgery` offers: functions, types that can be named, one thing or several, and true examples."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.edits import KeepBlocks
from tests.support.builders.common import PACKED
from tests.support.running import environment

FUNCTIONS = {name: getattr(surgery, name) for name in surgery.__all__ if inspect.isfunction(getattr(surgery, name))}
TYPES = {name: getattr(surgery, name) for name in surgery.__all__ if inspect.isclass(getattr(surgery, name))}
METHODS = {"EditedModel.export": surgery.EditedModel.export}
AT_A_PROMPT = {
    f"LoadedExport.{name}": getattr(surgery.LoadedExport, name)
    for name in ("encode", "tokens", "attention", "similarity")
}


def test_there_is_a_function_for_every_command():
    assert FUNCTIONS.keys() - {"load"} == set(main.list_commands(click.Context(main)))


def test_every_public_name_is_listed_and_there():
    assert set(surgery.__all__) == FUNCTIONS.keys() | TYPES.keys() | {"__version__"}
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        _ = surgery.Nonsense


def test_completion_offers_public_names_and_no_others():
    offered = {name for name in dir(surgery) if not name.startswith("__")}
    assert set(surgery.__all__) - {"__version__"} <= offered
    assert offered - set(surgery.__all__) <= {"beam", "edits", "errors", "keras", "limits", "module"}


def test_a_public_module_is_there_without_an_import_of_its_own():
    code = "import sys, surgery; print('surgery.beam' in sys.modules, surgery.beam.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == "False surgery.beam\n"


def test_the_type_that_each_function_returns_can_be_named():
    for function in (*FUNCTIONS.values(), *METHODS.values()):
        assert function.__annotations__["return"] in TYPES, function


def test_naming_a_type_imports_no_tensorflow():
    code = (
        "import json, sys, surgery; [getattr(surgery, name) for name in surgery.__all__]; "
        "print(json.dumps([n for n in ('tensorflow', 'tf_keras', 'apache_beam', 'surgery.tf') if n in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert json.loads(done.stdout) == []


def test_results_are_of_the_types_that_can_be_named(modules):
    folder = modules("g3_small")
    assert isinstance(surgery.inspect(folder), surgery.Inspection)
    assert isinstance(surgery.plan(folder), surgery.Plan)
    assert isinstance(surgery.graph(folder), surgery.GraphListing)
    assert isinstance(surgery.edit(folder, KeepBlocks("0:2")), surgery.EditedModel)
    assert isinstance(surgery.serving(folder), surgery.Serving)


def test_what_is_asked_most_is_one_attribute_away(modules):
    folder = modules("g3_small")
    found = surgery.inspect(folder)
    assert isinstance(found.architecture, surgery.Architecture)
    assert found.architecture is found.inference.architecture
    assert surgery.plan(folder).architecture == found.architecture
    assert surgery.serving(folder).fits
    assert not surgery.serving(folder, batch=4096).fits


def test_a_module_that_no_table_explains_has_no_architecture(tmp_path):
    from tests.support.synthetic import CNN, write_saved_model

    assert surgery.inspect(write_saved_model(tmp_path / "cnn", CNN)).architecture is None


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ({"taps": "query"}, {"taps": ["query"]}),
        ({"taps": surgery.Tap("query", layers=-1)}, {"taps": ["query@-1"]}),
        ({"layers": -1}, {"layers": "-1"}),
        ({"features": "text=mean@-2:/mean"}, {"features": ("text=mean@-2:/mean",)}),
        (
            {"features": surgery.Feature("text", mix="mean", layers="-2:", pooling="mean")},
            {"features": ["text=mean@-2:/mean"]},
        ),
        ({"depths": 2}, {"depths": [2]}),
        ({"signatures": "probe=pooled_output"}, {"signatures": ["probe=pooled_output"]}),
        ({"signatures": {"probe": "pooled_output"}}, {"signatures": ["probe=pooled_output"]}),
    ],
    ids=str,
)
def test_a_bare_string_or_object_is_one_thing(one, several, modules):
    folder = modules("g3_small")
    assert surgery.plan(folder, **one).signatures == surgery.plan(folder, **several).signatures
    assert surgery.plan(folder, **one).signatures != surgery.plan(folder).signatures


def test_a_bare_tensor_or_signature_is_one_thing(modules, tmp_path):
    with pytest.raises(surgery.UsageError, match="tensors='a/b': there is no such tensor"):
        surgery.tap(modules("g3_small"), tmp_path / "out", "a/b")
    assert list(surgery.serving(modules("g3_small"), signatures="serving_default").served.signatures)
    with pytest.raises(surgery.UsageError, match="signatures='nonsense'"):
        surgery.serving(modules("g3_small"), signatures="nonsense")


def test_a_bare_file_column_or_output_is_one_thing(monkeypatch):
    monkeypatch.setattr("surgery.jobs.extract.extract_features", lambda *args, **kwargs: (args, kwargs))
    calls: list[Any] = [
        surgery.extract("e", "corpus.txt", "out", columns="text", outputs="pooled_output", beam_options="--runner=X"),
        surgery.extract(
            "e", [Path("corpus.txt")], "out", columns=["text"], outputs=["pooled_output"], beam_options=["--runner=X"]
        ),
    ]
    assert calls[0] == calls[1]
    (_, corpus, _), options = calls[0]
    assert (corpus.inputs, corpus.columns, options["outputs"]) == (("corpus.txt",), ("text",), ("pooled_output",))


@pytest.mark.parametrize(
    ("python", "options", "spelled_in_python", "spelled_as_option"),
    [
        ({"layers": "9"}, ["--layers", "9"], "layers='9': there is no block 9", "--layers 9: there is no block 9"),
        ({"taps": "qery"}, ["--tap", "qery"], "taps='qery': bert has no tap", "--tap qery: bert has no tap"),
        ({"features": "a=foo"}, ["--feature", "a=foo"], "features='a=foo': ", "--feature a=foo: "),
        ({"depths": 9}, ["--depth", "9"], "depths=9: the encoder has", "--depth 9: the encoder has"),
        ({"signatures": "p=q"}, ["--signature", "p=q"], "asked for with taps=", "asked for with --tap, "),
        (
            {"assume": {"nonsense": 3}},
            ["--assume", "nonsense=3"],
            "assume={'nonsense': 3}: bert has no field",
            "--assume nonsense=3: bert has no field",
        ),
    ],
    ids=lambda value: None if isinstance(value, dict | list) else "",
)
def test_an_error_names_the_argument_in_python_and_the_option_on_the_command_line(
    python, options, spelled_in_python, spelled_as_option, modules
):
    folder = modules("g3_small")
    with pytest.raises(surgery.UsageError) as caught:
        surgery.plan(folder, **python)
    assert spelled_in_python in str(caught.value)
    assert "--" not in str(caught.value)
    done = CliRunner().invoke(main, ["plan", str(folder), *options])
    assert done.exit_code == 2
    assert spelled_as_option in done.stderr


def test_a_flag_is_named_as_it_is_given(modules):
    with pytest.raises(surgery.UsageError, match="or give overwrite=True"):
        surgery.convert(modules("g3_small"), modules("g3_small"))
    done = CliRunner().invoke(main, ["convert", str(modules("g3_small")), str(modules("g3_small"))])
    assert "or give --overwrite\n" in done.stderr


@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS, *AT_A_PROMPT])
def test_docstrings_describe_every_argument_the_result_the_errors_and_an_example(name):
    function = {**FUNCTIONS, **METHODS, **AT_A_PROMPT}[name]
    text = inspect.getdoc(function)
    headings = re.findall(r"^(Args|Returns|Raises|Examples):$", text, flags=re.MULTILINE)
    assert headings == ["Args", "Returns", "Raises", "Examples"]
    described = re.findall(r"^    (\w+): ", text.partition("Args:")[2].partition("Returns:")[0], flags=re.MULTILINE)
    assert described == [parameter for parameter in inspect.signature(function).parameters if parameter != "self"]


@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS, *AT_A_PROMPT])
def test_examples_are_true(name, tmp_path, monkeypatch):
    """Those with prompts are run on samples; of the others, which take seconds, each call must fit its function."""
    function = {**FUNCTIONS, **METHODS, **AT_A_PROMPT}[name]
    example = inspect.getdoc(function).partition("Examples:")[2]
    if ">>>" not in example:
        (code,) = re.findall(r"```python\n(.*?)```", example, flags=re.DOTALL)
        calls = [node for node in ast.walk(ast.parse(inspect.cleandoc(code))) if isinstance(node, ast.Call)]
        called = {call.func.attr: call for call in calls if isinstance(call.func, ast.Attribute)}
        call = called[name.rpartition(".")[2]]
        given = [None] * ("." in name) + list(call.args)
        inspect.signature(function).bind(*given, **{str(keyword.arg): keyword.value for keyword in call.keywords})
        return
    for sample in ("g3_small", "g4_bert_mlm"):
        shutil.copy(PACKED / f"{sample}.tar.gz", tmp_path)
    shutil.unpack_archive(PACKED / "g4_bert_mlm.tar.gz", tmp_path / "bert" / "1", filter="data")
    monkeypatch.chdir(tmp_path)
    (found,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={"surgery": surgery})
    assert found.examples
    runner = doctest.DocTestRunner()
    assert runner.run(found) == (0, len(found.examples))
