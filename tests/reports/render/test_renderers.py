"""What stands on the page. Key lines only: the rest may change."""

import csv
import io
import re
import shutil
import subprocess

import pytest
from rich.console import Console

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from reports.formatting import format_difference
from reports.render import csv as csv_table
from reports.render import latex, markdown
from reports.render.terminal import show
from reports.select.results import Collection, StoredResult, collect
from reports.tables.assemble import assemble
from reports.tables.cells import number
from reports.tables.frames import table_frames
from rssam.escape import latex_prose
from tests.reports.fabricate import MADE_UP, TABLE5, fabricate, fill, row_run


@pytest.fixture
def report(tmp_path):
    fill(tmp_path, [0.70, 0.75, None, 0.03, 0.77], seeds=((0, 0), (1, 1)), native=0.71)
    fill(tmp_path, [0.6] * 5, Setting("smoke"), data=MADE_UP, precision="32-true")
    (tmp_path / "results" / "broken.json").write_text("{")
    return assemble([TABLE5], collect(tmp_path, tmp_path / "none"))


def test_numbers_and_differences():
    nan = float("nan")
    assert [number(0.76549, "dice"), number(nan, "dice"), number(107.4, "params_m")] == ["0.765", "-", "107.40"]
    assert [format_difference(value) for value in (0.0049, -0.0101, -0.0004, nan)] == ["+0.005", "-0.010", "0.000", ""]


def test_markdown(report):
    lines = markdown.render(report).splitlines()
    assert lines[0] == "# RS-SAM benchmark report"
    assert (
        "Made from 13 results of yours: rssam-bench 0.2.0, commit 0123456789ab, torch 2.11.0, on NVIDIA RTX A6000, "
        "finished 2025-02-03."
    ) in lines
    assert any(line.startswith("- broken.json: ") for line in lines)
    assert f"## Table 5. {TABLE5.title}" in lines
    start = lines.index("### Profile paper; complete: all 6226 pairs; bf16-mixed")
    assert lines[start + 2 : start + 9] == [
        "| Multi-scale Neck | MFF | MHFF | Dice ours | Dice paper | Dice difference | Jaccard ours | Jaccard paper "
        "| Jaccard difference | Dice, native resolution | Runs |",
        "| :-- | :-- | :-- | --: | --: | --: | --: | --: | --: | --: | --: |",
        "| no | no | no | 0.705 ± 0.007 | 0.703 | +0.002 | 0.544 | 0.542 | +0.002 | 0.710 | 2 |",
        "| yes | no | no | 0.755 ± 0.007 | 0.756 | -0.001 | 0.606 | 0.607 | -0.001 | 0.710 | 2 |",
        "| yes | yes | no | not run | *0.759* |  | not run | *0.611* |  | - | 0 |",
        "| yes | no | yes | collapsed | 0.757 |  | collapsed | 0.610 |  | - | 2 |",
        "| yes | yes | yes | 0.775 ± 0.007 | **0.765** | +0.010 | 0.633 | **0.620** | +0.013 | 0.710 | 2 |",
    ]
    assert "### Profile smoke; synthetic stand-in scenes (24 pairs), not deepglobe; 32-true" in lines
    assert "\n\n\n" not in markdown.render(report)


def test_every_number_on_the_page_names_its_result_file(report):
    page = markdown.render(report)
    assert all(f"`{result.key}`" in page for frame in report.frames for result in frame.results)


def test_latex(report):
    text = latex.render(report.frames)
    assert r"Multi-scale &  &  & \multicolumn{4}{c}{Dice} & \multicolumn{3}{c}{Jaccard} & Dice, native &  \\" in text
    assert r"Neck & MFF & MHFF & ours & $\pm$ and 95 \% & paper & difference &" in text
    assert r"\cmidrule(lr){4-7} \cmidrule(lr){8-10}" in text
    assert r"yes & no & no & 0.755 & $\pm$ 0.007 & 0.756 & $-0.001$ & 0.606 & 0.607 &" in text
    assert r"4.13 \%, within the 4.10 to 4.16 \%" in text
    assert r"\texttt{rssam-bench reproduce table5}" in text
    assert r"checkpoint vit\_b" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == text.count(r"\bottomrule") == 2
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in rows} == {8, 11}  # without any number to compare there are no differences
    # Notes once stood in the caption, which then had 1,967 characters.
    captions = re.findall(r"\\caption\{(.*)\}", text)
    assert len(captions) == 2
    assert all(len(caption) < 200 and ". " not in caption for caption in captions)
    assert text.count(r"\item") == sum(1 + len(frame.notes) for frame in report.frames)


def test_latex_escapes_what_it_must():
    assert latex_prose(r"50 % of a_b & {c} #1 $2 ~ ^ \ < > |") == (
        r"50 \% of a\_b \& \{c\} \#1 \$2 \textasciitilde{} \textasciicircum{} \textbackslash{} \textless{} "
        r"\textgreater{} \textbar{}"
    )
    assert latex_prose("run `x --y_z` now") == r"run \texttt{x -{}-y\_z} now"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles(report, tmp_path):
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx,threeparttable}"
    whole = f"{head}\n\\begin{{document}}\n{latex.render(report.frames)}\n\\end{{document}}\n"
    (tmp_path / "tables.tex").write_text(whole)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


def test_csv(report):
    lines = list(csv.DictReader(io.StringIO(csv_table.render(report.frames))))
    assert len(lines) == 5 * 3 + 5 * 2
    first = lines[0]
    assert (first["table"], first["profile"], first["source"], first["score"]) == ("table5", "paper", "own", "dice")
    assert (first["Multi-scale Neck"], first["MFF"], first["MHFF"]) == ("no", "no", "no")
    assert float(first["ours"]) - float(first["paper"]) == pytest.approx(float(first["difference"]))
    assert len(first["keys"].split()) == int(first["replicates"]) == 2
    assert {line["state"] for line in lines} == {"done", "not run", "collapsed"}
    assert all(line["ours"] == "" for line in lines if line["state"] != "done")


def test_terminal_fits_eighty_columns(report):
    console = Console(width=80, record=True, file=io.StringIO())
    show(report.frames[0], console)
    text = console.export_text()
    lines = [line.split() for line in text.splitlines()]
    assert ["yes", "yes", "yes", "0.775", "0.765", "+0.010", "0.633", "0.620", "+0.013"] in lines
    assert ["yes", "no", "yes", "collapsed", "0.757", "collapsed", "0.610"] in lines
    assert ["yes", "yes", "no", "not", "run", "0.759", "not", "run", "0.611"] in lines
    assert "…" not in text
    assert "- 1 of 5 rows not run. To fill them: rssam-bench reproduce table5." in text


def test_a_table_of_many_scores_leaves_out_differences_on_paper():
    """Fifteen columns were shrunk to a third of the text's size, which nobody can read."""
    table = TABLES["table1"]
    results = [fabricate(row_run(0, table=table), 0.7), fabricate(row_run(1, table=table), 0.6)]
    frames = table_frames(table, Collection(tuple(StoredResult(result, "own") for result in results)), Setting("paper"))
    text = latex.render(frames)
    heads = r"\multicolumn{3}{c}{Dice} & " + " & ".join(
        rf"\multicolumn{{2}}{{c}}{{{name}}}" for name in ("Jaccard", "Precision", "Recall", "Acc")
    )
    assert heads in text
    assert r"Method & ours & 95 \% & paper & ours & paper & ours" in text
    assert r"FCN & 0.700 &  & 0.649 & 0.538 & 0.480 &" in text
    assert r"TransUNet & not run &  & 0.681 &" in text
    assert "& difference" not in text
