"""How an export's outputs were asked for, read back from its manifest."""

from __future__ import annotations

import json

import pytest

from surgery.export.manifest import MANIFEST, read_request
from surgery.module import SignatureInfo, TensorInfo
from surgery.plain import plain
from surgery.planning.requests import Feature, Request, Tap

ASKED = Request(
    taps=("query@-1", "ffn_output"),
    layers="-4:",
    features=("text=mean@-4:/mean",),
    depths=(2, 4),
    signatures=("probe=query_0,text",),
    packed=True,
)
EARLIER = {"taps": [], "layers": None, "features": [], "depths": [2], "signatures": []}
"""A request as manifests had it before there were forms of graphs."""


@pytest.fixture
def export(tmp_path):
    """`export(content)` is a folder with this manifest: text as it is, other data as JSON."""

    def make(content):
        path = tmp_path / MANIFEST
        path.parent.mkdir()
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return tmp_path

    return make


@pytest.mark.parametrize("asked", [ASKED, Request(), Request(layers="0", graph="model_garden")], ids=str)
def test_a_request_comes_back_as_it_was(asked, export):
    assert read_request(export({"schema": 1, "request": plain(asked)}), {}) == asked


def test_a_request_of_objects_is_kept_in_its_short_form():
    asked = Request.of(
        taps=[Tap("query", layers=-1), Tap("ffn_output")],
        layers="-4:",
        features=Feature("text", mix="mean", layers="-4:", pooling="mean"),
        depths=[2, 4],
        signatures={"probe": ["query_0", "text"]},
        packed=True,
    )
    assert asked.short == ASKED


def test_an_export_of_an_earlier_version_has_model_gardens_form(export):
    assert read_request(export({"request": EARLIER}), {}) == Request(depths=(2,), graph="model_garden")


def test_an_export_without_a_manifest_was_asked_for_nothing(tmp_path):
    assert read_request(tmp_path, {}) == Request()


def test_without_a_manifest_the_signatures_say_which_taps_and_depths_there_are(tmp_path):
    tapped = SignatureInfo(
        name="taps",
        inputs=(),
        outputs=(
            TensorInfo(key="query_3", dtype="float32", shape=None),
            TensorInfo(key="ffn_0_norm_1", dtype="float32", shape=None),
        ),
    )
    signatures = {"serving_default": SignatureInfo(name="serving_default", inputs=(), outputs=()), "taps": tapped}
    signatures["depth_2"] = SignatureInfo(name="depth_2", inputs=(), outputs=())
    assert read_request(tmp_path, signatures) == Request(taps=("query@3", "ffn_0_norm@1"), depths=(2,))


def test_taps_that_are_no_list_ask_for_nothing(export):
    said = {"taps": "query", "layers": None, "features": [], "depths": [], "signatures": []}
    assert read_request(export({"request": said}), {}) == Request()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        {"schema": 1},
        {"request": None},
        {"request": [1, 2]},
        {"request": {"taps": ["query"]}},
        {"request": {**plain(ASKED), "taps": None}},
        {"request": {**plain(ASKED), "depths": ["two"]}},
        {"request": {**plain(ASKED), "features": 3}},
    ],
    ids=str,
)
def test_a_manifest_that_says_it_otherwise_or_not_at_all_asks_for_nothing(content, export):
    assert read_request(export(content), {}) == Request()
