"""Names for the operations of a graph whose calls are opened: an address is unique, a name is short as well."""

from __future__ import annotations

from collections.abc import Iterator

from surgery.graphs.calls import Address, Body


def unique_names(root: Body) -> dict[Address, str]:
    """A name for every operation: below the scopes of the calls that lead to it, as `inspect` names its evidence.

    Where two operations would share a name, the outer one has it, and the inner one gets the names of its calls as
    well, as few as needed: `lstm/Identity` and `lstm/PartitionedCall/Identity`. The order of the file plays no part.
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
    """A name below the scopes of the calls that lead to it; the innermost `opened` calls with their own names."""
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
