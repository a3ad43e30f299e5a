"""Dice against measured time: where a record of speed is of the very system, and nowhere else."""

import json
import math
from dataclasses import replace

import pytest

from benchmarks.protocol.run import plain_fields
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from benchmarks.speed.timing import Conditions, measure_system, save_record
from reports.extra_tables.speed import read_efficiency
from reports.figures.cost_chart import cost_charts
from reports.figures.cost_measures import measured
from reports.select.results import collect
from reports.select.settings import PAPER_SETTING
from reports.tables.frames import table_frames
from reports.write import write_report
from rssam.contract import Task
from tests.reports.fabricate import MADE_UP, fabricate, fill, row_run
from tests.reports.timed import put

TABLE1 = TABLES["table1"]
FCN, UNET = (row.model for row in TABLE1.rows[:2])


def charts_of(home, setting=PAPER_SETTING):
    [frame] = table_frames(TABLE1, collect(home, home / "none"), setting)
    return [chart for chart in cost_charts(frame, read_efficiency(home).records) if chart.where]


@pytest.fixture
def home(tmp_path):
    fill(tmp_path, [0.61, 0.66, 0.70], table=TABLE1)
    return tmp_path


def test_marks_stand_at_the_recorded_times_and_the_rest_is_named(home):
    put(home, FCN, 0.0125, 0.6)
    put(home, UNET, 0.050, 0.9, day="2025-03-01", torch="2.10.0")
    latency, training = charts_of(home)
    assert (latency.title, training.title) == ("Dice against latency", "Dice against training time")
    assert latency.where == training.where == "NVIDIA RTX A6000, bf16"
    assert [mark.title for mark in latency.marks] == ["FCN", "UNet"]
    # 12.5 and 50 ms; the axis goes from 12.5 / 1.25 to 50 * 1.25 over 46..586 pixels, by the logarithm
    long = math.log(62.5 / 10)
    assert [mark.x for mark in latency.marks] == pytest.approx(
        [46 + 540 * math.log(ms / 10) / long for ms in (12.5, 50)], abs=0.051
    )
    assert [mark.x for mark in training.marks] == [training.x.at(100.0), training.x.at(150.0)]
    assert [mark.y for mark in latency.marks] == pytest.approx([latency.y.at(0.61), latency.y.at(0.66)], abs=0.3)
    assert latency.marks[1].text.endswith("; 50 ms for one image by itself")
    assert training.marks[1].text.endswith("; 150 ms of training for an image, in steps of 6 images")
    assert latency.sentences == training.sentences
    made, without = latency.sentences
    assert made.startswith("Measured 2025-02-03 to 2025-03-01 with torch 2.10.0 and 2.11.0: ")
    assert made.endswith("images of 512x512 pixels.")
    assert without == "Without a record of rssam-bench speed under these conditions: TransUNet."


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": [256, 256]},
        {"image_size": [512, 1024]},
        {"classes": ["building"]},
        {"system": {"name": "fcn", "title": "FCN", "version": 2, "options": plain_fields(FCN)}},
        {"system": {"name": "fcn", "title": "FCN", "version": 1, "options": plain_fields(FCN) | {"init": "scratch"}}},
        {"system": {"name": "unet", "title": "FCN", "version": 1, "options": plain_fields(FCN)}},
    ],
)
def test_a_record_of_anything_else_is_no_record(home, changes):
    put(home, FCN, **changes)
    assert len(read_efficiency(home).records) == 1
    assert charts_of(home) == []


def test_the_size_is_that_of_the_crops_a_network_was_trained_on(tmp_path, monkeypatch):
    """A real record: U-Net as the smoke profile has it, on its crops of 128 pixels."""
    setting = Setting("smoke")
    fill(tmp_path, [None, 0.6], setting, table=TABLE1, data=MADE_UP, precision="32-true")
    model = row_run(1, setting, table=TABLE1).model
    monkeypatch.setattr("benchmarks.speed.timing.SECONDS_OF_AN_OPERATION", 0.005)
    conditions = Conditions("cpu", "32-true", batch=2, group=2, rounds=2)
    put(tmp_path, model)  # of whole images
    assert charts_of(tmp_path, setting) == []
    record = measure_system(model, Task(("road",), (128, 128)), conditions)
    save_record(tmp_path, record)
    latency, training = charts_of(tmp_path, setting)
    assert latency.marks[0].x == latency.x.at(1e3 * record["latency_seconds"]["median"])
    assert training.marks[0].x == training.x.at(1e3 * record["step_seconds"]["median"] / 2)
    threads = record["provenance"]["threads"]
    assert latency.where == f"{record['device']}, fp32, {threads} thread{'s' if threads > 1 else ''}"
    assert f"Measured {record['provenance']['finished'][:10]} with torch " in latency.sentences[0]


def test_what_was_timed_otherwise_is_in_a_chart_of_its_own(home):
    put(home, FCN, 0.010)
    put(home, UNET, 0.020)
    put(home, FCN, 0.008, compiled=True)
    put(home, FCN, 0.040, precision="32-true")
    put(home, FCN, 0.9, device="A processor", precision="32-true", threads=2)
    put(home, UNET, 1.8, device="A processor", precision="32-true", threads=1)
    put(home, FCN, 0.7, way="reference")
    charts = [chart for chart in charts_of(home) if chart.title == "Dice against latency"]
    assert {chart.where: [mark.text.rpartition("; ")[2].split()[0] for mark in chart.marks] for chart in charts} == {
        "A processor, fp32, 1 thread": ["1800"],
        "A processor, fp32, 2 threads": ["900"],
        "NVIDIA RTX A6000, bf16": ["10", "20"],
        "NVIDIA RTX A6000, bf16, attention reference": ["700"],
        "NVIDIA RTX A6000, bf16, compiled": ["8"],
        "NVIDIA RTX A6000, fp32": ["40"],
    }


def test_steps_of_another_size_are_apart_and_of_one_bench_the_latest_counts(home):
    put(home, FCN, 0.010, 0.6, day="2025-02-03", batch=8)
    put(home, FCN, 0.011, 0.3, day="2025-02-05", batch=4, group=2)
    put(home, FCN, 0.012, 0.9, day="2025-02-04", batch=2)
    latency, *training = charts_of(home)
    assert [mark.x for mark in latency.marks] == [latency.x.at(11.0)]
    assert [chart.unit for chart in training] == [
        f"ms of training for an image, in steps of {group} images" for group in (2, 6)
    ]
    assert [chart.marks[0].x for chart in training] == [training[0].x.at(150.0), training[1].x.at(150.0)]
    assert training[1].sentences[0].startswith("Measured 2025-02-04 with")


def test_collapsed_runs_are_neither_drawn_nor_named(tmp_path):
    fill(tmp_path, [0.61, 0.03], table=TABLE1)
    put(tmp_path, FCN)
    put(tmp_path, UNET)
    for chart in charts_of(tmp_path):
        assert [mark.title for mark in chart.marks] == ["FCN"]
        assert len(chart.sentences) == 1


@pytest.mark.parametrize("median", [0, -1.0, math.nan, math.inf, "0.1"])
def test_a_time_that_is_none_is_damage(home, median):
    """The logarithm of 0 would take the whole page down."""
    path = put(home, FCN)
    record = json.loads(path.read_text())
    record["latency_seconds"]["median"] = median
    path.write_text(json.dumps(record))
    found = read_efficiency(home)
    assert found.records == ()
    assert found.damaged[0].startswith(f"{path.name}: cannot be used")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("system", "x"), ("system", {"name": "a"}), ("classes", [5]), ("image_size", [512]), ("parameters", None),
        ("conditions", {"precision": {}}), ("latency_seconds", {"median": "x"}), ("device", "a\nb"), ("gmacs", "x"),
        ("provenance", "x"), ("provenance", {"versions": {"torch": "a|b\n"}, "threads": 1, "finished": "2025"}),
        ("waiting_for_images", "x"), ("peak_memory", []),
    ],
)  # fmt: skip
def test_an_odd_record_is_named(home, part, value):
    path = put(home, FCN)
    assert len(read_efficiency(home).records) == 1
    path.write_text(json.dumps({**json.loads(path.read_text()), part: value}))
    found = read_efficiency(home)
    assert found.records == ()
    assert found.damaged[0].startswith(f"{path.name}: cannot be used (")
    assert part in found.damaged[0]
    path.write_text("[" * 100_000)
    assert "nested more than 40 deep" in read_efficiency(home).damaged[0]


def page(home, items):
    write_report(items, ["html"], home / "out", home, published=home / "none")
    return (home / "out" / "report.html").read_text()


def test_the_page_shows_them_and_is_the_same_without(home):
    plain = page(home, ["table1"])
    assert "latency" not in plain
    put(home, FCN, image_size=[256, 256])
    assert page(home, ["table1"]) == plain
    put(home, FCN, 0.0125, device="<b>card</b>")
    text = page(home, ["table1"])
    assert text.count("Dice against latency <span") == text.count("Dice against training time <span") == 1
    assert "&lt;b&gt;card&lt;/b&gt;, bf16, 8 threads" in text
    assert "<b>card" not in text
    assert "; 12.5 ms for one image by itself</title>" in text
    assert "Without a record of rssam-bench speed under these conditions: UNet, TransUNet." in text
    assert "Efficiency" not in text, "the chapter stands in whole reports"


def test_a_result_of_another_version_matches_its_own_record_only(home):
    """Both versions of a user's system may stand in one table."""
    result = fabricate(row_run(0, table=TABLE1), 0.6)
    changed = {**result.identity, "model": {**result.identity["model"], "version": 2}}
    put(home, FCN)
    latency, _ = measured(read_efficiency(home).records)
    assert latency.cost_of(result) == pytest.approx(20.0)
    assert latency.cost_of(replace(result, identity=changed)) is None
