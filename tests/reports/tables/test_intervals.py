"""Intervals, spreads and marks in a table: what they are made from, and where there must be none."""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts, scores
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from reports.render import latex, markdown
from reports.select.results import Collection, StoredResult
from reports.statistics.jackknife import FEWEST_TESTED, jackknife_dice
from reports.tables.cells import cells, paper_table
from reports.tables.frames import table_frames
from reports.tables.ranking import differs, legend, paper_ranks, ranks
from tests.reports.fabricate import MADE_UP, PART, PIXELS, TABLE5, fabricate, row_run

PAPER = Setting("paper")
TABLE1, TABLE7 = TABLES["table1"], TABLES["table7"]


def noisy(dice, seed, images=60, classes=1):
    """Counts with that Dice give or take, which differ from image to image."""
    rng = np.random.default_rng(seed)
    positive = rng.integers(2_000, 20_000, (images, classes))
    hit = (positive * np.clip(dice + rng.normal(0, 0.1, (images, classes)), 0, 1)).astype(np.int64)
    return Counts(hit, positive - hit, positive - hit, PIXELS - 2 * positive + hit)


def result(index, dice=0.7, seed=0, *, table=TABLE5, images=60, first=0, setting=None, **changes):
    """The result of one row; replicates of seed s are on images of their own. All rows share an image's difficulty."""
    names = tuple(f"tile {first + number}" for number in range(images))
    made = fabricate(
        row_run(index, setting, seed=seed, split_seed=seed, table=table), images=names, counts=noisy(dice, seed, images)
    )
    return replace(made, **changes)


def frame(*results, table=TABLE5, setting=PAPER):
    (table_frame,) = table_frames(table, Collection(tuple(StoredResult(each, "own") for each in results)), setting)
    return table_frame


def scened(result, count):
    """The result with so many scenes recorded, all of the same number of tiles in a row."""
    tiles = len(result.images) // count
    recorded = [result.images[number - number % tiles] for number in range(len(result.images))]
    return replace(result, data={**result.data, "test_scenes": recorded})


def whole(dices=(0.70, 0.75, 0.75, 0.75, 0.77), **options):
    return [result(index, dice, **options) for index, dice in enumerate(dices)]


class TestIntervals:
    def test_of_one_replicate_it_is_that_of_its_images(self):
        stored = result(0)
        row = frame(stored).rows.iloc[0]
        expected = jackknife_dice([stored.counts], [np.arange(60)], 60)[-1].interval
        assert (row["dice_low"], row["dice_high"]) == pytest.approx(expected, rel=1e-12)
        assert row["dice_low"] < row["dice"] < row["dice_high"]
        assert math.isnan(row["dice_spread"])

    @pytest.mark.parametrize(
        ("images", "scenes", "note"),
        [
            (8, 8, "No interval: 8 test images with something to score, where an interval takes 20."),
            (60, 15, "No interval: 15 test scenes with something to score, where an interval takes 20."),
        ],
    )
    def test_few_units_have_none_and_the_reason_below(self, images, scenes, note):
        """At 8 images a table once printed one, which held the truth in about 0.81; tiles counted as images."""
        shown = frame(scened(result(0, images=images), scenes))
        assert shown.rows[["dice_low", "dice_high"]].iloc[0].isna().all()
        assert note in shown.notes
        assert "[" not in markdown.grid(shown)

    def test_tiles_of_one_scene_count_as_one_unit(self):
        """Sixty equal tiles of twenty scenes once looked sqrt(3) times as sure as twenty images."""
        once = noisy(0.7, 0, images=20)
        counts = Counts(*(np.repeat(part, 3, axis=0) for part in (once.tp, once.fp, once.fn, once.tn)))
        alone = replace(result(0, images=20), counts=once)
        tiles = replace(result(0), counts=counts)
        width = [frame(each).rows.eval("dice_high - dice_low")[0] for each in (alone, tiles, scened(tiles, 20))]
        assert width[2] == pytest.approx(width[0])
        assert width[0] / width[1] == pytest.approx(math.sqrt(3), rel=0.1)
        (note,) = [note for note in frame(scened(tiles, 20)).notes if note.startswith("Intervals")]
        assert note == (
            "Intervals are 95 % of a jackknife over 20 test scenes with something to score (tiles known to abut are "
            "one scene). They cover which of them were tested, not the luck of training."
        )

    def test_the_order_of_images_in_a_file_changes_nothing(self):
        stored = result(0)
        back = Counts(
            *(part[::-1] for part in (stored.counts.tp, stored.counts.fp, stored.counts.fn, stored.counts.tn))
        )
        turned = replace(stored, images=stored.images[::-1], counts=back)
        first, second = frame(stored).rows, frame(turned).rows
        assert first["dice_low"][0] == second["dice_low"][0]

    def test_replicates_on_other_images_narrow_it_and_on_the_same_images_do_not(self):
        """Resampled each for itself, three seeds on one official test set once looked 1.7 times as sure as one."""
        width = {}
        for name, firsts in (("one", [0]), ("apart", [0, 100, 200]), ("same", [0, 0, 0])):
            made = [result(0, first=first, seed=seed) for seed, first in enumerate(firsts)]
            made = [replace(each, counts=noisy(0.7, 0)) for each in made]
            row = frame(*made).rows.iloc[0]
            width[name] = row["dice_high"] - row["dice_low"]
        assert width["same"] == pytest.approx(width["one"], rel=1e-9)
        assert width["one"] / width["apart"] == pytest.approx(math.sqrt(3), rel=0.05)

    def test_spread_is_the_standard_deviation_over_replicates(self):
        made = [result(0, 0.70 + 0.01 * seed, seed) for seed in range(3)]
        row = frame(*made).rows.iloc[0]
        assert row["dice_spread"] == pytest.approx(np.std([each.scores.dice for each in made], ddof=1))

    def test_rows_without_a_score_have_none(self):
        made = frame(result(0), result(1, 0.03)).rows
        assert made["state"].tolist()[:3] == ["done", "collapsed", "not run"]
        assert made[["dice_low", "dice_high", "dice_spread", "dice_p"]].iloc[1:].isna().all(axis=None)

    def test_a_table_of_classes_has_one_for_each(self):
        table = TABLES["table4"]
        counts = noisy(0.7, 0, classes=6)
        made = fabricate(
            row_run(10, table=table), average="classes", classes=table.scores, counts=counts,
            images=tuple(str(number) for number in range(60)),
        )  # fmt: skip
        row = frame(made, table=table).rows.iloc[10]
        alone = Counts(*(part[:, 3:4] for part in (counts.tp, counts.fp, counts.fn, counts.tn)))
        assert row["vegetation"] == scores(alone, "foreground").dice
        assert row["vegetation_low"] < row["vegetation"] < row["vegetation_high"]
        mean = frame(made, table=TABLES["table3"]).rows.iloc[10]
        assert mean["dice_high"] - mean["dice_low"] < row["vegetation_high"] - row["vegetation_low"]


class TestMarks:
    def test_best_second_and_difference(self):
        made = whole((0.70, 0.75, 0.76, 0.768, 0.77))
        # As good on the whole, but better on some images and worse on others: that is no difference.
        counts = made[3].counts
        made[3] = replace(
            made[3], counts=Counts(*(part[::-1] for part in (counts.tp, counts.fp, counts.fn, counts.tn)))
        )
        shown = frame(*made)
        assert ranks(shown, "dice") == ["", "", "", "second", "best"]
        assert paper_ranks(shown, "dice") == ["", "", "second", "", "best"]
        assert differs(shown, "dice") == [True, True, True, False, False]
        assert shown.rows["dice_p"].isna().tolist() == [False] * 4 + [True]
        assert legend(shown, "in bold", "in italics") == (
            "Best of a column in bold, second in italics. † these runs differ from those of Multi-scale Neck yes, MFF "
            "yes, MHFF yes: paired jackknife over the units of the intervals, "
            "not over training; two-sided, p < 0.05 after Holm's "
            "correction for 4 tests."
        )

    def test_numbers_that_print_alike_share_a_mark(self):
        shown = frame(*whole((0.70, 0.75, 0.76, 0.77, 0.77)))
        assert ranks(shown, "dice") == ["", "", "", "best", "best"]

    def test_the_reference_of_table_7_is_its_smaller_model(self):
        made = [result(index, dice, table=TABLE7) for index, dice in enumerate((0.70, 0.76, 0.75, 0.78))]
        shown = frame(*made, table=TABLE7)
        assert shown.reference == "RS-SAM (ViT-B)"
        assert differs(shown, "dice") == [True, False, True, True]
        assert ranks(shown, "params_m") == [""] * 4

    @pytest.mark.parametrize(
        ("results", "setting", "words"),
        [
            (whole()[:3], PAPER, "2 of 5 rows have no result"),
            ([*whole(), result(0, 0.7, seed=1)], PAPER, "rows rest on different replicates"),
            (whole(data=MADE_UP), PAPER, "the data are synthetic"),
            (whole(setting=Setting("smoke")), Setting("smoke"), "the smoke profile claims nothing"),
        ],
        ids=["half", "uneven", "synthetic", "smoke"],
    )
    def test_what_may_not_be_ranked_has_no_mark_of_ours_and_says_why(self, results, setting, words):
        shown = frame(*results, setting=setting)
        assert ranks(shown, "dice") == [""] * 5
        assert differs(shown, "dice") == [False] * 5
        assert paper_ranks(shown, "dice")[4] == "best"
        assert legend(shown, "in bold", "in italics") == (
            f"Best of a column in bold, second in italics. Of ours nothing is marked: {words}."
        )
        own = [line[3] for line in cells(shown)]
        assert not any(cell.mark or cell.differs for cell in own)

    def test_a_collapsed_row_is_never_marked(self):
        shown = frame(*whole((0.03, 0.75, 0.76, 0.755, 0.77)))
        assert ranks(shown, "dice") == ["", "", "second", "", "best"]
        assert differs(shown, "dice")[0] is False
        assert legend(shown, "in bold", "in italics").endswith("correction for 3 tests.")

    def test_a_collapsed_reference_leaves_nothing_to_test_against(self):
        shown = frame(*whole((0.70, 0.75, 0.76, 0.755, 0.03)))
        assert differs(shown, "dice") == [False] * 5
        assert legend(shown, "in bold", "in italics") == (
            "Best of a column in bold, second in italics. No difference is tested: Multi-scale Neck yes, MFF yes, MHFF "
            "yes has no score."
        )

    @pytest.mark.parametrize(
        ("options", "scenes", "few"),
        [
            ({"images": FEWEST_TESTED - 1, "data": PART}, FEWEST_TESTED - 1, "29 test images"),
            ({}, 20, "20 test scenes"),
        ],
    )
    def test_few_units_are_not_tested(self, options, scenes, few):
        """Sixty tiles of twenty scenes were once tested as sixty images, and had four daggers."""
        shown = frame(*(scened(each, scenes) for each in whole(**options)))
        assert differs(shown, "dice") == [False] * 5
        assert legend(shown, "in bold", "in italics").endswith(
            f"No difference is tested: {few} with something to score, where a test takes 30."
        )

    def test_a_difference_between_tiles_is_none_between_scenes(self):
        """Four equal tiles of a scene once made one lucky scene a difference."""
        rng = np.random.default_rng(0)
        made = whole((0.77,) * 5, images=160)
        counts = made[4].counts
        shift = rng.normal(0, 0.06, 40)
        shift = np.repeat(shift - shift.mean() + 0.018, 4)[:, None]
        hit = np.minimum((counts.tp * (1 - shift)).astype(np.int64), counts.tp + counts.fn)
        positive = counts.tp + counts.fn
        made[0] = replace(made[0], counts=Counts(hit, positive - hit, positive - hit, PIXELS - 2 * positive + hit))
        assert differs(frame(*made), "dice")[0] is True
        assert differs(frame(*(scened(each, 40) for each in made)), "dice")[0] is False

    def test_nothing_run_marks_the_papers_column_alone(self):
        shown = frame()
        assert legend(shown, "in bold", "in italics") == "Best of a column in bold, second in italics."

    def test_equal_runs_differ_in_nothing(self):
        """Images' own difficulty cancels in a paired test."""
        made = whole((0.77,) * 5)
        assert differs(frame(*made), "dice") == [False] * 5

    def test_the_test_is_paired(self):
        """Half a point of Dice on every image is seen although the intervals overlap nearly whole."""
        shown = frame(*whole((0.765, 0.77, 0.77, 0.77, 0.77)))
        low, high = shown.rows["dice_low"], shown.rows["dice_high"]
        assert high[0] > shown.rows["dice"][4] > low[0]
        assert differs(shown, "dice") == [True, False, False, False, False]


class TestOnThePage:
    def test_markdown(self):
        page = markdown.grid(frame(*whole((0.70, 0.75, 0.76, 0.7697, 0.77))))
        first, last = page.splitlines()[2], page.splitlines()[-1]
        row = frame(*whole((0.70, 0.75, 0.76, 0.7697, 0.77))).rows.iloc[0]
        assert f"| {row['dice']:.3f}† [{row['dice_low']:.3f}, {row['dice_high']:.3f}] | 0.703 |" in first
        assert last.startswith("| yes | yes | yes | **0.7")
        assert "† [" not in last

    def test_latex(self):
        shown = frame(*whole((0.70, 0.75, 0.76, 0.7697, 0.77)))
        text = latex.render([shown])
        assert r"\rlap{$^\dagger$} & {[}0." in text
        assert r"\underline{0." in text
        assert r"& \textbf{0.765} &" in text
        assert "Best of a column in bold, second underlined." in text
        assert r"$^\dagger$ these runs differ from those of Multi-scale Neck yes" in text

    @pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
    def test_cells_fit_their_columns(self, table):
        shown = frame(table=table)
        heads, lines = paper_table(shown)
        assert all(len(line) == len(heads) for line in lines)
