"""Which signature an extraction runs if none is named: by its outputs, and by what the manifest says of padding."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from surgery.beam.corpus import Corpus
from surgery.beam.plan import _text_columns, plan_extraction
from surgery.errors import UsageError
from surgery.export.manifest import MANIFEST
from surgery.module import SignatureInfo, TensorInfo

POOLED, SEQUENCE, MEAN = "pooled_output", "sequence_output", "mean"
TABLE = "word_table"
"""An output without a row for each text."""
SIGNATURES = {
    "text": (POOLED, SEQUENCE),
    "text_pair": (POOLED, SEQUENCE),
    "wide_text": (POOLED, MEAN),
    "cls_text": (POOLED,),
    "depth_1_text": (SEQUENCE,),
    "table_text": (POOLED, TABLE),
}
PACKED = {"wide_text": [], "cls_text": [], "depth_1_text": [SEQUENCE]}


def tensor(key: str, dtype: str, *shape: int | None, rows: int | None = None) -> TensorInfo:
    return TensorInfo(key=key, name=f"{key}:0", dtype=dtype, shape=(rows, *shape))


@pytest.fixture
def chosen(tmp_path):
    """The signature of a plan for these outputs, with what the manifest says."""

    def choose(outputs: list[str] | None, packed: dict[str, list[str]] | None, signature: str | None = None) -> str:
        (tmp_path / "a.txt").write_text("a text\n")
        (tmp_path / MANIFEST).parent.mkdir(exist_ok=True)
        (tmp_path / MANIFEST).write_text(json.dumps({} if packed is None else {"packed": packed}))
        signatures = tuple(
            SignatureInfo(
                name=name,
                inputs=tuple(tensor(key, "string") for key in ("text", "text_pair")[: 1 + name.endswith("pair")]),
                outputs=tuple(tensor(key, "float32", 8, rows=100 if key == TABLE else None) for key in keys),
            )
            for name, keys in SIGNATURES.items()
        )
        named = {signature.name: signature for signature in signatures}
        module: Any = SimpleNamespace(name="bert", folder=str(tmp_path), signatures=named)
        corpus = Corpus(inputs=(str(tmp_path / "a.txt"),))
        return plan_extraction(module, str(tmp_path), corpus, outputs=outputs, signature=signature).signature

    return choose


@pytest.mark.parametrize(
    ("outputs", "packed", "signature"),
    [
        ([POOLED], PACKED, "cls_text"),
        ([MEAN], PACKED, "wide_text"),
        ([POOLED, MEAN], PACKED, "wide_text"),
        (None, PACKED, "text"),
        ([SEQUENCE], PACKED, "text"),  # that of a depth is another tensor
        ([POOLED], PACKED | {"text": [SEQUENCE]}, "text"),
        ([POOLED], {"text_pair": []}, "text"),
        ([POOLED], None, "text"),
    ],
)
def test_the_smallest_signature_without_padding_is_run(outputs, packed, signature, chosen):
    assert chosen(outputs, packed) == signature


def test_a_signature_that_is_named_is_run(chosen):
    assert chosen([POOLED], PACKED, "text") == "text"


def test_an_output_that_only_other_signatures_have_is_refused_with_those_that_text_has(chosen):
    with pytest.raises(UsageError, match="pooled_output, sequence_output"):
        chosen([MEAN], None)


def test_an_output_without_a_row_for_each_text_is_no_column(chosen):
    assert chosen([POOLED], PACKED, "table_text") == "table_text"
    for outputs in (None, [TABLE]):
        with pytest.raises(UsageError, match=r"word_table of the signature table_text fits no column: \[100, 8\]"):
            chosen(outputs, PACKED, "table_text")


@pytest.mark.parametrize("asked", [("title", "body"), ("text=title", "text=body"), ("text=title", "body")])
def test_a_second_column_for_one_input_is_refused(asked):
    with pytest.raises(UsageError, match="the input text has the column title already"):
        _text_columns(asked, ["text"])
    assert _text_columns(["text_pair=b", "text=a"], ["text", "text_pair"]) == ("a", "b")
