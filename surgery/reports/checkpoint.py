"""Report of a published Hugging Face folder: the class, what differs from the module, and what was proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from surgery.explanation.heads import head_words, hidden_data
from surgery.plain import plain
from surgery.reports.page import Data, facts, lines, title
from surgery.wording import number

if TYPE_CHECKING:
    from surgery.jobs.checkpoint import Checkpoint

SCHEMA = 1


def data(done: Checkpoint) -> Data:
    """The written checkpoint and its proof."""
    planned, accounting, differences = done.planned, done.accounting, done.differences
    tokenization = planned.tokenization
    return {
        "destination": str(done.destination),
        "files": list(done.files),
        "source": {
            "name": planned.plan.module.name,
            "format": planned.plan.module.format,
            "sha256": dict(planned.plan.module.fingerprint),
        },
        "class": planned.form.class_name,
        "config": plain(planned.config_values),
        "changed": {
            field: {"module": value, "checkpoint": planned.config.architecture[field]}
            for field, value in planned.config.changed.items()
        },
        "tensors": [
            {"name": t.name, "target": t.target, "layout": t.layout.sentence, "shape": list(t.shape)}
            for t in planned.form.tensors
        ],
        "left_out": [{"variable": row.variable.name, "because": row.because} for row in planned.left_out],
        "random_layers": list(planned.random_layers),
        "tokenizer": None
        if tokenization is None
        else {
            "kind": tokenization.kind,
            "lower_case": tokenization.lower_case,
            "lower_case_from": tokenization.why,
        },
        "head": None
        if planned.head is None or planned.labelling is None
        else {
            "labels": planned.head.labels,
            "hidden": hidden_data(planned.head.hidden),
            "zeros": sorted(planned.form.zeros),
            **plain(planned.labelling),
        },
        "pooling": planned.pooling,
        "embedding": None
        if (embedding := planned.embedding) is None
        else {"normalized": embedding.normalized, "shortest": embedding.shortest},
        "normalized": planned.normalized,
        "nonfinite_weights": dict(done.nonfinite),
        "proof": {
            "tensors": accounting.tensors,
            "hyperparameters": accounting.hyperparameters,
            "computed": None
            if differences is None
            else {
                "batches": differences.batches,
                "bound": differences.bound,
                "largest": differences.largest,
                "formulas": list(differences.formulas),
                "outputs": {diff.name: diff.difference for diff in differences.outputs},
            },
        },
    }


def text(console: Console, data: Data) -> None:
    """The class and its files, what is other than in the module, and the proof."""
    title(console, f"{data['source']['name']} as transformers' {data['class']}")
    tokenizer, proof = data["tokenizer"], data["proof"]
    rows = [("files", ", ".join(data["files"]))]
    if tokenizer is not None:
        casing = "lower-cased" if tokenizer["lower_case"] else "as it is"
        rows.append(("tokenizer", f"{tokenizer['kind']}, text {casing} (from {tokenizer['lower_case_from']})"))
    if (head := data["head"]) is not None:
        names = f": {', '.join(head['names'])}" if head["names"] else ", which have no names: --label names them"
        rows.append(("head", f"{head_words(head)}{names}"))
        rows += [("zeros", f"{name}: the module adds nothing there") for name in head["zeros"]]
    rows += _embedding_rows(data)
    rows += [
        ("changed", f"{field}: {values['module']} in the module, {values['checkpoint']} in the checkpoint")
        for field, values in data["changed"].items()
    ]
    rows += [("left out", f"{row['variable']}: {row['because']}") for row in data["left_out"]]
    rows += [("NaN or infinite", f"{name}: {count} values") for name, count in data["nonfinite_weights"].items()]
    facts(console, rows)
    if data["random_layers"]:
        console.print(
            Text("transformers makes a pooler of random numbers: load it with add_pooling_layer=False", style="yellow")
        )
    title(console, "Proof, from the files as they were read back")
    console.print(f"tensors: all {proof['tensors']} have the bits of the module's variables")
    changed = f"; {len(data['changed'])} changed, as shown above" if data["changed"] else ""
    console.print(f"config: {proof['hyperparameters']} hyperparameters are those of the module's evidence{changed}")
    if (computed := proof["computed"]) is None:
        console.print("outputs: not computed; --verify compares them in double precision")
    else:
        console.print(
            f"outputs: {len(computed['outputs'])} on {computed['batches']} batches differ by at most "
            f"{number(computed['largest'])} of an output's RMS in double precision (bound: {number(computed['bound'])})"
        )
    lines(console, [f"wrote {data['destination']}"])


def _embedding_rows(data: Data) -> list[tuple[str, str]]:
    """What sentence-transformers returns, and what the module's normalised pooled output is in the checkpoint."""
    embedding, rows = data["embedding"], list[tuple[str, str]]()
    if embedding is not None:
        made = ", then divided by its length (3_Normalize)" if embedding["normalized"] else ""
        rows.append(("sentences", f"the module's pooled_output: the pooler's output (2_Dense){made}"))
    elif data["pooling"] is not None:
        rows.append(("sentences", f"{data['pooling']} pooling of the last block's output"))
    if data["normalized"]:
        rows.append(("pooled", "transformers' pooler_output is the module's pooled_output before it is normalised"))
    return rows
