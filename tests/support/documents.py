"""The JSON documents of surgery: samples of each, and what docs/reference/json.md says of them.

The samples are real results where that needs no TensorFlow, else results put together from real plans and reports.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.edits import KeepBlocks, PruneHeads
from surgery.explanation.heads import OtherHead
from surgery.explanation.inspection import Inspection
from surgery.export.manifest import make_manifest
from surgery.proof.parity import OutputDiff, ParityReport, WeightCheck
from tests.support.documentation import PAGES

PAGE = PAGES["docs/reference/json.md"]
RATES = {
    "embedding_dropout": 0.1,
    "attention_probs_dropout": 0.1,
    "attention_output_dropout": 0.1,
    "output_dropout": 0.1,
}
"""Dropout in training, which the graph of a served classifier does not show."""
Modules = Callable[[str], Path]


def headings() -> list[str]:
    """The documents of the page, and the parts that several of them share."""
    return re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE)


def described(document: str) -> dict[str, str]:
    """The rows of a document's table in the page: what describes each key. A key that ends in … is all that is below.

    A row that refers to a part, such as `parity`, stands for the part's rows, which are described by part and key.
    """
    section = re.search(rf"^## {re.escape(document)}\n([\s\S]*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE)
    assert section is not None, f"no section {document}"
    rows: dict[str, str] = {}
    for key, meaning in re.findall(r"^\| `([^`]+)` \| (.+) \|$", section[1], flags=re.MULTILINE):
        assert key not in rows, key
        linked = re.match(r"as in \[.+\]\(#([\w-]+)\)", meaning)
        if linked is None or not key.endswith("[]"):
            rows[key] = key
        if linked is not None:
            part = linked[1].replace("-", " ")
            rows |= {f"{key}.{inner}": f"{part}: {inner}" for inner in described(part) if inner != "schema"}
    return rows


def keys_of(data: Any, rows: Mapping[str, str], prefix: str = "") -> Iterator[str]:
    """The keys of a document by their row in the page, or by their own path where no row describes it."""
    if isinstance(data, list):
        for item in data:
            yield from keys_of(item, rows, f"{prefix}[]")
    elif isinstance(data, dict):
        for name, value in data.items():
            own, any_name = (f"{prefix}.{key}".lstrip(".") for key in (name, "*"))
            key = next((k for k in (own, f"{own}…", any_name, f"{any_name}…") if k in rows), own)
            yield key
            if not key.endswith("…"):
                yield from keys_of(value, rows, key)


def difference(document: str, samples: Iterable[Any]) -> tuple[set[str], set[str]]:
    """The keys that samples have and the page does not describe, and what it describes and no sample has."""
    rows = described(document)
    found = {key for sample in samples for key in keys_of(json.loads(json.dumps(sample, allow_nan=False)), rows)}
    return found - rows.keys(), set(rows.values()) - {rows[key] for key in found if key in rows}


def report(**fields: Any) -> ParityReport:
    """A report in which nothing is empty."""
    output = OutputDiff(
        name="pooled_output",
        batches=3,
        in_double=True,
        difference=2e-13,
        max_abs=1e-13,
        module_error=4e-7,
        export_error=6e-7,
        rms=2.0,
        max_error=1e-6,
        worst_error="#2",
        bit_equal=False,
        nonfinite=(0, 0),
        padding_rows=0.25,
        worst_batch="#1",
        passed=True,
    )
    given = {
        "reference": "the module",
        "batches": 3,
        "float32_batches": 2,
        "outputs": (output,),
        "weights": WeightCheck(compared=2, mismatches=("a/kernel: its bits differ",)),
        "contract": ("an input is named otherwise",),
        "nonfinite_weights": {"a/kernel": 1},
        "inner": ("pooled_output",),
        "unmatched": ("embedding_output",),
        "formulas": ("0.1",),
        "lacking": {"pooled_output": ("Erf",)},
        "blocks": {"encoder_outputs_0": 0},
    }
    return ParityReport(**(given | fields))


def printed(*arguments: object) -> Any:
    """The JSON that a command prints to stdout; of one that fails, the line on stderr."""
    done = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    return json.loads(done.stdout or done.stderr.splitlines()[-1])


def samples(modules: Modules, folder: Path) -> dict[str, list[Any]]:
    """Samples by the heading of their section."""
    from surgery.jobs.convert import Conversion
    from surgery.jobs.edit import EditedExport
    from surgery.jobs.extract import Extracted
    from surgery.jobs.verify import Verification
    from surgery.planning.edits import apply_edits
    from surgery.planning.requests import Request

    bert, hf = modules("g3_small"), modules("hf_bert")
    classifier = surgery.plan(modules("tf1_estimator"), assume=RATES, keep_head=True)
    tagger = with_other_head(classifier)
    two_layers = surgery.plan(modules("hf_tf_distilbert_classifier"), keep_head=True)
    planned = surgery.plan(bert, taps="query", features="mean=mean/mean", packed=True)
    edited = surgery.edit(bert, KeepBlocks("0:2"), PruneHeads([0], "-1"))
    hashes = {a.target: "0" * 64 for a in planned.weights.assignments}
    conversion = Conversion(
        destination=Path("out/1"),
        plan=planned,
        report=report(),
        manifest={},
        text_destination=Path("out_text/1"),
        warmups={Path("out/1"): 3},
        page=Path("page.html"),
    )
    verification = Verification(
        plan=planned, exported=Path("out/1"), report=report(), notes=("a note",), edits=("an edit",), unproven=("x",)
    )
    edit = EditedExport(
        destination=Path("out/1"),
        edited=apply_edits(surgery.plan(bert), edited.edits, Request(packed=True)),
        unchanged=(),
        changed=(),
        report=report(),
        manifest={},
    )
    extracted = Extracted(
        destination="out",
        signature="text",
        outputs=("pooled_output",),
        columns=("text",),
        shards=(("part-00000-of-00001.parquet", 2),),
        texts=2,
        tokens=7,
        rejected=0,
        seconds=1.5,
        processes=2,
    )
    names = ("g4_bert_mlm", "tf1_bert_small", "hf_bert", "g3_small")
    return {
        "inspection": [
            *(printed("inspect", modules(name), "--variables") for name in names),
            printed("inspect", modules("tf1_estimator")),
            printed("inspect", modules("hf_tf_distilbert_classifier")),
            Inspection(module=tagger.module, inference=tagger.inference, unexplained=None).to_dict(),
            printed("inspect", plain_model(folder)),
            {"schema": 1, **_with_messages(surgery.inspect(modules("tf1_bert_small")))},
        ],
        "plan": [
            planned.to_dict(),
            classifier.to_dict(),
            tagger.to_dict(),
            two_layers.to_dict(),
            # A dropout rate that is not known stops a plan, so the key is empty in every real one.
            replace(planned, inference=replace(planned.inference, unknown={"output_dropout": "unseen"})).to_dict(),
            *(printed("plan", modules(name)) for name in names),
            surgery.plan(pretraining(folder)).to_dict(),
        ],
        "taps": [printed("taps", bert), printed("taps", modules("g4_mobilebert"))],
        "parity": [report().to_dict()],
        "attention": [attention()],
        "checkpoint": [done.to_dict() for done in checkpoints(modules, folder)],
        "html report": [surgery.report(bert, folder / "page.html").to_dict()],
        "conversion": [
            replace(conversion, plan=found).to_dict() for found in (planned, classifier, tagger, two_layers)
        ],
        "edit": [edit.to_dict()],
        "edited model": [edited.to_dict()],
        "architecture": [planned.architecture.to_dict()],
        "verification": [verification.to_dict()],
        "extraction": [extracted.to_dict()],
        "manifest": [
            make_manifest(planned, hashes, report()),
            make_manifest(classifier, {a.target: "0" * 64 for a in classifier.weights.assignments}, report()),
            make_manifest(edited.edited.plan, hashes, report(), edited.edited),
            make_manifest(surgery.plan(hf), hashes, report()),
            make_manifest(surgery.plan(pretraining(folder)), hashes, report()),
        ],
        "scan": [printed("scan", bert), printed("scan", unclean(modules, folder))],
        "diff": differences(modules, folder),
        "graph": [listing(bert).to_dict()],
        "running": [running().to_dict()],
        "tapping": [tapping(bert).to_dict()],
        "serving": [printed("serving", bert), serving(bert).to_dict()],
        "preprocessor": [preprocessor().to_dict()],
        "error": [printed("inspect", folder / "nothing"), printed("inspect")],
    }


def checkpoints(modules: Modules, folder: Path) -> list[surgery.Checkpoint]:
    """Checkpoints with and without a tokenizer, the second as if it had been computed and its weights were damaged, and
    one of a classifier.
    """
    from surgery.checkpoints.differences import Differences

    bert = surgery.checkpoint(modules("g4_bert_mlm"), folder / "bert_hf")
    electra = surgery.checkpoint(modules("g4_electra"), folder / "electra_hf", drop_pooler=True, tokenizer=False)
    differences = Differences(batches=3, outputs=report().outputs, formulas=("0.1",), not_compared=())
    classifier = surgery.checkpoint(modules("tf1_estimator"), folder / "classifier_hf", assume=RATES, tokenizer=False)
    labse = surgery.checkpoint(modules("labse"), folder / "labse_hf")
    return [bert, replace(electra, differences=differences, nonfinite={"a/kernel": 1}), classifier, labse]


def plain_model(folder: Path) -> Path:
    """A SavedModel that no weight table explains."""
    from tests.support.synthetic import CNN, write_saved_model

    return write_saved_model(folder / "cnn", CNN)


def with_other_head(classifier: surgery.Plan) -> surgery.Plan:
    """The plan of a model whose head cannot be kept."""
    head = OtherHead(outputs=("tags",), variables=("crf",), because="it takes the sequence output")
    return replace(classifier, inference=replace(classifier.inference, head=head))


def pretraining(folder: Path) -> Path:
    """A checkpoint with a head that is dropped."""
    from tests.support.builders import hugging_face

    there = folder / "pretraining"
    return there if there.exists() else hugging_face.build_pretraining(there)


def _with_messages(found: surgery.Inspection) -> dict[str, Any]:
    module = replace(found.module, attached_messages={(): {"key": b"value"}}, problems=("variables.index is missing",))
    return replace(found, module=module).to_dict()


def unclean(modules: Modules, folder: Path) -> Path:
    """A module that could do more than compute."""
    from tests.support.hostile import hostile_copy

    return hostile_copy(modules("g4_bert_mlm"), folder / "unclean", folder / "marker")


def attention() -> dict[str, Any]:
    """The attention of a text, from one head of two blocks."""
    from surgery.jobs.attention import document_of
    from surgery.plots import Attention

    maps = Attention(tokens=("[CLS]", "[SEP]"), blocks=(0, 2), probabilities=np.full((2, 1, 2, 2), 0.5, np.float32))
    return document_of(maps, "", "exported/bert_text/1", 64)


def differences(modules: Modules, folder: Path) -> list[Any]:
    """Comparisons in which no part is empty."""
    from surgery.comparing.numbers import Numbers
    from tests.support.builders import hugging_face
    from tests.support.editing import edited, set_ops

    table = "embeddings.word_embeddings.weight"
    other = hugging_face.build(folder / "other", hugging_face.with_value(table, lambda value: value[::-1]))
    lines = (other / "vocab.txt").read_text().splitlines(keepends=True)
    (other / "vocab.txt").write_text("".join(["added\n", *lines[:30], *lines[31:]]))
    bert, graph = modules("g4_bert_mlm"), folder / "graph"
    edited(bert, graph, lambda model: set_ops(model, r"layer_1/.*Gelu.*/Tanh", "Sigmoid"))
    (graph / "assets.extra").mkdir()
    (graph / "assets.extra" / "surgery.json").write_text('{"request": {}}')
    found = surgery.diff(modules("hf_bert"), other)
    numbers = Numbers(batches=3, outputs=report().outputs, only_a=("a",), only_b=("b",), lacking={"a": ("Erf",)})
    return [
        printed("diff", modules("g3_small"), modules("tf1_bert_small")),
        printed("diff", bert, graph),
        printed("diff", modules("hf_bert"), other),
        replace(found, numbers=numbers).to_dict(),
    ]


def listing(module: Path) -> surgery.GraphListing:
    from surgery.graph_taps.listing import Enclosed

    loop = Enclosed(
        name="loop",
        op="While",
        kind="loop",
        inside=frozenset({"step"}),
        reachable=("after",),
        meanings={"after": "a counter of steps"},
    )
    return replace(surgery.graph(module, match="Softmax"), enclosed=(loop,))


def running() -> surgery.Ran:
    import numpy as np

    outputs = {"y": np.ones((1, 2), np.float32)}
    return surgery.Ran(name="n", signature="s", inputs=outputs, outputs=outputs, casts=("a",), destination=None)


def tapping(module: Path) -> surgery.Tapping:
    from surgery.graph_taps.checks import OutputCheck
    from surgery.graph_taps.selection import GraphTap

    graph = listing(module)
    return surgery.Tapping(
        destination=Path("out"),
        listing=graph,
        taps=(GraphTap(output="softmax", tensor=graph.tensors[0]),),
        batches=("#1",),
        checks=(OutputCheck(output="pooled_output", bit_equal=True, max_abs=0.0, problem=""),),
        given=False,
        variables=3,
        left_out=("tokens",),
    )


def serving(export: Path) -> surgery.Serving:
    from surgery.jobs.warmup import Warmup
    from surgery.tfserving.mixed_precision import MixedPrecision, OutputErrors, SignatureCost
    from surgery.tfserving.processor import Processor
    from surgery.tfserving.requests import WarmupRequest

    cost = SignatureCost(
        signature="serving_default",
        errors=(OutputErrors(output="pooled_output", rms=1.0, float32=1e-7, bfloat16=1e-3),),
        unknown={"sequence_output": "it was not run"},
        products=8,
        products_in_bfloat16=6,
        milliseconds=(3.0,),
        milliseconds_again=(3.0,),
        milliseconds_bfloat16=(2.0,),
    )
    found = surgery.serving(export)
    versions = replace(found.served.versions, labels={"stable": 1})
    return replace(
        found,
        served=replace(found.served, versions=versions),
        curl_by_label={"stable": "curl"},
        warmup=Warmup(file=Path("requests"), requests=(WarmupRequest(signature="text", label="1 x 8", inputs={}),)),
        mixed_precision=MixedPrecision(processor=Processor(name="A", flags=frozenset()), signatures=(cost,)),
    )


def preprocessor() -> surgery.Preprocessor:
    from surgery.explanation.tokenization import Tokenization

    tokenization = Tokenization(file=Path("vocab.txt"), pieces=False, lower_case=True, why="option")
    return surgery.Preprocessor(destination=Path("out"), tokenization=tokenization, length=128)
