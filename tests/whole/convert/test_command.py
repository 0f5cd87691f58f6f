"""`surgery convert` and `surgery verify` as a shell runs them: pure data on stdout, silence on stderr, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import surgery as api
from surgery.cli.main import main
from surgery.export.manifest import MANIFEST
from surgery.proof import comparison
from tests.support.html_pages import documents_in, parsed
from tests.support.running import ROOT

SAMPLE = "g4_bert_mlm"


def surgery(*arguments):
    """Runs the command without the TensorFlow settings that this process has made."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    command = [sys.executable, "-m", "surgery", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


@pytest.fixture(scope="module")
def first(source, tmp_path_factory):
    """A conversion with `--json`, and where it went, with a page beside it."""
    destination = tmp_path_factory.mktemp("command") / "1"
    page = destination.with_name("page.html")
    return surgery("convert", source(SAMPLE), destination, "--report", page, "--json"), destination


def test_convert_prints_nothing_but_json_and_says_nothing_on_a_piped_stderr(first):
    done, destination = first
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert data["destination"] == str(destination)
    assert data["parity"]["passed"] is True
    assert "mlm_logits" in data["signatures"]["mlm"]
    assert {output["name"] for output in data["parity"]["outputs"]} >= {"pooled_output", "mlm.mlm_logits"}


def test_the_page_of_a_conversion_has_its_json_and_that_of_the_published_export(first, source):
    done, destination = first
    found = documents_in(parsed(destination.with_name("page.html").read_text(encoding="utf-8")))
    assert found["convert"] == json.loads(done.stdout)
    assert found["convert"]["page"] == str(destination.with_name("page.html"))
    assert found["manifest"] == json.loads((destination / MANIFEST).read_text())
    assert found["manifest"]["parity"] == found["convert"]["parity"]
    assert found["manifest"]["parity"]["blocks"]["mlm.encoder_outputs_2"] == 2
    plan = api.plan(source(SAMPLE)).to_dict()
    assert {**found["plan"], "destination": ""} == {**plan, "destination": ""}
    assert found["serving"]["exported"] == str(destination)


def test_verify_prints_nothing_but_json_and_says_nothing_on_a_piped_stderr(first, source):
    done = surgery("verify", source(SAMPLE), first[1], "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert data["parity"]["passed"] is True
    assert data["parity"]["weights"]["mismatches"] == []
    assert data["module"] == SAMPLE


def test_verify_of_another_modules_export_prints_json_and_exits_with_5(source, converted):
    command = ["verify", str(source("g2_small")), str(converted("g1").export), "--json"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 5
    assert json.loads(done.stdout)["parity"]["passed"] is False
    (line,) = done.stderr.splitlines()
    assert "the first to diverge is embedding_output" in json.loads(line)["error"]["message"]


def test_convert_prints_a_table_and_where_it_wrote(source, tmp_path):
    done = CliRunner().invoke(main, ["convert", str(source("one_block")), str(tmp_path / "1")])
    assert done.exit_code == 0
    assert "embedding_output" in done.stdout
    assert "encoder_outputs_0" in done.stdout
    assert "verdict: the same function" in done.stdout
    assert done.stdout.endswith(f"wrote {tmp_path / '1'}\n")
    assert done.stderr == ""


def test_convert_without_a_destination_takes_the_next_version(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exported" / "one_block" / "7").mkdir(parents=True)
    done = CliRunner().invoke(main, ["convert", str(source("one_block"))])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == f"wrote {Path('exported/one_block/8')}"


def test_a_bound_of_zero_fails_closed(source, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "MAX_DIFFERENCE", 0.0)
    arguments = ["convert", str(source("one_block")), str(tmp_path / "out" / "1")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 5
    assert "first" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()
