"""`surgery checkpoint`: names, layouts, config and files; what is refused, and that nothing false is published."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from safetensors.numpy import load_file

import surgery
from surgery.checkpoints import naming
from surgery.checkpoints.differences import Differences
from surgery.checkpoints.kept import Kept
from surgery.checkpoints.safetensors_file import write_safetensors
from surgery.cli.main import main
from surgery.errors import ParityError, UnexplainedError, UsageError
from surgery.export.manifest import MANIFEST
from surgery.jobs import checkpoint as job
from tests.support.builders import hugging_face
from tests.support.editing import inspected
from tests.support.hostile_names import HOSTILE
from tests.support.probing import run
from tests.support.sample_names import HUGGING_FACE_SAMPLES


@pytest.fixture(scope="module")
def masked_lm(modules, tmp_path_factory):
    """The checkpoint of a module with a masked-LM head."""
    return surgery.checkpoint(modules("g4_bert_mlm"), tmp_path_factory.mktemp("masked_lm") / "out")


def values(module):
    """The module's variables by name."""
    found = inspected(module)
    tensors = found.open_tensors()
    return {variable.name: np.asarray(tensors.read(variable)) for variable in found.variables}


def test_each_tensor_has_transformers_name_and_axes(masked_lm, modules):
    found, module = load_file(masked_lm.destination / "model.safetensors"), values(modules("g4_bert_mlm"))
    block, stored = "transformer/layer_1/", "bert.encoder.layer.1."
    query, output = (
        module[block + "self_attention/query/kernel"],
        module[block + "self_attention/attention_output/kernel"],
    )
    expected = {
        "bert.embeddings.word_embeddings.weight": module["word_embeddings/embeddings"],
        "bert.embeddings.LayerNorm.weight": module["embeddings/layer_norm/gamma"],
        stored + "attention.self.query.weight": query.reshape(64, 64).T,
        stored + "attention.self.query.bias": module[block + "self_attention/query/bias"].ravel(),
        stored + "attention.output.dense.weight": output.reshape(64, 64).T,
        stored + "intermediate.dense.weight": module[block + "intermediate/kernel"].T,
        stored + "output.LayerNorm.bias": module[block + "output_layer_norm/beta"],
        "bert.pooler.dense.weight": module["pooler_transform/kernel"].T,
        "cls.predictions.bias": module["bert/cls/predictions/output_bias/bias"],
    }
    assert len(found) == masked_lm.accounting.tensors == 60
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_config_has_every_key_that_evidence_gives_and_no_other(masked_lm):
    assert json.loads((masked_lm.destination / "config.json").read_text()) == {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "num_hidden_layers": 3,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "intermediate_size": 160,
        "vocab_size": 1200,
        "max_position_embeddings": 96,
        "type_vocab_size": 2,
        "hidden_act": "gelu_new",
        "attention_probs_dropout_prob": 0.1,
        "hidden_dropout_prob": 0.1,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }


def test_the_tokenizer_is_the_modules_with_its_casing(masked_lm, modules):
    config = json.loads((masked_lm.destination / "tokenizer_config.json").read_text())
    assert (config["tokenizer_class"], config["do_lower_case"], config["model_max_length"]) == (
        "BertTokenizer",
        True,
        96,
    )
    vocabulary = modules("g4_bert_mlm") / "assets" / "vocab.txt"
    assert (masked_lm.destination / "vocab.txt").read_bytes() == vocabulary.read_bytes()


def test_a_checkpoint_of_ours_converts_to_the_same_weights_under_the_same_names(masked_lm, tmp_path):
    again = surgery.checkpoint(masked_lm.destination, tmp_path / "again")
    for file in ("config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"):
        assert (again.destination / file).read_bytes() == (masked_lm.destination / file).read_bytes(), file


@pytest.mark.parametrize("sample", HUGGING_FACE_SAMPLES)
def test_a_hugging_face_folder_comes_back_bit_by_bit(sample, modules, tmp_path):
    done = surgery.checkpoint(modules(sample), tmp_path / "out", tokenizer=False)
    before, after = (load_file(folder / "model.safetensors") for folder in (modules(sample), done.destination))
    assert {name: value.tobytes() for name, value in after.items()} == {n: v.tobytes() for n, v in before.items()}
    theirs = json.loads((modules(sample) / "config.json").read_text())
    ours = json.loads((done.destination / "config.json").read_text())
    assert {key: theirs.get(key, value) for key, value in ours.items()} == ours


@pytest.mark.parametrize(
    ("sample", "options", "error", "reason"),
    [
        ("g4_prenorm", {}, UnexplainedError, "norm_first is True"),
        ("g4_talkheads", {}, UnexplainedError, "no model whose attention heads talk"),
        ("g4_mobilebert_layer_norm", {}, UnexplainedError, "layer norms of a MobileBERT have two epsilons"),
        ("g4_electra", {}, UsageError, "ElectraModel has no place for pooler_transform.*drop_pooler=True"),
        ("g4_bert_dropouts", {}, UsageError, "embedding_dropout 0.2, attention_output_dropout 0.05.*merge_dropout"),
        ("g4_albert_dropout", {}, UsageError, "output_dropout 0.1.*merge_dropout"),
        ("g4_bert_dropouts", {"merge_dropout": 0.3}, UsageError, "expected one of the module's rates, 0.0 or 0.05"),
        ("hf_bert", {}, UsageError, "nothing says whether its texts are lower-cased"),
        ("g2_small", {"pooling": "mean_max"}, UsageError, "sentence-transformers has no such pooling"),
        (
            "g2_small",
            {"pooling": "mean", "tokenizer": False},
            UsageError,
            "no folder without a tokenizer.*tokenizer=False",
        ),
        ("hf_electra", {"drop_pooler": True, "tokenizer": False}, UsageError, "has no pooler that can be left out"),
    ],
)
def test_what_transformers_cannot_express_is_refused_before_anything_is_written(
    sample, options, error, reason, modules, tmp_path
):
    if sample == "hf_bert":
        shutil.copytree(modules(sample), tmp_path / "module")
        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        (tmp_path / "module" / "vocab.txt").write_text("\n".join(tokens))
    module = tmp_path / "module" if sample == "hf_bert" else modules(sample)
    with pytest.raises(error, match=f"(?s){reason}"):
        surgery.checkpoint(module, tmp_path / "out", **options)
    assert not list(tmp_path.glob("*out*"))


def test_a_sentencepiece_checkpoint_without_casing_needs_it_said(modules, tmp_path):
    """Model Garden's exporter lower-cases for every SentencePiece model; a checkpoint is another exporter's."""
    shutil.copytree(modules("hf_albert"), tmp_path / "module")
    pieces = next((modules("g4_albert") / "assets").glob("*.model"))
    shutil.copy(pieces, tmp_path / "module" / "spiece.model")
    with pytest.raises(UsageError, match=r"nothing says whether its texts are lower-cased[\s\S]*tokenizer=False"):
        surgery.checkpoint(tmp_path / "module", tmp_path / "out")
    done = surgery.checkpoint(tmp_path / "module", tmp_path / "out", lower_case=False)
    config = json.loads((done.destination / "tokenizer_config.json").read_text())
    assert (config["tokenizer_class"], config["do_lower_case"]) == ("AlbertTokenizer", False)


def test_a_layer_of_another_width_than_the_class_makes_is_refused(modules):
    """transformers makes MobileBERT's queries of a bottleneck. This sample's are made of the block's wider input."""
    planned = surgery.plan(modules("g4_mobilebert_layer_norm"))
    values = planned.architecture.values | {"normalization_type": "no_norm", "layer_norm_eps": None}
    inference = replace(planned.inference, architecture=replace(planned.architecture, values=values))
    with pytest.raises(UnexplainedError, match=r"no place for transformer_layer_0/attention/query/kernel \[64, 4, 8\]"):
        naming.choose_form(planned.module, inference, Kept(assignments=planned.weights.assignments))


def test_heads_that_are_not_the_hidden_size_together_are_refused(modules, tmp_path):
    """As after the pruning of every block's last head."""

    def uniform(tensors):
        pruned = {}
        for name, value in tensors.items():
            if "attention.self" in name:
                value = value[: len(value) * 3 // 4]
            elif "attention.output.dense.weight" in name:
                value = value[:, : value.shape[1] * 3 // 4]
            pruned[name] = np.ascontiguousarray(value)
        return pruned

    heads = json.loads((modules("hf_bert") / "config.json").read_text())["num_attention_heads"]
    module = hugging_face.build(tmp_path / "uniform", uniform, num_attention_heads=heads * 3 // 4)
    with pytest.raises(UnexplainedError, match="3 heads of 12 values are not hidden_size, 48"):
        surgery.checkpoint(module, tmp_path / "out", tokenizer=False)


@pytest.mark.parametrize(
    ("applied", "pruned", "reason"),
    [
        ("insert Activation 'relu' after block 1", [[], [], []], "transformers has no such layer"),
        ("replace block 1 by Dense 'd'", [[], [], []], "transformers has no such layer"),
        ("prune heads 0 of blocks 1", [[], [0], []], "different numbers of heads"),
    ],
)
def test_an_edited_export_with_other_layers_is_refused_by_its_manifest(applied, pruned, reason, modules, tmp_path):
    """A layer without weights leaves no variable, so that no table could see it."""
    folder = tmp_path / "edited"
    shutil.copytree(modules("g3_small"), folder)
    blocks = [{"origin": number, "pruned_heads": heads} for number, heads in enumerate(pruned)]
    (folder / MANIFEST).parent.mkdir(exist_ok=True)
    (folder / MANIFEST).write_text(json.dumps({"edits": {"applied": [{"edit": applied}], "blocks": blocks}}))
    with pytest.raises(UnexplainedError, match=reason):
        surgery.checkpoint(folder, tmp_path / "out")


def test_a_merged_dropout_is_named_everywhere(modules, tmp_path):
    done = surgery.checkpoint(modules("g4_bert_dropouts"), tmp_path / "out", merge_dropout=0.05)
    config = json.loads((done.destination / "config.json").read_text())
    assert (config["hidden_dropout_prob"], config["attention_probs_dropout_prob"]) == (0.05, 0.05)
    assert done.planned.config.changed["embedding_dropout"] == 0.2
    text = (done.destination / "README.md").read_text()
    assert "- `embedding_dropout` is 0.2 there, 0.05 here" in text
    assert "| `embedding_dropout` | `0.2` |" in text


def test_a_dropped_pooler_is_accounted_for(modules, tmp_path):
    done = surgery.checkpoint(modules("g2_small"), tmp_path / "out", drop_pooler=True)
    assert not [name for name in load_file(done.destination / "model.safetensors") if "pooler" in name]
    assert [row.because for row in done.planned.left_out] == ["the pooler is left out, as asked"] * 2
    assert done.planned.random_layers == ("pooler",)
    assert "add_pooling_layer=False" in (done.destination / "README.md").read_text()


def test_the_files_of_sentence_transformers_name_the_pooling(modules, tmp_path):
    done = surgery.checkpoint(modules("g2_small"), tmp_path / "out", pooling="cls")
    pooling = json.loads((done.destination / "1_Pooling" / "config.json").read_text())
    assert [key for key, value in pooling.items() if value is True] == ["pooling_mode_cls_token"]
    assert [row["path"] for row in json.loads((done.destination / "modules.json").read_text())] == ["", "1_Pooling"]


MUTATIONS = {
    "a bit of a tensor": lambda patch: patch.setattr(job, "write_safetensors", flipping),
    "square kernels as they are": lambda patch: patch.setattr(job, "write_safetensors", transposing),
    "another epsilon": lambda patch: patch.setattr(
        job, "_write_json", changing("layer_norm_eps", 1e-5, job._write_json)
    ),
    "other heads": lambda patch: patch.setattr(job, "_write_json", changing("num_attention_heads", 2, job._write_json)),
    "another activation": lambda patch: patch.setattr(
        job, "_write_json", changing("hidden_act", "gelu", job._write_json)
    ),
}


def flipping(path, shapes, value):
    write_safetensors(path, shapes, value)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def transposing(path, shapes, value):
    square = {name for name, shape in shapes.items() if len(shape) == 2 and shape[0] == shape[1]}
    write_safetensors(path, shapes, lambda name: value(name).T if name in square else value(name))


def changing(key, value, write):
    return lambda path, content: write(path, content | {key: value} if key in content else content)


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_checkpoint_that_is_not_the_module_is_never_published(mutation, modules, tmp_path, monkeypatch):
    MUTATIONS[mutation](monkeypatch)
    with pytest.raises(ParityError, match="nothing was published"):
        surgery.checkpoint(modules("g2_small"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_could_not_be_computed_is_said_and_is_no_other_function(masked_lm):
    """Such as where an operation of the module has no kernel for double precision."""
    differences = Differences(batches=3, outputs=(), formulas=(), not_compared=("pooled_output",))
    with pytest.raises(ParityError, match=r"(?s)graph could not compute pooled_output.*verify=True") as caught:
        job._check_computed(differences, masked_lm.planned.plan.module)
    assert "not the same function" not in str(caught.value)


def test_a_tensor_that_is_left_out_is_found(modules, tmp_path, monkeypatch):
    form_of = naming.choose_form

    def without_last(*arguments):
        form = form_of(*arguments)
        kept = [tensor for tensor in form.tensors if "output.LayerNorm.bias" not in tensor.name]
        return replace(form, tensors=tuple(kept))

    monkeypatch.setattr("surgery.checkpoints.plan.choose_form", without_last)
    with pytest.raises(ParityError, match="nothing was published"):
        surgery.checkpoint(modules("g2_small"), tmp_path / "out")


def test_one_tensor_at_a_time_is_in_memory(tmp_path):
    names = [f"tensor_{number}" for number in range(12)]
    made = []

    def value(name):
        made.append(name)
        return np.full((500, 1000), names.index(name), np.float32)

    tracemalloc.start()
    write_safetensors(tmp_path / "file", dict.fromkeys(names, (500, 1000)), value)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made == names
    assert peak < 2 * 4 * 500 * 1000
    found = load_file(tmp_path / "file")
    assert [found[name][0, 0] for name in names] == list(range(12))


def test_the_whole_job_holds_a_small_part_of_the_weights(tmp_path):
    """Twenty-four wide blocks: 40 MB of weights in tensors of at most 0.8 MB."""
    blocks, wide = 24, 4096

    def widened(tensors):
        random = np.random.default_rng(3)
        found = {name: value for name, value in tensors.items() if ".layer." not in name}
        for number in range(blocks):
            for name, value in tensors.items():
                if ".layer.0." in name:
                    shape = [wide if size == inner else size for size in value.shape]
                    large = "intermediate" in name or ".output.dense.weight" in name.replace("attention.output", "")
                    new = random.normal(size=shape).astype(np.float32) if large else value
                    found[name.replace(".0.", f".{number}.")] = new
        return found

    inner = json.loads((hugging_face.build(tmp_path / "small") / "config.json").read_text())["intermediate_size"]
    module = hugging_face.build(tmp_path / "deep", widened, num_hidden_layers=blocks, intermediate_size=wide)
    total = (module / "model.safetensors").stat().st_size
    tracemalloc.start()
    surgery.checkpoint(module, tmp_path / "out", tokenizer=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > 30e6
    assert peak < total / 5


def test_nothing_imports_tensorflow(modules, tmp_path):
    assert run("checkpoint", modules("tf1_bert_small"), tmp_path / "out") == (0, [])
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_the_card_says_what_was_proven_and_of_what(masked_lm, modules):
    text = (masked_lm.destination / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front == {"library_name": "transformers", "pipeline_tag": "fill-mask", "tags": ["bert"]}
    assert "Only this was proven. No output of the checkpoint was computed." in text
    assert all(digest in text for digest in masked_lm.planned.plan.module.fingerprint.values())
    assert "| `layer_norm_eps` | `1e-12` | `" in text
    assert "| `attention_mask_adder` | `-1000000000.0` |" in text
    assert "the 20 hyperparameters above, as the source has them, except `attention_mask_adder`" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_cannot_write_into_the_card(name, masked_lm):
    from surgery.checkpoints.card import card

    plan = masked_lm.planned.plan
    hostile = replace(masked_lm.planned, plan=replace(plan, module=replace(plan.module, name=name)))
    lines, plain = (card(p, masked_lm.accounting, None).splitlines() for p in (hostile, masked_lm.planned))
    assert [line for line in lines if not line.startswith("# ")] == [
        line for line in plain if not line.startswith("# ")
    ]


def test_an_existing_folder_is_only_replaced_when_asked_and_only_a_checkpoint(masked_lm, modules, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years")
    for options, reason in (({}, "it exists already"), ({"overwrite": True}, "it has no config.json")):
        with pytest.raises(UsageError, match=reason):
            surgery.checkpoint(modules("g2_small"), tmp_path / "out", **options)
    shutil.copytree(masked_lm.destination, tmp_path / "old")
    done = surgery.checkpoint(modules("g2_small"), tmp_path / "old", overwrite=True)
    assert json.loads((done.destination / "config.json").read_text())["architectures"] == ["BertModel"]


def test_the_command_prints_the_proof_and_its_json_has_every_tensor(modules, tmp_path):
    arguments = ["checkpoint", str(modules("g4_electra")), str(tmp_path / "out")]
    refused = CliRunner().invoke(main, arguments)
    assert (refused.exit_code, "--drop-pooler" in refused.stderr) == (2, True)
    done = CliRunner().invoke(main, [*arguments, "--drop-pooler"])
    assert done.exit_code == 0
    assert "tensors: all 55 have the bits of the module's variables" in done.stdout
    assert "outputs: not computed; --verify" in done.stdout
    found = json.loads(CliRunner().invoke(main, [*arguments, "--drop-pooler", "--overwrite", "--json"]).stdout)
    assert found["class"] == "ElectraModel"
    assert len(found["tensors"]) == found["proof"]["tensors"] == 55
