"""Rows that the paper does not have, variants smaller than declared, and parameters counted three ways."""

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from reports.select.results import Collection, StoredResult
from reports.select.settings import settings
from reports.tables.assemble import assemble
from reports.tables.frames import table_frames
from tests.reports.fabricate import fabricate, fill, row_run

TABLE1, TABLE5, TABLE7 = TABLES["table1"], TABLES["table5"], TABLES["table7"]
SMALL = Setting("mini", "vit_t", "scratch")


def collection(*results):
    return Collection(tuple(StoredResult(result, "own") for result in results))


def test_a_control_is_a_row_once_it_has_a_result():
    paper = Setting("paper")
    control = fabricate(paper.run(TABLE5.controls[0].model, "deepglobe"), 0.72)
    (without,) = table_frames(TABLE5, collection(fabricate(row_run(0))), paper)
    (frame,) = table_frames(TABLE5, collection(fabricate(row_run(0)), control), paper)
    assert (len(without.rows), len(frame.rows)) == (5, 6)
    last = frame.rows.iloc[-1]
    assert last["Multi-scale Neck"] == "no: four decoders at 1/16"
    assert last["dice_paper"] != last["dice_paper"]
    assert any(note.startswith("Not in the paper, run as a control") for note in frame.notes)
    assert any("4 of 5 rows not run" in note for note in frame.notes)
    assert any("5 controls that the paper does not have" in note for note in without.notes)


def test_smaller_variants_are_named():
    results = [fabricate(SMALL.run(row.model, "deepglobe")) for row in TABLE1.rows[:2]]
    (setting,) = settings(collection(*results), TABLE1)
    assert setting == SMALL
    (frame,) = table_frames(TABLE1, collection(*results), setting)
    (note,) = (note for note in frame.notes if note.startswith("Smaller variants"))
    assert any("UNet from random numbers, as published" in sentence for sentence in frame.notes)
    assert note == "Smaller variants than the paper's: FCN (backbone test_resnet) and UNet (width 16)."


def test_the_tables_own_data_set_named_still_shows_the_papers_numbers():
    """It once emptied the paper's column: naming DeepGlobe counted as another data set."""
    result = fabricate(row_run(10, table=TABLE1), 0.7)
    (frame,) = table_frames(TABLE1, collection(result), Setting("paper", dataset="deepglobe"))
    assert frame.rows["dice_paper"].notna().all()
    assert frame.title.startswith("profile paper; ")


def test_encoder_sizes_have_no_setting_with_one_encoder(tmp_path):
    """Table 5 with --encoder vit_t once made a Table 7 in which both sizes were that encoder."""
    stored = fill(tmp_path, [0.5] * 5, SMALL)
    assert settings(collection(*stored), TABLE7) == []


def test_parameters_are_shown_three_ways():
    parameters = {"total": 107_866_582, "trainable": 21_375_190, "as_published": 107_007_446}
    result = fabricate(row_run(1, table=TABLE7), 0.7, parameters=parameters)
    (frame,) = table_frames(TABLE7, collection(result), Setting("paper"))
    line = frame.rows.iloc[1]
    assert (line["params_m"], line["total_m"], line["trainable_m"]) == (107.007446, 107.866582, 21.37519)
    assert line["params_m_paper"] == 107.4


def test_one_run_stands_in_four_tables():
    result = fabricate(row_run(10, table=TABLE1), 0.7)
    tables = [TABLES[name] for name in ("table1", "table5", "table6", "table7")]
    report = assemble(tables, collection(result))
    assert len(report.results("own")) == 1
    assert all(0.7 in frame.rows["dice"].round(3).to_list() for frame in report.frames)


def test_controls_declare_no_numbers_of_the_paper():
    assert all(row.paper == {} for table in TABLES.values() for row in table.controls)
