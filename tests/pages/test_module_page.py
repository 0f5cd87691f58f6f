"""The page of a module: drawn from the JSON of the commands, one file that fetches nothing, every name in it a text."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import _runs, main
from surgery.edits import KeepBlocks, PruneHeads
from surgery.export.manifest import MANIFEST, make_manifest
from surgery.jobs import convert
from surgery.jobs import report as job
from surgery.jobs.verify import Verification
from surgery.pages import form
from surgery.pages.rendering import render
from surgery.pages.sections import MODULE
from surgery.proof.parity import MAX_DIFFERENCE, ParityReport, WeightCheck
from surgery.wording import all_shown
from tests.support import documents
from tests.support.hostile_names import HOSTILE
from tests.support.html_pages import Element, documents_in, parsed
from tests.support.probing import EXTRAS, HEAVY, imported
from tests.support.synthetic import CNN, write_saved_model

SECTIONS = [section.name for section in MODULE if section.name != "attention"]  # which has to be asked for
EXTERNAL = ("src", "href", "action", "data", "poster", "srcset", "background", "formaction", "ping", "xlink:href")
FETCHING = ("link", "img", "iframe", "object", "embed", "base", "form")
OUTPUTS = (
    "embedding_output",
    "encoder_outputs_0",
    "encoder_outputs_2",
    "taps.query_1",
    "mlm(training=True).mlm_logits",
)


def proof() -> ParityReport:
    """A report of outputs before, in and after blocks, of which the worst is in block 1."""
    (sample,) = documents.report().outputs
    outputs = [replace(sample, name=name, difference=1e-14 * number) for number, name in enumerate(OUTPUTS)]
    outputs[-1] = replace(outputs[-1], module_error=None, export_error=None, bit_equal=None)
    blocks = {"encoder_outputs_0": 0, "encoder_outputs_2": 2, "taps.query_1": 1}
    return documents.report(
        outputs=tuple(outputs),
        blocks=blocks,
        weights=WeightCheck(compared=2, mismatches=()),
        contract=(),
        unmatched=(),
        lacking={},
        nonfinite_weights={},
    )


@pytest.fixture(scope="module")
def export(modules, tmp_path_factory) -> Path:
    """A module with the manifest of an export, whose report is put together."""
    folder = tmp_path_factory.mktemp("exported") / "g4_bert_mlm" / "1"
    shutil.copytree(modules("g4_bert_mlm"), folder)
    plan = surgery.plan(modules("tf1_bert_small"), taps="query", depths=2)
    hashes = {a.target: "0" * 64 for a in plan.weights.assignments}
    (folder / MANIFEST).parent.mkdir()
    (folder / MANIFEST).write_text(json.dumps(make_manifest(plan, hashes, proof())))
    return folder


@pytest.fixture(scope="module")
def written(export, tmp_path_factory) -> surgery.HtmlReport:
    return surgery.report(export, tmp_path_factory.mktemp("pages") / "page.html")


@pytest.fixture(scope="module")
def page(written) -> Element:
    return parsed(written.page.read_text(encoding="utf-8"))


def section(page: Element, name: str) -> Element:
    return page.one("section", id=name)


def printed(*arguments: object) -> Any:
    return json.loads(CliRunner().invoke(main, [*map(str, arguments), "--json"]).stdout)


def test_the_data_of_a_page_is_the_json_of_the_commands_and_the_manifest(export, page):
    found = documents_in(page)
    assert found.pop("manifest") == json.loads((export / MANIFEST).read_text())
    assert found.pop("inspect") == printed("inspect", export, "--variables")
    assert found.keys() == {"scan", "plan", "taps", "serving"}
    assert found == {command: printed(command, export) for command in found}


def test_a_page_has_every_section_and_a_way_to_each(page, written):
    assert [s.attributes["id"] for s in page.all("section")] == SECTIONS
    assert [a.attributes["href"] for a in page.one("nav").all("a")] == [f"#{name}" for name in SECTIONS]
    assert [h.text for h in page.all("h2")] == list(written.sections)
    assert "✓ the same function ✓ safety scan clean" in section(page, "about").text


def fetched(page: Element) -> list[str]:
    """What a browser would fetch for a page, or go to from it, besides places of the page itself."""
    found = [
        f"{e.tag} {name}={value}"
        for e in page.all()
        for name, value in e.attributes.items()
        if name in EXTERNAL and not value.startswith("#")
    ]
    return found + [e.tag for e in page.all() if e.tag in FETCHING]


def test_a_page_fetches_nothing_and_runs_its_own_scripts_only(page):
    assert fetched(page) == []
    style = "".join(text for e in page.all("style") for text in e.inside if isinstance(text, str))
    assert "url(" not in style
    assert "@import" not in style
    assert [name for e in page.all() for name in e.attributes if name.startswith("on")] == []
    (policy,) = [e.attributes["content"] for e in page.all("meta") if "http-equiv" in e.attributes]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    scripts = [e.inside[0] for e in page.all("script") if "type" not in e.attributes]
    hashes = [base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode() for script in scripts]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in hashes]


def test_a_page_can_be_read_without_a_mouse_and_by_a_screen_reader(page):
    ids = [e.attributes["id"] for e in page.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert page.one("html").attributes["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("h1", "header", "main", "footer", "title")] == [1] * 5
    leads = [e.attributes[name] for e in page.all() for name in ("href", "aria-labelledby") if name in e.attributes]
    assert {lead.removeprefix("#") for lead in leads} <= set(ids)
    for table in page.all("table"):
        assert all(head.attributes.get("scope") in ("col", "row") for head in table.all("th"))
    assert all({"tabindex", "aria-label"} <= e.attributes.keys() for e in page.all(class_="wide"))
    assert all(figure.all("figcaption") for figure in page.all("figure"))


def test_every_hyperparameter_is_shown_with_its_value_and_its_evidence(export, page):
    manifest = json.loads((export / MANIFEST).read_text())
    rows = {row.one("th").text: row.text for row in section(page, "architecture").one("table").one("tbody").all("tr")}
    assert rows.keys() == manifest["architecture"].keys() - {"family", "generation"}
    for e in manifest["evidence"]:
        assert str(manifest["architecture"][e["field"]]) in rows[e["field"]]
        assert e["place"] in rows[e["field"]]


def test_the_encoder_is_drawn_block_by_block_with_shapes(export, page):
    flow = section(page, "architecture").all("ol", class_="flow")[0]
    names = [part.all("span", class_="name")[0].text for part in flow.all("li") if part.all("span", class_="name")]
    assert names == ["inputs", "embeddings", "block 0", "block 1", "block 2", "pooler", ".mlm"]
    for a in surgery.plan(export).to_dict()["assignments"]:
        assert f"{a['target']} [{', '.join(map(str, a['to']))}]" in flow.text


def test_every_weight_is_shown_with_the_variable_from_which_it_came(export, page):
    manifest = json.loads((export / MANIFEST).read_text())
    rows = [[cell.text for cell in row.all("td")] for row in section(page, "weights").all("tr")]
    shown = {row[1]: row[0] for row in rows if len(row) == 4}
    own = [a["target"] for a in surgery.plan(export).to_dict()["assignments"]]
    stated = {a["target"]: a["variable"] for a in manifest["assignments"]}
    assert shown == {target: stated.get(target, target) for target in own}
    assert any(target != stated.get(target, target) for target in own)


def test_the_charts_are_drawn_from_the_numbers_of_the_proof(page):
    report = proof()
    rows = {row.attributes["data-name"]: row.attributes for row in page.one(id="proof-outputs").one("tbody").all("tr")}
    assert list(rows) == list(OUTPUTS)
    for diff in report.outputs:
        row = rows[diff.name]
        assert float(row["data-difference"]) == diff.difference
        if diff.module_error is None:
            assert not {"data-module", "data-export", "data-bound"} & row.keys()
        else:
            assert float(row["data-export"]) == diff.export_error / diff.rms
            assert float(row["data-bound"]) == 4 * diff.module_error / diff.rms + 16 * 2.0**-24
    places = [row.attributes["data-at"] for row in page.one(id="proof-places").one("tbody").all("tr")]
    assert places == ["embedding_output", "block 0", "block 1", "block 2", "mlm_logits"]
    assert [rows[name]["data-at"] for name in OUTPUTS] == [places[i] for i in (0, 1, 3, 2, 4)]
    assert float(page.one("figure", data_chart="differences").attributes["data-bound"]) == MAX_DIFFERENCE
    tables = [figure.attributes["data-table"] for figure in page.all("figure") if "data-chart" in figure.attributes]
    assert tables == ["proof-outputs", "proof-outputs", "weights-parts", "sizes-replies"]
    assert all(page.one("table", id=table) for table in tables)


def test_lines_to_copy_call_each_signature_with_its_own_inputs(export, page):
    code = [e.text for e in section(page, "signatures").all("code")]
    lines = ("'input_word_ids': tf.ones([1, 8], tf.int32)", f"tf.saved_model.load('{export}')")
    assert any(all(line in one for line in lines) for one in code)
    serving = surgery.serving(export)
    assert " ".join(serving.curl.split()) in code
    assert " ".join(serving.server.split()) in code
    assert " ".join(serving.files["client.py"].split()) in code


def test_a_comparison_that_was_made_for_the_page_is_the_one_that_it_shows(export, modules, tmp_path, monkeypatch):
    failed = proof()
    bad = replace(failed.outputs[1], difference=0.5, passed=False)
    failed = replace(failed, outputs=(failed.outputs[0], bad))
    source = surgery.plan(modules("tf1_bert_small"))
    verification = Verification(plan=source, exported=export, report=failed, notes=("a note",))
    monkeypatch.setattr(job, "verify_export", lambda *args, **kwargs: verification)
    done = CliRunner().invoke(main, ["report", str(export), "--verify", "module", "-o", str(tmp_path / "page.html")])
    assert done.exit_code == 5
    assert "the first to diverge is encoder_outputs_0" in done.stderr
    page = parsed((tmp_path / "page.html").read_text())
    assert "NOT the same function" in section(page, "about").text
    assert [row.text for row in section(page, "proof").all("tr") if "FAILED" in row.text]
    assert documents_in(page)["verify"] == verification.to_dict()
    assert documents_in(page)["plan"] == source.to_dict()


def test_a_module_without_a_graph_or_without_a_table_has_the_sections_that_it_can_have(modules, tmp_path):
    checkpoint = parsed(surgery.report(modules("hf_bert"), tmp_path / "checkpoint.html").page.read_text())
    other = parsed(surgery.report(write_saved_model(tmp_path / "cnn", CNN), tmp_path / "cnn.html").page.read_text())
    left_out = {"proof", "signatures"}
    assert [e.attributes["id"] for e in checkpoint.all("section")] == [s for s in SECTIONS if s not in left_out]
    left_out = {"proof", "architecture", "weights"}
    assert [e.attributes["id"] for e in other.all("section")] == [s for s in SECTIONS if s not in left_out]
    assert "No weight table explains it" in section(other, "about").text


@pytest.mark.parametrize("name", ["g4_albert", "g4_mobilebert", "tf1_estimator"])
def test_other_encoders_have_pages_too(name, modules, tmp_path):
    page = parsed(surgery.report(modules(name), tmp_path / "page.html").page.read_text())
    assert fetched(page) == []
    inspected = surgery.inspect(modules(name))
    table = section(page, "architecture").one("table").text
    assert all(evidence.place in table for evidence in inspected.inference.evidence)


NAMES = {"variable", "target", "key", "place", "node", "name", "layout", "tensor", "exported", "server", "because"}
"""Keys of documents whose values come from a module."""


def renamed(data: Any, ends: Iterator[str]) -> Any:
    """The data of a page in which the names that come from a module have these ends, those of signatures, too."""
    if isinstance(data, list):
        return [renamed(item, ends) for item in data]
    if not isinstance(data, dict):
        return data
    found = {k: v + next(ends) if k in NAMES and isinstance(v, str) else renamed(v, ends) for k, v in data.items()}
    if isinstance(signatures := found.get("signatures"), dict):
        found["signatures"] = {f"{name}{next(ends)}": signature for name, signature in signatures.items()}
    return found


def test_hostile_names_are_texts(written):
    ends = [*HOSTILE, "</script><script>a()</script>", "<!--<script>", "]]>&lt;</p>", "ä" * 5000]
    plain = json.loads(json.dumps(written.documents))
    both = [{key: renamed(document, cycle(names)) for key, document in plain.items()} for names in (["x"], ends)]
    titles = ("x", "".join(ends))
    htmls = [render(title=t, kind=t, sections=MODULE, documents=d) for t, d in zip(titles, both, strict=True)]
    before, after = (parsed(html) for html in htmls)
    assert [(e.tag, *e.attributes) for e in before.all()] == [(e.tag, *e.attributes) for e in after.all()]
    assert fetched(after) == []
    assert documents_in(after) == both[1]
    assert after.one("h1").text == " ".join(all_shown(titles[1]).split())
    body = "".join(after.one("main").text.split())
    assert [end for end in ends if "".join(all_shown(end).split()) not in body] == []
    assert {c for c in htmls[1] if not c.isprintable()} <= {c for c in htmls[0] if not c.isprintable()}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (("parity", "outputs", 1, "rms"), "1", "parity.outputs[1].rms: expected a number or null, found str '1'"),
        (("parity", "outputs", 0, "difference"), None, None),
        (("parity", "blocks"), {"a": -1}, "parity.blocks.a: expected a whole number from 0, found int -1"),
        (("parity", "blocks"), None, None),
        (("assignments", 0), [], "assignments[0]: expected an object, found list []"),
        (("source",), None, "source: expected an object, found nothing"),
        (("parity", "passed"), 1, "parity.passed: expected true or false, found int 1"),
        (("dropped",), {}, "dropped: expected a list, found dict {}"),
        (("parity", "bounds", "difference"), None, "parity.bounds.difference: expected a number, found nothing"),
    ],
)
def test_the_form_of_a_manifest_is_checked_to_the_leaf(key, value, expected, export):
    assert form.misfit(with_value(export, key, value), form.MANIFEST) == expected


def with_value(export: Path, key: tuple[str | int, ...], value: Any) -> Any:
    """The manifest of an export with another value at a key."""
    manifest = json.loads((export / MANIFEST).read_text())
    at = manifest
    for step in key[:-1]:
        at = at[step]
    at[key[-1]] = value
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
    page = parsed(render(title="edited", kind="export", sections=MODULE, documents=json.loads(json.dumps(documents))))
    assert f"{kernel} [64, 3, 16]" in section(page, "architecture").text
    parts = [row.attributes["data-name"] for row in page.one(id="weights-parts").one("tbody").all("tr")]
    assert parts == ["embeddings", "block 0", "block 1", "pooler", ".mlm"]
    assert "computes the encoder after its edits" in section(page, "about").text


def test_a_head_that_cannot_be_kept_is_named_with_the_reason(modules):
    classifier = surgery.plan(modules("tf1_estimator"), assume=documents.RATES)
    plan = documents.with_other_head(classifier)
    module = modules("tf1_estimator")
    found = {"inspect": surgery.inspect(module).to_dict(variables=True), "scan": surgery.scan(module).to_dict()}
    page = parsed(render(title="t", kind="k", sections=MODULE, documents={**found, "plan": plan.to_dict()}))
    assert "it takes the sequence output" in section(page, "about").text


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


def test_a_file_that_is_there_is_replaced_only_if_that_is_asked_for_and_in_one_step(modules, tmp_path, monkeypatch):
    module, page = modules("g3_small"), tmp_path / "page.html"
    page.write_text("mine")
    for destination, message in (
        (page, "it exists already"),
        (tmp_path / "page.txt", "expected the name of an .html file"),
        (module / "page.html", "it lies inside"),
    ):
        with pytest.raises(surgery.UsageError, match=message):
            surgery.report(module, destination)
    with pytest.raises(surgery.WriteError):
        surgery.report(module, page / "page.html")

    def full(*_: object) -> None:
        raise OSError(28, "No space left")

    monkeypatch.setattr("surgery.export.publish.os.replace", full)
    with pytest.raises(surgery.WriteError, match="No space left"):
        surgery.report(module, page, overwrite=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page.html", "mine")]
    monkeypatch.undo()
    assert surgery.report(module, page, overwrite=True).page == page
    assert page.stat().st_size == len(page.read_bytes()) > 10_000
    monkeypatch.chdir(tmp_path)
    assert surgery.report(module).page == Path("g3_small.html")


def test_a_report_without_numbers_needs_no_tensorflow(export, tmp_path):
    code, found = imported("report", export, "-o", tmp_path / "page.html")
    assert (code, [name for name in (*HEAVY, *EXTRAS) if name in found]) == (0, [])
    assert "jinja2" not in imported("inspect", export)[1]


@pytest.mark.parametrize("option", [["--verify", "module"], ["--verify=module"], ["--text", "a text"]], ids=" ".join)
def test_a_report_that_runs_a_module_goes_on_in_a_child(option):
    assert _runs(["report", "export", *option])
    assert not _runs(["report", "export", "-o", "page.html"])


def test_a_page_that_cannot_be_written_leaves_an_export_that_is_published_and_the_error_says_so(modules, monkeypatch):
    def full(*_: object) -> None:
        raise surgery.WriteError("writing page.html: No space left", hint="make room")

    monkeypatch.setattr(convert, "documents_of", lambda _: {})
    monkeypatch.setattr(convert, "write_report", full)
    plan = surgery.plan(modules("g3_small"))
    done = surgery.Conversion(destination=Path("out/1"), plan=plan, report=proof(), manifest={})
    with pytest.raises(surgery.WriteError, match="No space left; the export is published at out/1"):
        convert._write_page(done, Path("page.html"))
