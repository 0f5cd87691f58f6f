"""The attention of a sentence in a page: what the text export computes, by its own path or by that of its companion."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.jobs.attention import LONGEST

TEXT = "one of the two"


@pytest.fixture(scope="module")
def exports(text_exports):
    return text_exports("g3_small")


def test_the_maps_are_those_of_the_text_export(exports, tmp_path):
    written = surgery.report(exports[0], tmp_path / "page.html", text=TEXT)
    found = written.documents["attention"]
    with surgery.load(exports[1]) as model:
        expected = model.attention(TEXT)
    assert found["exported"] == str(exports[1])
    assert found["text"] == TEXT
    assert tuple(found["tokens"]) == expected.tokens
    assert tuple(found["blocks"]) == expected.blocks == (0, 1, 2, 3)
    np.testing.assert_allclose(found["probabilities"], expected.probabilities, atol=5.1e-5)
    assert "Attention of a sentence" in written.sections
    assert f"“{TEXT}”" in written.page.read_text()


def test_the_text_export_itself_has_such_a_page_and_a_long_text_is_refused(exports, tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["report", str(exports[1]), "--text", TEXT, "-o", str(page)])
    assert done.exit_code == 0, done.stderr
    assert "Attention of a sentence" in done.stdout
    monkeypatch.setattr("surgery.jobs.attention.LONGEST", 5)
    done = CliRunner().invoke(main, ["report", str(exports[1]), "--text", TEXT, "-o", str(tmp_path / "long.html")])
    assert (done.exit_code, (tmp_path / "long.html").exists()) == (2, False)
    assert "it has 6 tokens, a page shows the attention of at most 5" in done.stderr
    assert LONGEST == 64


def test_an_export_without_maps_or_texts_says_how_to_make_one_with_them(exports, modules, tmp_path):
    with pytest.raises(surgery.UsageError, match="expected texts, string"):
        surgery.report(modules("g3_small"), tmp_path / "page.html", text=TEXT)
    assert not (tmp_path / "page.html").exists()
