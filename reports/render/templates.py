"""Set up the Jinja environment of the templates in `reports/templates`."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.formatting import format_difference, format_number


def environment(*, html: bool = False) -> Environment:
    """Return the environment: blocks leave no lines, missing variables are errors. In `html` all text is escaped."""
    templates = Environment(
        loader=PackageLoader("reports"),
        autoescape=html,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    templates.filters["score"] = lambda value: format_number(value, missing="")
    templates.filters["difference"] = format_difference
    return templates
