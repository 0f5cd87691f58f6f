"""The page of two modules: facts that stand in no chart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from markupsafe import Markup

import surgery
from surgery.jobs.diff import page_of
from surgery.pages.rendering import breakable
from tests.support.builders import hugging_face
from tests.support.html_pages import Element, parsed

KERNEL = "encoder.layer.1.output.dense.weight"


@pytest.fixture(scope="module")
def diff(modules, tmp_path_factory) -> dict[str, Any]:
    """A checkpoint, and the same with another kernel."""
    other = hugging_face.build(
        tmp_path_factory.mktemp("other") / "other", hugging_face.with_value(KERNEL, lambda value: value + 1)
    )
    return json.loads(json.dumps(surgery.diff(modules("hf_bert"), other, only="variables").to_dict()))


def row(diff: dict[str, Any], **numbers: Any) -> Element:
    """The row of the weight that differs, with other numbers."""
    changed = json.loads(json.dumps(diff))
    (weight,) = (weight for weight in changed["weights"]["variables"] if not weight["same"])
    weight["difference"] |= numbers
    return parsed(page_of(changed)).one(id="weights-differing").one("tbody").one("tr")


def test_a_weight_that_was_zeros_says_so_because_it_has_no_relative_change(diff):
    zeros = row(diff, rms_a=0.0, relative=None, cosine=None)
    assert zeros.attributes["data-state"] == "changed from zeros"
    assert "data-moved" not in zeros.attributes
    assert zeros.all("td")[-2].text == "from zeros"
    assert row(diff).attributes["data-state"] == "changed"
    assert "from zeros" not in row(diff).text


def test_numbers_that_are_not_finite_are_counted(diff):
    assert "NaN" not in row(diff).text
    assert "7 NaN or infinite" in row(diff, nonfinite=7).text


def test_a_long_name_breaks_after_its_parts_and_is_the_name_when_it_is_copied():
    shown = breakable("transformer/layer_0/<i>.&_x/__end")
    assert shown == "transformer/<wbr>layer_<wbr>0/<wbr>&lt;i&gt;.<wbr>&amp;_<wbr>x/__<wbr>end"
    assert Markup(str(shown).replace("<wbr>", "")).unescape() == "transformer/layer_0/<i>.&_x/__end"
