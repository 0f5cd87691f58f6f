"""Edits aim at places: what they hit, how blocks are numbered afterwards, and every wrong aim is refused."""

from __future__ import annotations

import pytest

import surgery
from surgery.edits import DropBlocks, InsertLayer, KeepBlocks, PruneHeads, ReplaceBlock
from surgery.errors import UsageError
from surgery.planning.edit_words import NamedLayer, describe, read_edit


def layer(states):
    return states


def test_an_edit_says_how_many_places_it_hit(modules):
    model = surgery.edit(modules("g3_small"), KeepBlocks("1:"), DropBlocks("0"), PruneHeads((0, -1), "-1"))
    assert model.hits == {"keep blocks 1:": 3, "drop block 0": 1, "prune heads 0, -1 of block -1": 2}
    assert [block.origin for block in model.edited.blocks] == [2, 3]
    assert [block.pruned for block in model.edited.blocks] == [(), (0, 5)]


@pytest.mark.parametrize("name", ["g3_small", "g4_mobilebert", "g4_talkheads", "tf1_bert_small"])
def test_blocks_that_stay_are_numbered_anew_and_the_others_dropped_with_the_reason(name, modules):
    whole = surgery.plan(modules(name))
    edited = surgery.edit(modules(name), DropBlocks("1")).edited.plan
    of_block = {claim.variable.name: claim.holes.get("layer") for claim in whole.inference.claims}
    moved = {a.target: of_block[a.variable.name] for a in edited.weights.assignments}
    for target, block in moved.items():
        if block is not None:
            wanted = int(block) - (int(block) > 1)
            assert any(f"layer_{wanted}{end}" in target + "/" for end in ("/", "_")), (target, block)
    gone = [d for d in edited.weights.dropped if d.because == "its block is dropped by an edit"]
    assert {of_block[d.variable.name] for d in gone} == {"1"}
    assert len(edited.weights.assignments) + len(gone) == len(whole.weights.assignments)
    assert edited.inference.architecture["num_hidden_layers"] == whole.inference.architecture["num_hidden_layers"] - 1


def test_what_must_stay_the_same_ends_at_the_first_effect(modules):
    def unchanged(*edits):
        return surgery.edit(modules("g3_small"), *edits).edited.unchanged

    assert unchanged(KeepBlocks(":3")) == 3
    assert unchanged(DropBlocks("0")) == 0
    assert unchanged(DropBlocks("2")) == 2
    assert unchanged(PruneHeads((0,), "1")) == 1
    assert unchanged(InsertLayer(1, layer)) == 2  # the block's own output stays
    assert unchanged(ReplaceBlock(1, layer)) == 1


class OfKeras3:
    """Stands for a layer of Keras 3, which is known by the module of its class."""

    __module__ = "keras.src.layers.core.dense"

    def __call__(self, states):
        return states


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ((), "no edit is given"),
        ((InsertLayer(0, OfKeras3()),), "expected a layer of tf_keras, which is Keras 2, found one of Keras 3"),
        ((ReplaceBlock(0, type("Own", (OfKeras3,), {})()),), "found one of Keras 3"),
        ((KeepBlocks(":"),), "leaves 4 of 4 blocks"),
        ((DropBlocks(":"),), "leaves 0 of 4 blocks"),
        ((DropBlocks("4"),), "there is no block 4, there are 4"),
        ((KeepBlocks(":2"), DropBlocks("2")), "there is no block 2, there are 2"),
        ((KeepBlocks("two"),), "cannot read 'two' as blocks"),
        ((PruneHeads((6,)),), "there are 6 heads, 0 to 5"),
        ((PruneHeads(()),), "there are 6 heads"),
        ((PruneHeads(range(6), "0"),), "leaves a block without a head"),
        ((PruneHeads((1,)), PruneHeads((1,), "2")), "has lost one of these heads before"),
        ((ReplaceBlock(0, layer), PruneHeads((1,), "0")), "is replaced"),
        ((PruneHeads(0),), r"PruneHeads: expected the numbers of heads, such as \(0, 3\), .*found \(0, ':'\)"),
        ((PruneHeads("0"),), "expected the numbers of heads"),
        ((PruneHeads((0.0,)),), "expected the numbers of heads"),
        ((PruneHeads((0,), 1),), "and blocks as a text"),
        ((KeepBlocks(3),), 'KeepBlocks: expected blocks as a text, such as "0:6", found 3'),
        ((InsertLayer("0:2", layer),), "InsertLayer: expected the number of a block, found '0:2'"),
        (("keep blocks 0:2",), "str: expected one of the edits in surgery.edits"),
        ((InsertLayer(9, layer),), "there is no block 9"),
        ((InsertLayer(0, "Dense"),), "expected a layer of tf_keras, found a str"),
    ],
)
def test_a_wrong_aim_is_refused_before_tensorflow(edits, message, modules):
    with pytest.raises(UsageError, match=message):
        surgery.edit(modules("g3_small"), *edits)


def test_heads_that_are_mixed_cannot_be_taken_out(modules):
    with pytest.raises(UsageError, match="mixes its heads"):
        surgery.edit(modules("g4_talkheads"), PruneHeads((0,)))


def test_a_shared_attention_is_pruned_for_all_blocks_or_none(modules):
    with pytest.raises(UsageError, match="share one attention"):
        surgery.edit(modules("g4_albert"), PruneHeads((0,), "0"))
    assert surgery.edit(modules("g4_albert"), PruneHeads((0,))).hits == {"prune head 0 of all blocks": 4}


@pytest.mark.parametrize(
    "edit",
    [
        KeepBlocks("0,2,-1"),
        DropBlocks("-4:"),
        PruneHeads((0, -1, 3), ":"),
        PruneHeads((9,), "-1"),
        KeepBlocks(":"),
        InsertLayer(-1, NamedLayer(kind="Dense", name="my dense/1")),
        ReplaceBlock(2, NamedLayer(kind="Sequential", name="block")),
    ],
)
def test_an_edit_is_read_back_from_its_words(edit):
    assert read_edit(describe(edit)) == edit


@pytest.mark.parametrize("words", ["", "keep blocks ", "prune heads a of blocks :", "keep blocks 0\n", "swap blocks 0"])
def test_words_that_describe_no_edit_are_refused(words):
    with pytest.raises(ValueError, match="describes no edit"):
        read_edit(words)


def test_an_edit_of_all_blocks_or_of_one_says_so_and_words_of_earlier_versions_are_read():
    assert describe(PruneHeads((9,), "::")) == describe(PruneHeads((9,))) == "prune head 9 of all blocks"
    assert describe(DropBlocks("-1")) == "drop block -1"
    assert read_edit("prune heads 9 of blocks :") == PruneHeads((9,))
    assert read_edit("drop blocks 1") == DropBlocks("1")


def test_edits_that_were_read_back_hit_the_same_places(modules):
    class Layer:
        name = "added"

        def __call__(self, states):
            return states

    edits = (DropBlocks("0"), PruneHeads((1, 3), "-1"), InsertLayer(0, Layer()), ReplaceBlock(2, Layer()))
    made = surgery.edit(modules("g3_small"), *edits).edited
    again = surgery.edit(modules("g3_small"), *(read_edit(words) for words, _ in made.hits)).edited
    assert again.hits == made.hits
    assert [(b.origin, b.pruned) for b in again.blocks] == [(b.origin, b.pruned) for b in made.blocks]
    assert (again.unchanged_outputs, again.changed_outputs) == (made.unchanged_outputs, made.changed_outputs)
    assert again.has_unknown_layers
