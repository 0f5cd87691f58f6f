"""What a page says of an export by its manifest, which anybody may have written: no more than it can know."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import surgery
from surgery.edits import KeepBlocks, PruneHeads
from surgery.export.manifest import MANIFEST, make_manifest
from surgery.jobs.report import documents_of
from surgery.pages import form
from surgery.pages.sections import MODULE
from surgery.proof.parity import WeightCheck, report_data
from tests.support.html_pages import Element, parsed, rendered
from tests.support.module_pages import proof, section, write_export
from tests.support.synthetic import CNN, write_saved_model

HUGE = f"parity.bounds.difference: expected a number, found int 1{'0' * 74}…"


@pytest.fixture(scope="module")
def export(modules, tmp_path_factory) -> Path:
    return write_export(modules, tmp_path_factory.mktemp("exported") / "g4_bert_mlm" / "1")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (("parity", "outputs", 1, "rms"), "1", "parity.outputs[1].rms: expected a number or null, found str '1'"),
        (("parity", "outputs", 0, "difference"), None, None),
        (("parity", "blocks"), {"a": -1}, "parity.blocks.a: expected a whole number from 0 below 2**63, found int -1"),
        (("parity", "blocks"), None, None),
        (("assignments", 0), [], "assignments[0]: expected an object, found list []"),
        (("source",), None, "source: expected an object, found nothing"),
        (("parity", "passed"), 1, "parity.passed: expected true or false, found int 1"),
        (("dropped",), {}, "dropped: expected a list, found dict {}"),
        (("parity", "bounds", "difference"), None, "parity.bounds.difference: expected a number, found nothing"),
        (("parity", "outputs", 0, "rms"), ..., "parity.outputs[0].rms: it is missing"),
        (("parity", "outputs", 0, "bit_equal"), ..., None),
        (("parity", "bounds", "difference"), 10**40, None),
        (("parity", "bounds", "difference"), 10**400, HUGE),
    ],
)
def test_the_form_of_a_manifest_is_checked_to_the_leaf(key, value, expected, export):
    assert form.misfit(with_value(export, key, value), form.MANIFEST) == expected


def with_value(export: Path, key: tuple[str | int, ...], value: Any) -> Any:
    """The manifest of an export with another value at a key, or without that key."""
    manifest = json.loads((export / MANIFEST).read_text())
    at = manifest
    for step in key[:-1]:
        at = at[step]
    at[key[-1]] = value
    if value is ...:
        del at[key[-1]]
    return manifest


def with_manifest(export: Path, folder: Path, manifest: Any) -> Element:
    """The page of an export that has another manifest."""
    shutil.copytree(export, folder)
    (folder / MANIFEST).write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return parsed(surgery.report(folder, folder.with_suffix(".html")).page.read_text())


@pytest.mark.parametrize("damage", ["{", '{"parity": 5}', "[]"])
def test_a_damaged_manifest_is_left_out_and_the_page_says_why(damage, export, tmp_path):
    page = with_manifest(export, tmp_path / "export", damage)
    assert "surgery.json is not as surgery writes it" in section(page, "about").text
    assert "proof" not in [e.attributes["id"] for e in page.all("section")]


def test_an_export_whose_heads_were_pruned_has_the_shapes_and_parts_that_it_has(export, modules, tmp_path):
    edited = surgery.edit(modules("g4_bert_mlm"), KeepBlocks("0:2"), PruneHeads([0], "-1")).edited
    hashes = {a.target: "0" * 64 for a in edited.plan.weights.assignments}
    manifest = make_manifest(edited.plan, hashes, proof(), edited)
    rows = surgery.inspect(export).to_dict(variables=True)
    kernel = "transformer/layer_1/self_attention/query/kernel"
    for row in rows["variables"]["list"]:
        row["shape"] = [64, 3, 16] if row["name"] == kernel else row["shape"]
    documents = {"inspect": rows, "scan": surgery.scan(export).to_dict(), "manifest": manifest}
    page = parsed(rendered(json.loads(json.dumps(documents)), MODULE))
    assert f"{kernel} [64, 3, 16]" in section(page, "architecture").text
    parts = [row.attributes["data-name"] for row in page.one(id="weights-parts").one("tbody").all("tr")]
    assert parts == ["embeddings", "block 0", "block 1", "pooler", ".mlm"]
    assert "computes the encoder after its edits" in section(page, "about").text


def test_a_text_export_says_what_becomes_of_texts(tmp_path):
    folder = write_saved_model(tmp_path / "bert_text", CNN)
    (folder / MANIFEST).parent.mkdir()
    text = {"seq_length": 32, "pieces": False, "vocabulary": "assets/vocab.txt", "lower_case": True}
    (folder / MANIFEST).write_text(json.dumps({"schema": 1, "text": text, "packed": {}}))
    page = parsed(surgery.report(folder, tmp_path / "page.html").page.read_text())
    assert "are cut to 32 tokens, lower-cased; vocabulary assets/vocab.txt" in section(page, "about").text
    assert page.one("p", class_="kind").text == "Text export"


def test_the_manifest_of_an_earlier_version_is_drawn_without_bounds_and_blocks(export, tmp_path):
    manifest = json.loads((export / MANIFEST).read_text())
    for data, keys in ((manifest["parity"], ("bounds", "blocks")), (manifest, ("packed", "head", "request"))):
        for key in keys:
            del data[key]
    page = with_manifest(export, tmp_path / "export", manifest)
    places = [row.attributes["data-at"] for row in page.one(id="proof-places").one("tbody").all("tr")]
    assert places == ["embedding_output", "encoder_outputs_0", "encoder_outputs_2", "query_1", "mlm_logits"]
    assert "data-bound" not in page.one("figure", data_chart="differences").attributes


@pytest.mark.parametrize("error", [5, {"message": "a message"}])
def test_a_manifest_with_an_error_of_its_own_is_no_failure(error, export, tmp_path):
    page = with_manifest(export, tmp_path / "export", with_value(export, ("error",), error))
    assert "proof" in [e.attributes["id"] for e in page.all("section")]
    assert "No manifest" not in section(page, "about").text


def test_what_an_earlier_manifest_lacks_is_left_out(export, tmp_path):
    manifest = with_value(export, ("source", "tensorflow_version"), ...)
    for output in manifest["parity"]["outputs"]:
        del output["bit_equal"], output["nonfinite"], output["padding_rows"]
    del manifest["parity"]["nonfinite_weights"], manifest["parity"]["formulas"]
    assert "passed" in section(with_manifest(export, tmp_path / "export", manifest), "proof").text


def test_a_figure_that_the_export_itself_has_otherwise_is_named(export, tmp_path):
    manifest = with_value(export, ("architecture", "num_hidden_layers"), 24)
    about = section(with_manifest(export, tmp_path / "export", manifest), "about").text
    assert "Its manifest says blocks 24, its own graph 3." in about


@pytest.fixture(scope="module")
def own(export) -> dict[str, Any]:
    """The documents of the export."""
    return json.loads(json.dumps(documents_of(str(export))))


def drawn(own: dict[str, Any], *names: str, **others: Any) -> Element:
    """The sections of these names, drawn from the documents of the export and others."""
    sections = [section for section in MODULE if section.name in names]
    documents = own | json.loads(json.dumps(others))
    return parsed(rendered(documents, sections))


def verified(**fields: Any) -> dict[str, Any]:
    """The document of a comparison that was made for the page."""
    report = report_data(replace(proof(), **fields))
    return {"schema": 1, "parity": report, "notes": [], "edits": [], "unproven": [], "node_data": None}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (verified(), "✓ the same function ✓"),
        (verified(unmatched=("query_0",)), "✓ the same function, in all that can be compared ✓"),
        (verified() | {"edits": ["keep blocks 0:2"]}, "✓ computes the encoder after its edits ✓"),
        (
            verified() | {"edits": ["insert"], "unproven": ["a"]},
            "✓ computes the encoder after its edits, in all that can be compared ✓",
        ),
        (verified(contract=("another rate",)), "✗ NOT the same function ✓"),
        (None, "✓ its manifest says: the same function ✓"),
    ],
)
def test_the_verdict_claims_what_was_compared_and_no_more(document, words, own):
    page = drawn(own, "about", **({} if document is None else {"verify": document}))
    assert words in section(page, "about").text


def test_the_weights_of_a_comparison_are_those_that_the_page_counts(own):
    failed = verified(weights=WeightCheck(compared=7, mismatches=("a: its bits differ from the module's",)))
    assert "6 of 7 values and constants are bit-equal" in section(drawn(own, "weights", verify=failed), "weights").text
    assert "its manifest says that 2 of 2 values" in section(drawn(own, "weights"), "weights").text


def test_an_output_has_the_bound_by_which_it_was_judged(own):
    first, second, third, *_ = proof().outputs
    zeros = replace(second, rms=0.0, module_error=1e-9, export_error=2e-9)
    float32_only = replace(third, in_double=False)
    page = drawn(own, "proof", verify=verified(outputs=(first, zeros, float32_only)))
    rows = {row.attributes["data-name"]: row.attributes for row in page.one(id="proof-outputs").one("tbody").all("tr")}
    assert float(rows[second.name]["data-bound"]) == 4 * 1e-9
    assert "data-bound" in rows[first.name]
    assert "data-bound" not in rows[third.name]


def test_what_enters_the_first_block_of_mobilebert_stands_before_it(own):
    names = ("embedding_output", "encoder_outputs_0", "attention_scores_0", "encoder_outputs_1", "sequence_output")
    sample = proof().outputs[0]
    outputs = tuple(replace(sample, name=name) for name in names)
    blocks = {"attention_scores_0": 0, "encoder_outputs_1": 0}
    page = drawn(own, "proof", verify=verified(outputs=outputs, blocks=blocks))
    places = [row.attributes["data-at"] for row in page.one(id="proof-places").one("tbody").all("tr")]
    assert places == ["embedding_output", "encoder_outputs_0", "block 0", "sequence_output"]


def test_what_was_not_judged_and_what_is_not_finite_is_said(own):
    first, *others = proof().outputs
    outputs = (replace(first, nonfinite=(3, 4), padding_rows=0.25), *others)
    found = verified(outputs=outputs, nonfinite_weights={"bert/kernel": 5}, formulas=("erf",))
    text = section(drawn(own, "proof", verify=found), "proof").text
    assert "embedding_output has values that are NaN or infinite; in the module and in the export: 3, 4." in text
    assert "bert/kernel: 5 of its values are NaN or infinite, in the module, too." in text
    assert "each is a rounding in the graphs: erf." in text
    assert "Their largest difference is 0.25, in embedding_output." in text


def test_the_json_in_a_page_is_one_that_a_browser_can_parse(own):
    config = {"file": "config.json", "values": {"rate": float("nan")}}
    documents = own | {"inspect": own["inspect"] | {"config": config}}
    html = rendered(documents, MODULE[:1])
    (embedded,) = parsed(html).one("script", id="documents").inside
    found = json.loads(str(embedded), parse_constant=pytest.fail)
    assert found["inspect"]["config"]["values"] == {"rate": None}


def test_lines_of_python_load_what_needs_more_than_a_path(export, own):
    serving = surgery.serving(export).to_dict() | {"text_operations": ["CaseFoldUTF8"]}
    inspect = surgery.inspect(export).to_dict(variables=True)
    inspect["meta_graphs"] *= 2
    code = [
        e.text for e in section(drawn(own, "signatures", serving=serving, inspect=inspect), "signatures").all("code")
    ]
    assert any(f"tf.saved_model.load('{export}', tags=['serve'])" in one for one in code)
    assert any("import tensorflow_text" in one for one in code)
