"""Every variable goes somewhere exactly once, in every dialect; none may be missing, renamed or resized."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from surgery.errors import UnexplainedError
from surgery.explanation.assignment import AssignmentMap, map_weights
from surgery.explanation.claims import explain
from surgery.explanation.inferring import infer_architecture
from surgery.explanation.recognition import candidates
from surgery.families import FAMILIES
from surgery.module import InspectedModule
from surgery.tables.layout import shape_of
from tests.support import editing
from tests.support.editing import inspect_edited, inspected
from tests.support.sample_names import CHECKPOINT_SAMPLES, GRAPH_SAMPLES, TF2_SAMPLES, TRANSFORMERS_SAMPLES

SAMPLES = (*GRAPH_SAMPLES, *CHECKPOINT_SAMPLES)
G1 = ("g1_small", "g1_other")
SECOND_NORM_DIALECT = ("albert", 2)
"""TF1 ALBERT whose block has a second norm of its own: test_checkpoint_assignment.py gives a sample one."""


@pytest.fixture
def explained(modules, shared_modules):
    """A sample by name, inspected, with its inference and its map."""

    def make(name: str):
        module = inspected(shared_modules(name) if name in G1 else modules(name))
        inference = infer_architecture(module)
        return module, inference, map_weights(module, inference)

    return make


def mapped(module: InspectedModule) -> AssignmentMap:
    return map_weights(module, infer_architecture(module))


@pytest.mark.parametrize("name", [*SAMPLES, *G1])
def test_every_variable_is_assigned_kept_or_dropped_exactly_once(name: str, explained):
    module, inference, weights = explained(name)
    twice = [c.variable.name for c in inference.claims if len(c.targets) == 2]
    gone = [a.variable.name for a in weights.assignments] + [v.name for v in weights.kept]
    gone += [d.variable.name for d in weights.dropped]
    assert sorted(gone) == sorted([*(v.name for v in module.variables), *twice])
    assert len(twice) == (2 if name in ("tf1_albert_small", "tf1_albert_checkpoint") else 0)
    lower_case = name in ("g1_built", *TF2_SAMPLES, *G1) and name != "g4_albert"
    assert [v.attribute for v in weights.kept] == (["do_lower_case"] if lower_case else [])
    assert weights.dropped == ()


@pytest.mark.parametrize("name", [*SAMPLES, *G1])
def test_every_target_is_filled_once_with_the_shape_of_its_layout(name: str, explained):
    _, _, weights = explained(name)
    assert len(weights.by_target) == len(weights.assignments)
    for assignment in weights.assignments:
        assert assignment.variable.shape == shape_of(assignment.layout.left, weights.sizes)
        assert assignment.shape == shape_of(assignment.layout.right, weights.sizes)


@pytest.mark.parametrize("name", [*SAMPLES, *G1])
def test_the_layout_of_every_variable_can_be_undone(name: str, explained):
    _, _, weights = explained(name)
    for assignment in weights.assignments:
        array = np.arange(np.prod(assignment.variable.shape), dtype=np.float32).reshape(assignment.variable.shape)
        moved = assignment.layout.apply(array, weights.sizes)
        assert moved.shape == assignment.shape
        assert assignment.layout.inverse().apply(moved, weights.sizes).tobytes() == array.tobytes()


@pytest.mark.parametrize("name", [*SAMPLES, *G1])
def test_exactly_one_dialect_explains_a_sample_with_no_row_idle(name: str, explained):
    module, inference, _ = explained(name)
    weights = [v for v in module.variables if v.attribute is None]
    complete = [e for _, d in candidates(module) if (e := explain(d, weights, module.scope)).complete]
    assert len(complete) == 1
    assert complete[0].idle == complete[0].unclaimed == complete[0].ambiguous == ()
    assert complete[0].claims == inference.claims


def test_berts_and_robertas_checkpoints_have_the_same_names_and_only_the_config_tells(explained):
    module, _, _ = explained("hf_roberta")
    found = {f.name for f in FAMILIES for d in f.dialects if explain(d, module.variables).complete}
    assert found == {"bert", "roberta"}


def test_every_dialect_of_bert_has_a_sample(explained):
    families = {family.name: family for family in FAMILIES}
    seen = set()
    for name in (*SAMPLES, *G1):
        module, _, _ = explained(name)
        weights = [v for v in module.variables if v.attribute is None]
        seen |= {number for number, d in enumerate(families["bert"].dialects) if explain(d, weights).complete}
    assert seen >= set(range(4))


MOBILEBERT_DIALECTS = {("mobilebert", 2), ("mobilebert", 3)}
"""Those of transformers, whose checkpoints tests/checkpoints makes of the samples."""


def test_every_published_dialect_has_a_sample(explained):
    published = {(f.name, n): d for f in FAMILIES for n, d in enumerate(f.dialects) if d.publisher is not None}
    listings = [explained(name)[0] for name in (*CHECKPOINT_SAMPLES, *TRANSFORMERS_SAMPLES)]
    seen = {place for place, d in published.items() if any(explain(d, m.variables, m.scope).complete for m in listings)}
    assert published.keys() - seen == {SECOND_NORM_DIALECT, *MOBILEBERT_DIALECTS}


def test_the_generations_lead_to_the_same_targets(explained):
    def encoder(name):
        return {a.target for a in explained(name)[2].assignments if a.part == "encoder"}

    assert encoder("g2_small") == encoder("g4_bert_mlm") == encoder("g4_bert_v2") == encoder("g4_prenorm")
    more = encoder("g4_electra") - encoder("g4_bert_mlm")
    assert more == {"embedding_projection/kernel", "embedding_projection/bias"}
    assert encoder("g1_small") == encoder("g2_small")


@pytest.mark.parametrize(
    ("name", "of_tf2", "lacking"),
    [
        ("hf_bert", "g4_bert_dropouts", set()),
        ("tf1_bert_checkpoint", "g4_bert_mlm", set()),
        ("hf_electra", "g4_electra", {"pooler_transform/kernel", "pooler_transform/bias"}),
        ("hf_albert", "g4_albert_dropout", set()),
        ("tf1_albert_checkpoint", "g4_albert", set()),
    ],
)
def test_a_checkpoint_leads_to_the_targets_of_the_same_encoder_in_a_module(name, of_tf2, lacking, explained):
    here, there = ({a.target for a in explained(other)[2].assignments} for other in (name, of_tf2))
    assert there - here == lacking
    assert here <= there


def test_query_key_value_and_blocks_keep_their_places(explained):
    _, _, weights = explained("g4_bert_v2")
    for target, assignment in weights.by_target.items():
        if "self_attention/" in target:
            assert assignment.variable.name == f"bert_encoder_v2/{target}"


def test_the_head_s_weights_belong_to_the_head(explained):
    _, _, weights = explained("g4_bert_mlm")
    assert {a.target for a in weights.assignments if a.part == "mlm"} == {
        "cls/predictions/output_bias/bias",
        "cls/predictions/transform/dense/kernel",
        "cls/predictions/transform/dense/bias",
        "cls/predictions/transform/LayerNorm/gamma",
        "cls/predictions/transform/LayerNorm/beta",
    }


@pytest.mark.parametrize("name", ["g2_small", "g4_bert_mlm", "g4_electra", *CHECKPOINT_SAMPLES])
def test_no_variable_can_be_missing(name: str, explained):
    module, _, weights = explained(name)
    through = []
    for assignment in weights.assignments:
        without = replace(module, variables=tuple(v for v in module.variables if v is not assignment.variable))
        try:
            mapped(without)
        except UnexplainedError:
            continue
        through.append(assignment.variable.name)
    assert through == []


@pytest.mark.parametrize("name", ["g2_small", "g4_bert_mlm", "g4_electra", *CHECKPOINT_SAMPLES])
def test_no_variable_can_have_another_name_or_size(name: str, explained):
    module, _, weights = explained(name)
    through = []
    for assignment in weights.assignments:
        variable = assignment.variable
        shapes = [(*variable.shape[:i], size + 1, *variable.shape[i + 1 :]) for i, size in enumerate(variable.shape)]
        changed = [replace(variable, name=f"{variable.name}_9"), replace(variable, shape=(*variable.shape, 1))]
        changed += [replace(variable, shape=shape) for shape in shapes]
        for other in changed:
            try:
                mapped(replace(module, variables=tuple(other if v is variable else v for v in module.variables)))
            except UnexplainedError:
                continue
            through.append((other.name, other.shape))
    # Nothing else in a module holds these sizes: a table of another length is another vocabulary, and sound. The
    # config of a checkpoint holds them all.
    tables = ("type_embeddings/embeddings", "position_embedding/embeddings", "word_embeddings/embeddings")
    alone = () if module.config is not None else tables
    assert [found for found in through if found[0] not in alone] == []


def test_two_variables_that_claim_one_target_are_named_together(modules, tmp_path):
    def edit(saved_model):
        editing.add_variable(saved_model, "position_embedding_1/embeddings", (96, 64))

    module = inspect_edited(modules("g4_bert_mlm"), tmp_path / "doubled", edit)
    with pytest.raises(UnexplainedError, match=r"claimed by position_embedding/embeddings and position_embedding_1"):
        mapped(module)


def test_a_weight_that_only_one_block_lacks_is_named_with_its_block(modules, tmp_path):
    def edit(saved_model):
        editing.drop_variable(saved_model, "transformer/layer_1/self_attention/key/bias")

    module = inspect_edited(modules("g4_bert_mlm"), tmp_path / "gap", edit)
    with pytest.raises(UnexplainedError, match="nothing matches transformer/layer_1/self_attention/key/bias"):
        mapped(module)


def test_a_head_without_a_callable_is_dropped_with_the_reason(explained, modules):
    module, _, _ = explained("g4_bert_mlm")
    without = replace(module, traces=tuple(t for t in module.traces if t.callable != "mlm"))
    weights = map_weights(without, infer_architecture(without, {"mlm_act": "gelu_tanh", "mlm_layer_norm_eps": 1e-12}))
    assert len(weights.dropped) == 5
    assert {d.because for d in weights.dropped} == {"the module has no callable .mlm that would use it"}
