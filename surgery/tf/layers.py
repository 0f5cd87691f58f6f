"""Layers inside a network: found by path, watched while they are called, or skipped for a while.

Keras looks up a layer's `call` on the instance at every call. A function that is set there therefore sees every tensor
that passes the layer; when it is deleted again, the layer is as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

_STEP = re.compile(r"([^\[]+)((?:\[[^\]]*\])*)")


def layers_at(owner: Any, path: str) -> list[Any]:
    """The layers at a path of a recipe (see recipe.Setting).

    `[]` stands for each entry of a list, `[3]` and `[name]` for one of them.
    """
    reached = [owner]
    for step in path.split("."):
        kind, _, name = step.rpartition(":")
        if kind == "layer":
            reached = [model.get_layer(name) for model in reached]
        elif kind == "class":
            reached = [layer for model in reached for layer in model.layers if type(layer).__name__ == name]
        else:
            matched = _STEP.fullmatch(step)
            assert matched is not None, path
            reached = [getattr(layer, matched[1]) for layer in reached]
            for key in re.findall(r"\[([^\]]*)\]", matched[2]):
                reached = [item for items in reached for item in _items(items, key)]
    return reached


def _items(items: Any, key: str) -> Sequence[Any]:
    if not key:
        return list(items)
    return [items[int(key) if re.fullmatch(r"-?[0-9]+", key) else key]]


@dataclass
class Watched:
    """The tensors that pass a layer. Both lists grow while it is watched.

    Attributes:
        inputs: The first input of each call, in order.
        outputs: The result of each call, in order.
    """

    inputs: list[tf.Tensor] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)


@contextmanager
def watched(layer: Any) -> Iterator[Watched]:
    """Records the tensors that pass a layer while its network is called."""
    seen, call = Watched(), layer.call

    def keep(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        seen.inputs.append(inputs[0] if isinstance(inputs, list | tuple) else inputs)
        seen.outputs.append(call(inputs, *args, **kwargs))
        return seen.outputs[-1]

    with called_instead(layer, keep):
        yield seen


@contextmanager
def passing(layers: Sequence[Any], *, first: int = 0, returns: int = 1) -> Iterator[None]:
    """Makes layers return their first input, so that their variables are not used.

    Each layer is skipped from call number `first` on, which counts from 0: where one layer is called for every block,
    that is the first block to skip. A call returns `returns` values; all except the first are None.
    """
    calls = {id(layer): 0 for layer in layers}

    def instead(layer: Any) -> Any:
        call = layer.call

        def hand_on(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            calls[id(layer)] += 1
            if calls[id(layer)] <= first:
                return call(inputs, *args, **kwargs)
            passed = inputs[0] if isinstance(inputs, list | tuple) else inputs
            return passed if returns == 1 else (passed, *[None] * (returns - 1))

        return hand_on

    undone = [called_instead(layer, instead(layer)) for layer in layers]
    for one in undone:
        one.__enter__()
    try:
        yield
    finally:
        for one in reversed(undone):
            one.__exit__(None, None, None)


@contextmanager
def called_instead(layer: Any, call: Any) -> Iterator[None]:
    """Replaces a layer's call inside the block. A call that was set before, by another watcher, is restored."""
    before = vars(layer).get("call")
    layer.call = call
    try:
        yield
    finally:
        if before is None:
            del layer.call
        else:
            layer.call = before
