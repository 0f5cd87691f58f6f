"""Two modules side by side, without TensorFlow: what is equal is silent, and what differs is named where it is."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

import surgery
from surgery.cli.main import main
from surgery.cli.terminal import show
from surgery.comparing.difference import Difference
from surgery.comparing.numbers import Numbers
from surgery.families.publishers.hugging_face_bert import HUGGING_FACE
from surgery.jobs.diff import page_of
from surgery.results import document
from surgery.sources.opening import open_module
from surgery.tables.rules import fill
from tests.support import probing
from tests.support.builders import hugging_face
from tests.support.documentation import fences, prints
from tests.support.editing import edited, set_constants
from tests.support.mutations import graphs

QUERY = "transformer/layer_1/self_attention/query/kernel"


def changed(found: Difference) -> dict[str, str]:
    """What is said of each weight that differs, by its name."""
    return {weight.pair.name: weight.state for weight in found.weights if not weight.same}


def summary(found: Difference) -> list[tuple[Any, ...]]:
    return [(part.name, part.first, part.last, part.state) for part in found.summary]


def screen(*arguments: object, width: int = 80) -> tuple[int, str]:
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(main, ["diff", *map(str, arguments)])
    assert done.stderr == "", done.stderr
    return done.exit_code, done.stdout


@pytest.mark.parametrize("name", ["g1_built", "g3_small", "g4_mobilebert", "tf1_albert_small", "hf_electra"])
def test_a_module_and_its_copy_are_equal_and_nothing_is_listed(name, modules, tmp_path):
    copy = shutil.copytree(modules(name), tmp_path / "copy")
    found = surgery.diff(modules(name), copy)
    assert found.same
    assert found.verdict == "the same weights"
    code, text = screen(modules(name), copy)
    assert code == 0
    assert re.search(r"^different +nothing$", text, re.MULTILINE)
    assert "differ" not in text.partition("equal")[2]


def test_the_numbers_in_the_names_of_functions_are_no_difference(modules, tmp_path):
    """What a second save of one model changes: numbers in names, and names that only a session knows."""

    def save_again(saved_model: Any) -> None:
        data = saved_model.SerializeToString()
        names = [f.signature.name for f in saved_model.meta_graphs[0].graph_def.library.function]
        for name in sorted(names, key=len, reverse=True):
            stem, _, number = name.rpartition("_")
            assert number.isdigit()
            data = data.replace(
                name.encode(), f"{stem}_{str(int(number) + 1)[-len(number) :].zfill(len(number))}".encode()
            )
        saved_model.ParseFromString(data)
        for node in saved_model.meta_graphs[0].graph_def.node:
            if node.op == "VarHandleOp":
                node.attr["shared_name"].s += b"_again"

    again = edited(modules("g3_small"), tmp_path / "again", save_again)
    assert (again / "saved_model.pb").read_bytes() != (modules("g3_small") / "saved_model.pb").read_bytes()
    assert surgery.diff(modules("g3_small"), again).differing == ()


def fine_tuned(folder: Path) -> Path:
    """The sample as fine-tuning leaves it: three words used, the last block moved, another pooler."""

    def train(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        random = np.random.default_rng(1)
        new = dict(tensors)
        for name, value in tensors.items():
            if "encoder.layer.2." in name:
                new[name] = value + random.normal(0, 1e-3, value.shape).astype(np.float32)
            if name.startswith("pooler."):
                new[name] = random.normal(0, 0.1, value.shape).astype(np.float32)
        words = new["embeddings.word_embeddings.weight"] = tensors["embeddings.word_embeddings.weight"].copy()
        words[[7, 8, 101]] += np.float32([[0.01], [0.03], [0.02]])
        return new

    return hugging_face.build(folder, train)


def test_a_fine_tuned_model_against_its_base(modules, tmp_path):
    found = surgery.diff(modules("hf_bert"), fine_tuned(tmp_path / "tuned"))
    assert found.differing == ("variables",)
    assert summary(found) == [
        ("embeddings", None, None, "changed"),
        ("blocks", 0, 1, "identical"),
        ("blocks", 2, 2, "fine-tuned"),
        ("pooler", None, None, "new"),
    ]
    (words,) = (weight for weight in found.weights if weight.pair.name == "word_embeddings/embeddings")
    assert words.difference.rows.ranges == ((7, 8), (101, 101))
    assert [row.row for row in words.difference.rows.farthest] == [8, 101, 7]
    vocabulary = (modules("hf_bert") / "vocab.txt").read_text().splitlines()
    code, text = screen(modules("hf_bert"), tmp_path / "tuned")
    assert code == 8
    assert "blocks 0 and 1  identical" in text
    assert f"row 8  {vocabulary[8]}  " in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_page_shows_a_fine_tuned_model_against_its_base(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fine_tuned(tmp_path / "tuned")
    hugging_face.build(tmp_path / "base")
    (shown,) = (f.text for f in fences("docs/diff.md") if f.language == "text" and "B  tuned" in f.text)
    assert prints(shown.strip("\n"), screen("base", "tuned")[1].strip("\n"))


def as_hugging_face(module: Path, folder: Path, sample: Path) -> Path:
    """The weights of a BERT module under Hugging Face's names and in its layouts, with the config of a sample."""
    shutil.copytree(sample, folder)
    inference = surgery.inspect(module).inference
    values, stored = {}, {}
    with open_module(str(module), with_weights=True) as opened:
        tensors = opened.open_tensors()
        for claim in inference.claims:
            for target in claim.targets:
                values[target] = claim.rule.layout.apply(tensors.read(claim.variable), inference.sizes)
    names = [name for name in load_file(sample / "model.safetensors") if "layer.1." not in name]
    for name in [
        re.sub(r"layer.0", f"layer.{i}", name) for name in names for i in range(inference.architecture.blocks)
    ]:
        ((rule, holes),) = [(r, h) for r in HUGGING_FACE.rules if (h := r.match(name)) is not None]
        value = rule.layout.inverse().apply(values[fill(rule.target, holes)], inference.sizes)
        stored[name] = np.ascontiguousarray(value)
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    fields = inference.architecture.values
    config = json.loads((folder / "config.json").read_text())
    config |= {key: fields[key] for key in config if key in fields and key != "hidden_act"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("name", ["g1_built", "g3_small", "tf1_bert_small"])
def test_equal_weights_under_other_names_and_in_another_layout_are_the_same(name, modules, tmp_path):
    """Kernels [hidden, heads * size] and [hidden, heads, size] against [heads * size, hidden]."""
    there = as_hugging_face(modules(name), tmp_path / "hf", modules("hf_bert"))
    found = surgery.diff(modules(name), there, only="variables")
    masked_lm = name == "tf1_bert_small"
    assert found.verdict == "the same weights in another layout" + ", except for .mlm" * masked_lm
    assert found.same is not masked_lm
    assert {weight.pair.by for weight in found.weights if weight.pair.group == "blocks"} == {"meaning"}
    relaid = {weight.pair.name.rpartition("/")[2] for weight in found.weights if weight.relaid}
    assert relaid == {"kernel"} | ({"bias"} if name == "g3_small" else set())
    assert screen(modules(name), there, "--only", "variables")[0] == (8 if masked_lm else 0)


def test_layouts_need_the_sizes_of_one_side_only(modules, tmp_path):
    """A config without the number of heads explains nothing; the kernels are compared with the other side's."""
    there = as_hugging_face(modules("g1_built"), tmp_path / "hf", modules("hf_bert"))
    config = json.loads((there / "config.json").read_text())
    del config["num_attention_heads"]
    (there / "config.json").write_text(json.dumps(config))
    found = surgery.diff(modules("g1_built"), there, only=("variables", "architecture"))
    assert found.differing == ("architecture",)
    assert found.verdict == "the same weights in another layout"
    assert "no evidence for num_attention_heads" in screen(modules("g1_built"), there, "--only", "architecture")[1]


def test_a_checkpoint_and_the_module_of_the_same_weights(modules):
    found = surgery.diff(modules("tf1_bert_small"), modules("tf1_bert_checkpoint"))
    assert found.verdict == "the same weights"
    assert "format" in found.differing
    assert "variables" not in found.differing
    assert "assets" not in found.differing


def other_model(folder: Path, change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Path:
    """A model that no table knows."""
    random = np.random.default_rng(3)
    tensors = {
        "net.conv.kernel": random.normal(size=(3, 3, 4)).astype(np.float32),
        "net.conv.bias": np.zeros(4, np.float32),
        "net.dense.kernel": random.normal(size=(8, 6)).astype(np.float32),
        "net.dense.bias": np.zeros(6, np.float32),
        "net.step": np.asarray(7, np.int64),
    }
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "other"}')
    save_file(change(tensors), folder / "model.safetensors")
    return folder


def test_what_no_table_knows_is_paired_by_name_and_then_by_content(tmp_path):
    base = other_model(tmp_path / "a", dict)

    def change(tensors):
        kernel = tensors.pop("net.dense.kernel")
        tensors["net.step"] = np.asarray(8, np.int64)
        return {**tensors, "net.renamed": kernel.reshape(8, 2, 3), "net.new": kernel * 2}

    found = surgery.diff(base, other_model(tmp_path / "b", change))
    pairs = {weight.pair.name: (weight.pair.by, weight.state, weight.relaid) for weight in found.weights}
    assert pairs == {
        "net.conv.kernel": ("name", "equal", False),
        "net.conv.bias": ("name", "equal", False),
        "net.dense.bias": ("name", "equal", False),
        "net.dense.kernel": ("content", "equal", True),
        "net.step": ("name", "changed", False),
        "net.new": ("", "only B", False),
    }
    assert {part.name: part.state for part in found.summary} == {
        "conv": "identical",
        "dense": "identical in another layout",
        "step": "changed",
        "new": "only B",
    }


def test_a_weight_that_became_nan_is_no_change_of_size_0(modules, tmp_path):
    """RMS and cosine are of finite numbers, and say nothing of one that is not."""

    def spoil(tensors):
        name = "encoder.layer.1.intermediate.dense.weight"
        spoilt = tensors[name].copy()
        spoilt[2, 3] = np.nan
        return {**tensors, name: spoilt}

    found = surgery.diff(modules("hf_bert"), hugging_face.build(tmp_path / "b", spoil))
    assert [(part.first, part.last, part.state) for part in found.summary if part.changed] == [
        (1, 1, "changed to or from NaN or infinity")
    ]


def test_a_block_that_moved_is_recognised(modules, tmp_path):
    def swap(tensors):
        names = {name: name.replace("layer.0.", "layer.X.").replace("layer.1.", "layer.0.") for name in tensors}
        return {name.replace("layer.X.", "layer.1."): tensors[old] for old, name in names.items()}

    found = surgery.diff(modules("hf_bert"), hugging_face.build(tmp_path / "b", swap))
    held = {weight.pair.name: weight.holds for weight in found.weights if not weight.same}
    assert held[QUERY] == QUERY.replace("layer_1", "layer_0")
    assert held[QUERY.replace("layer_1", "layer_0")] == QUERY
    assert {name.split("/")[1] for name in held} == {"layer_0", "layer_1"}
    assert None not in held.values()


def test_blocks_behind_a_dropped_one_are_recognised(modules, tmp_path):
    """The last block of A has no partner; its bytes stand in another block of B, and mean something else there."""

    def drop(tensors):
        kept = {name: value for name, value in tensors.items() if "layer.0." not in name}
        moved = {re.sub(r"layer\.([12])", lambda found: f"layer.{int(found[1]) - 1}", n): v for n, v in kept.items()}
        return moved | {"classifier.copy": tensors["encoder.layer.2.intermediate.dense.weight"]}

    found = surgery.diff(modules("hf_bert"), hugging_face.build(tmp_path / "b", drop, num_hidden_layers=2))
    assert [(part.first, part.last, part.state) for part in found.summary if part.name == "blocks"] == [
        (0, 1, "new"),
        (2, 2, "only A"),
    ]
    held = {weight.pair.name: weight.holds for weight in found.weights if weight.state == "changed"}
    assert all(
        name.replace("layer_1", "layer_2").replace("layer_0", "layer_1") == there for name, there in held.items()
    )


def test_a_grown_vocabulary_is_compared_by_the_rows_of_both(modules, tmp_path):
    def grow(tensors):
        name = "embeddings.word_embeddings.weight"
        grown = np.concatenate([tensors[name], tensors[name][:5]])
        grown[3] += 1
        return {**tensors, name: grown}

    folder = hugging_face.build(tmp_path / "b", grow, vocab_size=1205)
    with (folder / "vocab.txt").open("a") as file:
        file.write("extra\n")
    lines = (folder / "vocab.txt").read_text().splitlines(keepends=True)
    lines[20], lines[21] = lines[21], lines[20]
    removed = lines.pop(40)
    (folder / "vocab.txt").write_text("".join(lines))
    found = surgery.diff(modules("hf_bert"), folder)
    assert found.differing == ("architecture", "assets", "variables")
    assert changed(found) == {"word_embeddings/embeddings": "shape"}
    (words,) = (weight for weight in found.weights if not weight.same)
    assert words.difference.rows.ranges == ((3, 3),)
    (asset,) = found.assets
    assert asset.lines.removed == ((40, removed.rstrip("\n")),)
    assert asset.lines.added == ((len(lines) - 1, "extra"),)
    assert [(m.a, m.b) for m in asset.lines.moved[:3]] == [(20, 21), (21, 20), (41, 40)]
    (field,) = (fact for fact in found.architecture if not fact.same)
    assert (field.name, field.a, field.b) == ("vocab_size", 1200, 1205)
    assert [evidence.kind for evidence in field.evidence_b] == ["config"]


def test_another_dtype_of_the_same_numbers_is_said(modules, tmp_path):
    """No table converts half precision; a comparison reads it all the same."""

    def halved(tensors):
        return {name: value.astype(np.float16) for name, value in tensors.items()}

    def rounded(tensors):
        return {name: value.astype(np.float32) for name, value in halved(tensors).items()}

    a, b = hugging_face.build(tmp_path / "a", rounded), hugging_face.build(tmp_path / "b", halved)
    found = surgery.diff(a, b, only="variables")
    assert found.verdict == "the same numbers in another dtype"
    assert not found.same
    assert "equal numbers, float32 → float16" in screen(a, b)[1]


def test_a_changed_constant_is_named_where_it_stands_in_the_graph(modules, tmp_path):
    """A factor that no hyperparameter describes: nothing but the operations shows it."""
    pattern = r"layer_1/.*Gelu.*/mul/x"
    other = edited(modules("g4_bert_mlm"), tmp_path / "b", lambda model: set_constants(model, pattern, 0.75))
    found = surgery.diff(modules("g4_bert_mlm"), other)
    assert found.differing == ("operations",)
    assert found.verdict == "the same weights"
    nodes = {node.node: (node.what, node.a, node.b) for graph in found.operations.differing for node in graph.nodes}
    assert nodes
    assert all("layer_1/" in name and name.endswith("mul/x") for name in nodes)
    assert set(nodes.values()) == {("value", "0.5", "0.75")}
    assert {graph.name for graph in found.operations.differing} <= set(found.operations.compared)


def test_signatures_are_compared_by_what_their_outputs_are(modules, tmp_path):
    base = modules("g4_bert_mlm")
    keys = [
        key for key, n in ((n.key, n) for n in surgery.inspect(base).module.output_names) if n.callable == "__call__"
    ]
    swapped = surgery.diff(base, edited(base, tmp_path / "swapped", graphs.swap_outputs(*keys[:2])))
    assert "operations" in swapped.differing
    (graph,) = swapped.operations.differing
    assert {node.node for node in graph.nodes} == set(keys[:2])
    dropped = surgery.diff(base, edited(base, tmp_path / "dropped", graphs.drop_output(keys[0])))
    assert dropped.differing == ("signatures",)
    ((change,),) = (one.changes for one in dropped.signatures)
    assert (change.what, change.key, change.b) == ("output", keys[0], None)
    extra = surgery.diff(edited(base, tmp_path / "extra", graphs.extra_signature("other")), base)
    assert [(one.name, one.only) for one in extra.signatures] == [("other", "A")]


def test_a_signature_of_a_graph_for_training_is_named_with_it(modules, tmp_path):
    def extra(saved_model):
        (train,) = (graph for graph in saved_model.meta_graphs if "train" in graph.meta_info_def.tags)
        train.signature_def["other"].CopyFrom(next(iter(train.signature_def.values())))

    base = modules("tf1_bert_small")
    _, text = screen(base, edited(base, tmp_path / "extra", extra), "--only", "signatures")
    assert "other, in the meta graph train: only B has it" in text


def test_modules_of_two_families_are_compared_by_name(modules):
    found = surgery.diff(modules("g3_small"), modules("g4_albert"))
    assert set(found.differing) >= {"architecture", "variables", "operations"}
    assert {weight.pair.by for weight in found.weights} <= {"name", ""}
    assert next(fact for fact in found.architecture if fact.name == "family").b == "albert"


def test_what_neither_module_has_is_not_called_equal(modules, tmp_path):
    tuned = fine_tuned(tmp_path / "tuned")
    found = surgery.diff(modules("hf_bert"), tuned)
    assert found.absent == ("signatures", "calls", "constants", "operations", "manifest")
    assert set(surgery.diff(modules("hf_bert"), modules("g3_small")).absent) == {"manifest"}
    assert "equal        nothing\nneither has  manifest" in screen(modules("hf_bert"), tuned, "--only", "manifest")[1]


def test_only_the_parts_that_are_asked_for_count(modules, tmp_path):
    tuned = fine_tuned(tmp_path / "tuned")
    assert screen(modules("hf_bert"), tuned, "--only", "assets", "--only", "architecture")[0] == 0
    assert surgery.diff(modules("hf_bert"), tuned, only=("assets",)).compared == ("assets",)
    with pytest.raises(surgery.UsageError, match="only='weights': there is no such part"):
        surgery.diff(modules("hf_bert"), tuned, only="weights")


def test_the_json_has_every_variable_and_every_row(modules, tmp_path):
    code, text = screen(modules("hf_bert"), fine_tuned(tmp_path / "tuned"), "--json")
    data = json.loads(text)
    assert (code, data["same"], data["differing"]) == (8, False, ["variables"])
    weights = {weight["name"]: weight for weight in data["weights"]["variables"]}
    assert len(weights) == len(surgery.inspect(modules("hf_bert")).module.variables)
    words = weights["word_embeddings/embeddings"]["difference"]["rows"]
    assert words["ranges"] == [[7, 8], [101, 101]]
    assert all(len(row["words"]) == 2 for row in words["farthest"])
    assert weights[QUERY]["a"] == {
        "name": "encoder.layer.1.attention.self.query.weight",
        "dtype": "float32",
        "shape": [48, 48],
    }


def test_names_of_strangers_are_escaped_and_their_files_stay_inside(modules, tmp_path):
    a = other_model(tmp_path / "a", dict)
    b = other_model(tmp_path / "b", lambda tensors: {**tensors, "net.\x1b]0;owned\x07": np.ones(3, np.float32)})
    code, text = screen(a, b)
    assert code == 8
    assert "\x1b" not in text
    assert r"net.\x1b]0;owned\x07" in text
    (b / "vocab.txt").symlink_to("/etc/hostname")
    done = CliRunner().invoke(main, ["diff", str(a), str(b)])
    assert done.exit_code == 3
    assert "outside of the module's folder" in done.stderr
    done = CliRunner().invoke(
        main, ["diff", str(modules("hf_bert")), str(modules("hf_bert")), "--limit", "text_bytes=9"]
    )
    assert done.exit_code == 3
    assert "the limit text_bytes" in done.stderr


def test_a_damaged_weight_is_an_error_and_no_difference(modules, tmp_path):
    other = shutil.copytree(modules("g3_small"), tmp_path / "b")
    (shard,) = (other / "variables").glob("*.data-*")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(surgery.ModuleError, match="checksum"):
        surgery.diff(modules("g3_small"), other)


def test_numbers_are_of_clean_modules_that_are_explained(modules, tmp_path):
    def reads_a_file(saved_model: Any) -> None:
        saved_model.meta_graphs[0].graph_def.node.add(name="read", op="ReadFile", input=["path"])

    unclean = edited(modules("g3_small"), tmp_path / "unclean", reads_a_file)
    assert surgery.diff(modules("g3_small"), unclean).differing == ("operations",)
    with pytest.raises(surgery.UntrustedError, match="ReadFile"):
        surgery.diff(modules("g3_small"), unclean, numbers=True)
    with pytest.raises(surgery.UsageError, match="numbers=True: no weight table explains other"):
        surgery.diff(modules("g3_small"), other_model(tmp_path / "other", dict), numbers=True)


def test_weights_that_cannot_be_compared_are_not_called_different(modules):
    found = surgery.diff(modules("g3_small"), modules("g3_small"), only="variables")
    unread = replace(found.weights[0], state="not compared", reason="nothing says how large heads is")
    some = replace(found, weights=(unread, *found.weights[1:]))
    assert (some.verdict, some.same) == ("not all weights could be compared", False)
    changed = replace(found.weights[1], state="changed")
    assert replace(some, weights=(unread, changed)).verdict == "different weights"


def test_a_variable_whose_name_begins_with_a_dot_has_a_verdict(modules):
    """Its group, the beginning of its name, is empty."""
    found = surgery.diff(modules("hf_bert"), modules("hf_bert"), only="variables")
    weights = tuple(replace(weight, pair=replace(weight.pair, group="")) for weight in found.weights)
    assert replace(found, weights=weights).verdict == "the same weights"


def test_numbers_of_which_none_could_be_compared_are_not_equal(modules, capsys):
    """Such as where an operation of the embeddings has no kernel for double precision."""
    found = surgery.diff(modules("hf_bert"), modules("hf_bert"))
    nothing = Numbers(batches=3, outputs=(), lacking={"sequence_output": ("Erf",)})
    found = replace(found, compared=(*found.compared, "numbers"), numbers=nothing)
    assert found.differing == ("numbers",)
    show(found, as_json=False)
    assert "no output could be compared" in capsys.readouterr().out
    assert "the same function" not in page_of(document(found))


def test_comparing_imports_no_tensorflow(modules):
    code, found = probing.imported("diff", modules("g3_small"), modules("hf_bert"))
    heavy = (*probing.HEAVY, *probing.EXTRAS, "jinja2")  # which draws pages
    assert (code, [name for name in heavy if name in found]) == (8, [])
