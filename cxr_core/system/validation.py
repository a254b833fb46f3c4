"""Do the values of a settings dataclass have the declared types?"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings", bound="DataclassInstance")
_UNIONS = (Union, UnionType)


def check_kinds(settings: DataclassInstance) -> None:
    """Compare every field of a dataclass instance with its annotation.

    Understood are classes (another dataclass, too), unions, `Literal`, `tuple[X, ...]`, `tuple[X, Y]`, and annotations
    written as text. A whole number may stand for a float; True and False stand for nothing but a bool.

    Raises:
        ValueError: a field has another kind; the rule and the value are named.
        TypeError: an annotation is of a kind that is not understood, such as `dict[str, int]`.
    """
    for name, kind in _declared_kinds(type(settings)).items():
        value = getattr(settings, name)
        if not _fits(value, kind):
            raise ValueError(f"{name} must be {_in_words(kind)}; received {value!r}.")


def settings_from_dict(kind: type[Settings], values: object) -> Settings:
    """Build a settings dataclass from what a JSON file held.

    Args:
        kind: a dataclass.
        values: dict of its fields; those left out keep their defaults. Lists, which JSON has in place of tuples,
            become tuples.

    Raises:
        ValueError: not a dict, an unknown setting, or a value outside its range.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{kind.__name__} needs named settings; received {values!r}.")
    known = sorted(field.name for field in fields(kind))
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"Unknown setting {', '.join(unknown)}; known are {', '.join(known)}.")
    return kind(**{name: _as_tuples(value) for name, value in values.items()})


def _as_tuples(value: object) -> object:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


@cache
def _declared_kinds(settings_class: type[DataclassInstance]) -> dict[str, Any]:
    """Return the annotation of each field; those written as text are resolved."""
    hints = get_type_hints(settings_class)
    return {field.name: hints[field.name] for field in fields(settings_class)}


def _fits(value: object, kind: Any) -> bool:
    """Return True if a value is of the kind that an annotation declares."""
    if get_origin(kind) in _UNIONS:
        return any(_fits(value, member) for member in get_args(kind))
    if get_origin(kind) is Literal:
        # Not `value in …`: True equals 1.
        return any(type(value) is type(allowed) and value == allowed for allowed in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and _items_fit(value, get_args(kind))
    if not isinstance(kind, type):
        raise TypeError(f"Settings are of classes, unions, Literal and tuples of these; received {kind}.")
    if kind is float:
        return type(value) in (float, int)
    if kind is int:
        return type(value) is int
    return isinstance(value, kind)


def _items_fit(items: tuple[object, ...], kinds: tuple[Any, ...]) -> bool:
    """Compare a tuple's items with what stands inside `tuple[…]`."""
    if kinds[-1:] == (Ellipsis,):
        return all(_fits(item, kinds[0]) for item in items)
    return len(items) == len(kinds) and all(map(_fits, items, kinds))


def _in_words(kind: Any) -> str:
    """Return the rule of an annotation: "of kind float or None", "one of off, before, after"."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(allowed) for allowed in get_args(kind))
    members = get_args(kind) if get_origin(kind) in _UNIONS else (kind,)
    return "of kind " + " or ".join(_kind_name(member) for member in members)


def _kind_name(kind: Any) -> str:
    """Return the name of one kind: "int", "None", "tuple[int, ...]", "'all'" where only this value is allowed."""
    if kind is type(None):
        return "None"
    if get_origin(kind) is Literal:
        return " or ".join(repr(allowed) for allowed in get_args(kind))
    return kind.__name__ if isinstance(kind, type) else str(kind)
