"""How every template of a report is set up; they stand in `reports/templates`."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(*, html: bool = False) -> Environment:
    """Blocks leave no lines behind, and what is not passed is an error. In `html` all text is escaped."""
    return Environment(
        loader=PackageLoader("reports"),
        autoescape=html,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
