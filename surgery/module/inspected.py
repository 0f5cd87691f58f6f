"""All that a module's files show, and the look-ups that replace those of a hub.ModuleSpec."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from surgery.module.signatures import MetaGraphInfo, OutputName, SignatureInfo, TensorInfo, for_inference
from surgery.module.traces import Trace
from surgery.module.variables import Tensors, VariableInfo, no_tensors
from surgery.results import Brief

if TYPE_CHECKING:
    from surgery.graphs.flat import FlatGraph


@dataclass(frozen=True, kw_only=True)
class Config:
    """A checkpoint's configuration file.

    Attributes:
        file: Its name, such as "bert_config.json".
        values: Value by key.
    """

    file: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, repr=False)
class InspectedModule(Brief):
    """All that a module's files show without TensorFlow.

    Attributes:
        name: Name of the module.
        folder: The folder with its files.
        format: The format for people, such as "TF2 SavedModel".
        variables: Every variable.
        fingerprint: SHA-256 by name of the files that identify it.
        saved_model_bytes: Size of its graph's file in bytes.
        tensorflow_version: The TensorFlow that wrote it; "" for a checkpoint.
        meta_graphs: Its meta graphs, in file order; a checkpoint has none.
        assets: Asset files, relative to the folder, by the attribute under which the module has them.
        traces: Concrete functions of its callables; a checkpoint has none.
        signature_traces: The concrete function behind each signature, by name.
        attached_messages: Messages attached to a TF1 hub.Module, as bytes by key, by tags.
        constants: Facts such as `do_lower_case` that a TF1 module's signature `tokenization_info` or a tokenizer's
            config gives; a TF2 module keeps them in variables.
        output_names: Meaning of each signature's outputs.
        input_names: Meaning of each signature's inputs.
        problems: Files that are missing or empty, one line each.
        config: The file that describes the function of a checkpoint, which has no graph; None for a SavedModel.
        bare_graph: Opens the graph of unknown purpose that lies beside a checkpoint, which is evidence and nothing to
            call; None where there is none.
        whole_graph: Opens the whole graph of a SavedModel without calls, in which an encoder may lie (see
            surgery.explanation.embedded); None for any other module.
        around: The signatures of the model around an encoder that has a call of its own, by name.
        training_config: The config of the model that was trained, where it lies beside its graph; None where it does
            not.
        scope: The scope of the encoder's variables in such a graph, such as "module/"; "" for none.
        makes_tokens: Whether such a graph makes the encoder's token ids of strings, by a tokenizer of its own.
        open_tensors: Opens the values of the variables.
        saved_model: The parsed `saved_model.pb`, for readers of its graphs; None for a checkpoint.
        cleared: The word of the gate that its graphs may be run (surgery.scanning.gate.Cleared); None before it.
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
    whole_graph: Callable[[], FlatGraph] | None = field(default=None, repr=False, compare=False)
    around: Mapping[str, Trace] = field(default_factory=dict)
    training_config: Config | None = None
    scope: str = ""
    makes_tokens: bool = False
    open_tensors: Callable[[], Tensors] = field(default=no_tensors, repr=False, compare=False)
    saved_model: Any = field(default=None, repr=False, compare=False)
    cleared: Any = field(default=None, repr=False, compare=False)

    def trace(self, callable: str, *, training: bool) -> Trace | None:
        """The first trace of a callable for a value of `training`; inference also accepts one without the argument."""
        found = [t for t in self.traces if t.callable == callable and t.training is training]
        if not found and not training:
            found = [t for t in self.traces if t.callable == callable and t.training is None]
        return found[0] if found else None

    @property
    def inference(self) -> MetaGraphInfo | None:
        """The meta graph for inference; None where there is none, as for a checkpoint."""
        number = for_inference(self.tag_sets)
        return None if number is None else self.meta_graphs[number]

    @property
    def inference_graph(self) -> Any:
        """The message of the inference meta graph. Raises LookupError where there is none, as for a checkpoint."""
        number = for_inference(self.tag_sets)
        if number is None:
            raise LookupError("there is no meta graph for inference")
        return self.saved_model.meta_graphs[number]

    @property
    def callables(self) -> tuple[str, ...]:
        """Names of the module's callables, "__call__" among them."""
        return tuple(dict.fromkeys(trace.callable for trace in self.traces))

    @property
    def signatures(self) -> dict[str, SignatureInfo]:
        """Signatures of the inference meta graph."""
        return {} if self.inference is None else {signature.name: signature for signature in self.inference.signatures}

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
