"""Dice with and without train neighbours, against sums done by hand; and the words a reader gets."""

import math

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.setting import Setting
from reports.select.results import Collection, StoredResult
from reports.tables.assemble import assemble
from reports.tables.train_neighbours import describe_neighbours, dice_without_train_neighbours, neighbours
from tests.reports.fabricate import TABLE5, WHOLE, fabricate, row_run


def counted(tp, fp, fn, tn=(1000, 1000, 1000)):
    return Counts(*(np.array(part, np.int64).reshape(len(part), -1) for part in (tp, fp, fn, tn)))


EASY_ONE = counted((90, 10, 20), (5, 10, 30), (5, 20, 10))
"""Dice of the three images a, b and c: 180/190, 20/50, 40/80."""


def known(index, near, counts=EASY_ONE, *, run=None, **options):
    return fabricate(
        run or row_run(index), counts=counts, data={**WHOLE, **({} if near is None else {"train_neighbours": near})},
        **options,
    )  # fmt: skip


def test_dice_apart_pools_the_other_images():
    """A mean of image Dices would be 0.45 and not 0.4615; dropping the wrong images would give 0.947."""
    result = known(0, ["a"])
    assert neighbours(result) == 1
    assert dice_without_train_neighbours(result) == pytest.approx(2 * 30 / (2 * 30 + 40 + 30))
    assert result.scores.dice == pytest.approx(240 / 320)
    assert dice_without_train_neighbours(known(0, ["c", "a"])) == pytest.approx(20 / 50)


def test_without_neighbours_dice_apart_is_dice():
    result = known(0, [])
    assert neighbours(result) == 0
    assert dice_without_train_neighbours(result) == result.scores.dice


def test_nothing_left_and_nothing_known_have_no_number():
    assert math.isnan(dice_without_train_neighbours(known(0, ["a", "b", "c"])))
    assert math.isnan(dice_without_train_neighbours(known(0, None)))
    assert neighbours(known(0, None)) is None


def test_dice_apart_keeps_the_average_over_classes():
    """Class 2 occurs only in image a: without it the mean is over class 1 alone."""
    counts = counted(((50, 20), (10, 0)), ((0, 0), (10, 0)), ((0, 0), (20, 0)), ((9, 9), (9, 9)))
    result = known(
        0, ["a"], counts, average="classes", classes=("building", "road"), images=("a", "b")
    )  # fmt: skip
    assert dice_without_train_neighbours(result) == pytest.approx(20 / 50)


def test_the_key_does_not_know_of_neighbours():
    assert len({known(0, near).key for near in (None, [], ["a"])}) == 1


def note(*results):
    (frame,) = assemble([TABLE5], Collection(tuple(StoredResult(result, "own") for result in results))).frames
    return [line for line in frame.notes if "lies in a scene" in line or "lie in a scene" in line]


def test_the_note_of_a_table():
    worse = counted((90, 4, 14), (5, 16, 36), (5, 26, 16))
    results = [known(index, ["a"], worse if index == 1 else EASY_ONE) for index in range(5)]
    same, dropped = 2 * 30 / 130 - 240 / 320, 36 / 130 - 216 / 320
    assert note(*results) == [
        "1 of 3 test images lie in a scene that holds training images too. Over the others alone Dice changes by "
        f"{dropped:+.3f} (Multi-scale Neck yes, MFF no, MHFF no) to {same:+.3f} (Multi-scale Neck yes, MFF yes, MHFF "
        f"yes); Multi-scale Neck yes, MFF yes, MHFF yes has {2 * 30 / 130:.3f} there."
    ]


def test_a_note_says_where_nothing_is_parted_and_nothing_where_nothing_is_known():
    assert note(known(0, [])) == ["No test image lies in a scene that holds training images too."]
    assert note(known(0, None)) == []


def test_a_split_by_scenes_says_it_once():
    run = row_run(0, Setting("paper", split="blocked"))
    assert note(known(0, [], run=run)) == []
    assert len(note(known(0, ["a"], run=run))) == 1  # which cannot be, and so must be told


def test_a_collapsed_row_is_no_example():
    """Its Dice is not tabled, so a change of it would be a number from nowhere."""
    fallen = counted((0, 0, 0), (5, 10, 30), (95, 30, 30), (10**6, 10**6, 10**6))
    assert known(0, ["a"], fallen).collapsed
    (line,) = note(known(0, ["a"], fallen), known(1, ["a"]))
    assert "Multi-scale Neck no" not in line


def test_replicates_are_averaged():
    """Each re-split has neighbours of its own."""
    setting = Setting("paper")
    first = known(0, ["a"])
    two = known(0, ["a", "b"], run=row_run(0, setting, split_seed=1, seed=1))
    words = describe_neighbours({"SAM-LoRA": (first, two)})
    without = (2 * 30 / 130 + 40 / 80) / 2
    assert words == (
        "1 to 2 of 3 test images lie in a scene that holds training images too. Over the others alone Dice changes by "
        f"{without - 240 / 320:+.3f} (SAM-LoRA)."
    )


def test_rows_of_which_it_is_not_known_are_named():
    words = describe_neighbours({"old": (known(0, None),), "new": (known(1, ["a"]),)})
    assert words.endswith(" Not known for old.")
    assert describe_neighbours({"new": (known(1, ["a", "b", "c"]),)}) == (
        "3 of 3 test images lie in a scene that holds training images too. No number can be given for the others alone."
    )
