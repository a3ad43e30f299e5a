"""Foreign names are text in every format: renderers, nasty strings and fields, each with each.

A newline in a name wrote a live `\\input{/etc/passwd}` into a `.tex`, HTML and lines of a forged table into Markdown,
and a broken line into a bundle's README.
"""

import html
import io
import re
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from benchmarks.cli.options import PlainConsole
from benchmarks.console.tables import show_statuses
from benchmarks.execution.run_status import RunStatus
from data_prep.checks import card_markdown
from reports.bundle.documents import _readme
from reports.extra_tables.extra_table import ExtraSection, ExtraTable
from reports.model_card import render as model_card
from reports.render import csv, latex, markdown, terminal
from reports.render.html import prose
from reports.render.html import render as html_page
from reports.select.results import Collection, StoredResult
from reports.tables.assemble import assemble
from rssam.escape import csv_cell, one_line
from tests.reports.fabricate import PROVENANCE, TABLE5, WHOLE, fabricate, row_run

NASTY = {
    "newline": "a\n\\input{/etc/passwd}",
    "carriage return": "a\r\\write18{rm}",
    "unicode lines": "a\u2028# forged\u0085|x|\x0b\x0c",
    "latex": r"\input{/etc/passwd}%\n^^5cinput{x}$\csname x\endcsname$",
    "script": "</script><script>alert(1)</script>",
    "attribute": '" onload="alert(1)" \'',
    "table": "a | 0.999 | 0.999 |\n| forged | 1.000 |",
    "code": "`` ` ``` *b* __c__ [d](javascript:e) ![f](g) ~~h~~ $i$",
    "spans": "`` ` ``<img src=x onerror=y>` ``<b>",
    "comment": "<!-- <b> --> <img src=x onerror=y>",
    "bidi": "abc\u202eevil\u2066\u200b\u200d\ufeff",
    "ansi": "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "surrogate": "a\ud800b",
    "formula": "=cmd|' /C calc'!A0",
    "long": "x" * 10_000,
}
FIELDS = ("device", "commit", "version", "note", "damaged", "left out", "title", "key")


def report_with(field, nasty):
    """A report of one result in which a field holds the text."""
    provenance = {
        **PROVENANCE,
        **{name: nasty for name in ("device", "commit") if field == name},
        "versions": {**PROVENANCE["versions"], **({"torch": nasty} if field == "version" else {})},
    }
    result = fabricate(row_run(0), 0.7, digest="d", provenance=provenance)
    if field == "key":
        result.__dict__["key"] = nasty
    lists = {name: (nasty,) if field == place else () for name, place in (("damaged",) * 2, ("left_out", "left out"))}
    collection = Collection((StoredResult(result, "own"),), **lists)
    report = assemble([TABLE5], collection)
    if field in ("note", "title"):
        change = {"note": lambda frame: replace(frame, notes=(*frame.notes, nasty))}.get(field)
        frames = [
            change(frame) if change else replace(frame, table=replace(frame.table, title=nasty))
            for frame in report.frames
        ]
        report = replace(report, tables=((frames[0].table, tuple(frames)),))
    return report, collection


def plain(text):
    """No character of the text controls a terminal, hides or turns what stands beside it, or is no text."""
    text.encode()
    for line in text.split("\n"):
        assert one_line(line) == line.replace("\u00a0", " ")


def check_markdown(text):
    plain(text)
    outside = re.sub(r"(?<!\\)`[^`\n]*`", "", text)
    assert not re.search(r"(?<!\\)<(?:script|img|b|!--)", outside)
    assert not re.search(r"(?<!\\)\]\(javascript", outside)
    assert not re.search(r"^\W{0,2}(forged|# forged|\\input)", outside, re.MULTILINE)
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().splitlines()}
        assert len(cells) == 1, block[:500]


def check_latex(text):
    plain(text)
    live = [line.partition("%")[0] if line.startswith("%") else line for line in text.splitlines()]
    joined = "\n".join(live)
    assert not re.search(r"\\(input|write18|csname|endcsname)\b", joined)
    assert "^^" not in joined
    assert text.count(r"\begin{table}") == text.count(r"\end{table}")


def check_html(text):
    plain(text)
    scripts = re.findall(r"<script[^>]*>", text)
    assert len(scripts) <= 1
    assert not re.search(r"<(img|b)\b(?! )|onerror=y>|<!--|<img src=x", text)
    assert '" onload="' not in text


TEXTS = {name: text for name, text in NASTY.items() if name != "surrogate"}
"""Half of a surrogate pair is refused when it is read: no data frame holds it."""


@pytest.mark.parametrize("nasty", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("field", FIELDS)
def test_a_report_shows_foreign_text_as_text(field, nasty):
    report, collection = report_with(field, nasty)
    check_markdown(markdown.render(report))
    check_latex(latex.render(report.frames))
    check_html(html_page(report, collection))
    readme = _readme([(table, frames) for table, frames in report.tables], [], report, collection)
    check_markdown(readme)
    table = csv.render(report.frames)
    plain(table)
    assert not any(str(cell).startswith(("=", "@")) for cell in pd.read_csv(io.StringIO(table)).to_numpy().ravel())
    console = Console(file=io.StringIO(), width=200)
    terminal.show(report.frames[0], console)
    assert "\x1b" not in console.file.getvalue()


@pytest.mark.parametrize("nasty", TEXTS.values(), ids=TEXTS)
def test_a_table_beyond_the_papers_shows_foreign_text_as_text(nasty):
    tidy = pd.DataFrame({"name": [nasty], nasty: [0.5], "dice": [-0.5]})
    table = ExtraTable("extra", nasty, (nasty, "Dice"), ((nasty, "0.5"),), (nasty,), tidy, left=1)
    check_markdown(markdown.extra_sections([ExtraSection("extra", nasty, nasty, (table,))]))
    check_latex(latex.extra(table))
    written = csv.extra(table)
    plain(written)
    assert "-0.5" in written
    assert not re.search(r"(^|,)\"?[=@]", written, re.MULTILINE)
    check_html(str(prose(nasty)))
    assert html.unescape(re.sub(r"</?(code|em)>", "", str(prose("a < b & `c` | *d*")))) == "a < b & c | d"


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_a_model_card_and_a_data_card_show_foreign_text_as_text(nasty):
    result = fabricate(row_run(0), 0.7)
    about = {
        "title": nasty, "key": nasty, "sha256": nasty, "identity": {**result.identity, "precision": nasty},
        "task": {"classes": [nasty], "image_size": [512, 512]}, "base": {},
        "start": {nasty: {"sha256": nasty, "licence": nasty, "url": nasty}},
        "result": {
            "scores": {"dice": 0.7, nasty: 0.5}, "dice_interval": None, "constant_dice": 0.1, "average": "foreground",
            "test_images": 3, "parameters": {"total": 2, "trainable": 1},
        },
        "data": WHOLE, "provenance": {"versions": {"rssam-bench": nasty, "torch": nasty}},
    }  # fmt: skip
    card = model_card(about, nasty)
    check_markdown(re.sub(r"^```.*?^```$", "", card, flags=re.DOTALL | re.MULTILINE))
    (line,) = [line for line in card.splitlines() if line.startswith("trained = load_adapter(")]
    compile(line, "card", "exec")
    check_markdown(card_markdown._groups([nasty]) + "\n" + card_markdown._list([nasty]))


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_the_terminal_obeys_no_foreign_text(nasty):
    console = PlainConsole(file=io.StringIO(), highlight=False, markup=False, width=200)
    console.print(f"error: {nasty}", soft_wrap=True)
    show_statuses([RunStatus(nasty, "failed", reason=nasty)], console)
    for line in console.file.getvalue().split("\n"):
        assert one_line(line) == line


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"), ("-1+cmd|x", "'-1+cmd|x"), ("@a", "'@a"), ("+0.01", "+0.01"), ("-", "-"), ("a=b", "a=b"),
        (-1.5, -1.5),
    ],
)  # fmt: skip
def test_a_spreadsheet_calculates_no_cell(cell, written):
    assert csv_cell(cell) == written
