"""Declare a data set of another package as data, where that package is not installed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn

from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.rules import with_tuples
from rssam.foreign_json import Unreadable
from rssam.kinds import (
    COUNT,
    LONGEST_CLASS,
    LONGEST_TITLE,
    OPTION,
    VALUE,
    Each,
    Leaf,
    fault,
    matches,
    name,
    one_of,
    row,
    whole,
)

DECLARED = "declared"
"""The one entry of a `dataset.json` of this kind."""

MOST_CLASSES = 255
"""Labels of a mask, beside the one that is ignored."""

SHEET = ("name", "title", "version", "classes", "image_size", "average", "expected_pairs", "official_sizes", "palette")
"""What reports need of a data sheet."""

METHODS = ("prepare", "synthesize")
NAME = Leaf("a name of small letters, digits, - and _", lambda value: matches(r"[a-z0-9][a-z0-9_-]{0,59}", value))
KINDS = {
    DECLARED: {
        "name": NAME,
        "title": name(LONGEST_TITLE),
        "version": whole(1, 2**53),
        "classes": [name(LONGEST_CLASS)],
        "image_size": row("height and width", 2, whole(1, 1 << 16)),
        "average": one_of("foreground", "classes"),
        "expected_pairs": (COUNT, None),
        "official_sizes": (row("three sizes", 3, COUNT), None),
        "palette": [row("a colour", 3, whole(0, 255))],
        "fields": Each(Leaf("the name of a field", lambda value: OPTION.fits(value) and value not in METHODS), VALUE),
    }
}
"""Kinds of the parts of such a file."""


class DeclaredElsewhere:
    """Data set without files, of which results can be shown and not made."""

    def prepare(self, *_: object, **__: object) -> NoReturn:
        """Raise DataError: the code is not here."""
        raise DataError("a data set known from a bundle only cannot be prepared: install the package that declares it")

    synthesize = prepare


def declared_json(dataset: Dataset) -> str:
    """Return the text of `dataset.json` for a data set of another package: its data sheet, and its fields."""
    fields = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(dataset)}  # type: ignore[arg-type]
    sheet = {name: getattr(dataset, name) for name in SHEET}
    return json.dumps({DECLARED: {**sheet, "fields": fields}}, indent=1) + "\n"


def declared_dataset(raw: Mapping[str, Any]) -> Dataset:
    """Return the data set of such a file; equal files give the same.

    Raises Unreadable if a part is missing, of another kind, or does not fit the others.
    """
    if words := fault(raw, KINDS):
        raise Unreadable(words)
    sheet = raw[DECLARED]
    if other := [name for name, value in sheet["fields"].items() if name in SHEET and value != sheet[name]]:
        raise Unreadable(f"{other[0]} differs between its fields and its sheet")
    if not 0 < len(sheet["classes"]) <= MOST_CLASSES:
        raise Unreadable(f"expected 1 to {MOST_CLASSES} classes, found {len(sheet['classes'])}")
    if sheet["average"] == "foreground" and len(sheet["classes"]) != 1:
        raise Unreadable(f"expected one class for the average foreground, found {len(sheet['classes'])} classes")
    if len(sheet["palette"]) != len(sheet["classes"]):
        raise Unreadable(f"{len(sheet['palette'])} colours of {len(sheet['classes'])} classes")
    return _declared(json.dumps(raw[DECLARED], sort_keys=True))


@cache
def _declared(text: str) -> Dataset:
    raw = json.loads(text)
    sheet, stored = with_tuples(raw), with_tuples(raw["fields"])
    fields = [(name, Any, dataclasses.field(default=value)) for name, value in stored.items()]
    namespace = {name: sheet[name] for name in SHEET if name not in stored}
    declaration = dataclasses.make_dataclass(
        "DeclaredElsewhere", fields, bases=(DeclaredElsewhere,), namespace=namespace, frozen=True
    )
    dataset: Dataset = declaration()
    return dataset
