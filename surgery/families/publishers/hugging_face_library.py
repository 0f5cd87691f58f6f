"""Hugging Face's library: the names of transformers' classes, and what their configs say of a classification head."""

from __future__ import annotations

from surgery.tables.head import HEAD, HeadConfig
from surgery.tables.publisher import Library, LibraryClass

CLASSES = {
    "": ("Model", "feature-extraction"),
    "mlm": ("ForMaskedLM", "fill-mask"),
    HEAD: ("ForSequenceClassification", "text-classification"),
}
"""The end of the name of a model's class, and its task, by the part that the class has on the encoder."""
HEADS = {
    "ForTokenClassification": "it labels every token, from the sequence output",
    "ForMultipleChoice": "it compares the pooled outputs of several texts",
}
"""What classes compute that keep a head of their own under the names of a classification head, by the class's end."""
_ONE_LABEL, _SEVERAL_LABELS = "single_label_classification", "multi_label_classification"


def library(
    prefix: str,
    *,
    scope: str,
    divided: str = "hidden_size",
    masked_lm: bool = True,
    classifier_act: str = "",
    classifier_dropout: str = "classifier_dropout",
) -> Library:
    """The classes of a model by the prefix of their names, such as "Bert".

    Args:
        prefix: What the names of its classes begin with.
        scope: Scope of the encoder's names in a class with a head.
        divided: The field that its code divides by the number of heads.
        masked_lm: Whether its masked-LM head is that of the encoder here.
        classifier_act: The activation of the hidden layer that its class for the classification of texts has on the
            first token, as its code has it; "" where the class has a dense layer on the pooled output.
        classifier_dropout: The config's key of the rate of dropout on what the layer of labels takes.
    """
    return Library(
        name="transformers",
        classes={
            part: LibraryClass(name=prefix + end, task=task, loader=f"Auto{'' if not part else 'Model'}{end}")
            for part, (end, task) in CLASSES.items()
            if masked_lm or part != "mlm"
        },
        scope=f"{scope}.",
        divided=divided,
        head=HeadConfig(
            names="id2label",
            numbers="label2id",
            default_name="LABEL_{}",
            problem="problem_type",
            kinds=("regression", _ONE_LABEL, _SEVERAL_LABELS),
            kind_of={"softmax": _ONE_LABEL, "log_softmax": _ONE_LABEL, "sigmoid": _SEVERAL_LABELS},
            several=(_ONE_LABEL,),
            dropout=classifier_dropout,
            others=HEADS,
            hidden_act=classifier_act,
        ),
    )
