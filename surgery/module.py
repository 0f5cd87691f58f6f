"""A module as plain frozen data, the same for every format: no later stage asks which format a module had."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from surgery.formats.tensors import Shape
from surgery.wording import shape_text

if TYPE_CHECKING:
    import numpy as np

    from surgery.graphs.flat import FlatGraph


Structure = Any
"""Nested dicts, lists and tuples with TensorInfo, bool or None at the leaves, as a function takes or returns it."""


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """One input or output.

    Attributes:
        key: its key in a signature or structure.
        dtype: its dtype by TensorFlow's name, such as "float32".
        shape: its shape, with None for an axis of any size; None where the number of axes is not known.
        name: its name in the graph; None where the format gives none.
    """

    key: str
    dtype: str
    shape: Shape | None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class SignatureInfo:
    """A named entry point of a meta graph, as TensorFlow Serving sees it.

    Attributes:
        name: its name, such as "serving_default".
        inputs: its inputs, sorted by key.
        outputs: its outputs, sorted by key.
        method_name: the signature's `method_name`, such as "tensorflow/serving/predict".
    """

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    method_name: str = ""


@dataclass(frozen=True, kw_only=True)
class MetaGraphInfo:
    """One meta graph of a SavedModel.

    Attributes:
        tags: its tags, sorted; empty for the inference graph of a TF1 hub.Module.
        signatures: its signatures, sorted by name.
        node_count: number of nodes outside of functions.
        function_count: number of functions.
    """

    tags: tuple[str, ...]
    signatures: tuple[SignatureInfo, ...]
    node_count: int
    function_count: int


@dataclass(frozen=True, kw_only=True)
class VariableInfo:
    """A variable of a module.

    Attributes:
        name: its name.
        dtype: its dtype by TensorFlow's name.
        shape: its shape.
        trainable: whether `module.trainable_variables` has it, which is the list that fine-tuning uses.
        path: its path from the root object, such as "variables/3"; None in TF1 graphs and in checkpoints.
        attribute: its name as a child of the root object, such as "do_lower_case"; None for other variables.
        nbytes: its size in bytes; 0 where the dtype has no fixed size.
        watched: the variable's own flag `trainable`, which a gradient tape follows.
        listed: whether `module.variables` has it.
        outside: why it belongs to the model around the encoder; None for a variable of the encoder itself.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    trainable: bool
    path: str | None = None
    attribute: str | None = None
    nbytes: int = 0
    watched: bool = True
    listed: bool = False
    outside: str | None = None

    @property
    def address(self) -> str:
        """The variable's unique name within its module: its path, or in a TF1 graph its name."""
        return self.path or self.name


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One concrete function of a callable, for one value of `training`.

    Attributes:
        callable: name of the callable, such as "__call__" or "mlm".
        function: name of the function in the graph, or of the signature in a TF1 module.
        training: the value of `training` for which it was traced; None where it has no such argument.
        inputs: structure of the inputs.
        outputs: structure of the outputs.
        captures: path of the variable (see VariableInfo) bound to each remaining argument; None for other tensors.
        open_graph: opens the function's graph.
    """

    callable: str
    function: str
    training: bool | None
    inputs: Structure
    outputs: Structure
    captures: tuple[str | None, ...]
    open_graph: Callable[[], FlatGraph] = field(repr=False, compare=False)

    @property
    def flat_inputs(self) -> tuple[tuple[str, TensorInfo], ...]:
        """The inputs with their paths, in the order of the function's arguments (see leaves)."""
        return tuple((path, leaf) for path, leaf in leaves(self.inputs) if isinstance(leaf, TensorInfo))

    @property
    def flat_outputs(self) -> tuple[tuple[str, TensorInfo], ...]:
        """The outputs with their paths, in the order of the function's results (see leaves)."""
        return tuple((path, leaf) for path, leaf in leaves(self.outputs) if isinstance(leaf, TensorInfo))


class Tensors(Protocol):
    """The values of a module's variables, read one at a time."""

    def check(self, variables: Iterable[VariableInfo]) -> None:
        """Looks variables up without reading them. Raises ModuleError for one that is not there as it was listed."""

    def read(self, variable: VariableInfo) -> np.ndarray:
        """A variable's value, in the shape in which the module stores it. Raises ModuleError for a damaged file."""


def no_tensors() -> Tensors:
    """Stands for the values of a module that was made without files. Raises LookupError."""
    raise LookupError("this module has no weights to read")


@dataclass(frozen=True, kw_only=True)
class Config:
    """A checkpoint's configuration file.

    Attributes:
        file: its name, such as "bert_config.json".
        values: value by key.
    """

    file: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class OutputName:
    """The meaning of an opaque key of a signature: `bert_encoder_1_4` is `encoder_outputs[3]` of the call.

    Attributes:
        signature: name of the signature.
        key: the key of the output, or of the input.
        callable: the callable whose output or input it is.
        paths: paths in the callable's structure; several when the call returns one tensor at several of them.
        how: how it was found.
    """

    signature: str
    key: str
    callable: str
    paths: tuple[str, ...]
    how: str


@dataclass(frozen=True, kw_only=True)
class InspectedModule:
    """All that a module's files show without TensorFlow.

    Attributes:
        name: name of the module.
        folder: the folder with its files.
        format: the format for people, such as "TF2 SavedModel".
        variables: every variable.
        fingerprint: SHA-256 by name of the files that identify it.
        saved_model_bytes: size of its graph's file in bytes.
        tensorflow_version: the TensorFlow that wrote it; "" for a checkpoint.
        meta_graphs: its meta graphs, in file order; a checkpoint has none.
        assets: asset files, relative to the folder, by the attribute under which the module has them.
        traces: concrete functions of its callables; a checkpoint has none.
        signature_traces: the concrete function behind each signature, by name.
        attached_messages: messages attached to a TF1 hub.Module, as bytes by key, by tags.
        constants: facts such as `do_lower_case` that a TF1 module's signature `tokenization_info` or a tokenizer's
            config gives; a TF2 module keeps them in variables.
        output_names: meaning of each signature's outputs.
        input_names: meaning of each signature's inputs.
        problems: files that are missing or empty, one line each.
        config: the file that describes the function of a checkpoint, which has no graph; None for a SavedModel.
        bare_graph: opens the graph of unknown purpose that lies beside a checkpoint, which is evidence and nothing to
            call; None where there is none.
        open_tensors: opens the values of the variables.
        saved_model: the parsed `saved_model.pb`, for readers of its graphs; None for a checkpoint.
    """

    name: str
    folder: str
    format: str
    variables: tuple[VariableInfo, ...]
    fingerprint: Mapping[str, str]
    saved_model_bytes: int
    tensorflow_version: str = ""
    meta_graphs: tuple[MetaGraphInfo, ...] = ()
    assets: Mapping[str, str] = field(default_factory=dict)
    traces: tuple[Trace, ...] = ()
    signature_traces: Mapping[str, Trace] = field(default_factory=dict)
    attached_messages: Mapping[tuple[str, ...], Mapping[str, bytes]] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    output_names: tuple[OutputName, ...] = ()
    input_names: tuple[OutputName, ...] = ()
    problems: tuple[str, ...] = ()
    config: Config | None = None
    bare_graph: Callable[[], FlatGraph] | None = field(default=None, repr=False, compare=False)
    open_tensors: Callable[[], Tensors] = field(default=no_tensors, repr=False, compare=False)
    saved_model: Any = field(default=None, repr=False, compare=False)

    def trace(self, callable: str, *, training: bool) -> Trace | None:
        """The first trace of a callable for a value of `training`; inference also accepts one without the argument."""
        found = [t for t in self.traces if t.callable == callable and t.training is training]
        if not found and not training:
            found = [t for t in self.traces if t.callable == callable and t.training is None]
        return found[0] if found else None

    @property
    def callables(self) -> tuple[str, ...]:
        """Names of the module's callables, "__call__" among them."""
        return tuple(dict.fromkeys(trace.callable for trace in self.traces))

    @property
    def signatures(self) -> dict[str, SignatureInfo]:
        """Signatures of the inference meta graph: the one without the tag "train"."""
        for graph in self.meta_graphs:
            if "train" not in graph.tags:
                return {signature.name: signature for signature in graph.signatures}
        return {}

    @property
    def tag_sets(self) -> tuple[tuple[str, ...], ...]:
        """The tags of every meta graph; the empty tuple is the empty tag set."""
        return tuple(graph.tags for graph in self.meta_graphs)

    def meta_graph(self, tags: Iterable[str] = ()) -> MetaGraphInfo:
        """The meta graph with exactly these tags. Raises KeyError, naming the tag sets there are."""
        wanted = tuple(sorted(tags))
        for graph in self.meta_graphs:
            if graph.tags == wanted:
                return graph
        raise KeyError(f"no meta graph with the tags {set(wanted) or '{}'}; there are {list(self.tag_sets)}")

    def signature_names(self, tags: Iterable[str] = ()) -> tuple[str, ...]:
        """Names of a meta graph's signatures, as `get_signature_names` of a hub.ModuleSpec gave them.

        Args:
            tags: The tags of the meta graph, in any order; none for the inference graph of a TF1 hub.Module.

        Returns:
            The names in the order of the file.

        Raises:
            KeyError: There is no meta graph with exactly these tags; it names those that there are.
        """
        return tuple(signature.name for signature in self.meta_graph(tags).signatures)

    def input_info(self, signature: str = "default", tags: Iterable[str] = ()) -> dict[str, TensorInfo]:
        """Inputs of a signature, as `get_input_info_dict` of a hub.ModuleSpec gave them.

        Args:
            signature: The name of the signature.
            tags: As for `signature_names`.

        Returns:
            Dtype and shape by key. None in a shape stands for a free size.

        Raises:
            KeyError: There is no such signature or meta graph; it names those that there are.
        """
        return {tensor.key: tensor for tensor in self._signature(signature, tags).inputs}

    def output_info(self, signature: str = "default", tags: Iterable[str] = ()) -> dict[str, TensorInfo]:
        """Outputs of a signature, as `get_output_info_dict` of a hub.ModuleSpec gave them.

        Args:
            signature: The name of the signature.
            tags: As for `signature_names`.

        Returns:
            Dtype and shape by key. None in a shape stands for a free size.

        Raises:
            KeyError: There is no such signature or meta graph; it names those that there are.
        """
        return {tensor.key: tensor for tensor in self._signature(signature, tags).outputs}

    def attached_message(self, key: str, tags: Iterable[str] = ()) -> bytes:
        """A message attached to a TF1 hub.Module, as `get_attached_message` of a hub.ModuleSpec found it.

        Args:
            key: The key under which it is attached.
            tags: As for `signature_names`.

        Returns:
            The message as bytes: parse them with its type.

        Raises:
            KeyError: There is no such message or meta graph; it names those that there are.
        """
        messages = self.attached_messages.get(self.meta_graph(tags).tags, {})
        if key not in messages:
            raise KeyError(f"no attached message {key!r}; there are {list(messages)}")
        return messages[key]

    def _signature(self, name: str, tags: Iterable[str]) -> SignatureInfo:
        for signature in self.meta_graph(tags).signatures:
            if signature.name == name:
                return signature
        raise KeyError(f"no signature {name!r}; there are {list(self.signature_names(tags))}")

    @property
    def weight_bytes(self) -> int:
        """Size of all variables in bytes."""
        return sum(variable.nbytes for variable in self.variables)


def leaves(structure: Structure, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves with their path (`encoder_outputs[3]`), in TensorFlow's nest order: dict keys sorted."""
    if isinstance(structure, dict):
        for key in sorted(structure):
            yield from leaves(structure[key], f"{path}.{key}" if path else str(key))
    elif isinstance(structure, list | tuple):
        for index, value in enumerate(structure):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, structure


def describe(structure: Structure) -> Any:
    """A Structure as JSON-ready data: tensors become "float32 [?, ?, 64]"."""
    if isinstance(structure, dict):
        return {key: describe(structure[key]) for key in sorted(structure)}
    if isinstance(structure, list | tuple):
        return [describe(value) for value in structure]
    return f"{structure.dtype} {shape_text(structure.shape)}" if isinstance(structure, TensorInfo) else structure


def is_attribute(variable: Any) -> bool:
    """True for a constant that is a child of the module under its own name, such as `do_lower_case`: not a weight."""
    return variable.attribute is not None and not variable.trainable and not variable.shape


SERVE = ("serve",)
"""The tags that the server loads unless --saved_model_tags says otherwise."""
