"""Check values from a file against kinds that are declared as data: what each field must be, in words and as a test.

A kind is a `Leaf`, `None` for null, `[kind]` for a list, or `Each` for an object of any names. A dict of names and
kinds is an object with these fields: a name with "?" may be missing, other fields hold `PLAIN`. A tuple holds kinds of
which one must fit.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LONGEST = 500
"""Characters of a line."""

LONGEST_NAME, LONGEST_TITLE, LONGEST_CLASS = 60, 200, 100
"""Characters of names that people give: of submissions and recipes, of systems, of classes."""

DEEPEST_VALUE = 4
"""Lists within lists in the value of an option."""

MOST_PLAIN = 20_000
"""Values in a field that nothing is declared of."""


@dataclass(frozen=True)
class Leaf:
    """Kind of single values."""

    words: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True)
class Each:
    """Kind of an object of any names, all of one kind, with values of one kind."""

    name: Leaf
    value: Any
    most: int = 200


def is_line(text: object, longest: int = LONGEST) -> bool:
    """Return whether it is one printable line: no control, bidirectional or zero-width character, no surrogate."""
    return isinstance(text, str) and len(text) <= longest and text.isprintable()


def one_of(*choices: str) -> Leaf:
    """Return the kind of some words."""
    return Leaf(f"one of {', '.join(choices)}", lambda value: isinstance(value, str) and value in choices)


def whole(low: int, high: int) -> Leaf:
    """Return the kind of integers in low..high."""
    return Leaf(f"a whole number from {low} to {high}", lambda value: type(value) is int and low <= value <= high)


def row(words: str, length: int, item: Leaf) -> Leaf:
    """Return the kind of lists of so many items of one kind."""
    return Leaf(words, lambda value: isinstance(value, list) and len(value) == length and all(map(item.fits, value)))


def name(longest: int) -> Leaf:
    """Return the kind of names that people give: one printable line, not blank."""
    return Leaf(
        f"one printable line of at most {longest} characters",
        lambda value: is_line(value, longest) and bool(value.strip()),
    )


@lru_cache(4096)
def _is_option(text: str) -> bool:
    return matches(r"[A-Za-z][A-Za-z0-9_]{0,59}", text) and not keyword.iskeyword(text)


def _number(value: Any) -> bool:
    # `rssam.foreign_json` reads no integer of 32 digits.
    return (type(value) is float and abs(value) <= 1e300) or (type(value) is int and abs(value) <= 10**30)


def _scalar(value: object) -> bool:
    return value is None or isinstance(value, bool) or _number(value) or is_line(value)


def _value(value: object, depth: int = DEEPEST_VALUE) -> bool:
    if isinstance(value, list):
        return depth > 0 and len(value) <= 1000 and all(_value(item, depth - 1) for item in value)
    return _scalar(value)


def _plain(value: object) -> bool:
    """Return whether it is lines, numbers, lists and objects of these, and not many."""
    todo, count = [value], 0
    while todo:
        item = todo.pop()
        count += 1
        if isinstance(item, Mapping):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            todo += item
        elif not _scalar(item):
            return False
        if count + len(todo) > MOST_PLAIN:
            return False
    return True


LINE = Leaf(f"one printable line of at most {LONGEST} characters", is_line)
STEM = Leaf("the name of a file", lambda value: isinstance(value, str) and 0 < len(value) <= 300)
WORD = Leaf("a name of letters, digits and -_.", lambda value: matches(r"[\w.-]{1,200}", value))
OPTION = Leaf("the name of a field", lambda value: isinstance(value, str) and _is_option(value))
ANY = Leaf("anything", lambda _: True)
TEXT = Leaf("text", lambda value: isinstance(value, str))
LISTS = Leaf("a list", lambda value: isinstance(value, list))
BOOLEAN = Leaf("true or false", lambda value: isinstance(value, bool))
COUNT = whole(0, 2**53)
NUMBER = Leaf("a finite number", _number)
SECONDS = Leaf("a number from 0", lambda value: _number(value) and 0 <= value <= 1e12)
FIGURE = Leaf("a number", lambda value: (type(value) is float and math.isnan(value)) or _number(value))
VALUE = Leaf("a line, a number, or a list of such", _value)
PLAIN = Leaf(f"lines and numbers, at most {MOST_PLAIN}", _plain)


def fits(value: Any, kind: Any) -> bool:
    """Return whether a value is of a kind."""
    if isinstance(kind, Leaf):
        return kind.fits(value)
    if isinstance(kind, dict):
        if not isinstance(value, Mapping):
            return False
        unknown = len(value)
        for field, field_kind in kind.items():
            bare = field.removesuffix("?")
            if bare in value:
                unknown -= 1
                if not fits(value[bare], field_kind):
                    return False
            elif bare == field:
                return False
        if not unknown:
            return True
        declared = {field.removesuffix("?") for field in kind}
        return _plain({field: value[field] for field in value.keys() - declared})
    if isinstance(kind, list):
        (item_kind,) = kind
        if isinstance(item_kind, Leaf):
            return isinstance(value, list) and all(map(item_kind.fits, value))
        return isinstance(value, list) and all(fits(item, item_kind) for item in value)
    if isinstance(kind, tuple):
        return any(fits(value, choice) for choice in kind)
    if isinstance(kind, Each):
        return (
            isinstance(value, Mapping)
            and len(value) <= kind.most
            and all(map(kind.name.fits, value))
            and fits([*value.values()], [kind.value])
        )
    return value is None


def fault(value: Any, kind: Any, place: str = "it") -> str:
    """Return the first fault of a value in half a sentence, as "data.describe: expected a line, found 5"; "" for none.

    `place` names the value.
    """
    if fits(value, kind):
        return ""
    inside = "" if place == "it" else f"{place}."
    if isinstance(kind, tuple):
        # The fault of the choice that is an object or a list says more than that it is not null.
        return max(
            (fault(value, choice, place) for choice in kind),
            key=lambda words: ("expected null" not in words, words.count(".")),
        )
    if isinstance(kind, list) and isinstance(value, list):
        return next(words for item in value if (words := fault(item, kind[0], f"an item of {place}")))
    if isinstance(kind, Each) and isinstance(value, Mapping):
        faults = [f"{place}: expected at most {kind.most} fields, found {len(value)}"] * (len(value) > kind.most)
        for field, item in value.items():
            faults += [fault(field, kind.name, f"a name in {place}"), fault(item, kind.value, f"{inside}{field}")]
        return next(filter(None, faults))
    if isinstance(kind, dict) and isinstance(value, Mapping):
        faults = [
            fault(value[bare], field_kind, f"{inside}{bare}") if bare in value else f"{inside}{bare} is missing"
            for field, field_kind in kind.items()
            if (bare := field.removesuffix("?")) in value or bare == field
        ]
        faults += [f"{place} has other fields, which hold no {PLAIN.words}"]
        return next(filter(None, faults))
    words = kind.words if isinstance(kind, Leaf) else _KINDS[type(kind)]
    found = _KINDS.get(type(value)) or (ascii(value[:60]) if isinstance(value, str) else _shown(value))
    return f"{place}: expected {words}, found {found[:60]}"


_KINDS = {dict: "an object", Each: "an object", list: "a list", type(None): "null"}


def _shown(value: object) -> str:
    # Python prints no integer of more than 4300 digits.
    return "an integer of too many digits" if type(value) is int and abs(value) >= 10**60 else ascii(value)


def matches(pattern: str, value: object) -> bool:
    """Return whether a value is text that an ASCII pattern fits as a whole."""
    return isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None
