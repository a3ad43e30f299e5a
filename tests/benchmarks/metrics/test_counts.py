"""Counts and scores against plain loops over pixels."""

import json
import math

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts, class_scores, constant_dice, foreground_share, scores, undefined

IGNORE = 255


def confusion(truths, predictions, classes):
    """Confusion matrices [images, K, K] of labelled pixels, one pixel at a time."""
    table = np.zeros((len(truths), classes, classes), dtype=np.int64)
    for index, (truth, prediction) in enumerate(zip(truths, predictions, strict=True)):
        for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
            if t != IGNORE:
                table[index, t, p] += 1
    return table


def tally(truths, predictions, wanted):
    """TP, FP, FN, TN of one class over all labelled pixels of all images, from their definitions."""
    tp = fp = fn = tn = 0
    for truth, prediction in zip(truths, predictions, strict=True):
        for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
            if t == IGNORE:
                continue
            tp += t == wanted and p == wanted
            fp += t != wanted and p == wanted
            fn += t == wanted and p != wanted
            tn += t != wanted and p != wanted
    return tp, fp, fn, tn


def quotient(a, b):
    return a / b if b else math.nan


def by_hand(truths, predictions, wanted):
    tp, fp, fn, tn = tally(truths, predictions, wanted)
    return {
        "dice": quotient(2 * tp, 2 * tp + fp + fn),
        "jaccard": quotient(tp, tp + fp + fn),
        "precision": quotient(tp, tp + fp),
        "recall": quotient(tp, tp + fn),
        "accuracy": quotient(tp + tn, tp + fp + fn + tn),
    }


def random_masks(classes, *, images=4, size=13, ignore=0.1, absent=(), seed=0):
    rng = np.random.default_rng(seed)
    present = [k for k in range(classes) if k not in absent]
    truths = [rng.choice(present, size=(size, size)) for _ in range(images)]
    predictions = [rng.choice(present, size=(size, size)) for _ in range(images)]
    for truth in truths:
        truth[rng.random(truth.shape) < ignore] = IGNORE
    return truths, predictions


def counted(truths, predictions, classes, *, binary):
    return Counts.from_confusion(confusion(truths, predictions, classes), binary=binary)


@pytest.mark.parametrize("seed", range(3))
def test_binary_scores_are_those_of_the_foreground(seed):
    truths, predictions = random_masks(2, seed=seed)
    result = scores(counted(truths, predictions, 2, binary=True), "foreground")
    expected = by_hand(truths, predictions, 1)
    for name, value in expected.items():
        assert getattr(result, name) == pytest.approx(value, abs=1e-15)
    assert result.overall_accuracy == pytest.approx(expected["accuracy"])
    assert result.jaccard == pytest.approx(result.dice / (2 - result.dice))


def test_counts_stay_apart_by_image():
    truths, predictions = random_masks(2)
    counts = counted(truths, predictions, 2, binary=True)
    assert (counts.images, counts.classes) == (4, 1)
    for index, (truth, prediction) in enumerate(zip(truths, predictions, strict=True)):
        found = tuple(int(getattr(counts, name)[index, 0]) for name in ("tp", "fp", "fn", "tn"))
        assert found == tally([truth], [prediction], 1)
    halves = [counted(truths[i : i + 2], predictions[i : i + 2], 2, binary=True) for i in (0, 2)]
    assert Counts.concatenate(halves).to_json() == counts.to_json()


def test_six_class_scores_are_means_of_pooled_classes():
    truths, predictions = random_masks(6)
    result = scores(counted(truths, predictions, 6, binary=False), "classes")
    classes = [by_hand(truths, predictions, k) for k in range(6)]
    for name in ("dice", "jaccard", "precision", "recall", "accuracy"):
        assert getattr(result, name) == pytest.approx(sum(scored[name] for scored in classes) / 6)
    right = sum(int((t[t != IGNORE] == p[t != IGNORE]).sum()) for t, p in zip(truths, predictions, strict=True))
    labelled = sum(int((t != IGNORE).sum()) for t in truths)
    assert result.overall_accuracy == pytest.approx(right / labelled)
    # The paper's WHDLD accuracy: every error is one false positive and one false negative among K classes.
    assert result.accuracy == pytest.approx(1 - (1 - result.overall_accuracy) * 2 / 6)


def test_an_absent_class_has_no_score_and_leaves_the_mean():
    truths, predictions = random_masks(6, absent=(3,))
    counts = counted(truths, predictions, 6, binary=False)
    assert math.isnan(class_scores(counts)["dice"][3])
    result = scores(counts, "classes")
    for name in ("dice", "jaccard", "precision", "recall", "accuracy"):
        expected = [by_hand(truths, predictions, k)[name] for k in (0, 1, 2, 4, 5)]
        assert getattr(result, name) == pytest.approx(sum(expected) / 5)
    assert undefined(counts).absent == (3,)
    assert undefined(counts).unpredicted == undefined(counts).untrue == ()


def test_accuracy_and_overall_accuracy_with_an_absent_class():
    """The formula that was written divides by all six classes: 0.735, where the mean of the five is 0.682."""
    truths, predictions = random_masks(6, absent=(3,))
    truth, prediction = (np.concatenate([mask.ravel() for mask in masks]) for masks in (truths, predictions))
    truth, prediction = truth[truth != IGNORE], prediction[truth != IGNORE]
    one_vs_rest = [np.mean((truth == k) == (prediction == k)) for k in range(6)]
    overall = np.mean(truth == prediction)
    result = scores(counted(truths, predictions, 6, binary=False), "classes")
    assert result.overall_accuracy == pytest.approx(overall)
    assert result.accuracy == pytest.approx(np.mean([one_vs_rest[k] for k in (0, 1, 2, 4, 5)]))
    assert result.accuracy == pytest.approx(1 - 2 * (1 - overall) / 5)
    assert abs(result.accuracy - (1 - 2 * (1 - overall) / 6)) > 0.04


def test_a_class_never_predicted_has_precision_zero_in_the_mean():
    """Mean precision was 0.810, over the two predicted classes, beside Dice and recall over all three; 0.540 now."""
    truth = np.repeat([0, 1, 2], [60, 25, 15]).reshape(10, 10)
    prediction = np.where(truth == 2, 0, truth)
    prediction[0, :5] = 1
    counts = counted([truth], [prediction], 3, binary=False)
    classes = [by_hand([truth], [prediction], k) for k in range(3)]
    assert [scored["precision"] for scored in classes[:2]] == pytest.approx([55 / 70, 25 / 30])
    assert math.isnan(classes[2]["precision"])
    result = scores(counts, "classes")
    assert result.precision == pytest.approx((55 / 70 + 25 / 30 + 0) / 3)
    assert result.recall == pytest.approx((55 / 60 + 1 + 0) / 3)
    assert result.dice == pytest.approx(sum(scored["dice"] for scored in classes) / 3)
    found = undefined(counts)
    assert (found.absent, found.unpredicted, found.untrue) == ((), (2,), ())
    assert found.precision == pytest.approx((55 / 70 + 25 / 30) / 2)
    assert found.recall == result.recall


def test_a_class_predicted_but_never_true_counts_as_zero():
    truths, predictions = random_masks(6, absent=(3,))
    predictions[0][truths[0] != IGNORE] = 3
    counts = counted(truths, predictions, 6, binary=False)
    per_class = class_scores(counts)
    assert per_class["dice"][3] == 0
    assert math.isnan(per_class["recall"][3])
    expected = [by_hand(truths, predictions, k)["dice"] for k in range(6)]
    result = scores(counts, "classes")
    assert result.dice == pytest.approx(sum(expected) / 6)
    recalls = [by_hand(truths, predictions, k)["recall"] for k in (0, 1, 2, 4, 5)]
    assert result.recall == pytest.approx(sum(recalls) / 6)  # was a mean over five
    found = undefined(counts)
    assert (found.absent, found.unpredicted, found.untrue) == ((), (), (3,))
    assert found.recall == pytest.approx(sum(recalls) / 5)


def test_ignored_pixels_are_in_no_count():
    truths, predictions = random_masks(2, ignore=0.3)
    counts = counted(truths, predictions, 2, binary=True)
    total = sum(int(getattr(counts, name).sum()) for name in ("tp", "fp", "fn", "tn"))
    assert total == sum(int((truth != IGNORE).sum()) for truth in truths)


@pytest.mark.parametrize("prediction", [0, 1])
def test_empty_truth(prediction):
    truths, predictions = [np.zeros((8, 8), np.int64)], [np.full((8, 8), prediction)]
    counts = counted(truths, predictions, 2, binary=True)
    result = scores(counts, "foreground")
    assert result.overall_accuracy == 1 - prediction
    if prediction == 0:  # absent from truth and prediction: nothing to score
        assert math.isnan(result.dice)
        assert math.isnan(result.accuracy)
    else:
        assert result.dice == 0
    assert foreground_share(counts) == 0


def test_wholly_ignored_images_have_no_scores_at_all():
    truths = [np.full((4, 4), IGNORE)]
    result = scores(counted(truths, [np.zeros((4, 4), np.int64)], 2, binary=True), "foreground")
    assert all(math.isnan(value) for value in vars(result).values())


def test_an_image_without_foreground_still_adds_its_errors_to_the_pool():
    truths = [np.array([[1, 1], [0, 0]]), np.zeros((2, 2), np.int64)]
    predictions = [np.array([[1, 1], [0, 0]]), np.ones((2, 2), np.int64)]
    assert scores(counted(truths, predictions, 2, binary=True), "foreground").dice == pytest.approx(4 / 8)


def test_the_average_must_fit_the_counts():
    truths, predictions = random_masks(6)
    with pytest.raises(ValueError, match='"foreground" needs one class'):
        scores(counted(truths, predictions, 6, binary=False), "foreground")


def test_an_unknown_average_is_refused():
    """Under "macro" the mean precision left out a class never predicted: 0.5 where "classes" gives 0.25."""
    counts = counted([np.array([[0, 1]])], [np.array([[0, 0]])], 3, binary=False)
    assert scores(counts, "classes").precision == pytest.approx(0.25)
    with pytest.raises(ValueError, match="expected the average foreground or classes, found 'macro'"):
        scores(counts, "macro")


def test_constant_answer_is_everything_foreground():
    truths, _ = random_masks(2)
    ones = [np.ones_like(truth) for truth in truths]
    counts = counted(truths, ones, 2, binary=True)
    share = foreground_share(counts)
    assert 0 < share < 1
    assert constant_dice(counts, "foreground") == pytest.approx(2 * share / (1 + share))
    assert constant_dice(counts, "foreground") == pytest.approx(scores(counts, "foreground").dice)


def test_constant_answer_of_several_classes_is_the_commonest():
    truths, predictions = random_masks(6)
    truths[0][:] = 2
    counts = counted(truths, predictions, 6, binary=False)
    best = max(
        scores(counted(truths, [np.full_like(t, k) for t in truths], 6, binary=False), "classes").dice for k in range(6)
    )
    assert constant_dice(counts, "classes") == pytest.approx(best)


def test_json_round_trip_is_exact_beyond_float_precision():
    huge = 2**53 + 1
    counts = Counts(*(np.array([[huge + i], [i]], dtype=np.int64) for i in range(4)))
    again = Counts.from_json(json.loads(json.dumps(counts.to_json())))
    for name in ("tp", "fp", "fn", "tn"):
        assert getattr(again, name).dtype == np.int64
        assert getattr(again, name).tolist() == getattr(counts, name).tolist()


def test_sums_beyond_the_reach_of_float32_are_exact():
    # 2^24 + 1 is the first integer that float32 loses: a pool of a thousand tiles passes it.
    parts = np.full((1001, 1), 2**24 + 1, dtype=np.int64)
    counts = Counts(parts, np.ones_like(parts), np.zeros_like(parts), parts)
    assert int(counts.pooled().tp[0, 0]) == 1001 * (2**24 + 1)
    assert int(counts.pooled().fp[0, 0]) == 1001


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"tp": [[1]], "fp": [[1]], "fn": [[1]], "tn": [[1, 2]]}, "one shape"),
        ({"tp": [[1.5]], "fp": [[1]], "fn": [[1]], "tn": [[1]]}, "integer"),
        ({"tp": [[-1]], "fp": [[1]], "fn": [[1]], "tn": [[1]]}, "negative"),
        ({"tp": [1], "fp": [1], "fn": [1], "tn": [1]}, "one shape"),
    ],
)
def test_counts_that_cannot_be_are_refused(raw, message):
    with pytest.raises(ValueError, match=message):
        Counts.from_json(raw)
