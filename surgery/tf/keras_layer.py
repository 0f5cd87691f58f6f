"""The layer of Keras 3 around an export. Its weights are the variables of the loaded graph: one memory, one name each.

Keras reads a model's file in three steps: it makes the layers from their configurations, gives them their weights, and
hands them their assets. The layer therefore has to exist before its graph does. Its weights and the shapes of its
outputs come from the description in its configuration, and the graph is loaded around the weights when it arrives.
"""

from __future__ import annotations

import hashlib
import inspect
import weakref
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from surgery.arguments import OneOrMore, PathOrHandle, one_or_more
from surgery.batching import MASK, WORD_IDS
from surgery.batching.token_inputs import completed
from surgery.boundary import boundary
from surgery.errors import ModuleError, UsageError
from surgery.export.choice import Choice, choose, short_forms
from surgery.export.description import Description, Weight, describe
from surgery.module import InspectedModule
from surgery.paths import at_home
from surgery.planning.requests import Feature, Layers, layers_text
from surgery.scanning.gate import let_through
from surgery.sources.files import SAVED_MODEL
from surgery.sources.opening import open_module
from surgery.tf.features import compute
from surgery.tf.flat_outputs import flat_outputs
from surgery.tf.kept_export import KeptExport, keep
from surgery.tf.keras_calls import errors_as_they_are, given_tokens, int32_of
from surgery.tf.keras_variables import HeldExport, LayerWeight

BACKEND = "tensorflow"


class _Own:
    """What a layer has of its own. Keras and TensorFlow wrap dicts and lists that are attributes of a layer itself.

    Attributes:
        description: The export, as the layer knows it.
        choices: The outputs that the layer returns; None for all that the export's call returns.
        weights: Every weight by its name in the export.
        kept: The export's files and loaded graph; None until they have arrived.
    """

    description: Description
    choices: tuple[Choice, ...] | None = None
    kept: KeptExport | None = None

    def __init__(self) -> None:
        self.weights: dict[str, LayerWeight] = {}


@keras.saving.register_keras_serializable(package="surgery")
class Encoder(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """The encoder of an export as a layer of Keras 3. Its weights are the export's, and it can be fine-tuned.

    Calls take tokens, each int32 or int64 [batch, seq], in any of these forms: a dict with the keys `input_word_ids`,
    `input_mask` and `input_type_ids`; the same names as keyword arguments; the ids alone; a list `[ids, mask, types]`.
    The names of Hugging Face (`input_ids`, `attention_mask`, `token_type_ids`) are taken as well. **A missing mask
    shows every id except that of padding** (the export's `pad_token_id`, or that of its tokenizer, or 0), as TF Hub's
    preprocessors do. Missing types are 0; an encoder without token types takes none.

    With `training=True`, which `fit` passes, the layer runs the export's training graph, whose dropout has the source's
    rates. The encoder computes in float32, whatever the policy is; its outputs are cast to the policy's compute dtype.

    Args:
        exported: The folder of an export that takes tokens, such as `"exported/bert/1"`.
        outputs: The outputs to return. None returns what the export's call does: a dict with `pooled_output` [batch,
            hidden], `sequence_output` [batch, seq, hidden], `encoder_outputs` (a list with one per block), and so on.
            One name returns one tensor: `"pooled_output"`, `"encoder_outputs_3"`, a tap such as `"query_1"`, a feature
            of the export, or any feature in its form `"vector=mean@-4:/mean"`. Several names return a dict.
        train_blocks: The blocks to train, such as `"-2:"`; the pooler is trained with them, and all else is frozen.
            None trains what the source trains.
        trainable: Whether anything is trained.
        trust: As for `surgery.convert`. It is not saved with a model.
        name: The name of the layer.
        dtype: A dtype or policy of Keras.
        export: The description of the export that `get_config` returns. Leave it out.

    Raises:
        ModuleError: The folder is no export that takes tokens, or is damaged.
        UntrustedError: The export could do more than compute.
        UsageError: The export has no such output or block, or Keras has another backend than TensorFlow.

    Examples:
        ```python
        import keras
        from surgery.keras import Encoder

        names = ("input_word_ids", "input_mask", "input_type_ids")
        tokens = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
        pooled = Encoder("exported/bert/1", outputs="pooled_output", train_blocks="-2:")(tokens)
        model = keras.Model(tokens, keras.layers.Dense(2)(pooled))
        ```
    """

    def __init__(
        self,
        exported: PathOrHandle,
        *,
        outputs: OneOrMore[str | Feature] | None = None,
        train_blocks: Layers | None = None,
        trainable: bool = True,
        trust: bool = False,
        name: str | None = None,
        dtype: Any = None,
        export: Mapping[str, Any] | None = None,
    ) -> None:
        _check_backend()
        # Keras would cast floats to half precision before the layer could say that tokens are integers.
        super().__init__(trainable=trainable, name=name, dtype=dtype, autocast=False)
        self.supports_jit = False  # XLA would compile the graph anew for each length of a batch
        self.exported = str(at_home(exported))
        self.outputs = short_forms(outputs)
        self.train_blocks = None if train_blocks is None else layers_text(train_blocks)
        self._own = _Own()
        with boundary(f"making an Encoder of {self.exported}"), tf.init_scope():
            described = None if export is None else Description.from_config(export)
            if described is None or _is_at(self.exported, described):
                with open_module(self.exported, with_weights=True) as module:
                    if module.problems:
                        raise ModuleError(f"opening {self.exported}: " + "; ".join(module.problems))
                    cleared = let_through(module, trust=trust)
                    values = module.open_tensors()
                    found = {variable.name: variable for variable in module.variables}
                    self._build_around(describe(module), lambda weight: values.read(found[weight.name]))
                    self._load(cleared)
            else:
                self._build_around(described, _no_value)
        self._build_at_init()

    def _build_around(self, description: Description, value: Callable[[Weight], Any]) -> None:
        """Makes the weights."""
        self._own.description = description
        self._own.choices = None if self.outputs is None else choose(description, one_or_more(self.outputs))
        trained = description.trained(self.train_blocks)
        for weight in description.weights:
            *scopes, name = weight.name.split("/")
            variable = tf.Variable(value(weight), trainable=weight.trainable, dtype=weight.dtype, name=weight.name)
            with ExitStack() as stack:
                for scope in (self.name, *scopes):
                    stack.enter_context(keras.name_scope(scope))
                made = LayerWeight(variable, trainable=weight.name in trained, autocast=False, name=name)
            self._own.weights[weight.name] = made
            self._track_variable(made)

    def _load(self, module: InspectedModule) -> None:
        """Loads the graph of an export, whose description is the layer's, around the weights that are there."""
        kept = keep(module, self._own.description, {name: weight.value for name, weight in self._own.weights.items()})
        if self._own.kept is not None:
            self._own.kept.held.close()
        self._own.kept = kept
        weakref.finalize(self, kept.held.close)
        self._held = HeldExport(kept.loaded)

    def _there(self, doing: str) -> KeptExport:
        """The export. Raises ModuleError if the layer was made of a configuration, and its folder is not there."""
        if self._own.kept is None:
            raise ModuleError(
                f"{doing} {self.name}: the export at {self.exported} is not there, or another one is",
                hint="keras.saving.load_model reads a layer with its export from a .keras file; a configuration alone "
                "needs the folder",
            )
        return self._own.kept

    def call(
        self,
        inputs: Any = None,
        input_word_ids: Any = None,
        input_mask: Any = None,
        input_type_ids: Any = None,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        training: bool | None = None,
    ) -> Any:
        """The outputs for tokens in one of the forms above. See the class."""
        with errors_as_they_are():
            tokens = self._completed(given_tokens(locals()), int32_of)
            returned = self._there("calling").loaded(tokens, training=bool(training))
            return self._chosen(returned, tokens[MASK])

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes of the outputs, from those of the tokens."""
        call = inspect.signature(self.call).bind(*args, **kwargs)
        with errors_as_they_are():
            tokens = self._completed(given_tokens(call.arguments), lambda value, dtype: value)
        batch, length = tokens[WORD_IDS].shape
        known = self._own.description
        shapes = {
            name: [[batch, *(length if size is None else size for size in rest)] for _, *rest in entries]
            for name, entries in known.outputs.items()
        }
        specs = {name: [tf.TensorSpec(shape, tf.float32) for shape in entries] for name, entries in shapes.items()}
        returned = {name: entries if name in known.lists else entries[0] for name, entries in specs.items()}
        traced = tf.function(self._chosen, autograph=False).get_concrete_function(
            returned, tf.TensorSpec([batch, length], tf.int32)
        )
        return tf.nest.map_structure(
            lambda spec: keras.KerasTensor(tuple(spec.shape), keras.backend.standardize_dtype(spec.dtype)),
            traced.structured_outputs,
        )

    def _completed(self, given: Mapping[str, Any], cast: Callable[[Any, str], Any]) -> dict[str, Any]:
        """The inputs of the export's call, see `completed`."""
        return completed(given, cast, pad=self._own.description.pad, taken=self._own.description.inputs)

    def _chosen(self, returned: Mapping[str, Any], mask: tf.Tensor) -> Any:
        """The layer's outputs from those of the export's call, in the layer's own dtype."""
        returned = tf.nest.map_structure(lambda tensor: tf.cast(tensor, tf.float32), dict(returned))
        if self._own.choices is None:
            return self._cast(returned)
        flat = flat_outputs(returned, self._own.description.lists)
        for feature in (choice.feature for choice in self._own.choices if choice.feature is not None):
            flat.update(compute(feature, [flat[name] for name in feature.states], mask))
        chosen = {
            choice.key: [flat[name] for name in choice.names] if choice.listed else flat[choice.names[0]]
            for choice in self._own.choices
        }
        return self._cast(next(iter(chosen.values())) if isinstance(self.outputs, str) else chosen)

    def _cast(self, outputs: Any) -> Any:
        return tf.nest.map_structure(lambda tensor: tf.cast(tensor, self.compute_dtype), outputs)

    def get_config(self) -> dict[str, Any]:
        """The arguments, and the description of the export. The weights and the graph are not among them."""
        return {
            **super().get_config(),
            "exported": self.exported,
            "outputs": self.outputs,
            "train_blocks": self.train_blocks,
            "export": self._own.description.to_config(),
        }

    def save_own_variables(self, store: Any) -> None:
        """Writes the weights by name, so that a file is read back whichever blocks are trained."""
        for name, weight in self._own.weights.items():
            store[_key(name)] = weight.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads weights that `save_own_variables` has written. Raises ValueError for those of another encoder."""
        wanted, found = {_key(name) for name in self._own.weights}, set(store.keys())
        if differing := sorted(wanted ^ found):
            raise ValueError(
                f"reading the weights of {self.name}: they are those of another encoder. Expected {len(wanted)}, found "
                f"{len(found)}; only one of both has {', '.join(differing[:3])}"
            )
        for name, weight in self._own.weights.items():
            weight.assign(store[_key(name)])

    def save_assets(self, inner_path: str) -> None:
        """Writes the export into a model's file: its graph, vocabulary and manifest. Its weights are in the file."""
        self._there("saving").write(Path(inner_path))

    def load_assets(self, inner_path: str | None) -> None:
        """Reads the export from a model's file. Raises UntrustedError if it could do more than compute."""
        if inner_path is None:
            raise ModuleError(f"reading {self.name}: the model's file has no export", hint="the file is damaged")
        with boundary(f"reading the export of {self.name}"), open_module(inner_path, with_weights=False) as module:
            cleared = let_through(module, trust=False)
            if describe(module) != self._own.description:
                raise ModuleError(
                    f"reading {self.name}: the model's file has another export than its configuration says",
                    hint="the file is damaged, or was changed",
                )
            self._load(cleared)


def _check_backend() -> None:
    if keras.backend.backend() != BACKEND:
        raise UsageError(
            f"an Encoder runs TensorFlow's graph of an export, and Keras has the backend {keras.backend.backend()}",
            hint=f"set the environment variable KERAS_BACKEND={BACKEND} before Keras is imported",
        )


def _is_at(folder: str, description: Description) -> bool:
    """Whether the export of a description lies in this folder."""
    graph = Path(folder) / SAVED_MODEL
    return graph.is_file() and hashlib.sha256(graph.read_bytes()).hexdigest() == description.graph


def _no_value(weight: Weight) -> Any:
    """Stands for a value that a file of weights will bring. It is no number, rather than a wrong one."""
    return np.full(weight.shape, np.nan if weight.dtype.startswith(("float", "bfloat")) else 0)


def _key(name: str) -> str:
    """The key of a weight in a file of weights, where a slash would make a group."""
    return name.replace("/", ".")
