"""All runs of the paper at the head of the page, and the columns that are there only where something is comparable."""

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from reports.render import latex, markdown
from reports.render.html import render
from reports.render.html_matrix import runs_at_a_glance
from reports.select.results import collect
from reports.tables.assemble import assemble
from reports.tables.cells import parts
from tests.reports.fabricate import MADE_UP, TABLE5, fill


def anchored(home, tables):
    collection = collect(home, home / "none")
    report = assemble(tables, collection)
    return report, collection, [(f"frame-{number}", frame) for number, frame in enumerate(report.frames)]


def cells(glance):
    return [cell for matrix in glance.matrices for _, row in matrix.rows for cell in row if cell]


def test_every_run_of_the_paper_once(tmp_path):
    """Where 39 runs stood was to be pieced together from seven tables of 55 rows."""
    fill(tmp_path, [0.70, None, None, None, 0.77])
    _, _, frames = anchored(tmp_path, list(TABLES.values()))
    glance = runs_at_a_glance(frames)
    assert glance.caption == "39 runs of the paper, profile paper: 2 done and 37 not run."
    assert [len(matrix.rows) for matrix in glance.matrices] == [11, 6]
    assert glance.matrices[0].heads == ("DeepGlobe", "WHU aerial", "WHDLD")
    assert len(cells(glance)) == 39
    done = {name: row[0] for name, row in glance.matrices[0].rows if row[0].state == "done"}
    assert {name: cell.text for name, cell in done.items()} == {"Baseline": "0.700", "RS-SAM": "0.770"}
    assert all(cell.anchor in {name for name, _ in frames} for cell in done.values())
    assert {cell.anchor for cell in cells(glance) if cell.state == "not run"} <= set(TABLES)


def test_the_setting_of_most_results_is_shown(tmp_path):
    fill(tmp_path, [0.70])
    fill(tmp_path, [0.30, 0.40, 0.03], Setting("smoke"), data=MADE_UP, precision="32-true")
    _, _, frames = anchored(tmp_path, [TABLE5])
    assert runs_at_a_glance(frames).caption == "5 runs of the paper, profile smoke: 2 done, 1 collapsed and 2 not run."


def test_a_table_without_anything_comparable_has_no_differences(tmp_path):
    """Smoke runs on made-up scenes had an empty column "diff." and a column of verdicts."""
    fill(tmp_path, [0.30, 0.40], Setting("smoke"), data=MADE_UP, precision="32-true")
    report, collection, _ = anchored(tmp_path, [TABLE5])
    (frame,) = report.frames
    assert parts(frame) == ("ours", "paper")
    page = render(report, collection)
    assert "difference |" not in markdown.render(report)
    assert "& difference" not in latex.render(report.frames)
    assert 'aria-label="difference"' not in page
    assert 'class="chip' not in page


def test_a_table_with_nothing_run_is_one_line(tmp_path):
    """Eleven rows of "not run" for each of three tables stood between a reader and what was run."""
    fill(tmp_path, [0.70])
    report, collection, _ = anchored(tmp_path, [TABLES["table2"], TABLE5])
    text = markdown.render(report)
    assert "Nothing of this table has been run. To fill it: `rssam-bench reproduce table2`." in text
    assert "| FCN |" not in text
    page = render(report, collection)
    start = page.index('<details class="idle" id="table2">')
    assert page.index("<summary>", start) < page.index("Nothing of this table has been run", start)
    assert page.count('class="idle"') == 1
