"""What the results of a loop are, as far as its graph says: counters, and the state `h` and the memory `c` of an LSTM.

An LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000) is known from its
two equations, whatever wrote the graph: `c' = f · c + i · g` adds a product of the loop's own variable to another
product, and `h' = o · act(c')` multiplies a gate with a function of that sum. Of the states of a loop without such a
pair, such as a GRU, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from surgery.formats.tensors import dtype_name, to_number
from surgery.graphs.calls import DATA, Body, Port, tree_of_function
from surgery.graphs.flatten import Output
from surgery.graphs.functions import functions_of

WHILES = frozenset({"While", "StatelessWhile"})
SUMS = frozenset({"Add", "AddV2"})
CHOICES = frozenset({"Select", "SelectV2"})
"""What a mask does in a loop: `where(mask, new, old)`."""
ENTRIES = {"TensorListSetItem": 2, "TensorArrayWriteV3": 2}
"""Operations that write the entry of a step into a list, and the position of that entry among their inputs."""
STACKS = {"TensorListStack": 0, "TensorArrayGatherV3": 2}
"""Operations that return all entries of a list, and the position of the list among their inputs."""

STEPS = "a counter of steps"
LAST, EVERY = "of the last step", "of every step"
H, C = "h, the LSTM's output", "c, the LSTM's memory"


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The variables of a loop, by number.

    Attributes:
        results: Where a variable's value after the loop is.
        written: What a step leaves in a variable.
        variable_of: The number of the variable that is read at a port; None for all other ports.
    """

    results: Mapping[int, Output]
    written: Mapping[int, Port]
    variable_of: Callable[[Port], int | None]


def described_results(graph_def: Any, root: Body) -> dict[Output, str]:
    """What the results of a graph's loops are, in words. Results of which the graph says nothing are left out."""
    library = functions_of(graph_def)
    found: dict[Output, str] = {}
    entries: dict[Output, str] = {}
    for loop in (*_whiles(graph_def, root, library), *_frames(root)):
        states = _states(loop)
        for number, written in loop.written.items():
            place = loop.results[number]
            if number in states:
                found[place] = f"{states[number]} {LAST}"
            elif _counts(loop, number):
                found[place] = STEPS
            elif (name := _entry(loop, written, states)) is not None:
                entries[place] = f"{name} {EVERY}"
    return found | dict(_stacked(root, entries))


def _whiles(graph_def: Any, root: Body, library: Mapping[str, Any]) -> Iterator[Loop]:
    """The loops of TensorFlow 2, whose variables are the arguments and results of a function."""
    for caller, node in root.walk():
        if node.op not in WHILES or node.attr["body"].func.name not in library:
            continue
        body = tree_of_function(graph_def, node.attr["body"].func.name, DATA)
        numbers = {name: number for number, name in enumerate(body.arguments)}
        address = (*caller.address, node.name)
        yield Loop(
            results={number: Output(address=address, index=number) for number in range(len(body.results))},
            written={number: body.owner(result) for number, result in enumerate(body.results)},
            variable_of=partial(_argument_number, numbers),
        )


def _argument_number(numbers: Mapping[str, int], port: Port) -> int | None:
    return numbers.get(port.name) if port.is_free else None


def _frames(root: Body) -> Iterator[Loop]:
    """The loops of TensorFlow 1, whose variables are Merge, Switch, NextIteration and Exit; one for the whole graph."""
    results: dict[int, Output] = {}
    written: dict[int, Port] = {}
    merges: dict[tuple[Body, str], int] = {}
    for body, node in root.walk():
        if node.op != "Exit":
            continue
        switch = _feeds(body.feeds(node.name)[0])
        merge = switch[0] if switch else None
        steps = [feed for feed in _feeds(merge) if _op(feed) == "NextIteration"] if merge is not None else []
        if merge is not None and steps:
            number = merges.setdefault((merge.body, merge.name), len(merges))
            results[number] = Output(address=(*body.address, node.name), index=0)
            written[number] = _feeds(steps[0])[0]
    if merges:

        def variable_of(port: Port) -> int | None:
            if _op(port) != "Switch":
                return None
            merge = _feeds(port)[0]
            return merges.get((merge.body, merge.name))

        yield Loop(results=results, written=written, variable_of=variable_of)


def _states(loop: Loop) -> dict[int, str]:
    """The variables that are `h` and `c` of an LSTM, by number."""
    found: dict[int, str] = {}
    for number, written in loop.written.items():
        memory = _new(written)
        if not _is_memory(loop, number, memory):
            continue
        outputs = [n for n, other in loop.written.items() if n != number and _is_output(_new(other), memory)]
        if len(outputs) == 1:
            found |= {number: C, outputs[0]: H}
    return found


def _is_memory(loop: Loop, number: int, value: Port) -> bool:
    """Whether a value is `f · c + i · g` for the loop's variable of a number."""
    if _op(value) not in SUMS:
        return False
    terms = [_seen_through(term) for term in _feeds(value)]
    kept = [
        any(loop.variable_of(_seen_through(factor)) == number for factor in _feeds(term))
        for term in terms
        if _op(term) == "Mul"
    ]
    return sorted(kept) == [False, True]


def _is_output(value: Port, memory: Port) -> bool:
    """Whether a value is `o · act(c')`, where `memory` is c'."""
    if _op(value) != "Mul":
        return False
    factors = [_seen_through(factor) for factor in _feeds(value)]
    return any(len(feeds := _feeds(factor)) == 1 and _same(_new(feeds[0]), memory) for factor in factors)


def _counts(loop: Loop, number: int) -> bool:
    """Whether a variable of integers goes up by 1 in each step."""
    value = _seen_through(loop.written[number])
    if _op(value) not in SUMS:
        return False
    node = value.body.nodes[value.name]
    if "T" not in node.attr or dtype_name(node.attr["T"].type) not in ("int32", "int64"):
        return False
    terms = [_seen_through(term) for term in _feeds(value)]
    constants = [term for term in terms if _op(term) == "Const"]
    is_one = len(constants) == 1 and _number(constants[0]) == 1
    return is_one and any(loop.variable_of(term) == number for term in terms)


def _number(constant: Port) -> float | None:
    """The number that a constant is; None for several, and for one that a damaged file has."""
    node = constant.body.nodes[constant.name]
    try:
        return to_number(node.attr["value"].tensor) if "value" in node.attr else None
    except ValueError:
        return None


def _entry(loop: Loop, written: Port, states: Mapping[int, str]) -> str | None:
    """The name of the state that a step writes into a list; None for anything else."""
    writer = _seen_through(written)
    if _op(writer) not in ENTRIES:
        return None
    entry = _new(_feeds(writer)[ENTRIES[_op(writer)]])
    return next((name for number, name in states.items() if _same(_new(loop.written[number]), entry)), None)


def _stacked(root: Body, entries: Mapping[Output, str]) -> Iterator[tuple[Output, str]]:
    """The operations that return all entries of lists that loops have written."""
    for body, node in root.walk():
        if node.op in STACKS:
            taken = _seen_through(body.feeds(node.name)[STACKS[node.op]])
            index = taken.port.rpartition(":")[2]
            written = Output(address=(*taken.body.address, taken.name), index=int(index) if index.isdigit() else 0)
            if written in entries:
                yield Output(address=(*body.address, node.name), index=0), entries[written]


def _new(port: Port) -> Port:
    """The value behind identities and masks, of which it is the one that is chosen where the mask is true."""
    return _behind(port, {"Identity": 0} | dict.fromkeys(CHOICES, 1))


def _seen_through(port: Port) -> Port:
    """The value behind identities."""
    return _behind(port, {"Identity": 0})


def _behind(port: Port, followed: Mapping[str, int]) -> Port:
    """Follows an input of each of some operations, given by its position. A damaged graph may lead in a circle."""
    passed = set()
    while (op := _op(port)) in followed and (port.body, port.name) not in passed:
        passed.add((port.body, port.name))
        port = _feeds(port)[followed[op]]
    return port


def _same(one: Port, other: Port) -> bool:
    return (one.body, one.name, one.port) == (other.body, other.name, other.port)


def _op(port: Port) -> str:
    """The type of the operation at a port; "" for a free argument."""
    return "" if port.is_free else port.body.nodes[port.name].op


def _feeds(port: Port) -> list[Port]:
    return [] if port.is_free else port.body.feeds(port.name)
