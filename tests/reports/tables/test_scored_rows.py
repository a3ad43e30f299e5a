"""Scored predictions in reports: a row in every format, in no rank, and said where they cannot be compared."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from benchmarks.results.store import Store
from benchmarks.results.submission import Submission, identify, put_submission
from data_prep.manifest import describe_data
from data_prep.registry import find_dataset
from reports.render import csv as csv_table
from reports.render import latex, markdown
from reports.render.html import render
from reports.render.terminal import show
from reports.select.results import collect
from reports.tables.assemble import assemble
from reports.tables.frames import score
from reports.tables.ranking import ranks
from reports.tables.scored_rows import limits
from reports.verdicts.output import verdicts_json
from reports.verdicts.summary import summarize
from reports.write import write_report
from tests.reports.fabricate import MADE_UP, PROVENANCE, TABLE5, WHOLE, binary_counts, fabricate, fill, row_run

NAME = "Deep | <b>Roads</b> 2"
FULL = [0.70, 0.71, 0.72, 0.73, 0.74]


def submission(
    dice=0.9, *, name=NAME, kind="scored", data=WHOLE, digest=None, of="deepglobe", system=None, part="test"
):
    declared = find_dataset(of)
    identity = identify(
        kind, name, declared, data=digest or f"{describe_data('deepglobe', data)} 0", split_seed=0,
        split_rule="random", images=part,
        predictions="a digest", system=system,
    )  # fmt: skip
    counts = binary_counts(dice)
    if of == "whdld":
        rng = np.random.default_rng(0)
        counts = replace(counts, **{
            part: rng.integers(1, 900, (3, 6)) for part in ("tp", "fp", "fn", "tn")
        })  # fmt: skip
    return Submission(
        identity=identity, average=declared.average, classes=declared.classes, images=("a", "b", "c"), counts=counts,
        native_counts=None, reading=("As labels.",), data=data, provenance=PROVENANCE,
    )  # fmt: skip


def reported(home, tables=(TABLE5,)):
    collection = collect(home, home / "none")
    return assemble(tables, collection), collection


def test_the_row_stands_below_the_systems_in_every_table_and_format(tmp_path):
    fill(tmp_path, FULL)
    stored = submission()
    put_submission(tmp_path, stored)
    report, collection = reported(tmp_path, tuple(TABLES.values()))
    of_data = [frame for frame in report.frames if frame.table.dataset == "deepglobe"]
    assert len(of_data) == 4
    for frame in report.frames:
        found = frame.rows[frame.rows["state"] == "scored"]
        assert len(found) == (frame in of_data)
        if len(found):
            assert found.index[0] == len(frame.rows) - 1
            assert found.iloc[0]["dice"] == stored.scores.dice
            assert found.iloc[0]["scored"] == stored.key
    text = markdown.render(report)
    assert "| Deep \\| \\<b\\>Roads\\</b\\> 2 (scored predictions) |  |  | 0.900 | - |  | 0.818 | - |  | 0 |" in text
    assert f"scores/{stored.key}.json" in text
    assert r"Deep \textbar{} \textless{}b\textgreater{}Roads" in latex.render(report.frames)
    frame = next(frame for frame in of_data if frame.table is TABLE5)
    lines = [line for line in csv.DictReader(io.StringIO(csv_table.render([frame]))) if line["state"] == "scored"]
    assert [(line["score"], line["keys"], line["paper"]) for line in lines] == [
        ("dice", stored.key, ""), ("jaccard", stored.key, ""),
    ]  # fmt: skip
    assert lines[0]["low"] == ""  # three images
    console = Console(width=80, record=True, file=io.StringIO())
    show(frame, console)
    shown = console.export_text()
    assert "…" not in shown
    assert "0.900" in shown
    page = render(report, collection)
    assert "<b>Roads</b>" not in page
    assert "Deep | &lt;b&gt;Roads&lt;/b&gt; 2 (scored predictions)" in page


def test_it_is_in_no_rank_no_test_and_no_verdict(tmp_path):
    """The best number of a column would have been somebody's whose split nobody knows."""
    fill(tmp_path, FULL, seeds=((0, 0), (1, 1)))
    before = verdicts_json(summarize(collect(tmp_path, tmp_path / "none"), tmp_path))
    (plain,) = reported(tmp_path)[0].frames
    put_submission(tmp_path, submission(0.99))
    (frame,) = reported(tmp_path)[0].frames
    assert verdicts_json(summarize(collect(tmp_path, tmp_path / "none"), tmp_path)) == before
    assert ranks(frame, "dice") == [*ranks(plain, "dice"), ""]
    assert ranks(plain, "dice")[-1] == "best"
    assert frame.rows["dice_p"].isna().iloc[-1]
    assert [result.key for result in frame.results] == [result.key for result in plain.results]


def test_its_interval_is_that_of_a_run_with_the_same_counts(tmp_path):
    rng = np.random.default_rng(1)
    counts = binary_counts(0.8, images=20)
    counts = replace(counts, tp=counts.tp - rng.integers(0, 4000, counts.tp.shape))
    images = tuple(map(str, range(20)))
    put_submission(tmp_path, replace(submission(), counts=counts, images=images))
    fill(tmp_path, [0.7], counts=counts, images=images)
    (frame,) = reported(tmp_path)[0].frames
    run, row = frame.rows.iloc[0], frame.rows.iloc[-1]
    assert (row["dice_low"], row["dice_high"]) == (run["dice_low"], run["dice_high"])
    assert row["dice_low"] < row["dice"] < row["dice_high"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, None),
        ({"digest": "of another split"}, "scored on another test split (split seed 0; complete: all 6226 pairs)"),
        ({"data": MADE_UP}, "scored on another test split (split seed 0; synthetic stand-in scenes"),
        ({"dice": 0.0}, "not above the constant answer, Dice 0.079"),
    ],
)
def test_what_cannot_be_compared_is_said(tmp_path, options, words):
    fill(tmp_path, FULL)
    put_submission(tmp_path, submission(**options))
    (frame,) = reported(tmp_path)[0].frames
    said = [note for note in frame.notes if "is not comparable here" in note]
    assert [words in note for note in said] == ([] if words is None else [True])
    assert sum(note.startswith("Scored predictions, made elsewhere") for note in frame.notes) == 1


def test_runs_on_a_part_of_the_test_images_are_told_apart(tmp_path):
    Store(tmp_path).put(fabricate(row_run(0), images=("a", "b", "x")))
    put_submission(tmp_path, submission())
    (frame,) = reported(tmp_path)[0].frames
    assert any("scored on all 3 test images, where runs of this table have 3" in note for note in frame.notes)


def test_without_any_run_it_stands_beside_the_paper_alone(tmp_path):
    put_submission(tmp_path, submission(data=MADE_UP))
    (frame,) = reported(tmp_path)[0].frames
    assert frame.rows["state"].tolist() == ["not run"] * 5 + ["scored"]
    assert frame.notes[0].startswith("Nothing of this table has been run")
    assert "synthetic stand-in scenes (24 pairs), not deepglobe, not the paper's" in frame.notes[-1]


def test_each_class_of_a_land_cover_map_has_its_dice(tmp_path):
    stored = submission(of="whdld")
    counts = Counts(*np.random.default_rng(0).integers(1, 900, (4, 20, 6)))
    put_submission(tmp_path, replace(stored, counts=counts, images=tuple(map(str, range(20)))))
    (frame,) = reported(tmp_path, (TABLES["table4"],))[0].frames
    row = frame.rows.iloc[-1]
    stored = collect(tmp_path, tmp_path / "none").submissions[0]
    assert row["bare_soil"] == score(stored, "bare_soil")
    assert row["bare_soil_low"] == limits(stored)["bare_soil"].low < row["bare_soil"]


def test_two_rows_of_one_name_are_told_apart(tmp_path):
    for digest in ("one", "two"):
        put_submission(tmp_path, submission(digest=digest))
    (frame,) = reported(tmp_path)[0].frames
    labels = frame.rows[frame.rows["state"] == "scored"]["Multi-scale Neck"].tolist()
    assert len(set(labels)) == 2


def test_evaluations_stand_under_a_heading_of_their_own(tmp_path):
    results = fill(tmp_path, FULL)
    system = {
        "key": results[4].key, "dataset": "deepglobe", "classes": [["road", "building"]],
        "precision": "32-true", "crop": 256,
    }  # fmt: skip
    stored = submission(0.5, kind="evaluated", of="whu", name="RS-SAM", system=system, part="all")
    put_submission(tmp_path, replace(stored, data={**WHOLE, "copies": 2}))
    written = write_report(["table5"], ["md", "tex", "csv", "html"], tmp_path / "out", tmp_path, tmp_path / "none")
    names = {path.name for path in written.paths}
    assert names >= {"transfer.tex", "transfer.csv", "report.md", "report.html"}
    page = (tmp_path / "out" / "report.md").read_text()
    assert "## Trained on one data set, tested on another" in page
    row = "| RS-SAM | DeepGlobe | WHU aerial | 3 (all) | 0.500 | - | 0.333 | 0.740 |"
    assert row in page
    assert "classes road as building; images covered by squares of 256 pixels; 2 of the images are also in" in page
    assert 'id="transfer"' in (tmp_path / "out" / "report.html").read_text()
    (line,) = csv.DictReader((tmp_path / "out" / "transfer.csv").open())
    assert (line["trained_on"], line["dataset"], line["run"]) == ("deepglobe", "whu", results[4].key)
    assert "RS-SAM & DeepGlobe & WHU aerial & 3 (all) & 0.500" in (tmp_path / "out" / "transfer.tex").read_text()
    (frame,) = reported(tmp_path)[0].frames
    assert "scored" not in frame.rows["state"].tolist()


def test_an_evaluation_without_the_result_of_its_run_is_shown(tmp_path):
    """Of an adapter from elsewhere, or on an own system: `report` and `publish` ended in KeyError: 'title'."""
    system = {"key": "whu-rs-sam-0", "dataset": "whu", "classes": [["road", "road"]], "crop": None}
    fill(tmp_path, FULL)
    stored = submission(0.5, kind="evaluated", name="Mine", system=system)
    put_submission(tmp_path, stored)
    titled = submission(0.5, kind="evaluated", name="rs-sam", system=system)
    put_submission(tmp_path, replace(titled, data={**WHOLE, "title": "RS-SAM"}))
    write_report(["table5"], ["md"], tmp_path / "out", tmp_path, tmp_path / "none")
    page = (tmp_path / "out" / "report.md").read_text()
    assert "| Mine | WHU aerial | DeepGlobe | 3 (test split) | 0.500 | - | 0.333 | - |" in page
    assert "Decoder chain: not known here." in page  # of the other, which is RS-SAM by its title


def test_damaged_and_outdated_files_are_named(tmp_path):
    path = put_submission(tmp_path, submission())
    old = submission()
    put_submission(tmp_path, replace(old, identity={**old.identity, "protocol": 0}))
    path.write_text("{")
    collection = collect(tmp_path, tmp_path / "none")
    assert collection.submissions == ()
    assert collection.damaged[0].startswith(f"scores/{path.name}: it is cut off")
    assert "made under protocol 0" in collection.left_out[0]
    assert str(tmp_path) not in collection.damaged[0]


def test_settings_do_not_matter_to_it(tmp_path):
    """One row in each frame of its data set, whatever the recipe of the runs above."""
    fill(tmp_path, FULL)
    fill(tmp_path, FULL, Setting("smoke"), data=MADE_UP, precision="32-true")
    put_submission(tmp_path, submission())
    assert [frame.rows["state"].tolist().count("scored") for frame in reported(tmp_path)[0].frames] == [1, 1]
