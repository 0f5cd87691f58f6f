"""Changes of any protobuf message, at a random place of it: values, names of map keys, repeated fields, whole parts."""

from __future__ import annotations

from random import Random
from typing import Any

from scripts.tools.fuzz import values

DESCENDS = 0.85
"""How likely a change goes on into a part that is a message, rather than changing the part as a whole."""
COPIES = 1000
LARGE = 32 << 20
"""Bytes that copies of a part may have together."""


def change(rng: Random, message: Any, path: str = "") -> str:
    """Changes one place of a message, and says which."""
    fields = message.ListFields()
    if not fields or rng.random() < 0.04:
        return _set_another(rng, message, path)
    field, value = rng.choice(fields)
    path = f"{path}.{field.name}" if path else field.name
    if hasattr(value, "keys"):
        return _change_map(rng, value, path)
    if hasattr(value, "append"):
        return _change_repeated(rng, value, path)
    if hasattr(value, "ListFields"):
        if rng.random() < DESCENDS:
            return change(rng, value, path)
        message.ClearField(field.name)
        return f"{path} cleared"
    assign(rng, message, field.name, value)
    return f"{path} = {str(getattr(message, field.name))[:60]!r}"


def assign(rng: Random, message: Any, field: str, value: Any) -> None:
    """Gives a scalar field another value of its type."""
    setattr(message, field, other(rng, value, lambda found: setattr(message, field, found)))


def other(rng: Random, value: Any, accepts: Any) -> Any:
    """Another value of the same type; the value itself where the field takes no integer that was tried."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return values.name(rng, value)
    if isinstance(value, bytes):
        return rng.choice((b"", values.damaged(rng, value), values.name(rng).encode()))
    if isinstance(value, float):
        return values.number(rng)
    for _ in range(8):
        found = values.integer(rng, value)
        try:
            accepts(found)
        except (ValueError, TypeError):
            continue
        return found
    return value


def _change_map(rng: Random, entries: Any, path: str) -> str:
    key = rng.choice(sorted(entries))
    path = f"{path}[{key!r}]"
    is_message = hasattr(entries[key], "ListFields")
    how = rng.random()
    if is_message and how < DESCENDS:
        return change(rng, entries[key], path)
    if not is_message and how < 0.6:
        entries[key] = other(rng, entries[key], lambda found: entries.__setitem__(key, found))
        return f"{path} = {str(entries[key])[:60]!r}"
    renamed = other(rng, key, lambda found: entries.get(found))
    if how < 0.95 and renamed != key:
        if is_message:
            entries[renamed].CopyFrom(entries[key])
        else:
            entries[renamed] = entries[key]
    del entries[key]
    return f"{path} renamed to {str(renamed)[:60]!r}"


def _change_repeated(rng: Random, items: Any, path: str) -> str:
    at = rng.randrange(len(items))
    item = items[at]
    is_message = hasattr(item, "ListFields")
    how = rng.random()
    if how < (DESCENDS if is_message else 0.5):
        if is_message:
            return change(rng, item, f"{path}[{at}]")
        items[at] = other(rng, item, lambda found: items.__setitem__(at, found))
        return f"{path}[{at}] = {str(items[at])[:60]!r}"
    if how < 0.9:
        del items[at]
        return f"{path}[{at}] removed"
    if how < 0.95:
        items.append(item)
        return f"{path}[{at}] appended"
    if how < 0.97:
        copies = min(COPIES, LARGE // max(1, item.ByteSize() if is_message else len(str(item))))
        items.extend([item] * copies)
        return f"{path}[{at}] appended {copies} times"
    del items[:]
    return f"{path} cleared"


def _set_another(rng: Random, message: Any, path: str) -> str:
    """Sets a field that is not set, or another member of a oneof."""
    fields = message.DESCRIPTOR.fields
    if not fields:
        return f"{path} unchanged"
    field = rng.choice(fields)
    value = getattr(message, field.name)
    if hasattr(value, "keys"):
        return f"{path} unchanged"
    if hasattr(value, "append"):
        if hasattr(value, "add"):
            value.add()
        else:
            for candidate in (0, "", b""):
                try:
                    value.append(candidate)
                except TypeError:
                    continue
                break
        return f"{path}.{field.name} appended"
    if hasattr(value, "ListFields"):
        value.SetInParent()
        return f"{path}.{field.name} set"
    assign(rng, message, field.name, value)
    return f"{path}.{field.name} = {str(getattr(message, field.name))[:60]!r}"
