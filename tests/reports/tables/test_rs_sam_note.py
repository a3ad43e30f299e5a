"""Which chain a table's RS-SAM has, and what of it is not the paper's; under every table and in the README alike."""

from pathlib import Path

import pytest

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLE5
from reports.select.results import Collection, StoredResult
from reports.tables.frames import table_frames
from reports.tables.rs_sam_note import PAPERS_AND_OURS, rs_sam_note
from rssam.config import RSSAM
from tests.reports.fabricate import fabricate, row_run

README = Path(__file__).parents[3] / "README.md"


def collection(*runs):
    return Collection(tuple(StoredResult(fabricate(run), "own") for run in runs))


def notes(*runs):
    (frame,) = table_frames(TABLE5, collection(*runs), Setting("paper"))
    return frame.notes


def test_a_table_with_rs_sam_says_its_chain_and_what_is_ours():
    """Nothing was said of either."""
    (note,) = (note for note in notes(row_run(0), row_run(4)) if "chain:" in note)
    rebuilt = "RS-SAM is rebuilt from the paper, because no code of its authors exists."
    assert note.startswith(f"{rebuilt} Decoder chain: sam_first (not the printed model).")
    assert note.endswith(PAPERS_AND_OURS)
    assert not any("chain:" in note for note in notes(row_run(0)))


def test_the_printed_chain_is_named_so():
    control = Setting("paper").run(RSSAM(chain="printed"), "deepglobe")
    (note,) = (note for note in notes(row_run(4), control) if "chain:" in note)
    assert "Decoder chain: sam_first (not the printed model) and as printed (Eq. 2)." in note


def test_a_chain_that_is_not_recorded_is_not_guessed():
    assert "Decoder chain: not known here." in rs_sam_note([{"name": "rs-sam", "options": {}}])[0]
    assert rs_sam_note([{"name": "fcn", "options": {}}]) == ()


@pytest.mark.parametrize("words", [
    "No code of the authors", "F_early", "Down module", "one reading", "SAMed's", "split lists", "pretrained weights",
])  # fmt: skip
def test_the_readme_says_the_same(words):
    text = README.read_text()
    start = text.index("## What is the paper's and what is ours")
    section = text[start : text.index("\n## ", start + 1)]
    assert words in section
    assert len([line for line in section.splitlines() if line.startswith("- ")]) == 8
