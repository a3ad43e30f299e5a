"""Intervals and tests against SciPy, slow loops and cases that can be worked by hand."""

import math

import numpy as np
import pytest
import scipy.stats

from benchmarks.metrics.counts import Counts, scores
from reports.statistics import bootstrap as statistics
from reports.statistics import replicates
from reports.statistics.bootstrap import Interval, interval, resampled_class_dice, resampled_dice, resampling_p
from reports.statistics.replicates import Spread, contrast, holm, kendall, pooled_spread, tolerance


def random_counts(images, classes, seed=0, high=40_000):
    rng = np.random.default_rng(seed)
    return Counts(*(rng.integers(0, high, (images, classes)) for _ in range(4)))


def chosen(counts, images):
    return Counts(counts.tp[images], counts.fp[images], counts.fn[images], counts.tn[images])


class TestBootstrap:
    @pytest.mark.parametrize(("average", "classes"), [("foreground", 1), ("classes", 3)])
    def test_against_a_slow_loop(self, average, classes):
        systems = [random_counts(7, classes, seed) for seed in (1, 2)]
        drawn = resampled_dice(systems, average, draws=40, seed=5)
        picks = np.random.default_rng(5).integers(0, 7, (40, 7), dtype=np.int32)
        slow = [[scores(chosen(counts, pick), average).dice for pick in picks] for counts in systems]
        assert drawn.shape == (2, 40)
        np.testing.assert_allclose(drawn, slow, rtol=0, atol=1e-15)

    def test_against_scipy(self):
        counts = random_counts(60, 1, high=4_000)
        doubled, total = 2 * counts.tp[:, 0], (2 * counts.tp + counts.fp + counts.fn)[:, 0]
        theirs = scipy.stats.bootstrap(
            (doubled, total), lambda a, b, axis: a.sum(axis) / b.sum(axis), paired=True, vectorized=True,
            n_resamples=20_000, method="percentile", rng=np.random.default_rng(1),
        )  # fmt: skip
        ours = interval(resampled_dice([counts], "foreground", draws=20_000)[0])
        width = ours.high - ours.low
        assert width > 0.02
        assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
        assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)
        drawn = resampled_dice([counts], "foreground", draws=20_000)[0]
        assert drawn.std(ddof=1) == pytest.approx(theirs.standard_error, rel=0.03)

    def test_equal_images_leave_no_doubt(self):
        one = random_counts(1, 1)
        counts = Counts.concatenate([one] * 9)
        found = interval(resampled_dice([counts], "foreground", draws=200)[0])
        assert found.low == found.high == scores(one, "foreground").dice

    def test_two_images_have_three_test_sets(self):
        """Dice 1 and 0 with as many pixels: the pairs give 0, 1/2, 1/2 and 1."""
        counts = Counts(*(np.array(part)[:, None] for part in ([4, 0], [0, 4], [0, 4], [9, 9])))
        drawn = resampled_dice([counts], "foreground", draws=20_000)[0]
        values, numbers = np.unique(drawn, return_counts=True)
        assert values.tolist() == [0, 0.5, 1]
        np.testing.assert_allclose(numbers / 20_000, [0.25, 0.5, 0.25], atol=0.02)

    def test_rows_are_paired(self):
        """With resamples of its own for each system, the difference of a system from itself had a width."""
        counts = random_counts(30, 1)
        worse = Counts(counts.tp, counts.fp + 100, counts.fn, counts.tn)
        first, again, below = resampled_dice([counts, counts, worse], "foreground", draws=500)
        assert (first == again).all()
        assert (first > below).all()
        alone = resampled_dice([worse], "foreground", draws=500)[0]
        assert (alone == below).all()

    def test_blocks_change_nothing(self, monkeypatch):
        counts = random_counts(31, 2)
        whole = resampled_dice([counts], "classes", draws=100)
        monkeypatch.setattr(statistics, "BLOCK", 31 * 7)
        assert (resampled_dice([counts], "classes", draws=100) == whole).all()

    def test_the_generator_is_local_and_seeded(self):
        counts = random_counts(20, 1)
        state = np.random.get_state()[1].copy()
        first, again = (resampled_dice([counts], "foreground", draws=50, seed=3) for _ in range(2))
        assert (first == again).all()
        assert (first != resampled_dice([counts], "foreground", draws=50, seed=4)).any()
        assert (np.random.get_state()[1] == state).all()

    def test_large_counts_stay_exact(self):
        """int32 sums of 2,416 images of 512 x 512 overflow at 2**31."""
        counts = Counts(*(np.full((2416, 1), 512 * 512) for _ in range(4)))
        assert (resampled_dice([counts], "foreground", draws=20) == 0.5).all()

    def test_systems_on_parts_of_one_list_share_its_draws(self):
        """Images of neither part count for nothing, those of both once in each; against a slow loop."""
        first, second = random_counts(5, 1, 1), random_counts(4, 1, 2)
        places = [np.array([0, 2, 3, 4, 6]), np.array([1, 3, 5, 6])]
        drawn = resampled_class_dice([first, second], places=places, draws=50, seed=5)[:, 0]
        picks = np.random.default_rng(5).integers(0, 7, (50, 7), dtype=np.int32)
        for counts, place, values in zip((first, second), places, drawn, strict=True):
            for pick, value in zip(picks, values, strict=True):
                own = [list(place).index(image) for image in pick if image in place]
                assert value == pytest.approx(scores(chosen(counts, own), "foreground").dice, abs=1e-15, nan_ok=True)

    def test_scenes_move_as_one(self):
        counts = random_counts(6, 1)
        scenes = ["a", "b", "a", "b", "a", "b"]
        joined = Counts.concatenate([chosen(counts, [0, 2, 4]).pooled(), chosen(counts, [1, 3, 5]).pooled()])
        by_scene = resampled_dice([counts], "foreground", clusters=scenes, draws=300)
        assert (by_scene == resampled_dice([joined], "foreground", draws=300)).all()
        assert len(np.unique(by_scene)) == 3

    def test_tiles_of_one_scene_tell_less_than_as_many_images(self):
        one = random_counts(12, 1)
        counts = Counts.concatenate([one] * 8)
        scenes = [str(number) for number in range(12)] * 8
        by_image = resampled_dice([counts], "foreground", draws=4000).std()
        by_scene = resampled_dice([counts], "foreground", clusters=scenes, draws=4000).std()
        assert by_scene / by_image == pytest.approx(math.sqrt(8), rel=0.1)

    def test_a_class_absent_from_a_draw_is_left_out_of_its_mean(self):
        """Counted as 0 it once would have pulled every draw without it down."""
        tp, zero = np.array([[3, 0], [3, 5]]), np.zeros((2, 2), int)
        counts = Counts(tp, zero, zero, zero)
        classes = resampled_class_dice([counts], draws=100)[0]
        assert np.isnan(classes[1]).any()
        assert (resampled_dice([counts], "classes", draws=100) == 1).all()

    def test_draws_without_any_class_are_left_out_and_counted(self):
        zero = np.zeros((2, 1), int)
        counts = Counts(np.array([[0], [5]]), zero, np.array([[0], [5]]), zero)
        drawn = resampled_dice([counts], "foreground", draws=1000)[0]
        found = interval(drawn)
        assert (found.low, found.high) == (2 / 3, 2 / 3)
        assert found.undefined == np.isnan(drawn).sum()
        assert 200 < found.undefined < 300  # one test set in four
        nothing = interval(np.full(9, np.nan))
        assert math.isnan(nothing.low)
        assert math.isnan(nothing.high)
        assert nothing.undefined == 9

    @pytest.mark.parametrize(
        ("systems", "options", "words"),
        [
            ([random_counts(3, 1), random_counts(4, 1)], {}, "same images"),
            ([], {}, "same images"),
            ([random_counts(3, 2)], {}, "needs one class"),
            ([random_counts(3, 1)], {"clusters": ["a"]}, "each of 3 images needs its cluster, found 1"),
            ([random_counts(0, 1)], {}, "no test image"),
        ],
    )
    def test_what_cannot_be_compared_is_refused(self, systems, options, words):
        with pytest.raises(ValueError, match=words):
            resampled_dice(systems, "foreground", **options)

    def test_coverage_of_the_interval(self):
        """Of 300 test sets of 150 images from one population, 95 % of the intervals hold the population's Dice."""
        population = random_counts(20_000, 1, high=1000)
        truth, rng = scores(population, "foreground").dice, np.random.default_rng(0)
        held = 0
        for number in range(300):
            sample = chosen(population, rng.integers(0, 20_000, 150))
            found = interval(resampled_dice([sample], "foreground", draws=400, seed=number)[0])
            held += found.low <= truth <= found.high
        assert 0.91 <= held / 300 <= 0.98


def test_interval_is_of_percentiles():
    assert interval(np.arange(101.0)) == Interval(pytest.approx(2.5), pytest.approx(97.5))
    assert interval(np.arange(101.0), level=0.8) == Interval(pytest.approx(10), pytest.approx(90))


def test_p_of_resampled_differences():
    assert resampling_p(np.array([1.0] * 99)) == 2 / 100
    assert resampling_p(np.array([-1.0] * 99)) == 2 / 100
    assert resampling_p(np.array([1.0] * 90 + [-1.0] * 9)) == 20 / 100
    assert resampling_p(np.zeros(99)) == 1
    assert resampling_p(np.array([1.0] * 99 + [np.nan] * 50)) == 2 / 100
    assert math.isnan(resampling_p(np.array([np.nan])))


class TestSpread:
    def test_groups_of_one_add_nothing(self):
        assert pooled_spread([[0.7], [0.1]]).df == 0
        assert math.isnan(pooled_spread([[0.7], []]).value)
        assert pooled_spread([[0.70, 0.72], [0.5], []]) == Spread(pytest.approx(0.01 * math.sqrt(2)), 1)

    def test_a_group_is_compared_with_itself(self):
        """Pooled about one mean of all, systems 0.2 apart once gave a spread of 0.11."""
        groups = [[0.70, 0.71, 0.72], [0.90, 0.91, 0.92], [0.80, 0.81, 0.82]]
        assert pooled_spread(groups) == Spread(pytest.approx(0.01), 6)

    def test_equal_sizes_give_the_root_mean_variance(self):
        groups = np.random.default_rng(0).normal(size=(6, 5))
        assert pooled_spread(groups.tolist()).value == pytest.approx(math.sqrt(groups.var(axis=1, ddof=1).mean()))

    @pytest.mark.parametrize(("df", "replicates"), [(8, 1), (8, 3), (20, 5)])
    def test_tolerance(self, df, replicates):
        t = scipy.stats.t.ppf(0.975, df)
        expected = t * 0.004 * math.sqrt(1 + 1 / replicates) + 0.0005
        assert tolerance(Spread(0.004, df), replicates) == pytest.approx(expected, rel=1e-12)

    def test_tolerance_by_hand(self):
        assert tolerance(Spread(0.003, 8), 5) == pytest.approx(2.306004 * 0.003 * 1.0954451 + 0.0005, abs=1e-8)
        assert tolerance(Spread(0.0, 8), 5) == 0.0005
        assert math.isnan(tolerance(Spread(math.nan, 0), 5))

    def test_a_paper_with_our_luck_lies_within_in_95_of_100(self):
        rng = np.random.default_rng(0)
        inside = 0
        for _ in range(2000):
            groups = rng.normal(0.7, 0.005, (5, 3))
            paper = rng.normal(0.7, 0.005)
            reach = tolerance(pooled_spread(groups.tolist()), 3) - replicates.ROUNDING
            inside += abs(groups[0].mean() - paper) <= reach
        assert inside / 2000 == pytest.approx(0.95, abs=0.015)


class TestContrast:
    def test_without_re_splits_it_is_the_paired_t_test(self):
        rng = np.random.default_rng(0)
        first, second = rng.normal(0.75, 0.01, 6), rng.normal(0.74, 0.01, 6)
        theirs = scipy.stats.ttest_rel(first, second)
        ours = contrast((first - second).tolist(), 0.0)
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)
        assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-9)
        assert ours.df == 5

    def test_re_splits_widen_it(self):
        """15 % against 70 %: with five replicates the variance is 0.2 + 0.2143 in place of 0.2."""
        differences = [0.010, 0.012, 0.008, 0.011, 0.009]
        plain, split = contrast(differences, 0.0), contrast(differences, 15 / 70)
        assert plain.error == pytest.approx(np.std(differences, ddof=1) / math.sqrt(5))
        assert split.error / plain.error == pytest.approx(math.sqrt((0.2 + 15 / 70) / 0.2))
        assert split.smallest == pytest.approx(scipy.stats.t.ppf(0.975, 4) * split.error)
        assert (split.high - split.low) / 2 == pytest.approx(split.smallest)
        assert split.p > plain.p

    def test_equal_differences(self):
        assert contrast([0.0, 0.0], 0.2).p == 1
        assert contrast([0.25, 0.25], 0.2).p == 0
        assert contrast([0.25, 0.25], 0.2).smallest == 0

    def test_one_replicate_is_no_test(self):
        with pytest.raises(ValueError, match="two replicates or more, found 1"):
            contrast([0.1], 0.2)


class TestHolm:
    def test_by_hand(self):
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))

    def test_never_above_one_nor_out_of_order(self):
        assert holm([0.9, 0.6, 0.5]) == (1.0, 1.0, 1.0)
        assert holm([0.02, 0.02]) == (0.04, 0.04)
        assert holm([]) == ()
        assert holm([0.3]) == (0.3,)

    @pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
    def test_no_probability_is_refused(self, p):
        with pytest.raises(ValueError, match=r"0\.\.1"):
            holm([0.5, p])

    def test_a_family_without_effects_is_wrong_in_5_of_100(self):
        draws = np.random.default_rng(0).random((4000, 9))
        assert np.mean([min(holm(p)) < 0.05 for p in draws]) == pytest.approx(0.05, abs=0.012)


class TestKendall:
    @pytest.mark.parametrize("digits", [1, 8], ids=["ties", "no ties"])
    def test_against_scipy(self, digits):
        rng = np.random.default_rng(0)
        for _ in range(20):
            first, second = rng.random((2, 11)).round(digits)
            expected = scipy.stats.kendalltau(first, second).statistic
            assert kendall(first, second) == pytest.approx(expected, abs=1e-12)

    def test_closed_cases(self):
        assert kendall([1, 2, 3], [10, 20, 30]) == pytest.approx(1)
        assert kendall([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
        assert kendall([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
        assert math.isnan(kendall([1, 1], [1, 2]))

    def test_lists_of_different_length(self):
        with pytest.raises(ValueError, match="found 2 and 3"):
            kendall([1, 2], [1, 2, 3])
