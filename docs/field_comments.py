"""Show the comment behind a field of a class as its description on the API pages: there stand shapes and units."""

from __future__ import annotations

import re
from typing import Any

import griffe

COMMENT = re.compile(r"  # (?!type:|noqa|fmt:|hashed:)(.+)$")


class FieldComments(griffe.Extension):
    """Take comments of fields for docstrings, where a field has none."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Describe one attribute."""
        found = COMMENT.search(attr.lines[-1]) if attr.docstring is None and attr.lines else None
        if found is not None:
            attr.docstring = griffe.Docstring(found[1][0].upper() + found[1][1:], parent=attr)
