"""Import the public names of a package when they are first used: light commands need few of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def deferred(package: str, places: Mapping[str, str]) -> Callable[[str], object]:
    """Return the `__getattr__` of a package whose public names stand in `places` as "module:name"."""

    def get(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = places[name].partition(":")
        value: object = getattr(import_module(module), attribute)
        setattr(sys.modules[package], name, value)
        return value

    return get
