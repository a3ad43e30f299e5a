"""Verdicts and claims as a part of the Markdown page; its form stands in templates/verdicts.md.j2."""

from __future__ import annotations

from reports import verdict_text
from reports.findings import Findings
from reports.jinja import environment
from reports.settings import PAPER_SETTING


def render(findings: Findings) -> str:
    """The part, from its first heading to its last line."""
    template = environment().get_template("verdicts.md.j2")
    return template.render(findings=findings, text=verdict_text, paper_setting=PAPER_SETTING).strip() + "\n"
