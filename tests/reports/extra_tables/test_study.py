"""The chapter on the study: what stands in it, in every format, and that it never passes for a table of the paper."""

import io

import pandas as pd
import pytest
from rich.console import Console

from benchmarks.execution.cost_estimate import kept_cost
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.studies.still_sam import STILL_SAM
from data_prep.datasets.folder import Folder
from data_prep.registry import DATASETS
from reports.extra_tables.speed import read_efficiency
from reports.extra_tables.study import study_section
from reports.render.terminal import print_extra
from reports.select.results import collect
from reports.write import write_report, write_report_of
from tests.reports.fabricate import fill
from tests.reports.still_sam import BASELINE, FAIR, FROZEN, MODELS, RS_SAM, in_fp32, of_row, put, replicates
from tests.reports.study import collection
from tests.reports.tables.test_scored_rows import put_submission, submission
from tests.reports.timed import put as put_speed

FORMATS = ["md", "tex", "csv", "html"]
OURS = [0.740, 0.752, 0.747, 0.760, 0.751]


def section(home, **options):
    return study_section(STILL_SAM, collect(home, home / "none"), read_efficiency(home).records, **options)


def row_of(table, label):
    (row,) = (row for row in table.texts if row[0] == label)
    return dict(zip(table.heads, row, strict=True))


def test_every_format_has_the_numbers_and_says_that_they_are_not_in_the_paper(tmp_path):
    put(tmp_path / "home", *replicates(RS_SAM, OURS), *replicates(FROZEN, [0.7, 0.71, 0.705, 0.72, 0.7]))
    put(tmp_path / "home", of_row(RS_SAM, 0.93, dataset="whu"))
    out = tmp_path / "out"
    written = write_report(["still-sam"], FORMATS, out, tmp_path / "home", published=tmp_path / "none")
    assert written.filled == ("still-sam 11 results",)
    names = {path.name for path in written.paths}
    assert names == {f"still-sam{part}.{kind}" for part in ("", "-questions") for kind in ("tex", "csv")} | {
        "report.md", "report.html"
    }  # fmt: skip
    screen = Console(file=io.StringIO(), width=160)
    for table in section(tmp_path / "home").tables:
        print_extra(table, screen)
    texts = {name: (out / name).read_text() for name in ("report.md", "report.html", "still-sam.tex")}
    texts["terminal"] = screen.file.getvalue()
    for name, text in texts.items():
        assert "not in the paper" in text.lower(), name
        for shown in ("DINOv3-B frozen + DPT", "0.750 ± 0.007", "LVD-1689M", "DINOv3 License", "SAT-493M"):
            assert shown in text.replace(r"$\pm$", "±"), (name, shown)
    assert "No run of yours" not in texts["report.md"]  # was said above eleven of them
    questions = (out / "still-sam-questions.tex").read_text().replace(r"\&", "&")
    assert "Is RS-SAM better than a frozen DINOv3 with DPT? & DeepGlobe & yes & +4.3" in questions
    assert "Not compared on WHU: not run: DINOv3-B frozen + DPT." in questions


def test_the_spreadsheet_is_not_rounded_and_says_no_table_of_the_paper_has_it(tmp_path):
    stored = replicates(RS_SAM, OURS)
    put(tmp_path, *stored)
    table, questions = section(tmp_path).tables
    lines = table.tidy[(table.tidy["system"] == RS_SAM) & (table.tidy["dataset"] == "deepglobe")]
    assert lines["dice"].item() == pytest.approx(sum(result.scores.dice for result in stored) / 5, abs=1e-12)
    assert {*table.tidy["in_the_paper"]} == {"no"}
    assert len(table.tidy) == 3 * len(STILL_SAM.rows)
    assert len(questions.tidy) == 3 * len(STILL_SAM.questions)
    assert isinstance(pd.read_csv(io.StringIO(table.tidy.to_csv(index=False))), pd.DataFrame)


def test_a_report_on_the_paper_has_the_chapter_once_a_row_of_its_own_was_run(tmp_path):
    """The paper's two systems under the fair recipe are Table 1's too: they called up ten rows "not run"."""
    home, options = tmp_path / "home", {"published": tmp_path / "none"}
    put(home, of_row(RS_SAM, 0.7), of_row(BASELINE, 0.7))
    write_report(["all"], ["md"], tmp_path / "out", home, **options)
    assert "still take SAM" not in (tmp_path / "out" / "report.md").read_text()
    put(home, of_row(FROZEN, 0.7))
    write_report(["all"], ["md"], tmp_path / "out", home, **options)
    page = (tmp_path / "out" / "report.md").read_text()
    assert page.count("## Does it still take SAM? Not in the paper\n") == 1
    assert page.index("## Table 7") < page.index("## Does it still take SAM?")


def test_a_run_of_the_papers_recipe_stands_in_no_row(tmp_path):
    fill(tmp_path, [0.70, 0.756, 0.759, 0.757, 0.765])  # Table 5 under the paper's recipe
    (table, _) = section(tmp_path).tables
    assert {row[3] for row in table.texts} == {"not run"}


def test_costs_are_counted_for_the_first_data_set_and_measured_under_one_condition(tmp_path):
    """Latencies of two cards stood below each other without a word."""
    put_speed(tmp_path, MODELS[RS_SAM], 0.030, 0.6)
    put_speed(tmp_path, MODELS[FROZEN], 0.020, 0.6)
    put_speed(tmp_path, MODELS[BASELINE], 0.001, 0.6, device="Another card")
    put_speed(tmp_path, MODELS[FROZEN], 0.999, 0.6, image_size=[256, 256])
    (table, _) = section(tmp_path).tables
    ours, other = row_of(table, RS_SAM), row_of(table, BASELINE)
    assert (ours["Latency (ms)"], ours["Memory (GiB)"]) == ("30.0", "1.00")
    assert row_of(table, FROZEN)["Latency (ms)"] == "20.0"
    assert (other["Latency (ms)"], other["Memory (GiB)"]) == ("-", "-")
    kept = kept_cost(MODELS[RS_SAM], FAIR.run(MODELS[RS_SAM], "deepglobe").task)
    counted = (f"{kept['total'] / 1e6:.2f}", f"{kept['trainable'] / 1e6:.2f}", f"{kept['gmacs']:.1f}")
    assert (ours["Total (M)"], ours["Trainable (M)"], ours["GMACs"]) == counted
    assert any("NVIDIA RTX A6000, bf16" in note and "step of 6 images" in note for note in table.notes)


def test_counts_of_a_result_are_its_own(tmp_path):
    put(tmp_path, of_row(FROZEN, 0.7, parameters={"total": 12_340_000, "trainable": 5_600_000, "macs": 7_800_000_000}))
    (table, _) = section(tmp_path).tables
    found = row_of(table, FROZEN)
    assert (found["Total (M)"], found["Trainable (M)"], found["GMACs"]) == ("12.34", "5.60", "7.8")


def test_masks_of_another_tool_have_a_row_without_costs(tmp_path):
    put_submission(tmp_path, submission(0.8))
    (table, _) = section(tmp_path).tables
    (row,) = (row for row in table.texts if "(scored predictions)" in row[0])
    found = dict(zip(table.heads, row, strict=True))
    assert found["Dice, DeepGlobe"].startswith("0.8")
    assert [found[head] for head in ("Pretraining", "Licence", "Dice, WHU", "GMACs", "Latency (ms)")] == ["-"] * 5
    assert any("made elsewhere" in note for note in table.notes)


def test_a_run_for_the_wiring_shows_one_data_set_and_answers_nothing(tmp_path):
    smoke = Setting("smoke")
    put(tmp_path, of_row(RS_SAM, 0.3, setting=smoke), of_row(FROZEN, 0.4, setting=smoke))
    (table,) = section(tmp_path).tables
    assert [head for head in table.heads if head.startswith("Dice")] == ["Dice, DeepGlobe"]
    assert row_of(table, FROZEN)["Pretraining"] == "none"
    notes = " ".join(table.notes)
    assert "It answers none of its questions: the smoke profile claims nothing; trained from scratch" in notes
    assert "As it is declared: `rssam-bench reproduce still-sam`." in notes
    assert "the paper's setting" not in notes.lower()
    one = "DINOv3-B frozen + DPT, DINOv3-L web frozen + DPT and DINOv3-L satellite frozen + DPT"
    assert f"because their small encoders are one: {one}." in notes


def test_results_on_other_data_are_counted_once(tmp_path, monkeypatch):
    """Of four runs on a data set of the user's it said "12 results": each of the three tables has them."""
    monkeypatch.setitem(DATASETS, "mine", Folder("mine", ("road",), (1,), 0, None, "tile", (512, 512)))
    elsewhere = Setting("fair", dataset="mine")
    put(tmp_path / "home", *(of_row(label, 0.7, dataset="mine", setting=elsewhere) for label in (RS_SAM, FROZEN)))
    written = write_report_of(["still-sam"], ["md"], tmp_path / "out", tmp_path / "home", published=tmp_path / "none")
    assert written.filled == ("still-sam 2 results",)


def test_notes_of_several_data_sets_stand_once(tmp_path):
    for dataset in STILL_SAM.datasets:
        put(tmp_path, of_row(FROZEN, 0.7, dataset=dataset))
    (table, _) = section(tmp_path).tables
    assert len(table.notes) == len(set(table.notes))
    assert sum(note.startswith("Recipe fair:") for note in table.notes) == 1
    assert any(note.startswith("DeepGlobe: Data: deepglobe") for note in table.notes)


def test_results_of_another_precision_are_said_and_not_averaged_in(tmp_path):
    put(tmp_path, *replicates(FROZEN, [0.7, 0.7]), *in_fp32([of_row(FROZEN, 0.9, 2)]))
    (table, _) = section(tmp_path).tables
    assert row_of(table, FROZEN)["Dice, DeepGlobe"].startswith("0.700")
    assert any(note.startswith("Not shown: 1 result on deepglobe with other data or precision") for note in table.notes)


def test_the_asked_setting_alone(tmp_path):
    found = [of_row(FROZEN, 0.7), of_row(FROZEN, 0.4, setting=Setting("smoke"))]
    assert len(study_section(STILL_SAM, collection(*found)).tables) == 3
    (table,) = study_section(STILL_SAM, collection(*found), setting=Setting("smoke")).tables
    assert row_of(table, FROZEN)["Dice, DeepGlobe"].startswith("0.400")


def test_a_narrow_page_has_the_scores_above_the_costs():
    """One line of twelve columns was set in letters of four points."""
    table = study_section(STILL_SAM, collection()).tables[0]
    scores, costs = table.parts
    assert scores.heads == ("System", "Dice, DeepGlobe", "Dice, WHU", "Dice, WHDLD", "Runs")
    assert costs.heads[:4] == ("System", "Pretraining", "Licence", "Total (M)")
    assert {*scores.heads} | {*costs.heads} == {*table.heads}
    assert (scores.left, costs.left) == (1, 3)
    assert [row[0] for row in costs.texts] == [row[0] for row in table.texts]


def test_eighty_columns_show_every_label_whole():
    """ "SAM-B LoRA (Baseline) was folded into four lines, and heads were cut within words."""
    screen = Console(file=io.StringIO(), width=80)
    print_extra(study_section(STILL_SAM, collection()).tables[0], screen)
    text = screen.file.getvalue()
    assert all(text.count(f" {label} ") == 3 for label in MODELS)
    assert "Trainable" in text
    assert " 151.4 " in text
