"""The id that a missing mask hides is that of the export's own padding."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from surgery.export.manifest import MANIFEST
from surgery.export.padding_id import padding_id
from tests.support import synthetic


@pytest.mark.parametrize(
    ("assets", "manifest", "expected"),
    [
        ({}, {"architecture": {"pad_token_id": 5}}, 5),
        ({"vocab_file": "vocab.txt"}, {"architecture": {}}, 2),
        ({"sp_model_file": "spiece.model"}, {}, 0),
        ({"xlm_roberta_sp_model_file": "sentencepiece.bpe.model"}, {"architecture": {}}, 1),
        ({}, {}, 0),
    ],
    ids=["positions are counted from it", "a vocabulary", "Google's pieces", "XLM-R's pieces on a BERT", "nothing"],
)
def test_the_id_of_padding_is_that_of_the_encoder_or_of_its_tokenizer(assets, manifest, expected, tmp_path):
    (tmp_path / "vocab.txt").write_text("[CLS]\n[SEP]\n[PAD]\n[UNK]\n")
    (tmp_path / MANIFEST).parent.mkdir(exist_ok=True)
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    module = replace(synthetic.module((), {}), folder=str(tmp_path), assets=assets)
    assert padding_id(module) == expected
