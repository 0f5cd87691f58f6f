"""Names for the operations of a graph with opened calls. Like an address, a name is unique; it is also short."""

from __future__ import annotations

from collections.abc import Iterator

from surgery.graphs.calls import Address, Body


def unique_names(root: Body) -> dict[Address, str]:
    """A name for every operation, by address: below the scopes of its calls, as `inspect` names its evidence.

    If two operations would share a name, the outer one has it. The name of the inner one also has names of its calls,
    as few as needed: `lstm/Identity` and `lstm/PartitionedCall/Identity`. Names do not depend on the order of the file.
    """
    names: dict[Address, str] = {}
    taken = set(root.arguments)
    level = [root]
    while level:
        for body in level:
            for name in body.nodes.keys() - body.calls.keys():
                chosen = next(candidate for candidate in _candidates(body.address, name) if candidate not in taken)
                taken.add(chosen)
                names[(*body.address, name)] = chosen
        level = [body.calls[name] for body in level for name in sorted(body.calls)]
    return names


def scoped(calls: Address, name: str, opened: int = 0) -> str:
    """A name below the scopes of the calls that lead to it. The innermost `opened` calls add their own names, too."""
    prefix = ""
    for position, call in enumerate(calls):
        scope = call if position >= len(calls) - opened else call.rpartition("/")[0]
        prefix += f"{scope}/" if scope else ""
    return prefix + name


def _candidates(calls: Address, name: str) -> Iterator[str]:
    yield from (scoped(calls, name, opened) for opened in range(len(calls) + 1))
    number = 1
    while True:
        yield f"{scoped(calls, name, len(calls))}_{number}"
        number += 1


def unused(name: str, taken: set[str]) -> str:
    """The name, or if it is taken, one with a number after it. It is taken from then on."""
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found
