"""Axes and charts against arithmetic by hand and NumPy."""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.setting import Setting
from benchmarks.results.store import Store
from reports.figures.axes import linear, logarithmic, round_step
from reports.figures.cost_chart import LETTER, _labels, cost_charts
from reports.figures.image_dice_chart import BINS, image_distribution
from reports.figures.loss_chart import training_curves
from reports.select.results import collect
from reports.select.settings import PAPER_SETTING
from reports.tables.frames import table_frames
from reports.tables.rows import row_title
from tests.reports.fabricate import MADE_UP, TABLE5, fabricate, fill, row_run


def frame_of(home):
    [frame] = table_frames(TABLE5, collect(home, home / "none"), PAPER_SETTING)
    return frame


@pytest.mark.parametrize(("rough", "step"), [(0.05, 0.05), (0.051, 0.1), (1, 1), (1.01, 2), (3, 5), (30, 50), (7, 10)])
def test_round_steps(rough, step):
    assert round_step(rough) == pytest.approx(step)


def test_linear_axis_begins_and_ends_on_ticks():
    axis = linear([0.649, 0.765, math.nan], 0, 100, 4)
    assert [text for _, text in axis.ticks] == ["0.60", "0.65", "0.70", "0.75", "0.80"]
    assert [at for at, _ in axis.ticks] == [0, 25, 50, 75, 100]
    assert axis.at(0.7) == 50


def test_an_axis_of_one_value_or_none_is_still_one():
    assert linear([0.5], 0, 100).at(0.5) == 50
    assert linear([math.nan], 0, 10).ticks[0] == (0, "0.0")


def test_upward_axis():
    axis = linear([0, 1], 100, 0, 5)
    assert (axis.at(0), axis.at(1), axis.at(0.25)) == (100, 0, 75)


def test_logarithmic_axis():
    axis = logarithmic([10, 100], 0, 100)
    low, high = 8.0, 125.0
    assert [text for _, text in axis.ticks] == ["10", "20", "50", "100"]
    assert axis.at(50) == pytest.approx(100 * math.log(50 / low) / math.log(high / low), abs=0.051)


def test_a_short_logarithmic_axis_can_still_be_read():
    """Between 18 and 22 million only the tick 20 was left."""
    assert [text for _, text in logarithmic([18, 22], 0, 100).ticks] == ["16", "18", "20", "22", "24", "26"]
    assert [text for _, text in logarithmic([30, 80], 0, 100).ticks] == [
        "30",
        "40",
        "50",
        "60",
        "70",
        "80",
        "90",
        "100",
    ]


def test_names_cover_no_mark_and_no_other_name():
    places = [(100.0, 50.0), (106.0, 52.0), (590.0, 50.0)]
    marks = [(left - 5, top - 5, left + 5, top + 5) for left, top in places]
    names = ["one system", "another", "at the edge"]
    boxes = list(marks)
    for (at, base, anchor), name in zip(_labels(places, names, marks), names, strict=True):
        left = at if anchor == "start" else at - LETTER * len(name)
        box = (left, base - 10, left + LETTER * len(name), base + 2)
        assert not [
            other
            for other in boxes
            if box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        ]
        assert box[2] <= 600
        boxes.append(box)


def test_titles_of_rows(tmp_path):
    fill(tmp_path, [0.7] * 5)
    frame = frame_of(tmp_path)
    assert [row_title(frame, row) for row in frame.rows.to_dict("records")] == [
        "no Multi-scale Neck, MFF, MHFF", "Multi-scale Neck", "Multi-scale Neck + MFF", "Multi-scale Neck + MHFF",
        "Multi-scale Neck + MFF + MHFF",
    ]  # fmt: skip


def test_curves_show_every_epoch_and_the_chosen_one(tmp_path):
    history = tuple(
        {"epoch": epoch, "train_loss": 1 / epoch, "val_loss": loss}
        for epoch, loss in ((1, 0.8), (2, math.inf), (3, 0.4))
    )
    Store(tmp_path).put(fabricate(row_run(0), 0.7, history=history[:1] + history[2:], best_epoch=3))
    result = fabricate(row_run(0), 0.7, history=history, best_epoch=3)
    frame = replace(frame_of(tmp_path), results=(result,))
    [chart] = training_curves(frame)
    [line] = chart.curves
    assert len(line.train.split()) == 3
    assert len(line.val.split()) == 2, "a loss that is no number breaks the drawing, not the page"
    assert line.best == (chart.x.at(3), chart.y.at(0.4))
    assert chart.best == "best epoch 3 of 3"


def test_cost_is_drawn_for_what_results_recorded(tmp_path):
    fill(tmp_path, [0.70, 0.75])
    [only] = cost_charts(frame_of(tmp_path))
    assert only.title == "Dice against parameters"
    assert only.marks[0].x == only.x.at(93.0)
    fill(tmp_path, [0.70, 0.75], parameters={"total": 93_000_000, "trainable": 1, "macs": 370_000_000_000})
    _, second = cost_charts(frame_of(tmp_path))
    assert [mark.x for mark in second.marks] == [second.x.at(370.0)] * 2
    assert [mark.y for mark in second.marks] == [second.y.at(value) for value in frame_of(tmp_path).rows["dice"][:2]]
    assert second.marks[1].paper == second.y.at(0.756)


def test_the_paper_stands_beside_its_own_setting_only(tmp_path):
    fill(tmp_path, [0.70, 0.75], Setting("smoke"), data=MADE_UP)
    [frame] = table_frames(TABLE5, collect(tmp_path, tmp_path / "none"), Setting("smoke"))
    assert [mark.paper for mark in cost_charts(frame)[0].marks] == [None, None]


def test_collapsed_runs_are_in_no_chart_of_scores(tmp_path):
    fill(tmp_path, [0.70, 0.03])
    frame = frame_of(tmp_path)
    assert [mark.title for mark in cost_charts(frame)[0].marks] == ["no Multi-scale Neck, MFF, MHFF"]
    assert len(image_distribution(frame).rows) == 1


def test_distribution_counts_images_without_truth_apart(tmp_path):
    """Counted as Dice 0 or 1 they would move the median."""
    rng = np.random.default_rng(0)
    tp = rng.integers(1, 1000, (50, 1))
    fn, fp = 1000 - tp, rng.integers(0, 400, (50, 1))
    tp[:4], fn[:4], fp[:3] = 0, 0, 0
    fp[3] = 5
    counts = Counts(tp, fp, fn, 10_000 - tp - fp - fn)
    result = fabricate(row_run(0), 0.7, counts=counts, images=tuple(map(str, range(50))))
    Store(tmp_path).put(result)
    chart = image_distribution(frame_of(tmp_path))
    [ridge] = chart.rows
    dice = sorted(
        2 * t / (2 * t + p + n) for t, p, n in zip(*(part[4:, 0].tolist() for part in (tp, fp, fn)), strict=True)
    )
    assert ridge.quartiles[1] == chart.x.at((dice[22] + dice[23]) / 2)
    assert ridge.images == f"median {(dice[22] + dice[23]) / 2:.3f}; 46 images"
    assert ridge.empty == "4 without truth, 3 left empty"
    assert len(ridge.outline.split()) == BINS + 2
