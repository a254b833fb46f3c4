"""Check that settings have the kinds their dataclass declares, whoever wrote them."""

from dataclasses import fields
from typing import get_args


def check_kinds(settings):
    """Compare every field of a dataclass instance with its annotation.

    A whole number may stand for a float; True and False stand for nothing else.

    Args:
        settings: a dataclass instance whose annotations are types, such as `float | None`.

    Raises:
        ValueError: a field has another kind; the rule and the value are named.
    """
    for field in fields(settings):
        kinds = get_args(field.type) or (field.type,)
        value = getattr(settings, field.name)
        fits = type(value) in kinds or (type(value) is int and float in kinds)
        if not fits:
            names = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
            raise ValueError(f"{field.name} must be of kind {names}; received {value!r}.")


def settings_from_dict(kind, values):
    """Build a settings dataclass from what a JSON file held.

    Args:
        kind: a dataclass.
        values: dict of its fields; those left out keep their defaults.

    Returns:
        kind.

    Raises:
        ValueError: not a dict, an unknown setting, or a value outside its range.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{kind.__name__} needs named settings; received {values!r}.")
    known = sorted(field.name for field in fields(kind))
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"Unknown setting {', '.join(unknown)}; known are {', '.join(known)}.")
    return kind(**values)
