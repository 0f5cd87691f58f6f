"""The page of a module: drawn from the JSON of the commands, one file that fetches nothing, every name in it a text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.export.manifest import MANIFEST
from surgery.jobs import report as job
from surgery.jobs.verify import Verification
from surgery.pages.sections import MODULE
from surgery.pages.sections.attention import ATTENTION
from surgery.proof.parity import MAX_DIFFERENCE
from surgery.wording import all_shown
from tests.support import documents
from tests.support.hostile_names import HOSTILE
from tests.support.html_pages import Element, documents_in, parsed, rendered
from tests.support.module_pages import OUTPUTS, proof, section, write_export
from tests.support.synthetic import CNN, write_saved_model

SECTIONS = [section.name for section in MODULE if section.name != "attention"]  # which has to be asked for
EXTERNAL = ("src", "href", "action", "data", "poster", "srcset", "background", "formaction", "ping", "xlink:href")
FETCHING = ("link", "img", "iframe", "object", "embed", "base", "form")


@pytest.fixture(scope="module")
def export(modules, tmp_path_factory) -> Path:
    return write_export(modules, tmp_path_factory.mktemp("exported") / "g4_bert_mlm" / "1")


@pytest.fixture(scope="module")
def written(export, tmp_path_factory) -> surgery.HtmlReport:
    return surgery.report(export, tmp_path_factory.mktemp("pages") / "page.html")


@pytest.fixture(scope="module")
def page(written) -> Element:
    return parsed(written.page.read_text(encoding="utf-8"))


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
    assert "✓ its manifest says: the same function ✓ safety scan clean" in section(page, "about").text


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
    htmls = [rendered(d, MODULE, t, t) for t, d in zip(titles, both, strict=True)]
    before, after = (parsed(html) for html in htmls)
    assert [(e.tag, *e.attributes) for e in before.all()] == [(e.tag, *e.attributes) for e in after.all()]
    assert fetched(after) == []
    assert documents_in(after) == both[1]
    assert after.one("h1").text == " ".join(all_shown(titles[1]).split())
    body = "".join(after.one("main").text.split())
    assert [end for end in ends if "".join(all_shown(end).split()) not in body] == []
    assert {c for c in htmls[1] if not c.isprintable()} <= {c for c in htmls[0] if not c.isprintable()}


def test_a_head_that_cannot_be_kept_is_named_with_the_reason(modules):
    classifier = surgery.plan(modules("tf1_estimator"), assume=documents.RATES)
    plan = documents.with_other_head(classifier)
    module = modules("tf1_estimator")
    found = {"inspect": surgery.inspect(module).to_dict(variables=True), "scan": surgery.scan(module).to_dict()}
    page = parsed(rendered({**found, "plan": plan.to_dict()}, MODULE))
    assert "it takes the sequence output" in section(page, "about").text


def test_the_head_is_named_as_the_form_that_it_has(modules):
    module = modules("hf_tf_distilbert_classifier")
    plan = surgery.plan(module, keep_head=True).to_dict()
    found = {"inspect": surgery.inspect(module).to_dict(variables=True), "scan": surgery.scan(module).to_dict()}
    page = parsed(rendered({**found, "plan": plan}, MODULE))
    assert "a dense layer with relu on the first token (24), 3 labels" in section(page, "about").text


@pytest.mark.parametrize(("length", "said"), [(4, True), (5, False)])
def test_a_text_that_fills_the_row_may_have_been_cut(length, said):
    attention = {"exported": "e", "text": "a b", "tokens": ["[CLS]", "a", "b", "[SEP]"], "blocks": [0]}
    document = {"schema": 1, **attention, "seq_length": length, "probabilities": [[[[0.25] * 4] * 4]]}
    page = parsed(rendered({"attention": document}, [ATTENTION]))
    assert ("all of the 4 tokens that the export takes" in page.one(id="attention").text) is said
