"""Render a report as one self-contained HTML page, with templates/report.html.j2 and the templates it includes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from reports.extra_tables.extra_table import ExtraSection
from reports.render.html_figures import FigureView
from reports.render.html_matrix import runs_at_a_glance
from reports.render.html_overview import overview, results
from reports.render.html_strip import Strip
from reports.render.html_table import Badges, TableView, table_view
from reports.render.html_verdicts import badges, claim_badges, gaps, verdict_badge
from reports.render.templates import environment
from reports.select.results import Collection
from reports.select.settings import PAPER_SETTING
from reports.tables.assemble import Report
from reports.tables.frames import heading
from reports.tables.ranking import legend
from reports.tables.rows import numbered
from reports.verdicts import wording
from reports.verdicts.summary import VerdictSummary
from rssam.escape import prose_pieces


def render(
    report: Report,
    collection: Collection,
    figures: Sequence[FigureView] = (),
    summary: VerdictSummary | None = None,
    extra_sections: Sequence[ExtraSection] = (),
    speed: Sequence[Mapping[str, Any]] = (),
    strip: Strip | None = None,
    *,
    claims: bool = True,
) -> str:
    """Return the whole page. It makes no request, and its policy forbids requests and scripts except its own.

    Args:
        report: the paper's tables.
        collection: all usable results.
        figures: to show after the tables.
        summary: verdicts for the tables' rows.
        extra_sections: tables beyond the paper's, after the paper's.
        speed: records of `rssam-bench speed`, for the charts of cost.
        strip: predictions of one run, for the head.
        claims: whether verdicts and claims have sections of their own.
    """
    templates = environment(html=True)
    templates.filters["prose"] = prose
    templates.filters["base64"] = lambda content: base64.b64encode(content).decode()
    templates.filters["title_case"] = lambda text: text[:1].upper() + text[1:]
    script = part("page.js")
    tables = _table_views(report, badges(summary) if summary else {}, speed)
    return templates.get_template("report.html.j2").render(
        report=report,
        overview=overview(report, collection),
        glance=runs_at_a_glance([(anchor, view.frame) for _, views in tables for anchor, view, _ in views]),
        compared=any(frame.compared for frame in report.frames),
        strip=strip,
        tables=tables,
        boxes={row.keys: row.box for _, views in tables for _, view, _ in views for row in view.rows if row.keys},
        summary=summary if claims else None,
        wording=wording,
        keyed=frozenset,
        gaps=gaps,
        heading=heading,
        claim_badges=claim_badges,
        verdict_badge=verdict_badge,
        paper_setting=PAPER_SETTING,
        legend=legend,
        figures=figures,
        extra_sections=extra_sections,
        beyond=extra_sections[0] if report.studies and not (report.tables or figures or claims) else None,
        own=results(report, collection, "own"),
        published=results(report, collection, "published"),
        style=part("page.css"),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def part(name: str) -> Markup:
    """Return a file of the templates, not escaped."""
    return Markup((files("reports") / "templates" / name).read_text())


def prose(text: str) -> Markup:
    """Return plain text escaped for the page, with text in backquotes as code, in asterisks as emphasis."""
    tags = {"": Markup("{}"), "`": Markup("<code>{}</code>"), "*": Markup("<em>{}</em>")}
    return Markup().join(tags[mark].format(piece) for mark, piece in prose_pieces(text))


def _table_views(
    report: Report, verdicts: Badges, speed: Sequence[Mapping[str, Any]]
) -> list[tuple[object, list[tuple[str, TableView, str]]]]:
    """Return each table with its frames: an anchor, the view, and the anchor of the frame with the same charts."""
    words = [f"{frame.table.id} {frame.setting.profile} {frame.source}".lower() for frame in report.frames]
    anchors = iter(numbered([re.sub(r"[^a-z0-9]+", "-", text).strip("-") for text in words]))
    tables: list[tuple[object, list[tuple[str, TableView, str]]]] = []
    charted: dict[tuple[str, ...], str] = {}
    for table, frames in report.tables:
        views = []
        for frame in frames:
            anchor = next(anchors)
            keys = tuple(result.key for result in frame.results)
            same = charted.get(keys, "") if keys else ""
            if "dice" in frame.table.scores and keys:
                charted.setdefault(keys, anchor)
            views.append((anchor, table_view(frame, verdicts, anchor, speed, charts=not same), same))
        tables.append((table, views))
    return tables
