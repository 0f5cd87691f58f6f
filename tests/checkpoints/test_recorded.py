"""Folders that surgery writes against what transformers and sentence-transformers computed with them.

`scripts/check-interop --record` has recorded the answers, from the very folders that are written here.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from scripts.tools.interop.cases import CASES, SENTENCES
from scripts.tools.interop.comparison import FLOAT32, computed, errors, lacking, missing_keys, sentence_vectors
from surgery.formats.text_files import read_json
from tests.support.sample_names import TF1_SAMPLES


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of each case by name."""
    root = tmp_path_factory.mktemp("folders")
    return {case.name: case.write(root / case.name).destination for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_hidden_state_attention_and_logit_is_what_transformers_computes(case, written):
    answer = dict(np.load(case.file))
    expected = computed(written[case.name], case.request)
    assert lacking(answer, expected) == []
    found = list(errors(answer, expected))
    assert [error for error in found if not error.passed] == []
    # One function, rounded to double twice. Graphs, and so our formulas, round epsilon to float32, and 1e-5 shows it.
    rounded = read_json(written[case.name] / "config.json").get("layer_norm_eps", 0) > 1e-9
    assert all(error.in_double <= (1e-11 if rounded else 1e-13) for error in found)
    assert {error.name.rpartition("_")[0] for error in found} >= {"hidden_states", "attentions"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_transformers_found_a_weight_for_everything(case):
    assert missing_keys(dict(np.load(case.file))) == []


@pytest.mark.parametrize("case", [case for case in CASES if case.name.endswith("classifier")], ids=lambda c: c.name)
def test_transformers_reads_the_labels_and_the_kind_of_problem_from_the_config(case, written):
    read, config = json.loads(str(np.load(case.file)["labels"])), read_json(written[case.name] / "config.json")
    assert (read["id2label"], read["problem_type"]) == (config["id2label"], config["problem_type"])
    assert len(read["id2label"]) == np.load(case.file)["logits"].shape[1]


def test_the_cases_are_all_models_both_sources_and_both_casings(written):
    configs = [read_json(folder / "config.json") for folder in written.values()]
    assert {config["model_type"] for config in configs} == {
        *("bert", "electra", "albert", "mobilebert", "distilbert", "roberta", "xlm-roberta")
    }
    assert {case.module for case in CASES} & {*TF1_SAMPLES}
    assert sum(config["architectures"][0].endswith("ForSequenceClassification") for config in configs) == 6
    casings = {
        read_json(file).get("do_lower_case") for f in written.values() for file in f.glob("tokenizer_config.json")
    }
    assert casings == {True, False, None}


@pytest.mark.parametrize("case", SENTENCES, ids=lambda case: case.name)
def test_sentence_transformers_encodes_to_what_the_modules_of_the_folder_say(case, tmp_path):
    answer = dict(np.load(case.file))
    expected = sentence_vectors(case.write(tmp_path / "out"), answer)
    assert answer["vectors"].shape == expected.shape
    assert len(expected) == 8
    assert 0 < answer["attention_mask"].mean() < 1
    np.testing.assert_allclose(answer["vectors"], expected, atol=FLOAT32)


def test_the_recorded_ids_differ_between_the_casings_and_start_with_the_special_tokens():
    cased, uncased = (_ids(name) for name in ("bert_cased", "bert_masked_lm"))
    assert cased != uncased
    assert all(ids[0] == 101 and ids[-1] == 102 for ids in (*cased, *uncased))
    assert uncased[1] == [101, 102], "an empty text"
    assert len(uncased[-1]) == 96, "a long text is cut at the model's positions"


def _ids(name):
    (case,) = (case for case in CASES if case.name == name)
    return json.loads(str(np.load(case.file)["ids"]))
