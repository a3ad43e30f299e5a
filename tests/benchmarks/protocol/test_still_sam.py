"""The study that is not in the paper: which runs it is, under which recipes, and how its rows are found."""

import dataclasses

import pytest

from benchmarks.execution.plan import plan
from benchmarks.find_run import find_run
from benchmarks.protocol.paper_runs import PAPER_RUNS
from benchmarks.protocol.run_names import rows_of, run_name
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.studies.still_sam import STILL_SAM
from benchmarks.protocol.studies.study import Question
from benchmarks.protocol.tables import TABLE1
from benchmarks.protocol.targets import default_profile, find_items, only_rows, require_suitable, tables_of
from rssam.encoders.declared import ENCODERS
from rssam.errors import UnknownName
from tests.reports.fabricate import fill

FAIR, SMOKE = Setting("fair"), Setting("smoke")


def runs(setting, **options):
    return plan([STILL_SAM], setting, [0], 0, options.get("repeats"))


def test_every_row_on_the_papers_three_data_sets_and_the_papers_systems_are_the_runs_of_its_tables():
    """A row of another key would be trained twice under the fair recipe."""
    planned = runs(FAIR)
    assert len(planned) == len(set(planned)) == 3 * len(STILL_SAM.rows)
    assert {run.dataset.name for run in planned} == {"deepglobe", "whu", "whdld"}
    papers = {run.model for run in PAPER_RUNS}
    shared = [run for run in planned if run.dataset.name == "deepglobe" and run.model in papers]
    assert set(shared) <= set(plan([TABLE1], FAIR, [0], 0, 1))
    assert [run.model.name for run in shared] == ["sam-lora", "rs-sam"]
    assert len(runs(FAIR, repeats=5)) == 15 * len(STILL_SAM.rows)


def test_the_paper_stays_the_paper():
    """`reproduce all` is its 39 runs, and no row here has a printed number."""
    assert STILL_SAM not in find_items(["all"])
    assert find_items(["still-sam"]) == [STILL_SAM]
    assert not any(row.paper for row in STILL_SAM.rows)
    with pytest.raises(UnknownName, match=r"still-sam is not in the paper: .* recipe fair"):
        require_suitable([STILL_SAM], Setting("paper"))


@pytest.mark.parametrize("profile", ["smoke", "demo"])
def test_the_wiring_is_proved_on_one_data_set_with_one_small_encoder_a_family(profile):
    planned = runs(Setting(profile))
    assert {run.dataset.name for run in planned} == {"deepglobe"}
    families = {ENCODERS[row.model.encoder].small for row in STILL_SAM.rows}
    assert {run.model.encoder for run in planned} == families
    assert all(run.model.init == "scratch" for run in planned)
    assert len(families) < len(planned) < len(STILL_SAM.rows)  # rows of one small run meet


def test_small_variants_from_scratch_on_another_data_set():
    planned = runs(Setting("mini", "vit_t", "scratch", "whu"))
    assert {(run.dataset.name, ENCODERS[run.model.encoder].weights) for run in planned} == {("whu", None)}


@pytest.mark.parametrize("encoder", ["vit_b", "vit_l", "dinov3_b"])
def test_one_large_encoder_for_all_rows_is_refused(encoder):
    """The rows of SAM would have taken it, and the others not: a table that says one thing and shows another."""
    with pytest.raises(UnknownName, match=f"still-sam compares encoders: .* found {encoder}"):
        require_suitable([STILL_SAM], Setting("fair", encoder))
    require_suitable([STILL_SAM], Setting("mini", "vit_s", "scratch"))


def test_its_recipe_is_fair_unless_another_is_named():
    assert default_profile([STILL_SAM]) == "fair"
    assert default_profile(find_items(["table1", "claims"])) == "paper"
    with pytest.raises(UnknownName, match=r"found paper for table1 and fair for still-sam: name a --profile"):
        default_profile(find_items(["table1", "still-sam"]))


def test_one_row_of_it_on_every_data_set():
    (row,) = only_rows([STILL_SAM], ["DINOv3-B frozen"]).rows
    assert (row.model.encoder, row.model.tuning, row.model.head) == ("dinov3_b", "frozen", "dpt")
    assert [table.rows[5] for table in tables_of([STILL_SAM])] == [row] * 3
    with pytest.raises(UnknownName, match="has no row 'DINO': choose from 1 \"SAM-B LoRA"):
        only_rows([STILL_SAM], ["DINO"])


def test_a_question_about_a_row_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="question swin is about"):
        dataclasses.replace(STILL_SAM, questions=(Question("swin", "?", "Swin", "RS-SAM-B"),))
    printed = dataclasses.replace(STILL_SAM.rows[0], paper={"dice": 0.7})
    with pytest.raises(ValueError, match="numbers of the paper"):
        dataclasses.replace(STILL_SAM, rows=(printed, *STILL_SAM.rows[1:]))


@pytest.mark.parametrize("setting", [FAIR, SMOKE, Setting("mini", "vit_t", "scratch", "whu")])
def test_every_row_is_named_by_its_run(setting):
    """A frozen SAM and a frozen DINOv3 have the same switches: without the encoder one was taken for the other."""
    for number, row in enumerate(STILL_SAM.rows, start=1):
        found = rows_of(setting.run(row.model, "deepglobe").declared())
        own = [place for place in found if place.startswith("still-sam:")]
        assert f"still-sam:{number}" in own
        same = [
            other.model for other in STILL_SAM.rows if setting.run(other.model, "whu") == setting.run(row.model, "whu")
        ]
        assert len(own) == len(same)


def test_a_run_of_the_papers_recipe_is_no_row_of_it():
    assert not [
        place for place in rows_of(Setting("paper").run(TABLE1.rows[-1].model, "whu").declared()) if "still" in place
    ]
    assert "table1:11" in run_name(FAIR.run(TABLE1.rows[-1].model, "deepglobe").declared()).rows


def test_a_finished_run_is_found_by_its_row(tmp_path):
    stored = fill(tmp_path, [None, 0.7, None, None, None, 0.8], FAIR, table=STILL_SAM.tables["deepglobe"])
    assert [find_run(tmp_path, row) for row in ("still-sam:2", "still-sam:DINOv3-B frozen + DPT")] == [
        result.key for result in stored
    ]
