"""Layers inside a network: found by path, watched while they are called, or left out for a while.

Keras looks a layer's `call` up on the instance at every call, so a function set there sees every tensor that passes,
and the layer is as before when it is deleted again.
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
    """The layers at a path of a recipe; see recipe.Setting. `[]` is each of a list, `[3]` and `[name]` one of them."""
    found = [owner]
    for step in path.split("."):
        kind, _, name = step.rpartition(":")
        if kind == "layer":
            found = [model.get_layer(name) for model in found]
        elif kind == "class":
            found = [layer for model in found for layer in model.layers if type(layer).__name__ == name]
        else:
            matched = _STEP.fullmatch(step)
            assert matched is not None, path
            found = [getattr(layer, matched[1]) for layer in found]
            for key in re.findall(r"\[([^\]]*)\]", matched[2]):
                found = [item for items in found for item in _items(items, key)]
    return found


def _items(items: Any, key: str) -> Sequence[Any]:
    if not key:
        return list(items)
    return [items[int(key) if re.fullmatch(r"-?[0-9]+", key) else key]]


@dataclass
class Watched:
    """What passes a layer: the first input and the result of each of its calls, in order."""

    inputs: list[tf.Tensor] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)


@contextmanager
def watched(layer: Any) -> Iterator[Watched]:
    """Keeps what passes a layer while its network is called."""
    seen, call = Watched(), layer.call

    def keep(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        seen.inputs.append(inputs[0] if isinstance(inputs, list | tuple) else inputs)
        seen.outputs.append(call(inputs, *args, **kwargs))
        return seen.outputs[-1]

    with called_instead(layer, keep):
        yield seen


@contextmanager
def passing(layers: Sequence[Any], *, first: int = 0, returns: int = 1) -> Iterator[None]:
    """Lets layers hand on their first input from the n-th call on, so that their variables are not used.

    Where one layer is called for every block, `first` counts its calls, else `layers` begin with the first left out.
    `returns` is how many values a call returns; all but the first are None.
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
    """Sets a layer's call; what was set before, by another watcher, is set again afterwards."""
    before = vars(layer).get("call")
    layer.call = call
    try:
        yield
    finally:
        if before is None:
            del layer.call
        else:
            layer.call = before
