"""Dataclasses with shared methods behave as those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import pickle

import pytest

from surgery import records


def made(decorate, **options):
    @decorate(frozen=True, kw_only=True, **options)
    class Weight:
        """A weight."""

        name: str
        shape: tuple[int, ...] = ()
        sizes: dict[str, int] = dataclasses.field(default_factory=dict, hash=False)
        opened: object = dataclasses.field(default=None, repr=False, compare=False)

        def __len__(self) -> int:
            return len(self.shape)

    return Weight


OURS, THEIRS = made(records.dataclass), made(dataclasses.dataclass)


def result(action, cls):
    """What an action returns, or the type of what it raises."""
    try:
        return action(cls)
    except Exception as error:
        return type(error)


ACTIONS = {
    "defaults": lambda cls: vars(cls(name="kernel")),
    "order of the fields": lambda cls: list(vars(cls(opened=1, sizes={}, shape=(2,), name="kernel"))),
    "positional": lambda cls: cls("kernel"),
    "missing": lambda cls: cls(shape=(2,)),
    "unexpected": lambda cls: cls(name="kernel", size=3),
    "self": lambda cls: cls(name="kernel", self=3),
    "own dict": lambda cls: cls(name="a").sizes is cls(name="a").sizes,
    "assigned": lambda cls: setattr(cls(name="kernel"), "name", "bias"),
    "assigned anew": lambda cls: setattr(cls(name="kernel"), "size", 3),
    "deleted": lambda cls: delattr(cls(name="kernel"), "name"),
    "repr": lambda cls: repr(cls(name="kernel", shape=(2, 3), opened=1)),
    "equal": lambda cls: cls(name="kernel", opened=1) == cls(name="kernel", opened=2),
    "unequal": lambda cls: cls(name="kernel", sizes={"a": 1}) == cls(name="kernel"),
    "another type": lambda cls: cls(name="kernel") == ("kernel", (), {}),
    "not a number": lambda cls: cls(name=math.nan) == cls(name=math.nan),
    "hash": lambda cls: hash(cls(name="kernel", shape=(2,), sizes={"a": 1})),
    "fields": lambda cls: [(field.name, field.compare, field.kw_only) for field in dataclasses.fields(cls)],
    "replaced": lambda cls: vars(dataclasses.replace(cls(name="kernel", shape=(2,)), name="bias")),
    "as a dict": lambda cls: dataclasses.asdict(cls(name="kernel", sizes={"a": 1})),
    "copied": lambda cls: vars(copy.deepcopy(cls(name="kernel", sizes={"a": 1}))),
    "own method": lambda cls: len(cls(name="kernel", shape=(2, 3))),
    "parameters": lambda cls: [(p.name, p.kind, p.annotation) for p in inspect.signature(cls).parameters.values()],
    "required": lambda cls: [p.name for p in inspect.signature(cls).parameters.values() if p.default is p.empty],
    "frozen": lambda cls: cls.__dataclass_params__.frozen,
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_an_action_has_the_result_that_it_has_with_the_standard_library(action):
    assert result(action, OURS) == result(action, THEIRS)


def test_methods_of_the_class_itself_and_those_not_wanted_stay():
    assert made(records.dataclass, repr=False).__repr__ is object.__repr__
    assert made(records.dataclass, eq=False).__hash__ is object.__hash__

    @records.dataclass(frozen=True, kw_only=True)
    class Named:
        """A name."""

        name: str

        def __repr__(self) -> str:
            return self.name

    assert repr(Named(name="kernel")) == "kernel"


def test_an_instance_that_holds_itself_has_a_repr():
    held = []
    weight = OURS(name=held)
    held.append(weight)
    assert repr(weight).endswith("Weight(name=[...], shape=(), sizes={})")


def test_a_value_of_the_package_is_pickled():
    from surgery.tables.publisher import Spelling

    spelling = Spelling(gamma=("weight",))
    assert pickle.loads(pickle.dumps(spelling)) == spelling


def test_classes_share_their_methods():
    """To compile methods for each class would take half a millisecond each time."""
    one, other = (vars(made(records.dataclass)) for _ in range(2))
    names = {name for name in vars(THEIRS) if name.startswith("__") and callable(one.get(name))} - {"__len__"}
    assert names == {"__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__"}
    assert [name for name in names if one[name] is not other[name]] == []


@pytest.mark.parametrize("options", [{"frozen": False, "kw_only": True}, {"frozen": True, "kw_only": False}])
def test_another_kind_of_dataclass_is_refused(options):
    with pytest.raises(ValueError, match="frozen and keyword-only"):
        records.dataclass(**options)


def test_what_would_not_be_called_is_refused():
    with pytest.raises(TypeError, match="__post_init__"):
        records.dataclass(frozen=True, kw_only=True)(type("Late", (), {"__post_init__": print, "__annotations__": {}}))
