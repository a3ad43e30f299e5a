"""The page as text: what it says, that nothing in a result can become markup, and that it asks nobody for anything."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from benchmarks.protocol.figures import FIGURES
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from benchmarks.results.store import Store
from reports.figures.examples import find_figures
from reports.render.html import prose, render
from reports.render.html_figures import figure_views
from reports.render.html_table import table_view
from reports.select.results import collect
from reports.tables.assemble import assemble
from reports.verdicts.summary import summarize
from reports.write import write_report
from tests.reports.fabricate import MADE_UP, PART, PROVENANCE, TABLE5, fabricate, fill, row_run
from tests.reports.study import made

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Every element's attributes, and all text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.source, self.elements, self.open, self.words = text, [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, text):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(text)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, tag, **attributes):
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]


def page_of(home, tables=None, figures=()):
    collection = collect(home, home / "none")
    report = assemble(tables or tuple(TABLES.values()), collection)
    views = figure_views(find_figures(figures, collection, home), home)
    return Page(render(report, collection, views, summarize(collection, home)))


def test_nothing_run(tmp_path):
    page = page_of(tmp_path, figures=tuple(FIGURES.values()))
    assert (
        "Nothing of yours has been run. The tables show what the paper printed, and no other number. "
        "To run the first: rssam-bench reproduce table1 ."
    ) in page.text.replace("table1.", "table1 .")
    assert page.text.count("0 of 11") == 4
    assert (
        "Nothing to show yet: the pictures and the predictions on them stay in the home of whoever ran them"
        in page.text
    )
    assert "RS-SAM and Baseline have not both been run on deepglobe: rssam-bench reproduce fig6" in page.text
    assert "No result file was damaged, from another version, or left out." in page.text
    assert not page.all("button", class_="number ")


def test_smoke_only(tmp_path):
    fill(tmp_path, [0.6] * 5, Setting("smoke"), data=MADE_UP, precision="32-true")
    text = page_of(tmp_path, (TABLE5,)).text
    assert "Runs of smoke only: they claim nothing about the paper." in text
    assert "None of the 5 different runs behind these tables is done as the paper declares it." in text
    assert "Not on the whole data: synthetic stand-in scenes (24 pairs), not deepglobe." in text


@pytest.mark.parametrize(
    ("dices", "options", "words"),
    [
        ([0.7] * 5, {}, "5 of the 5 different runs behind these tables are done as the paper declares them."),
        ([0.7, None, None, None, 0.7], {}, "2 of the 5 different runs behind these tables are done as"),
        ([0.7] * 5, {"data": PART}, "Not on the whole data: partial: 36 pairs of 6226 known."),
        ([0.7, 0.7, 0.7, 0.7, 0.03], {}, "1 of 5 results collapsed: not above the constant answer, and so not tabled"),
    ],
)
def test_the_state_of_the_work_stands_first(tmp_path, dices, options, words):
    fill(tmp_path, dices, **options)
    text = page_of(tmp_path, (TABLE5,)).text
    assert words in text[: text.index("Does each number reproduce?")]


def test_a_page_of_figures_alone_still_says_what_was_run(tmp_path):
    """It once told the owner of five results that numbers will carry their origin one day."""
    fill(tmp_path, [0.6] * 5, Setting("smoke"), data=MADE_UP, precision="32-true")
    collection = collect(tmp_path, tmp_path / "none")
    views = figure_views(find_figures([FIGURES["fig7"]], collection, tmp_path), tmp_path)
    page = Page(render(assemble((), collection), collection, views))
    assert "Runs of smoke only" in page.text
    assert "This report was asked for without any table." in page.text
    assert "Results 5" in re.sub(r"\s+", " ", page.text.replace("Results5", "Results 5"))
    assert page.text.count("results/deepglobe-") == 5


def test_two_recipes_are_named_and_never_share_a_table(tmp_path):
    fill(tmp_path, [0.7] * 5)
    fill(tmp_path, [0.6] * 5, Setting("fair"))
    page = page_of(tmp_path, (TABLE5,))
    assert "Recipes, each in tables of its own: paper and fair." in page.text
    assert {"table5-paper-own", "table5-fair-own"} <= {found.get("id") for found in page.all("h3")}


def test_damaged_and_left_out_files_are_named(tmp_path):
    fill(tmp_path, [0.7] * 5)
    (tmp_path / "results" / "broken.json").write_text("{")
    (tmp_path / "results" / "<b>.json").write_text('{"schema": 99}')
    page = page_of(tmp_path, (TABLE5,))
    assert "Damaged files, left out 2" in page.text
    assert "broken.json: " in page.text
    assert "<b>.json: made by a newer version of rssam-bench" in page.text
    assert not page.all("b")


def test_nothing_in_a_result_becomes_markup(tmp_path):
    """A device, a commit, a class and an image are text that others chose."""
    run = row_run(4)
    changes = {
        "provenance": {**PROVENANCE, "device": HOSTILE, "commit": HOSTILE, "versions": {HOSTILE: HOSTILE}},
        "classes": (HOSTILE,),
        "images": (HOSTILE, "b", "c"),
    }
    Store(tmp_path).put(replace(fabricate(run, 0.7), **changes))
    page = page_of(tmp_path, (TABLE5,))
    plain = page_of(tmp_path / "other", (TABLE5,))
    assert len(page.all("script")) == len(plain.all("script")) == 1
    assert not page.all("img")
    assert page.text.count(HOSTILE) >= 4
    assert not [name for _, found in page.elements for name in found if name.startswith("on")]


def test_prose_is_escaped_before_it_is_marked_up():
    assert prose("run `a <b> --c` *now* & <i>") == "run <code>a &lt;b&gt; --c</code> <em>now</em> &amp; &lt;i&gt;"
    assert prose("2 * 3 and a * b") == "2 * 3 and a * b"


def test_the_page_asks_nobody_for_anything(tmp_path):
    fill(tmp_path, [0.7] * 5)
    page = page_of(tmp_path, (TABLE5,), tuple(FIGURES.values()))
    addresses = [found[name] for _, found in page.elements for name in ("src", "href", "action") if name in found]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    style = page.source[page.source.index("<style>") : page.source.index("</style>")]
    assert not re.search(r"url\(|@import|@font-face", style)
    [policy] = [found["content"] for found in page.all("meta") if found.get("http-equiv") == "Content-Security-Policy"]
    script = re.search(r"<script>(.*)</script>", page.source, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'")


def test_every_number_of_ours_opens_where_it_comes_from(tmp_path):
    stored = fill(tmp_path, [0.70, 0.75, None, 0.72, 0.77], seeds=((0, 0), (1, 1)))
    page = page_of(tmp_path, (TABLE5,))
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    boxes = {found["id"] for found in page.all("div") if "popover" in found}
    targets = [found["popovertarget"] for found in page.all("button") if found.get("class", "").startswith("number")]
    assert len(boxes) == 4
    assert len(targets) == 4 * 2 + 4, "two scores of four rows, and their four verdicts"
    assert set(targets) == boxes
    for result in stored:
        assert f"results/{result.key}.json" in page.text
    for fact in ("Split seed 1, seed 1", "0123456789ab", "NVIDIA RTX A6000", "2025-02-03 04:05:06 UTC", "torch 2.11.0"):
        assert fact in page.text


def test_the_same_results_give_the_same_bytes(tmp_path):
    fill(tmp_path, [0.70, 0.75, None, 0.03, 0.77])
    first, second = (
        write_report(["all"], ["html"], tmp_path / name, tmp_path, tmp_path / "none").paths for name in ("a", "b")
    )
    assert [path.name for path in first if path.suffix == ".html"] == ["report.html"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_bar_lies_where_its_numbers_are(tmp_path):
    """Every mark against the scale's own ends, by hand."""
    fill(tmp_path, [0.70, 0.75, None, 0.72, 0.77])
    collection = collect(tmp_path, tmp_path / "none")
    [frame] = assemble((TABLE5,), collection).frames
    view = table_view(frame, {}, "t")
    [scale] = [head.scale for head in view.heads if head.scale and head.group == "Dice"]
    for line, row in zip(view.rows, frame.rows.to_dict("records"), strict=True):
        bar = next(cell.bar for cell in line.cells if cell.kind == "ours")
        for place, name in ((bar.ours, "dice"), (bar.paper, "dice_paper"), (bar.low, "dice_low")):
            value = row[name]
            if value != value:
                assert place is None
                continue
            share = (value - scale.low) / (scale.high - scale.low)
            assert place == pytest.approx(4 + share * (bar.width - 8), abs=0.051)


def test_a_row_without_a_number_says_so_once(tmp_path):
    fill(tmp_path, [0.70, None, None, 0.03, 0.77])
    [frame] = assemble((TABLE5,), collect(tmp_path, tmp_path / "none")).frames
    texts = [[cell.text for cell in line.cells if cell.kind == "ours"] for line in table_view(frame, {}, "t").rows]
    assert texts[1] == ["not run", "–"]
    assert texts[3] == ["collapsed", "–"]
    assert [cell.value for cell in table_view(frame, {}, "t").rows[3].cells if cell.kind == "ours"] == [None, None]


def test_a_verdict_has_a_word_and_a_shape(tmp_path):
    fill(tmp_path, [0.70, None, None, 0.03, 0.77])
    page = page_of(tmp_path, (TABLE5,))
    shapes = {found["href"] for found in page.all("use")}
    symbols = {f"#{found['id']}" for found in page.all("symbol")}
    assert shapes <= symbols
    assert {"#s-dash", "#s-cross"} <= shapes
    assert "collapsed" in page.text


def test_runs_that_stand_in_two_tables_are_charted_once(tmp_path):
    for name in ("RS-SAM", "Baseline"):
        Store(tmp_path).put(made("whdld", name, 0.7))
    page = page_of(tmp_path, (TABLES["table3"], TABLES["table4"]))
    assert page.text.count("Dice of each test image") == 1
    assert [found for found in page.all("a") if found.get("href") == "#table3-paper-own"]
