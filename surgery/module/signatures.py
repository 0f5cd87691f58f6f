"""Meta graphs of a module, their signatures, and the meaning of the signatures' keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from surgery.formats.tensors import Shape
from surgery.wording import shape_text

SERVE = ("serve",)
"""The tags that the server loads unless --saved_model_tags says otherwise."""
DEFAULT_SIGNATURE = "serving_default"
"""The signature that clients of a server run unless they name another."""


def for_inference(tag_sets: Sequence[Iterable[str]]) -> int | None:
    """The number of the meta graph for inference: the one that is served, else the first without the tag "train".

    None where there is none. An Estimator may export further ones, tagged "eval" or, beside "serve", "tpu".
    """
    numbered = [(number, tuple(sorted(tags))) for number, tags in enumerate(tag_sets)]
    served = [number for number, tags in numbered if tags == SERVE]
    return next(iter([*served, *(number for number, tags in numbered if "train" not in tags)]), None)


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """One input or output.

    Attributes:
        key: Its key in a signature or structure.
        dtype: Its dtype by TensorFlow's name, such as "float32".
        shape: Its shape, with None for an axis of any size; None where the number of axes is not known.
        name: Its name in the graph; None where the format gives none, and for a tensor of several parts.
        kind: "ragged" or "sparse"; "" for a plain tensor.
        parts: The plain tensors of which a ragged or sparse one consists, keyed as TensorFlow calls them: `values` and
            `row_splits`; `indices`, `values` and `dense_shape`.
    """

    key: str
    dtype: str
    shape: Shape | None
    name: str | None = None
    kind: str = ""
    parts: tuple[TensorInfo, ...] = ()

    @property
    def type(self) -> str:
        """Kind, dtype and shape for people: `float32 [?, 3]`, `ragged float32 [?, ?]`."""
        return f"{self.kind} {self.dtype} {shape_text(self.shape)}".lstrip()

    def flat(self, path: str) -> tuple[tuple[str, TensorInfo], ...]:
        """The plain tensors with their paths: itself at `path`, or the parts of a ragged or sparse one below it."""
        return tuple((f"{path}.{part.key}", part) for part in self.parts) or ((path, self),)


@dataclass(frozen=True, kw_only=True)
class SignatureInfo:
    """A named entry point of a meta graph, as TensorFlow Serving sees it.

    Attributes:
        name: Its name, such as "serving_default".
        inputs: Its inputs, sorted by key.
        outputs: Its outputs, sorted by key.
        method_name: The signature's `method_name`, such as "tensorflow/serving/predict".
    """

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    method_name: str = ""

    @property
    def flat_outputs(self) -> tuple[tuple[str, TensorInfo], ...]:
        """The plain tensors that it returns, with their keys."""
        return tuple(found for tensor in self.outputs for found in tensor.flat(tensor.key))


@dataclass(frozen=True, kw_only=True)
class MetaGraphInfo:
    """One meta graph of a SavedModel.

    Attributes:
        tags: Its tags, sorted; empty for the inference graph of a TF1 hub.Module.
        signatures: Its signatures, sorted by name.
        node_count: Number of nodes outside of functions.
        function_count: Number of functions.
        operations: The types of all its operations, in functions as well, sorted.
    """

    tags: tuple[str, ...]
    signatures: tuple[SignatureInfo, ...]
    node_count: int
    function_count: int
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OutputName:
    """The meaning of an opaque key of a signature: `bert_encoder_1_4` is `encoder_outputs[3]` of the call.

    Attributes:
        signature: Name of the signature.
        key: The key of the output, or of the input.
        callable: The callable whose output or input it is.
        paths: Paths in the callable's structure; several when the call returns one tensor at several of them.
        how: How it was found.
    """

    signature: str
    key: str
    callable: str
    paths: tuple[str, ...]
    how: str
