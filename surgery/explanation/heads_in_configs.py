"""A checkpoint's classification head: its weights have names, and the config says what is computed of them.

Classes for tokens, for several choices and for whole texts keep their heads under the same names, so that only the
class that the config names tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from surgery.errors import ContradictionError, UnexplainedError
from surgery.explanation.claims import Claim
from surgery.explanation.heads import LINEAR, LOGITS, DenseHead, Head, HiddenLayer, Labelling, OtherHead
from surgery.module import Config, InspectedModule
from surgery.tables.fields import VALID, VALID_NAMES
from surgery.tables.head import BIAS, DENSE, HEAD, HIDDEN_BIAS, HIDDEN_KERNEL, KERNEL, LABELS, HeadConfig
from surgery.tables.publisher import Library


def described_head(
    module: InspectedModule, library: Library | None, claims: tuple[Claim, ...], *, pooled: bool
) -> Head | None:
    """The classification head of a checkpoint; None for one that has none.

    `pooled` says whether the encoder has a pooled output.

    Raises:
        ContradictionError: The config names another number of labels than the weights have.
        UnexplainedError: The config has a value for the head that no head can have.
    """
    own = [claim for claim in claims if claim.rule.part == HEAD]
    if not own or library is None or module.config is None:
        return None
    weights = {target: claim for claim in own for target in claim.targets}
    because = _other(module.config, library, weights)
    if because is None and not pooled and not library.head.hidden_act:
        because = "the checkpoint has no pooler, from which its input comes"
    if because is not None:
        names = tuple(sorted(claim.variable.name for claim in own))
        return OtherHead(outputs=(LOGITS,), variables=names, because=because)
    kernel, bias = weights[KERNEL], weights[BIAS]
    axis = _axis(kernel, LABELS)
    labels = kernel.variable.shape[axis]
    return DenseHead(
        kernel=kernel.variable,
        transposed=axis == 0,
        bias=bias.variable,
        labels=labels,
        hidden=_hidden(library.head, weights),
        outputs={LOGITS: LINEAR},
        labelling=read_labelling(module.config, library.head, labels, f"reading {module.config.file} of {module.name}"),
    )


def _hidden(keys: HeadConfig, weights: Mapping[str, Claim]) -> HiddenLayer | None:
    """The hidden layer of the class for whole texts, of which its code fixes the activation; None if it has none."""
    if not keys.hidden_act:
        return None
    kernel = weights[HIDDEN_KERNEL]
    return HiddenLayer(
        kernel=kernel.variable,
        transposed=_axis(kernel, DENSE) == 0,
        bias=weights[HIDDEN_BIAS].variable,
        activation=keys.hidden_act,
    )


def _axis(kernel: Claim, name: str) -> int:
    """The axis of a stored kernel that has this name."""
    assert kernel.rule.layout is not None, "the row of a kernel has a layout"
    return kernel.rule.layout.left.index((name,))


def with_labelling(head: Head | None, config: Config | None, library: Library | None, name: str) -> Head | None:
    """A head that a graph shows, with what the model's own config states of its labels, if the config names its class.

    Raises ContradictionError and UnexplainedError, as `described_head`; `name` is that of the module.
    """
    if not isinstance(head, DenseHead) or config is None or library is None or HEAD not in library.classes:
        return head
    if _class(config) != library.classes[HEAD].name:
        return head  # whoever put another head on the encoder did not tell the config
    doing = f"reading {config.file} of {name}"
    return replace(head, labelling=read_labelling(config, library.head, head.labels, doing))


def _class(config: Config) -> str | None:
    """The class that a config names; None if it names none."""
    classes = config.values.get("architectures")
    return str(classes[0]) if isinstance(classes, list) and classes else None


def _other(config: Config, library: Library, weights: Mapping[str, Claim]) -> str | None:
    """Why the head is not that of the library's class for whole texts, in words; None if it is."""
    named = _class(config)
    if named is None:
        return f"{config.file} names no class, and so it does not say what the head reads"
    if HEAD in library.classes and named == library.classes[HEAD].name:
        layers = (KERNEL, BIAS, *((HIDDEN_KERNEL, HIDDEN_BIAS) if library.head.hidden_act else ()))
        lacking = [target for target in layers if target not in weights]
        return f"the checkpoint has no {' and no '.join(lacking)}" if lacking else None
    reason = next((words for end, words in library.head.others.items() if named.endswith(end)), None)
    return f"its class is {named}: {reason or 'it is not known what its head reads'}"


def read_labelling(config: Config, keys: HeadConfig, labels: int, doing: str) -> Labelling:
    """What a config states of a head with so many labels. Names that every label has by default are none.

    Raises ContradictionError and UnexplainedError, as `described_head`.
    """
    values = config.values
    problem, dropout = values.get(keys.problem), values.get(keys.dropout)
    if problem is not None and problem not in keys.kinds:
        raise UnexplainedError(f"{doing}: {keys.problem} is {problem!r}, known are {', '.join(keys.kinds)}")
    if dropout is not None and not VALID["rate"](dropout):
        raise UnexplainedError(f"{doing}: {keys.dropout} is {dropout!r}, expected {VALID_NAMES['rate']}")
    return Labelling(
        names=_names(values.get(keys.names), keys, labels, doing),
        problem=problem,
        dropout=None if dropout is None else float(dropout),
    )


def _names(stated: Any, keys: HeadConfig, labels: int, doing: str) -> tuple[str, ...] | None:
    if stated is None:
        return None
    names = stated if isinstance(stated, dict) else {}
    numbered = {str(number): str(name) for number, name in names.items()}
    if set(numbered) != {str(number) for number in range(labels)}:
        raise ContradictionError(
            f"{doing}: {keys.names} names {len(numbered)} labels, but the head's weights have {labels}",
            hint=f"correct {keys.names}: it has a name for each number from 0 to {labels - 1}",
        )
    found = tuple(numbered[str(number)] for number in range(labels))
    return None if found == default_names(keys, labels) else found


def default_names(keys: HeadConfig, labels: int) -> tuple[str, ...]:
    """The names of labels that have none."""
    return tuple(keys.default_name.format(number) for number in range(labels))
