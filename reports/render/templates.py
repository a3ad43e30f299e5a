"""Set up the Jinja environment of the templates in `reports/templates`: all text is escaped for the format."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports.formatting import format_difference, format_number
from rssam.escape import markdown, markdown_prose, one_line


class Markdown(str):
    """Text that is Markdown already and not escaped again."""

    __slots__ = ()


@cache  # with the templates it has compiled
def environment(*, html: bool = False) -> Environment:
    """Return the environment: blocks leave no lines, missing variables are errors. Texts are prose, in HTML plain."""
    templates = Environment(
        loader=PackageLoader("reports"),
        autoescape=html,
        finalize=_plain if html else _prose,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    templates.filters["score"] = lambda value: format_number(value, missing="")
    templates.filters["difference"] = format_difference
    templates.filters["code"] = lambda text: Markdown(f"`{one_line(text).replace('`', '?')}`")
    templates.filters["plain"] = lambda text: Markdown(markdown(text))
    templates.filters["python"] = lambda text: Markdown(json.dumps(text))
    return templates


def _plain(value: Any) -> Any:
    return one_line(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _prose(value: Any) -> Any:
    return markdown_prose(value) if isinstance(value, str) and not isinstance(value, Markdown) else value
