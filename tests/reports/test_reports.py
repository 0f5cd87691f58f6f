"""The JSON holds the facts, and the text tells the same."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

import surgery
from surgery.proof.parity import OutputDiff, ParityReport, WeightCheck
from surgery.reports import edit, inspect, parity, plan, verify
from surgery.wording import shape_text, size
from tests.support.builders import hugging_face
from tests.support.synthetic import CNN, write_saved_model

MODULES = ("g2_small", "g3_small", "g4_bert_mlm", "g4_bert_v2", "g4_prenorm", "tf1_bert_small", "g4_mobilebert")
SAMPLES = (*MODULES, "tf1_bert_checkpoint", "hf_electra")

FOR_PROGRAMS = frozenset({"callable"})
"""Keys that only programs need, or that the text tells in other words."""

NO_GRAPH = ("saved_model_bytes", "0 B")
"""A checkpoint has no graph whose size there would be to tell."""


def text(report: Any, data: dict[str, Any], width: int = 400) -> str:
    stream = io.StringIO()
    report.text(Console(file=stream, width=width, highlight=False), data)
    return stream.getvalue()


def facts(data: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every name and number of JSON data with its key, but for flags and what is left to programs."""
    if isinstance(data, dict):
        for name, value in data.items():
            if name not in FOR_PROGRAMS:
                yield from facts(value, name)
    elif isinstance(data, list) and data and all(isinstance(item, int) or item is None for item in data):
        yield key, shape_text(data)
    elif isinstance(data, list):
        for value in data:
            yield from facts(value, key)
    elif data is not None and not isinstance(data, bool):
        yield key, size(data) if key.endswith("bytes") else str(data)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_text_of_an_inspection_tells_every_fact_of_the_json(name: str, modules):
    data = inspect.data(surgery.inspect(modules(name)), variables=True)
    shown = text(inspect, data)
    squeezed = re.sub(r"\s+", " ", shown)
    for key, fact in facts(data):
        if key in ("takes", "returns", "places", "details", "reason", "shape") or (key, fact) == NO_GRAPH:
            continue
        assert re.sub(r"\s+", " ", fact) in squeezed, (key, fact)


def test_signatures_are_shown_with_what_their_keys_are(modules):
    lines = text(inspect, inspect.data(surgery.inspect(modules("g4_bert_v2")))).splitlines()
    row = next(line for line in lines if " bert_encoder_v2_2 " in line)
    assert "float32 [?, ?, 64]" in row
    assert row.rstrip().endswith("encoder_outputs[1]")
    assert any("input_2" in line and line.rstrip().endswith("input_mask") for line in lines)


def test_calls_are_shown_with_their_structures(modules):
    shown = text(inspect, inspect.data(surgery.inspect(modules("g4_bert_mlm"))))
    assert "list of 3 x float32 [?, ?, 64]" in shown
    assert "mlm(training=False)" in shown
    assert "encoder_outputs (a list of 3)" in shown
    ends = text(inspect, inspect.data(surgery.inspect(modules("g2_small"))))
    assert "not exposed" in ends


def test_the_empty_tag_set_is_told_from_no_meta_graph(modules):
    shown = text(inspect, inspect.data(surgery.inspect(modules("tf1_bert_small"))))
    assert "{} (the empty tag set)" in shown
    assert "{train}" in shown


def test_a_checkpoint_is_shown_with_its_config_and_without_a_graph_or_calls(modules):
    shown = text(inspect, inspect.data(surgery.inspect(modules("hf_electra"))))
    assert "model_type electra" in re.sub(r"\s+", " ", shown)
    assert re.search(r"layer_norm_eps +1e-12 +config +config\.json: layer_norm_eps", shown)
    for word in ("written by", "Calls", "Meta graph", "block outputs"):
        assert word not in shown


def test_what_a_plan_drops_is_shown_with_the_reason(tmp_path):
    folder = hugging_face.build_pretraining(tmp_path / "bert")
    shown = text(plan, plan.data(surgery.plan(folder)))
    assert "60 assigned, 0 kept, 5 dropped" in shown
    assert "dropped: cls.seq_relationship.bias: the next-sentence head is no part of the encoder" in shown


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (False, "left out of mean"),
        (True, "left out of serving_default, mean; its rows are zeros in the outputs of serving_default"),
    ],
)
def test_a_plan_says_where_padding_is_left_out(packed: bool, said: str, modules):
    data = plan.data(surgery.plan(modules("g3_small"), features="mean=mean/mean", packed=packed))
    assert re.search(rf"^padding +{said} *$", text(plan, data), re.MULTILINE)
    assert "padding" not in text(plan, plan.data(surgery.plan(modules("g3_small"))))


def test_a_module_without_an_explanation_says_why(tmp_path):
    data = inspect.data(surgery.inspect(write_saved_model(tmp_path / "cnn", CNN)))
    assert "explanation" not in data
    assert data["unexplained"]["details"] == []
    assert "surgery tap" in data["unexplained"]["hint"]
    shown = text(inspect, data)
    assert "surgery graph lists the tensors of any SavedModel, surgery tap makes outputs of them" in shown


@pytest.mark.parametrize("name", ["g2_small", "g4_bert_mlm", "g4_electra"])
def test_the_text_of_a_plan_names_every_variable_target_and_output(name: str, modules):
    data = plan.data(surgery.plan(modules(name)))
    shown = text(plan, data)
    for assignment in data["assignments"]:
        names = [assignment["variable"], assignment["target"]]
        (line,) = (line for line in shown.splitlines() if line.split()[1:3] == names)
        assert shape_text(assignment["from"]) in line
    for outputs in data["signatures"].values():
        assert ", ".join(outputs) in shown
    assert "kept: Variable as the attribute do_lower_case" in shown
    assert data["destination"] in shown


def test_a_flat_kernel_s_plan_tells_both_shapes(modules):
    shown = text(plan, plan.data(surgery.plan(modules("g1_built"))))
    line = next(
        line for line in shown.splitlines() if "layer_0/self_attention/query/kernel" in line and "transformer" in line
    )
    assert "[64, 64] to [64, 4, 16]" in line


@pytest.mark.parametrize("name", SAMPLES)
def test_every_inspection_is_plain_json(name: str, modules):
    data = inspect.data(surgery.inspect(modules(name)), variables=True)
    assert json.loads(json.dumps(data, allow_nan=False)) == data


@pytest.mark.parametrize("name", ["g4_bert_mlm", "tf1_albert_checkpoint", "hf_bert"])
def test_every_plan_is_plain_json(name: str, modules):
    data = plan.data(surgery.plan(modules(name)))
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_every_field_has_a_place(modules):
    data = inspect.data(surgery.inspect(modules("g4_bert_mlm")))["explanation"]
    for field in data["architecture"]:
        assert field["evidence"], field
        assert all(evidence["place"] for evidence in field["evidence"])


def diff(name: str, **fields: Any) -> OutputDiff:
    given = {
        "batches": 3,
        "in_double": True,
        "difference": 2e-13,
        "max_abs": 1e-13,
        "module_error": 4e-7,
        "export_error": 6e-7,
        "rms": 2.0,
        "max_error": 1e-6,
        "worst_error": "#2",
        "bit_equal": False,
        "nonfinite": (0, 0),
        "padding_rows": None,
        "worst_batch": "#1",
        "passed": True,
    }
    return OutputDiff(name=name, **(given | fields))


ALL_EQUAL = WeightCheck(compared=2, mismatches=())


def compared(*outputs: OutputDiff, weights: WeightCheck = ALL_EQUAL, contract: tuple[str, ...] = ()) -> str:
    report = ParityReport(
        reference="the module in a session",
        batches=3,
        float32_batches=2,
        outputs=outputs,
        weights=weights,
        contract=contract,
    )
    return text(parity, parity.data(report))


def test_a_passed_comparison_says_so_and_how_close_it_was():
    shown = compared(diff("pooled_output"), diff("sequence_output", bit_equal=True, difference=0.0, padding_rows=0.25))
    assert "verdict: the same function" in shown
    assert re.search(r"pooled_output +2e-13 +2e-07 +3e-07 +no +passed", shown)
    assert re.search(r"sequence_output +0 +.* yes +passed", shown)
    assert "not judged: largest difference 0.25, in sequence_output" in shown
    assert "the output's RMS; at most 1e-10" in shown
    assert "error in float32 on 2 batches" in shown
    assert "2 of 2 bit-equal" in shown


def test_the_outputs_of_a_training_trace_share_a_row_even_if_no_block_is_among_them():
    names = ("mlm_logits", "pooled_output")
    shown = compared(*(diff(f"mlm(training=True).{name}") for name in names))
    assert re.search(r"^mlm\(training=True\)\.\* .* passed *$", shown, re.MULTILINE)
    assert "mlm_logits" not in shown


def test_a_failed_comparison_says_what_failed_and_how():
    shown = compared(
        diff("pooled_output", passed=False, difference=float("inf"), problem="it is missing", nonfinite=(0, 3)),
        weights=WeightCheck(compared=2, mismatches=("a/kernel: its bits differ",)),
        contract=("an input is named otherwise",),
    )
    assert "verdict: NOT the same function" in shown
    assert re.search(r"pooled_output +inf .* 0/3 +it is missing", shown)
    assert "1 of 2 bit-equal" in shown
    assert "a/kernel: its bits differ" in shown
    assert "an input is named otherwise" in shown


@pytest.mark.parametrize(
    ("passed", "unproven", "verdict"),
    [
        (True, [], "the module, edited as the manifest says"),
        (True, ["pooled_output"], "as the manifest says, in all that can be compared"),
        (False, [], "NOT what its manifest says"),
        (False, ["pooled_output"], "NOT what its manifest says"),
    ],
)
def test_an_edited_export_is_compared_with_its_edits_and_says_so(passed: bool, unproven: list[str], verdict: str):
    report = ParityReport(
        reference="the module",
        batches=3,
        float32_batches=2,
        outputs=(diff("embedding_output", passed=passed),),
        weights=ALL_EQUAL,
    )
    data = {
        "parity": parity.data(report),
        "notes": ["a fact"],
        "edits": ["drop block 1", "prune head 0 of all blocks"],
        "unproven": unproven,
        "node_data": "errors",
    }
    lines = text(verify, data).splitlines()
    assert lines[0] == "the manifest calls it edited: drop block 1; prune head 0 of all blocks"
    assert lines[-3:] == [f"verdict: {verdict}", "note: a fact", "wrote errors"]
    assert any(line.startswith("not compared") and line.endswith(": pooled_output") for line in lines) == bool(unproven)
    assert "the same function" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("unchanged", "verdict"),
    [
        (("embedding_output", "encoder_outputs_0"), "; 2 outputs are bit-equal to the unedited export's"),
        (("embedding_output",), "; 1 output is bit-equal to the unedited export's"),
        ((), ""),
    ],
)
def test_an_edit_ends_with_what_was_proven_of_an_edit(unchanged: tuple[str, ...], verdict: str):
    outputs = (diff("embedding_output", bit_equal=True), diff("pooled_output"))
    compared = ParityReport(
        reference="the edited encoder in memory", batches=3, float32_batches=2, outputs=outputs, weights=ALL_EQUAL
    )
    data = {
        "edits": [{"edit": "drop block 1", "places": 1}],
        "blocks": [{"origin": 0, "pruned_heads": []}, {"origin": 2, "pruned_heads": []}],
        "unchanged": list(unchanged),
        "changed": ["pooled_output"],
        "parity": parity.data(compared),
        "packed": {},
        "destination": "exported/bert_edited/1",
    }
    shown = text(edit, data)
    assert shown.splitlines()[-2:] == [
        f"verdict: the export computes the edited encoder{verdict}",
        "wrote exported/bert_edited/1",
    ]
    assert "the same function" not in shown
    assert re.search(r"pooled_output +2e-13 +2e-07 +3e-07 +no +passed", shown)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (437_000_000, "416.8 MiB"), (5 << 30, "5120.0 MiB")],
)
def test_bytes_are_told_as_people_read_them(count: int, expected: str):
    assert size(count) == expected


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        ({"a": "x", "b": ["y", "y"]}, "{a: x, b: list of 2 x y}"),
        (["x", "y"], "list of 2: x, y"),
        (["x"], "list of 1: x"),
        ([], "nothing"),
        (None, "None"),
    ],
)
def test_structures_are_told_on_one_line(structure: Any, expected: str):
    assert inspect.structure_text(structure) == expected
