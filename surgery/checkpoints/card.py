"""The model card of a checkpoint: README.md with the front matter that huggingface.co reads.

It has the module's fingerprint, the evidence for each hyperparameter, and what was proven of the checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from surgery.checkpoints.accounting import Accounting
from surgery.checkpoints.differences import Differences
from surgery.checkpoints.plan import CheckpointPlan
from surgery.explanation.heads import DenseHead
from surgery.wording import all_shown, number

CARD = "README.md"


def card(planned: CheckpointPlan, accounting: Accounting, differences: Differences | None) -> str:
    """The text of the card."""
    return "\n".join(
        [
            *_front_matter(planned),
            f"# {_text(planned.plan.module.name)}",
            "",
            f"The weights of a {_text(planned.plan.module.format)} as transformers' `{planned.form.class_name}`, "
            "written by `surgery checkpoint`.",
            "",
            *_use(planned),
            "## Source",
            "",
            *_table(("file", "SHA-256"), planned.plan.module.fingerprint.items()),
            *_source_facts(planned),
            "## Architecture",
            "",
            *_table(("hyperparameter", "value", "evidence"), _evidence(planned)),
            *_labels(planned),
            *_changes(planned),
            "## Proof",
            "",
            *(f"- {line}" for line in proof_lines(planned, accounting, differences)),
            "",
        ]
    )


def proof_lines(planned: CheckpointPlan, accounting: Accounting, differences: Differences | None) -> Iterator[str]:
    """What was proven, one sentence each."""
    yield (
        f"Read back from this folder, all {accounting.tensors} tensors have the bits of the source's variables, after "
        "their axes are rearranged."
    )
    but = f", except {', '.join(f'`{field}`' for field in planned.config.changed)}" if planned.config.changed else ""
    yield (
        f"Read back from this folder, the config gives the {accounting.hyperparameters} hyperparameters above, as the "
        f"source has them{but}."
    )
    if differences is None:
        yield "Only this was proven. No output of the checkpoint was computed."
    else:
        yield (
            f"On {differences.batches} batches, {len(differences.outputs)} outputs were computed in double precision "
            "from this folder's tensors and config, by formulas that share nothing with the source. They differ from "
            f"the source's own graph by at most {number(differences.largest)} of an output's RMS "
            f"(bound: {number(differences.bound)})."
        )


def _front_matter(planned: CheckpointPlan) -> Iterator[str]:
    library = "sentence-transformers" if planned.pooling else planned.form.library.name
    task = "sentence-similarity" if planned.pooling else planned.form.described.task
    yield "---"
    yield f"library_name: {library}"
    yield f"pipeline_tag: {task}"
    yield f"tags: {json.dumps([planned.form.model_type, *(['sentence-transformers'] if planned.pooling else [])])}"
    yield "---"
    yield ""


def _use(planned: CheckpointPlan) -> Iterator[str]:
    auto = planned.form.described.loader
    without = ", add_pooling_layer=False" if planned.random_layers else ""
    yield "```python"
    if planned.pooling:
        yield "from sentence_transformers import SentenceTransformer"
        yield ""
        yield 'vectors = SentenceTransformer("path/of/this/folder").encode(["A sentence."])'
    else:
        names = [auto, *(["AutoTokenizer"] if planned.tokenizer else [])]
        yield f"from transformers import {', '.join(names)}"
        yield ""
        yield f'model = {auto}.from_pretrained("path/of/this/folder"{without})'
        if planned.tokenizer:
            yield 'tokenizer = AutoTokenizer.from_pretrained("path/of/this/folder")'
    yield "```"
    yield ""
    if planned.pooling and planned.tokenizer is None:
        yield "This needs a tokenizer, which is not in this folder: add its files first."
        yield ""
    if planned.random_layers:
        yield "There is no pooler: without `add_pooling_layer=False`, transformers makes one of random numbers."
        yield ""
    yield from _about_pooled(planned)


def _about_pooled(planned: CheckpointPlan) -> Iterator[str]:
    if planned.normalized:
        yield "transformers' `pooler_output` is the source's `pooled_output` before it is divided by its length."
    if planned.embedding is not None:
        yield "sentence-transformers returns the source's `pooled_output`."
    if planned.embedding is not None and planned.embedding.normalized:
        yield f"It is the same for every vector that was at least {number(planned.embedding.shortest)} long."
    if planned.normalized or planned.embedding is not None:
        yield ""


def _source_facts(planned: CheckpointPlan) -> Iterator[str]:
    if version := planned.plan.module.tensorflow_version:
        yield f"Written by TensorFlow {_text(version)}."
        yield ""
    if planned.tokenization is not None:
        casing = "lower-cased" if planned.tokenization.lower_case else "taken as they are"
        yield f"Texts are {casing} (from {_text(planned.tokenization.why)})."
        yield ""


def _evidence(planned: CheckpointPlan) -> Iterator[tuple[str, str, str]]:
    evidence = planned.plan.inference.evidence
    for field, value in planned.config.architecture.items():
        if value is not None:
            found = [f"{row.kind}: {row.place}" for row in evidence if row.field == field]
            yield field, str(planned.config.changed.get(field, value)), "; ".join(found)


def _taken(head: DenseHead) -> str:
    """What the layer of labels is, in words."""
    if head.hidden is None:
        return "a dense layer on the pooled output"
    return f"a dense layer behind one with {head.hidden.activation} on the first token of the last hidden state"


def _labels(planned: CheckpointPlan) -> Iterator[str]:
    if planned.head is None or planned.labelling is None:
        return
    keys, labelling = planned.form.library.head, planned.labelling
    yield "## Classification head"
    yield ""
    yield f"The logits of {planned.head.labels} labels come from {_taken(planned.head)}."
    if labelling.names is None:
        yield "The source does not name them."
    yield ""
    if labelling.names is not None:
        yield from _table(("number", "label"), enumerate(labelling.names))
    for key, value in ((keys.problem, labelling.problem), (keys.dropout, labelling.dropout)):
        if value is None:
            yield f"- `{key}`: nothing in the source shows it, and transformers' own default applies in training."
        else:
            yield f"- `{key}`: `{value}`"
    yield ""


def _changes(planned: CheckpointPlan) -> Iterator[str]:
    if planned.config.changed:
        yield "Other than in the source:"
        yield ""
        for field, value in planned.config.changed.items():
            yield f"- `{field}` is {value} there, {planned.config.architecture[field]} here"
        yield ""
        yield from _about_padding(planned)
    for name in sorted(planned.form.zeros):
        yield f"- {_code(name)} is made of zeros: the source adds nothing there"
        yield ""
    if planned.left_out:
        yield "Left out:"
        yield ""
        yield from (f"- {_code(row.variable.name)}: {_text(row.because)}" for row in planned.left_out)
        yield ""


def _about_padding(planned: CheckpointPlan) -> Iterator[str]:
    if any(field in planned.config.changed for field in planned.plan.inference.family.encoder.writes):
        yield "Only rows that are nothing but padding can show what is added to the logits of padding."
        yield ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(_code(str(cell)) for cell in row)} |"
    yield ""


def _text(text: str) -> str:
    """A text from a module, in which nothing is Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|~&$#" else c for c in all_shown(text))


def _code(text: str) -> str:
    """A text from a module as code: a table's bars and the code's own marks cannot end it."""
    shown = all_shown(text).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else ""
