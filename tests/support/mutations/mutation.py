"""A mutation of an export on disk: where it is made, in which samples, and what must name it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.editing import Edit, edited
from tests.support.mutations.values import ValuesEdit
from tests.support.tampering import with_values

BERT, ELECTRA, ALBERT = "g4_bert_dropouts", "g4_electra", "g4_albert_dropout"
MOBILEBERT, TALKING_HEADS = "g4_mobilebert_layer_norm", "g4_talkheads"
EARLY, CHECKPOINT, ROBERTA, NORMALIZED = "g1", "hf_bert", "hf_roberta", "labse"
SHARP, TF1_SHARP = "g2_sharp", "tf1_sharp"
FAMILIES = (BERT, ALBERT, MOBILEBERT, TALKING_HEADS)

TRAINING = "__call__(training=True)"

FORMS = ("fused", "model_garden", "packed")
"""The forms of the graphs for inference; packed ones are fused, too."""

First = Mapping[str, str]
"""The first output to diverge by sample; "" where no output may."""


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A row of the table. It is made in the weights, in the graph, or in the files.

    Attributes:
        row: The mutation.
        where: Where in the export it is made.
        first: The first output to diverge by sample; "" where no output may.
        weights: Makes it in the weights. Each weight that it changes must be named, and no other one.
        graph: Makes it in the protobuf of saved_model.pb.
        files: Makes it in the files of a copy of the export.
        told: What else must be said: a pattern for each line. No other line may be there.
        inference: True if it is made in the graphs for inference, whose form a request chooses.
        features: True if it is made in the signatures of conversions.FEATURES.
    """

    row: str
    where: str
    first: First
    weights: ValuesEdit | None = None
    graph: Edit | None = None
    files: Callable[[Path], None] | None = None
    told: tuple[str, ...] = ()
    inference: bool = False
    features: bool = False

    def make(self, export: Path, folder: Path) -> frozenset[str]:
        """Makes the mutated copy of an export in a folder. Returns the names of the weights that it changes."""
        if self.weights is not None:
            return with_values(export, folder, self.weights)
        edited(export, folder, self.graph or (lambda saved_model: None))
        if self.files is not None:
            self.files(folder)
        return frozenset()

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms of the graphs in which it is made: all of them where it is made in graphs for inference."""
        return FORMS if self.inference else ("features",) if self.features else FORMS[:1]

    @property
    def named_by(self) -> str:
        """What names it, for people."""
        by = {"the weight's bits": self.weights is not None, "the output": any(self.first.values())}
        by["the contract"] = bool(self.told)
        return ", ".join(words for words, does in by.items() if does)


def first(
    *samples: str, block: int | None = 1, logits: bool = True, weights: bool = False, training: bool = False
) -> First:
    """The first output to diverge when something is wrong in a block; in the embeddings without a block.

    With `logits`, MobileBERT's scores show it before the block's output. With `weights`, ALBERT's first block shows it.
    """
    owner = f"{TRAINING}." if training else ""
    found = {}
    for sample in samples:
        if block is None:
            name = "embedding_output"
        elif sample == MOBILEBERT:
            name = f"attention_scores_{block}" if logits else f"encoder_outputs_{block + 1}"
        else:
            name = f"encoder_outputs_{0 if weights and sample == ALBERT else block}"
        found[sample] = owner + name
    return found


def silent(*samples: str) -> First:
    """No output may diverge."""
    return dict.fromkeys(samples, "")
