"""The README's result table: made from published results alone, and never mistaken for ours."""

import json

import pytest

from benchmarks.protocol.tables import TABLES
from reports.readme import BEGIN, END, README, renewed, result_table
from tests.reports.fabricate import PART, fabricate, row_run

TABLE1 = TABLES["table1"]


def publish(folder, *results):
    for result in results:
        (folder / f"{result.key}.json").write_text(json.dumps(result.to_json()))


def test_the_readme_is_current():
    text = README.read_text()
    assert renewed(text) == text, "run: make readme"


def test_without_published_results_the_numbers_are_the_papers_and_called_so(tmp_path):
    assert result_table(tmp_path) == (
        "No reproduction is published with this version yet. These numbers are the paper's own, and none of them is "
        "reproduced here (Baseline is SAM with LoRA):\n\n"
        "| Dice in the paper | DeepGlobe | WHU aerial | WHDLD |\n"
        "| :-- | --: | --: | --: |\n"
        "| Baseline | 0.703 | 0.908 | 0.728 |\n"
        "| RS-SAM | 0.765 | 0.937 | 0.736 |"
    )


def test_published_results_stand_beside_the_paper(tmp_path):
    publish(tmp_path, *(fabricate(row_run(index, table=TABLE1), dice) for index, dice in ((9, 0.70), (10, 0.77))))
    assert result_table(tmp_path) == (
        "**DeepGlobe** (profile paper; published results; complete: all 6226 pairs; bf16-mixed). Best of a column in "
        "bold, second in italics. Of ours nothing is marked: 9 of 11 rows have no result. No interval: 3 test "
        "images with something to score, where an interval takes 20.\n\n"
        "| Method | Dice | paper | difference | runs |\n"
        "| :-- | --: | --: | --: | --: |\n"
        "| Baseline | 0.700 | 0.703 | -0.003 | 1 |\n"
        "| RS-SAM | 0.770 | **0.765** | +0.005 | 1 |"
    )


def test_what_is_no_reproduction_says_so(tmp_path):
    publish(tmp_path, fabricate(row_run(10, table=TABLE1), 0.5, data=PART))
    assert "Not a reproduction: partial data." in result_table(tmp_path)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "deepglobe-rs-sam-0000000000.json").write_text("{")
    assert "Left out: deepglobe-rs-sam-0000000000.json: " in result_table(tmp_path)


def test_only_the_part_between_the_marks_is_rewritten(tmp_path):
    text = renewed(f"# Name\n\n{BEGIN}\nold numbers 0.999\n{END}\n\nThe rest.\n", tmp_path)
    assert text.startswith(f"# Name\n\n{BEGIN}\n\nNo reproduction is published")
    assert text.endswith(f"\n\n{END}\n\nThe rest.\n")
    assert "0.999" not in text
    assert renewed(text, tmp_path) == text


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}"])
def test_a_readme_without_the_marks_is_refused(text, tmp_path):
    with pytest.raises(ValueError, match="the README needs the lines"):
        renewed(text, tmp_path)
