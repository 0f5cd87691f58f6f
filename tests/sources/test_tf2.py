"""What is read of a TF2 SavedModel, and what is said of a damaged one."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest

import surgery
from surgery.errors import ModuleError, SurgeryError
from surgery.module import describe
from tests.support import editing
from tests.support.editing import edited, inspected, objects
from tests.support.synthetic import CNN, write_saved_model

TENSOR = "float32 [?, ?, 64]"


def test_the_facts_of_a_dict_call_module(modules):
    module = inspected(modules("g4_bert_mlm"))
    assert module.format == "TF2 SavedModel"
    assert module.callables == ("__call__", "mlm")
    assert module.assets == {"vocab_file": "assets/vocab.txt"}
    assert [g.tags for g in module.meta_graphs] == [("serve",)]
    assert list(module.signatures) == ["serving_default"]
    assert module.problems == ()
    assert set(module.fingerprint) == {"saved_model.pb", "variables/variables.index"}


def test_the_structures_of_the_calls(modules):
    module = inspected(modules("g4_bert_mlm"))
    tokens = dict.fromkeys(("input_mask", "input_type_ids", "input_word_ids"), "int32 [?, ?]")
    outputs = {
        "encoder_outputs": [TENSOR] * 3,
        "pooled_output": "float32 [?, 64]",
        "sequence_output": TENSOR,
    }
    call, mlm = module.trace("__call__", training=False), module.trace("mlm", training=False)
    assert describe(call.inputs) == tokens
    assert describe(call.outputs) == outputs | {"default": "float32 [?, 64]"}
    assert set(describe(mlm.inputs)) == {*tokens, "masked_lm_positions"}
    assert describe(mlm.outputs) == outputs | {"mlm_logits": "float32 [?, ?, 1200]"}


def test_a_list_call_takes_a_list_and_returns_the_ends(modules):
    call = inspected(modules("g2_small")).trace("__call__", training=False)
    assert describe(call.inputs) == ["int32 [?, ?]"] * 3
    assert describe(call.outputs) == ["float32 [?, 64]", TENSOR]


def test_both_modes_of_a_call_are_told_apart(modules):
    module = inspected(modules("g4_prenorm"))
    training, inference = (module.trace("__call__", training=mode) for mode in (True, False))
    assert (training.training, inference.training) == (True, False)
    assert training.function != inference.function


def test_the_constant_beside_the_weights_is_an_attribute_and_no_weight(modules):
    (flag,) = [v for v in inspected(modules("g4_electra")).variables if v.attribute]
    assert (flag.attribute, flag.name, flag.dtype, flag.shape, flag.trainable) == (
        "do_lower_case",
        "Variable",
        "bool",
        (),
        False,
    )


def test_every_weight_is_trainable_float32_and_counted_in_bytes(modules):
    module = inspected(modules("g4_electra"))
    weights = [v for v in module.variables if not v.attribute]
    assert len(weights) == 57
    assert all(v.trainable and v.dtype == "float32" for v in weights)
    assert module.weight_bytes == 1 + 4 * sum(int(np.prod(v.shape)) for v in weights)
    assert len({v.path for v in module.variables}) == len(module.variables)


def test_a_frozen_encoder_is_not_trainable_though_its_variables_are(modules, tmp_path):
    """Fine-tuning uses the list `trainable_variables`: the variables' own flags survive a frozen layer."""

    def freeze(saved_model):
        graph = objects(saved_model)
        root = {child.local_name: child.node_id for child in graph.nodes[0].children}
        del graph.nodes[root["trainable_variables"]].children[:]

    module = inspected(edited(modules("g4_electra"), tmp_path / "frozen", freeze))
    assert not any(v.trainable for v in module.variables)


def test_a_module_that_is_no_encoder_is_inspected_and_not_explained(tmp_path):
    found = surgery.inspect(write_saved_model(tmp_path / "cnn", CNN))
    assert found.module.format == "TF2 SavedModel"
    assert found.inference is None
    assert "none is near" in str(found.unexplained)


def broken(folder, *words: str) -> None:
    """`plan` refuses the folder with these words; `inspect` shows them among the problems."""
    with pytest.raises(ModuleError) as caught:
        surgery.plan(folder)
    for word in words:
        assert word in str(caught.value)
    assert surgery.inspect(folder).module.problems


@pytest.mark.parametrize(
    "name", ["variables/variables.index", "variables/variables.data-00000-of-00001", "assets/vocab.txt"]
)
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_file_that_is_missing_or_empty_is_named(name: str, how: str, modules, tmp_path):
    folder = tmp_path / "module"
    shutil.copytree(modules("g3_small"), folder)
    (folder / name).unlink()
    if how == "empty":
        (folder / name).touch()
    broken(folder, name.partition(".data")[0])


def test_a_shard_that_is_missing_is_counted(modules, tmp_path):
    folder = tmp_path / "module"
    shutil.copytree(modules("g3_small"), folder)
    shard = folder / "variables" / "variables.data-00000-of-00001"
    shard.rename(shard.with_name("variables.data-00000-of-00002"))
    broken(folder, "expected 2 shards, found 1")


def test_a_graph_truncated_anywhere_is_a_module_error(modules, tmp_path):
    folder = tmp_path / "module"
    shutil.copytree(modules("g3_small"), folder)
    whole = (folder / "saved_model.pb").read_bytes()
    lengths = {*range(12), *(len(whole) - i for i in range(1, 12)), *range(0, len(whole), len(whole) // 60)}
    for length in sorted(lengths):
        (folder / "saved_model.pb").write_bytes(whole[:length])
        for command in (surgery.inspect, surgery.plan):
            with pytest.raises(ModuleError, match=r"saved_model\.pb"):
                command(folder)


def test_flipped_bytes_never_end_in_anything_but_a_surgery_error(modules, tmp_path):
    folder = tmp_path / "module"
    shutil.copytree(modules("g4_electra"), folder)
    whole = (folder / "saved_model.pb").read_bytes()
    tracebacks = []
    for seed in range(100):
        draw, damaged = random.Random(seed), bytearray(whole)
        for _ in range(4):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        (folder / "saved_model.pb").write_bytes(damaged)
        try:
            surgery.plan(folder)
        except SurgeryError:
            pass
        except Exception as error:
            tracebacks.append((seed, repr(error)[:80]))
    assert tracebacks == []


def no_library(saved_model):
    del saved_model.meta_graphs[0].graph_def.library.function[:]


def no_such_node(saved_model):
    next(editing.node_defs(saved_model, "layer_1/output_layer_norm/batchnorm/add")).input[0] = "nowhere:y:0"


def no_such_object(saved_model):
    objects(saved_model).nodes[0].children.add(node_id=10**6, local_name="lost")


def no_such_asset(saved_model):
    del saved_model.meta_graphs[0].asset_file_def[:]


def no_such_dtype(saved_model):
    editing.variable(saved_model, "pooler_transform/bias").variable.dtype = 999


@pytest.mark.parametrize("edit", [no_library, no_such_node, no_such_object, no_such_asset, no_such_dtype])
def test_a_graph_whose_parts_do_not_fit_together_is_a_surgery_error(edit, modules, tmp_path):
    folder = edited(modules("g4_electra"), tmp_path / "module", edit)
    for command in (surgery.inspect, surgery.plan):
        try:
            command(folder)
        except SurgeryError:
            continue


def test_a_variable_of_a_dtype_that_numpy_lacks_can_still_be_inspected(modules, tmp_path):
    quantised = 11  # DT_QINT8

    def edit(saved_model):
        editing.variable(saved_model, "pooler_transform/bias").variable.dtype = quantised

    module = surgery.inspect(edited(modules("g4_electra"), tmp_path / "module", edit)).module
    assert "qint8" in {v.dtype for v in module.variables}


def test_a_weight_that_is_not_float32_is_refused_before_anything_slow(modules, tmp_path):
    half = 19  # DT_HALF

    def edit(saved_model):
        editing.variable(saved_model, "pooler_transform/bias").variable.dtype = half

    with pytest.raises(SurgeryError, match=r"pooler_transform/bias[\s\S]*float16"):
        surgery.plan(edited(modules("g4_electra"), tmp_path / "module", edit))


def test_an_object_graph_of_a_checkpoint_that_has_not_what_it_names(modules):
    module = inspected(modules("g3_small"))
    variable = next(variable for variable in module.variables if variable.path is not None)
    tensors = module.open_tensors()
    for number in (-1, 10**6):
        for node in tensors._graph.nodes:
            for child in node.children:
                child.node_id = number
        with pytest.raises(ModuleError, match=r"the checkpoint's object graph has no |expected one tensor, found"):
            tensors.check([variable])
    del tensors._graph.nodes[:]
    with pytest.raises(ModuleError, match="the checkpoint's object graph has no "):
        tensors.check([variable])
