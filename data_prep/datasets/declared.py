"""A data set that another package declares, known from its declaration as data where that package is not installed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn

from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.rules import deep_tuples

DECLARED = "declared"
"""The one entry of a `dataset.json` of this kind."""

SHEET = ("name", "title", "version", "classes", "image_size", "average", "expected_pairs", "official_sizes", "palette")
"""What reports need of a data sheet."""


class DeclaredElsewhere:
    """A data set without files, of which results can be shown and not made."""

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

    Raises KeyError, TypeError or ValueError if a part is missing or cannot be.
    """
    return _declared(json.dumps(raw[DECLARED], sort_keys=True))


@cache
def _declared(text: str) -> Dataset:
    raw = json.loads(text)
    sheet = {name: deep_tuples(raw[name]) for name in SHEET}
    sizes = (sheet["version"], *sheet["image_size"])
    if not (all(isinstance(size, int) and size > 0 for size in sizes) and len(sheet["image_size"]) == 2):
        raise ValueError(f"version and size {sizes} are no whole numbers from 1")
    if not sheet["classes"] or sheet["average"] not in ("foreground", "classes"):
        raise ValueError(f"the classes {sheet['classes']} under the average {sheet['average']!r}")
    fields = [(name, Any, dataclasses.field(default=deep_tuples(value))) for name, value in raw["fields"].items()]
    namespace = {name: value for name, value in sheet.items() if name not in raw["fields"]}
    declaration = dataclasses.make_dataclass(
        "DeclaredElsewhere", fields, bases=(DeclaredElsewhere,), namespace=namespace, frozen=True
    )
    dataset: Dataset = declaration()
    hash(dataset)
    return dataset
