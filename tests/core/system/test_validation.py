"""Settings of another kind than their dataclass declares are refused with a sentence."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Literal, Optional

import numpy as np
import pytest

from cxr_core.system.validation import check_kinds, settings_from_dict


@dataclass(frozen=True)
class Inner:
    """Settings inside others."""

    depth: int = 1

    def __post_init__(self) -> None:
        check_kinds(self)


@dataclass(frozen=True)
class Outer:
    """Annotations of this file are text until they are resolved."""

    inner: Inner = Inner()
    names: tuple[str, ...] = ()
    rate: float | None = None

    def __post_init__(self) -> None:
        check_kinds(self)


def settings_of(kind, value):
    """A settings object with one field `x`, its kind as an object or as the text that stands in a source file."""
    return make_dataclass("OneSetting", [("x", kind)], namespace={"__module__": __name__})(value)


FITTING = [
    (int, 3),
    (float, 0.5),
    (float, 3),
    (bool, True),
    (str, "a"),
    (Path, Path("runs")),
    (tuple, ("a", 1)),
    (float | None, None),
    (float | None, 2),
    (Optional[int], 4),  # noqa: UP045 - the older way of writing it is understood, too
    (Literal["off", "before"], "before"),
    (Literal[1, None], None),
    (Literal["all", "head"] | int, 7),
    (tuple[str, ...], ()),
    (tuple[str, ...], ("a", "b")),
    (tuple[float, ...], (0.5, 1)),
    (tuple[int, str], (1, "a")),
    (tuple[()], ()),
    (tuple[int | None, ...], (None, 1)),
    (tuple[tuple[int, int], ...], ((1, 2), (3, 4))),
    (tuple[int, ...] | None, None),
    (Inner, Inner()),
    ("tuple[str, ...]", ("a",)),
    ('Literal["off", "before"]', "off"),
    ("Inner", Inner()),
]


@pytest.mark.parametrize(("kind", "value"), FITTING)
def test_a_value_of_the_declared_kind_passes(kind, value):
    check_kinds(settings_of(kind, value))


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        (int, 0.5, "x must be of kind int; received 0.5."),
        (int, True, "x must be of kind int; received True."),
        (float, False, "x must be of kind float; received False."),
        (float, "fast", "x must be of kind float; received 'fast'."),
        (bool, 1, "x must be of kind bool; received 1."),
        (str, None, "x must be of kind str; received None."),
        (float | None, "None", "x must be of kind float or None; received 'None'."),
        (Optional[int], 0.5, "x must be of kind int or None; received 0.5."),  # noqa: UP045
        (Literal["off", "before"], "maybe", "x must be one of off, before; received 'maybe'."),
        (Literal[0, 1], True, "x must be one of 0, 1; received True."),
        (Literal["off"], ["off"], "x must be one of off; received ['off']."),
        (Literal["all", "head"] | int, "tail", "x must be of kind 'all' or 'head' or int; received 'tail'."),
        (tuple[str, ...], "ab", "x must be of kind tuple[str, ...]; received 'ab'."),
        (tuple[str, ...], ["a"], "x must be of kind tuple[str, ...]; received ['a']."),
        (tuple[str, ...], ("a", 1), "x must be of kind tuple[str, ...]; received ('a', 1)."),
        (tuple[int, ...], (1, True), "x must be of kind tuple[int, ...]; received (1, True)."),
        (tuple[int, str], ("a", 1), "x must be of kind tuple[int, str]; received ('a', 1)."),
        (tuple[int, int], (1,), "x must be of kind tuple[int, int]; received (1,)."),
        (tuple[int, int], (1, 2, 3), "x must be of kind tuple[int, int]; received (1, 2, 3)."),
        (tuple[int, ...] | None, (0.5,), "x must be of kind tuple[int, ...] or None; received (0.5,)."),
        (Inner, {"depth": 1}, "x must be of kind Inner; received {'depth': 1}."),
        ("tuple[str, ...]", (1,), "x must be of kind tuple[str, ...]; received (1,)."),
        ('Literal["off", "before"]', "maybe", "x must be one of off, before; received 'maybe'."),
        ("Inner", 1, "x must be of kind Inner; received 1."),
    ],
)
def test_another_value_is_refused_with_the_rule_and_what_was_received(kind, value, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        check_kinds(settings_of(kind, value))


def test_numpys_numbers_are_refused_because_json_writes_only_some_of_them():
    with pytest.raises(TypeError):
        json.dumps(np.float32(0.5))
    for kind, number in ((float, np.float32(0.5)), (float, np.float64(0.5)), (int, np.int64(1))):
        with pytest.raises(ValueError, match="must be of kind"):
            check_kinds(settings_of(kind, number))


@pytest.mark.parametrize("kind", [dict[str, int], list[int], tuple[list[int], ...]])
def test_an_annotation_that_is_not_understood_is_no_users_mistake(kind):
    with pytest.raises(TypeError, match="received (dict|list)"):
        check_kinds(settings_of(kind, ([1],)))


def test_postponed_annotations_of_a_whole_file_are_resolved():
    assert Outer(Inner(2), ("a",), 1) == Outer(inner=Inner(2), names=("a",), rate=1)
    with pytest.raises(ValueError, match=r"names must be of kind tuple\[str, ...\]; received \(1,\)"):
        Outer(names=(1,))
    with pytest.raises(ValueError, match="inner must be of kind Inner; received 3"):
        Outer(inner=3)


def test_settings_are_built_from_a_dict_and_keep_the_defaults_of_what_is_left_out():
    assert settings_from_dict(Outer, {"rate": 0.5}) == Outer(rate=0.5)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1], "Outer needs named settings; received [1]."),
        ({"rat": 1, "nam": 2}, "Unknown setting nam, rat; known are inner, names, rate."),
        ({"rate": "x"}, "rate must be of kind float or None; received 'x'."),
    ],
)
def test_what_is_no_dict_of_known_settings_is_refused(values, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        settings_from_dict(Outer, values)
