"""Verdicts and claims as a part of the Markdown page; its form stands in templates/verdicts.md.j2."""

from __future__ import annotations

from reports.render.templates import environment
from reports.select.settings import PAPER_SETTING
from reports.verdicts import wording as verdict_text
from reports.verdicts.summary import Findings


def render(findings: Findings) -> str:
    """The part, from its first heading to its last line."""
    template = environment().get_template("verdicts.md.j2")
    return template.render(findings=findings, text=verdict_text, paper_setting=PAPER_SETTING).strip() + "\n"
