"""The dataclasses of this package: frozen and keyword-only, with methods that all of them share.

The standard library's decorator writes six methods of every such class as source text and compiles them, which takes
half a millisecond each time. `surgery inspect` has seventy of these classes, and spent an eighth of its time on them.
Here, a class keeps its fields in a table, and shared methods read the table. Everything else is the standard library's:
the fields themselves, `field`, `fields`, `replace`, `is_dataclass`, and what a type checker sees.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from inspect import Parameter, Signature
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NamedTuple


class _Table(NamedTuple):
    """What the shared methods know of a class.

    Attributes:
        defaults: Every field in order, with its default; None where it has none, or a factory.
        required: The fields without a default.
        factories: What makes the default, by field.
        compared: The fields that make two instances equal.
        hashed: The fields of the hash.
        shown: The fields of the repr.
    """

    defaults: dict[str, Any]
    required: frozenset[str]
    factories: dict[str, Callable[[], Any]]
    compared: tuple[str, ...]
    hashed: tuple[str, ...]
    shown: tuple[str, ...]


def _table(cls: type) -> _Table:
    fields = dataclasses.fields(cls)
    missing = dataclasses.MISSING
    defaults = {field.name: None if field.default is missing else field.default for field in fields}
    factories = {field.name: field.default_factory for field in fields if field.default_factory is not missing}
    return _Table(
        defaults=defaults,
        required=frozenset(field.name for field in fields if field.default is missing) - factories.keys(),
        factories=factories,
        compared=tuple(field.name for field in fields if field.compare),
        hashed=tuple(field.name for field in fields if (field.compare if field.hash is None else field.hash)),
        shown=tuple(field.name for field in fields if field.repr),
    )


class _Shared:
    """The methods of every class."""

    _record_table: _Table

    def __init__(self, /, **given: Any) -> None:
        table = self._record_table
        values = {**table.defaults, **given}
        if len(values) > len(table.defaults) or not table.required <= given.keys():
            raise _wrong_arguments(type(self).__name__, table, given)
        for name, factory in table.factories.items():
            if name not in given:
                values[name] = factory()
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: Any) -> Any:
        if type(other) is not type(self):
            return NotImplemented
        names = self._record_table.compared
        return [getattr(self, name) for name in names] == [getattr(other, name) for name in names]

    def __hash__(self) -> int:
        return hash(tuple([getattr(self, name) for name in self._record_table.hashed]))

    @recursive_repr()
    def __repr__(self) -> str:
        held = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._record_table.shown)
        return f"{type(self).__qualname__}({held})"


def _wrong_arguments(name: str, table: _Table, given: dict[str, Any]) -> TypeError:
    for unexpected in given.keys() - table.defaults.keys():
        return TypeError(f"{name}.__init__() got an unexpected keyword argument '{unexpected}'")
    missing = [field for field in table.defaults if field in table.required - given.keys()]
    return TypeError(f"{name}.__init__() missing required keyword-only arguments: {', '.join(missing)}")


class _SignatureOnDemand:
    """The signature of a class, which only help and editors ask for."""

    def __get__(self, instance: Any, owner: type) -> Signature:
        return Signature([_parameter(field) for field in dataclasses.fields(owner)])


def _parameter(field: dataclasses.Field[Any]) -> Parameter:
    default: Any = Parameter.empty
    if field.default is not dataclasses.MISSING:
        default = field.default
    elif field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=field.type)


_ALWAYS = ("__init__", "__setattr__", "__delattr__")
_COMPARING = ("__eq__", "__hash__")


def _frozen_dataclass(
    *, frozen: bool, kw_only: bool, repr: bool = True, eq: bool = True
) -> Callable[[type[Any]], type[Any]]:
    """The decorator, as `dataclasses.dataclass(frozen=True, kw_only=True)`: no other kind has shared methods.

    As there, a method that the class itself defines stays. There is no `__post_init__`, and no such class inherits from
    another.

    Examples:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Size:
        ...     axis: str
        ...     length: int = 1
        >>> Size(axis="hidden")
        Size(axis='hidden', length=1)
    """
    if not (frozen and kw_only):
        raise ValueError("a dataclass of surgery.records is frozen and keyword-only")
    methods = _ALWAYS + (_COMPARING if eq else ()) + (("__repr__",) if repr else ())

    def decorate(cls: type[Any]) -> type[Any]:
        if hasattr(cls, "__post_init__"):
            raise TypeError(f"{cls.__name__}.__post_init__ would not be called")
        added = [name for name in methods if name not in vars(cls)]
        made: type[Any] = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)
        made.__dataclass_params__.frozen = True  # the standard library would make methods for it
        made._record_table = _table(made)
        made.__signature__ = _SignatureOnDemand()
        for name in added:
            setattr(made, name, vars(_Shared)[name])
        return made

    return decorate


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _frozen_dataclass
