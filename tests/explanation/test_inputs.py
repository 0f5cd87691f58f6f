"""The inputs that an encoder asks for, and the id from which it counts positions: the table says it, and the sizes."""

from __future__ import annotations

import pytest

import surgery
from surgery.comparing.numbers import shared_battery
from surgery.errors import ModuleError, UnexplainedError, UsageError
from surgery.explanation.inferring import infer_architecture
from surgery.explanation.tokenization import Tokenization
from surgery.explanation.vocabulary import check_vocabulary
from surgery.planning.requests import Request
from surgery.planning.signatures import resolve, signature_inputs
from tests.support.editing import inspected

WORDS, MASK, TYPES = "input_word_ids", "input_mask", "input_type_ids"


@pytest.fixture
def inferred(modules):
    return lambda name: infer_architecture(inspected(modules(name)))


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("hf_bert", {WORDS, MASK, TYPES}),
        ("hf_distilbert", {WORDS, MASK}),
        ("hf_roberta", {WORDS, MASK}),
        ("hf_xlm_roberta", {WORDS, MASK, TYPES}),
    ],
)
def test_token_types_are_asked_for_where_there_is_a_choice(name, inputs, inferred):
    inference = inferred(name)
    assert {anchor.name for anchor in inference.inputs} == inputs
    assert {*inference.convention.inputs} == inputs
    outputs = resolve(inference, Request())
    assert signature_inputs(inference, outputs)["serving_default"] == inputs


@pytest.mark.parametrize(("name", "longest"), [("hf_distilbert", 40), ("hf_roberta", 40), ("hf_bert", 64)])
def test_the_longest_row_leaves_out_the_positions_of_no_token(name, longest, inferred):
    assert inferred(name).architecture.longest == longest


def test_positions_need_evidence_of_the_id_of_padding(configured):
    without = configured("hf_roberta", "pad_token_id")
    with pytest.raises(UnexplainedError, match=r"(?s)no evidence for pad_token_id.*has no pad_token_id"):
        surgery.plan(without)
    assert surgery.plan(without, assume={"pad_token_id": 5}).architecture["pad_token_id"] == 5


@pytest.mark.parametrize("value", [-1, 1.0, True])
def test_an_id_of_padding_is_a_whole_number(value, configured):
    with pytest.raises(UnexplainedError, match=r"pad_token_id is .*, expected a whole number from 0"):
        surgery.plan(configured("hf_roberta", pad_token_id=value))


def test_an_id_of_padding_that_leaves_no_position_is_refused(configured):
    with pytest.raises(UnexplainedError, match="pad_token_id 41 leaves none of the 42 positions"):
        surgery.plan(configured("hf_roberta", pad_token_id=41))


def test_one_battery_fits_both_sides_of_a_comparison(inferred):
    bert, roberta = inferred("hf_bert").architecture, inferred("hf_xlm_roberta").architecture
    for one, other in ((bert, roberta), (roberta, bert), (roberta, roberta)):
        battery = shared_battery(one, other)
        assert max(batch.length for batch in battery) == 40
        assert any((batch.inputs[WORDS] == 1).any() for batch in battery)
    distilbert = inferred("hf_distilbert").architecture
    assert TYPES not in shared_battery(distilbert, distilbert)[0].inputs
    with pytest.raises(UsageError, match="one of them has no type_vocab_size"):
        shared_battery(bert, distilbert)


def test_an_encoder_without_token_types_has_no_table_of_them(inferred):
    inference = inferred("hf_distilbert")
    targets = {target for claim in inference.claims for target in claim.targets}
    assert not [target for target in targets if target.startswith(("type_embeddings", "pooler"))]
    assert "pooled_output" not in inference.outputs.names
    assert "type_vocab_size" not in inference.architecture.values


@pytest.mark.parametrize("kind", ["WordPiece", "SentencePiece"])
def test_a_tokenizer_pads_with_the_id_from_which_positions_are_counted(kind, modules, inferred, tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n")
    pieces = kind == "SentencePiece"
    file = modules("g4_albert") / "assets" / "30k-clean.model" if pieces else vocabulary
    tokenization = Tokenization(file=file, pieces=pieces, lower_case=True, why="option")
    check_vocabulary(tokenization, inferred("g4_albert").architecture)
    with pytest.raises(ModuleError, match="padding has the id 0, and the encoder counts positions from 1"):
        check_vocabulary(tokenization, inferred("hf_xlm_roberta").architecture)
    with pytest.raises(ModuleError, match="padding has the id 0, and the encoder counts positions from 1"):
        surgery.preprocess(modules("hf_xlm_roberta"), tmp_path / "out", vocab=vocabulary, lower_case=True)
