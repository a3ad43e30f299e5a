"""Reports on fabricated homes: the exact words about what is there, what is not, and why, in every format.

What a home holds stands in `homes.py`, what its report must say in `WORDS`. Intervals and verdicts follow the rules of
statistics; where those change, their expectations are all here.
"""

import html
import re
from dataclasses import dataclass

import pytest
from rich.console import Console

from reports.render import csv as csv_table
from reports.render import html as page
from reports.render import latex, markdown, terminal
from reports.select.results import collect
from reports.tables.assemble import assemble
from reports.verdicts.summary import summarize
from rssam import escape
from tests.reports.fabricate import TABLE5, fabricate_failure, row_run
from tests.reports.homes import HOMES


@dataclass(frozen=True)
class Words:
    """What a report must say: notes in every format, rows by format, and verdicts and claims on the two pages."""

    notes: tuple[str, ...] = ()
    legend: tuple[str, ...] = ()  # of the marks, which the terminal does not draw
    markdown: tuple[str, ...] = ()
    latex: tuple[str, ...] = ()
    html: tuple[str, ...] = ()
    csv: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


LOST = fabricate_failure(row_run(4, seed=2, split_seed=2))
"""The run that failed in the home "failed"."""

WORDS = {
    "partial": Words(
        notes=(
            "Not a reproduction: partial data. The paper's setting: `rssam-bench reproduce table5`.",
            "2 of 5 rows not run. To fill them: `rssam-bench reproduce table5`.",
        ),
        legend=("Of ours nothing is marked: 2 of 5 rows have no result.",),
        markdown=("| yes | yes | no | not run | *0.759* | not run | *0.611* | 0 |",),
        latex=(r"yes & yes & no & not run &  & \underline{0.759} & not run & \underline{0.611} & 0 \\",),
        html=("yes yes no not run 0.759 – 0.611 0 yes no yes",),
        verdicts=("Of the paper's 39 runs: 3 not comparable and 36 not run.",),
        absent=("diverged", "Not all made alike"),
    ),
    "diverged": Words(
        notes=(
            "Diverged or failed, so no mean over the other replicates is tabled: it would flatter the system. "
            "Multi-scale Neck yes, MFF no, MHFF no, 2 of 3 runs, 1 diverged (split seed 2 with seed 2: no finite loss "
            "in epoch 3 at rate 0.005; its other replicates, not tabled: Dice 0.756 and 0.766).",
        ),
        markdown=("| yes | no | no | diverged | 0.756 |  | diverged | 0.607 |  | 2 of 3 runs, 1 diverged |",),
        latex=(r"yes & no & no & diverged &  & 0.756 &  & diverged & 0.607 &  & 2 of 3 runs, 1 diverged \\",),
        html=(
            "yes no no diverged 0.756 diverged – 0.607 2 of 3 runs, 1 diverged",
            "Runs without a result: 1 diverged. Their rows say so, and no mean over the others is tabled.",
        ),
        csv=('yes,no,no,"2 of 3 runs, 1 diverged",dice,,0.756,',),
        verdicts=(
            "Of the paper's 39 runs: 4 difference only, 1 not comparable and 34 not run.",
            "Not comparable, because: 2 of 3 runs, 1 diverged (1 run).",
            "not tested: diverged: Multi-scale Neck (2 of 3 runs, 1 diverged).",
        ),
        absent=("0.761 ±", "0.761 ["),
    ),
    "diverged_alone": Words(
        notes=(
            "Multi-scale Neck yes, MFF no, MHFF no, 0 of 1 run, 1 diverged (split seed 0 with seed 0: no finite loss "
            "in epoch 3 at rate 0.005).",
        ),
        markdown=("| yes | no | no | diverged | 0.756 |  | diverged | 0.607 |  | 0 of 1 run, 1 diverged |",),
        latex=(r"yes & no & no & diverged &  & 0.756 &  & diverged & 0.607 &  & 0 of 1 run, 1 diverged \\",),
        html=(
            "yes no no diverged 0.756 diverged – 0.607 0 of 1 run, 1 diverged",
            "4 of the 5 different runs behind these tables are done as the paper declares them.",
        ),
        csv=('yes,no,no,"0 of 1 run, 1 diverged",dice,,0.756,',),
        verdicts=(
            "Of the paper's 39 runs: 4 difference only, 1 not comparable and 34 not run.",
            "not tested: diverged: Multi-scale Neck (0 of 1 run, 1 diverged).",
        ),
        absent=("rows not run",),
    ),
    "diverged_everywhere": Words(
        notes=(
            "Multi-scale Neck no, MFF no, MHFF no, 0 of 1 run, 1 diverged (split seed 0 with seed 0: no finite loss in "
            "epoch 3 at rate 0.005 and in epoch 7 at rate 0.001).",
            "No row of this table has a result. To fill it: `rssam-bench reproduce table5 --profile fair`.",
        ),
        markdown=(
            "No result of yours is in these tables.",
            "### Profile fair; complete: all 6226 pairs; bf16-mixed",
            "| no | no | no | diverged | 0.703 | diverged | 0.542 | 0 of 1 run, 1 diverged |",
        ),
        latex=(r"no & no & no & diverged &  & 0.703 & diverged & 0.542 & 0 of 1 run, 1 diverged \\",),
        html=("Nothing of yours has a result.", "no no no diverged 0.703 – 0.542 0 of 1 run, 1 diverged"),
        csv=('no,no,no,"0 of 1 run, 1 diverged",dice,,0.703,',),
        verdicts=("Of the paper's 39 runs: 1 not comparable and 38 not run.",),
        absent=("Nothing of this table has been run", "No run of yours", "Nothing of yours has been run"),
    ),
    "failed": Words(
        notes=(
            "Multi-scale Neck yes, MFF yes, MHFF yes, 2 of 3 runs, 1 failed (split seed 2 with seed 2 failed, see "
            f"`runs/{LOST.key}/failure.json`; its other replicates, not tabled: Dice 0.765 and 0.775).",
        ),
        legend=("Of ours nothing is marked: 1 of 5 rows has a run that failed.",),
        markdown=("| yes | yes | yes | failed | **0.765** |  | failed | **0.620** |  | 2 of 3 runs, 1 failed |",),
        latex=(
            r"yes & yes & yes & failed &  & \textbf{0.765} &  & failed & \textbf{0.620} &  & 2 of 3 runs, 1 failed \\",
        ),
        html=("yes yes yes failed 0.765 failed – 0.620 2 of 3 runs, 1 failed",),
        csv=('yes,yes,yes,"2 of 3 runs, 1 failed",dice,,0.765,',),
        verdicts=(
            "Of the paper's 39 runs: 4 difference only, 1 not comparable and 34 not run.",
            "not tested: 4 of its runs not run; failed: RS-SAM (2 of 3 runs, 1 failed).",
        ),
        absent=("script>", "input{x}", "0.770 ±", "0.770 ["),
    ),
    "rate": Words(
        notes=(
            "Diverged, and so left out of the choice of the rate by validation loss: Multi-scale Neck no, MFF no, MHFF "
            "no at rate 0.005 in 1 of 2 runs (epoch 3).",
        ),
        markdown=("| no | no | no | 0.705 ± 0.007 | 0.703 | +0.002 | 0.544 | 0.542 | +0.002 | 2 |",),
        latex=(r"no & no & no & 0.705 & $\pm$ 0.007 & 0.703 & $+0.002$ & 0.544 & 0.542 & $+0.002$ & 2 \\",),
        html=("no no no 0.705 0.703 +0.002", "diverged rate 0.005 in epoch 3"),
        absent=("Runs without a result",),
    ),
    "mixed": Words(
        notes=(
            "Not all made alike, which may move numbers: Multi-scale Neck yes, MFF no, MHFF yes with torch 2.11.0, "
            "from commit 0123456789ab, on A?B ?i?, on one device, not compiled, with activation checkpointing; "
            "Multi-scale Neck yes, MFF yes, MHFF no with torch 2.12.0, from commit ba9876543210 with changes not "
            "committed, on NVIDIA RTX A6000, on 4 devices (dropout then draws other numbers), compiled, without "
            "activation checkpointing; all other runs with torch 2.11.0, from commit 0123456789ab, on NVIDIA RTX "
            "A6000, on one device, not compiled, without activation checkpointing.",
        ),
    ),
    "scenes": Words(
        notes=(
            "Intervals are 95 % of a jackknife over 24 test scenes with something to score (tiles known to abut are "
            "one scene). They cover which of them were tested, not the luck of training.",
            "2 of 48 test images lie in a scene that holds training images too. Over the others alone Dice changes by "
            "-0.004 (Multi-scale Neck no, MFF no, MHFF no) to -0.004 (Multi-scale Neck yes, MFF yes, MHFF no); "
            "Multi-scale Neck yes, MFF yes, MHFF yes has 0.758 there.",
        ),
        legend=("No difference is tested: 24 test scenes with something to score, where a test takes 30.",),
        markdown=("| no | no | no | 0.698 [0.667, 0.729] | 0.703 | -0.005 | 0.536 | 0.542 | -0.006 | 1 |",),
        latex=(r"no & no & no & 0.698 & {[}0.667, 0.729{]} & 0.703 & $-0.005$ & 0.536 & 0.542 & $-0.006$ & 1 \\",),
        absent=("No interval",),
    ),
    "one_replicate": Words(
        notes=(
            "No interval: 3 test images with something to score, where an interval takes 20.",
            "Replicates: split seed 0 with seed 0. No verdict: it takes 5 replicates.",
        ),
        legend=("No difference is tested: 3 test images with something to score, where a test takes 30.",),
        markdown=("| yes | yes | yes | **0.765** | **0.765** | 0.000 | **0.619** | **0.620** | -0.001 | 1 |",),
        latex=(
            r"yes & yes & yes & \textbf{0.765} &  & \textbf{0.765} & 0.000 & \textbf{0.619} & "
            r"\textbf{0.620} & $-0.001$ & 1 \\",
        ),
        html=("yes yes yes 0.765 0.765 0.000 difference only 0.619 0.620 −0.001 1",),
        verdicts=(
            "Of the paper's 39 runs: 5 difference only and 34 not run.",
            "| RS-SAM | 1, 5, 6, 7 | 0.765 | 0.765 | 0.000 |  | 1 | difference only, not the printed model: 1 "
            "replicate, where a verdict takes 5 |",
        ),
        absent=("Not all made alike", "Diverged or failed", "Runs without a result", "±0.", "mean shift", "Intervals"),
    ),
    "five_replicates": Words(
        notes=(
            "± is the standard deviation over replicates, which holds the luck of split and training.",
            "Replicates: split seeds 0 to 4, each with the seed of the same number. Numbers are means over a row's "
            "replicates.",
        ),
        markdown=(
            "| no | no | no | 0.690 ± 0.001 | 0.703 | -0.013 | 0.527 | 0.542 | -0.015 | 5 |",
            "| yes | yes | yes | **0.768** ± 0.016 | **0.765** | +0.003 | **0.624** | **0.620** | +0.004 | 5 |",
        ),
        latex=(
            r"yes & yes & yes & \textbf{0.768} & $\pm$ 0.016 & \textbf{0.765} & $+0.003$ & "
            r"\textbf{0.624} & \textbf{0.620} & $+0.004$ & 5 \\",
        ),
        html=("no no no 0.690 0.703 −0.013 lower 0.527 0.542 −0.015 5 yes no no 0.756",),
        csv=("yes,yes,yes,5,dice,",),
        verdicts=(
            "Of the paper's 39 runs: 3 reproduced, 1 lower, 1 undecided and 34 not run.",
            "DeepGlobe: 5 runs together, mean shift from the paper -0.0019 in Dice (95 % -0.0133 to +0.0095, 5 common "
            "replicates): no common shift is seen.",
            "| Baseline | 1, 5, 7 | 0.703 | 0.690 | -0.013 | 0.003 | 5 | lower |",
            "| Multi-scale Neck | 5 | 0.756 | 0.756 | 0.000 | 0.003 | 5 | reproduced to ±0.003, not the "
            "printed model |",
            "| RS-SAM | 1, 5, 6, 7 | 0.765 | 0.768 | +0.003 | 0.048 | 5 | undecided, not the printed model: "
            "replicates differ too much: ±0.048, where more than ±0.020 would say little |",
        ),
        absent=("Not all made alike", "Diverged or failed", "Runs without a result", "by chance"),
    ),
}


@pytest.fixture(params=list(HOMES), scope="module")
def said(request, tmp_path_factory):
    """A home's report in every format, and the words it must hold: (words, text by format)."""
    home = tmp_path_factory.mktemp("home")
    HOMES[request.param](home)
    collection = collect(home, None)
    report = assemble([TABLE5], collection)
    summary = summarize(collection, home)
    with (console := Console(width=100)).capture() as capture:
        for frame in report.frames:
            terminal.show(frame, console)
    texts = {
        "markdown": markdown.render(report),
        "latex": latex.render(report.frames),
        "html": _text(page.render(report, collection, (), summary)),
        "csv": csv_table.render(report.frames),
        "terminal": re.sub(r"\s+", " ", capture.get()),
        "verdicts": markdown.verdicts(summary),
    }
    return WORDS[request.param], texts


def _text(source):
    """A page's text, without styles, scripts and drawings."""
    for part in ("style", "script", "svg"):
        source = re.sub(rf"<{part}\b.*?</{part}>", "", source, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", source)))


def test_notes_are_the_same_in_every_format(said):
    words, texts = said
    plain = re.sub(r" ([.;,])", r"\1", texts["html"])  # behind code there is a tag
    for note in (*words.notes, *words.legend):
        assert note in texts["markdown"]
        assert escape.latex_prose(note) in texts["latex"]
        assert note.replace("`", "") in plain
    for note in words.notes:
        assert note.replace("`", "") in texts["terminal"]


@pytest.mark.parametrize("kind", ["markdown", "latex", "html", "csv", "verdicts"])
def test_rows_verdicts_and_claims_say_it_in_words(said, kind):
    words, texts = said
    for sentence in getattr(words, kind):
        assert sentence in texts[kind]


def test_nothing_is_said_that_is_not_so(said):
    """A mean over the survivors, words of foreign code, notes that do not apply."""
    words, texts = said
    for kind, text in texts.items():
        for word in words.absent:
            assert word not in text.replace("collapsed, diverged or failed", ""), kind
