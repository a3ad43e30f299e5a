"""Read the small YAML file of a class map: bounded, and each key and number as it reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from rssam.foreign_json import MOST_DEPTH, Unreadable, read_bytes

MOST_BYTES = 1 << 17
INT = "tag:yaml.org,2002:int"


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML's safe loader, without its numbers that read as others: 010 is 8 in it, 1:30 is 90 and 1_0 is 10."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != INT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping. Raises Unreadable for a key that comes twice, of which YAML would take the last."""
        values: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(values) < len(node.value):
            names = [key.value for key, _ in node.value]
            twice = next((name for name in names if names.count(name) > 1), "a key")
            raise Unreadable(f"{ascii(twice)[:60]} comes twice in one mapping")
        return values


_Loader.add_implicit_resolver(INT, re.compile(r"[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+)\Z"), list("-+0123456789"))


def read_yaml(path: Path) -> Any:
    """Return the values of a small YAML file. Raises Unreadable, OSError or YAMLError.

    Not read: deep ones, and aliases, with which a few lines stand for billions.
    """
    text = read_bytes(path, most_bytes=MOST_BYTES).decode()
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise Unreadable(f"it is nested more than {MOST_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable("it has an alias, which a class map does not need")
    values = yaml.load(text, _Loader)
    ascii(values)  # raises ValueError for a number of thousands of digits, which no message could show
    return values
