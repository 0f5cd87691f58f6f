"""The function behind a signature.

TensorFlow 2 writes a function of its own for each signature, which names the inputs and outputs. It does nothing but
call the function that was given to `tf.saved_model.save`.
"""

from __future__ import annotations

from typing import Any

from surgery.graphs.calls import CALLS
from surgery.module.traces import Wrapped

PASSING = frozenset({"Identity", "NoOp"})
"""The operations of such a function, besides its call."""


def wrapped(function: Any) -> Wrapped | None:
    """The function that a FunctionDef wraps; None for one that does more than call another."""
    calls = [node for node in function.node_def if node.op not in PASSING]
    if len(calls) != 1 or calls[0].op not in CALLS:
        return None
    (call,) = calls
    nodes = {node.name: node for node in function.node_def}
    numbers = {argument.name: number for number, argument in enumerate(function.signature.input_arg)}
    outputs = []
    for result in function.signature.output_arg:
        tensor = function.ret[result.name]
        passed: set[str] = set()
        while (name := tensor.partition(":")[0]) != call.name:
            if name not in nodes or nodes[name].op != "Identity" or name in passed:
                return None  # it returns an argument as it is
            passed.add(name)
            tensor = nodes[name].input[0]
        outputs.append(int(tensor.rpartition(":")[2]))
    given = [feed for feed in call.input if feed[0] != "^"]
    if any(feed not in numbers for feed in given):
        return None
    return Wrapped(
        function=call.attr["f"].func.name, inputs=tuple(numbers[feed] for feed in given), outputs=tuple(outputs)
    )
