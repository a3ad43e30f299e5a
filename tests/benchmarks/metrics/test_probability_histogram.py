"""Histograms of probabilities against loops over pixels, and against the counts that they must agree with."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.metrics.count_probabilities import probability_histograms
from benchmarks.metrics.probability_histogram import BINS, EDGES, HALF, Histogram
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.result import Result
from benchmarks.training.evaluate import evaluate
from data_prep.loading.torch_dataset import PreparedDataset
from rssam.contract import Task
from tests.benchmarks.prepared import SIDE, write_prepared
from tests.reports.fabricate import fabricate, row_run


def probability_histogram(truth, logits):
    """Return the histogram of one image."""
    return probability_histograms(truth[None], logits[None])[0]


def looped(truth, probabilities):
    """The histogram [channels, bins, 2], pixel by pixel."""
    counts = np.zeros((len(probabilities), BINS, 2), np.int64)
    for channel, layer in enumerate(probabilities):
        wanted = 1 if len(probabilities) == 1 else channel
        for label, value in zip(truth.ravel(), layer.ravel(), strict=True):
            if label != 255:
                place = next(number for number in range(BINS) if value <= EDGES[number + 1])
                counts[channel, place, int(label == wanted)] += 1
    return counts


def test_edges_rise_from_zero_to_one_by_hundredths_and_finer():
    assert EDGES[0] == 0
    assert EDGES[-1] == 1
    assert EDGES[HALF] == 0.5
    assert (np.diff(EDGES) > 0).all()
    assert max(np.diff(EDGES)) < 0.0101
    assert {step / 100 for step in range(101)} <= set(EDGES)
    cells = 10_000 * np.array(EDGES)
    assert np.allclose(cells, cells.round(), atol=1e-9)


@pytest.mark.parametrize("channels", [1, 6])
def test_histograms_equal_a_loop(channels):
    generator = torch.Generator().manual_seed(channels)
    truth = torch.randint(0, max(channels, 2), (9, 11), generator=generator).to(torch.uint8)
    truth[0, :3] = 255
    logits = 4 * torch.randn(channels, 9, 11, generator=generator)
    found = probability_histogram(truth, logits)
    probabilities = logits.double().sigmoid() if channels == 1 else logits.softmax(dim=0)
    assert found.dtype == torch.int64
    assert np.array_equal(found.numpy(), looped(truth.numpy(), probabilities.numpy()))
    assert found.sum() == channels * (truth != 255).sum()


def test_a_logit_of_zero_is_background_as_in_the_counts():
    logits = torch.tensor([[[0.0, 1e-12, -1e-12, 50.0, -50.0]]])
    found = probability_histogram(torch.ones(1, 5, dtype=torch.uint8), logits)
    assert found[0, HALF:, 1].sum() == 2
    assert found[0, BINS - 1, 1] == found[0, 0, 1] == 1
    nothing = probability_histogram(torch.ones(1, 5, dtype=torch.uint8), torch.full((1, 1, 5), torch.nan))
    assert nothing[0, 0].tolist() == [0, 5]


class Blurred(torch.nn.Module):
    """Probabilities of all sizes around the true band."""

    def forward(self, images):
        smooth = torch.nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), 9, 1, 4)
        return (smooth - 0.4) * 12


@pytest.mark.parametrize("crop", [None, 32])
def test_what_is_above_a_half_is_what_was_counted(tmp_path, crop):
    data = PreparedDataset(tmp_path, write_prepared(tmp_path, count=5).entries, native=True)
    found = evaluate(Blurred(), data, Task(("road",), (SIDE, SIDE)), crop, torch.device("cpu"))
    above = found.histograms[:, 0, HALF:].sum(axis=1)  # [images, 2]
    below = found.histograms[:, 0, :HALF].sum(axis=1)
    counts = found.counts
    assert found.histograms.shape == (5, 1, BINS, 2)
    assert np.array_equal(above, np.concatenate([counts.fp, counts.tp], axis=1))
    assert np.array_equal(below, np.concatenate([counts.tn, counts.fn], axis=1))
    pooled = Histogram.of_images(found.histograms)
    dice = 2 * counts.tp.sum() / (2 * counts.tp + counts.fp + counts.fn).sum()
    assert pooled.dice()[0, HALF - 1] == pytest.approx(dice)


def histogram(pairs):
    """One channel with these pixels: {bin: (false, true)}."""
    counts = np.zeros((1, BINS, 2), np.int64)
    for place, pixels in pairs.items():
        counts[0, place] = pixels
    return Histogram(counts)


def test_the_sweep_equals_thresholds_applied_one_by_one():
    rng = np.random.default_rng(3)
    probabilities = rng.beta(0.5, 2, 400)
    truth = rng.random(400) < probabilities**0.7
    found = Histogram(looped(truth.astype(int)[None], probabilities[None, None])).dice()[0]
    for place, threshold in enumerate(EDGES[1:-1]):
        predicted = probabilities > threshold
        assert found[place] == pytest.approx(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))


def test_calibration_error_by_hand():
    low, high = EDGES.index(0.2) - 1, EDGES.index(0.8)  # 0.19 to 0.2 and 0.8 to 0.81
    error, doubt = histogram({low: (60, 40), high: (10, 90)}).calibration_error()
    assert error == pytest.approx((abs(0.4 - 0.195) + abs(0.9 - 0.805)) / 2)
    assert doubt == pytest.approx(0.005)
    assert math.isnan(histogram({}).calibration_error()[0])


def test_the_error_from_bins_is_that_from_pixels_within_what_is_left_open():
    rng = np.random.default_rng(4)
    probabilities = rng.beta(0.1, 1.0, 50_000)
    truth = rng.random(probabilities.size) < probabilities**1.3
    place = np.searchsorted(EDGES[1:-1], probabilities)
    counts = np.bincount(place * 2 + truth, minlength=BINS * 2).reshape(1, BINS, 2)
    error, doubt = Histogram(counts).calibration_error()
    exact = sum(abs((truth - probabilities)[place == number].sum()) for number in range(BINS)) / truth.size
    assert abs(error - exact) <= doubt < 0.0025
    assert error > 3 * doubt


def test_reliability_sums_bins_into_tenths():
    mean, share, pixels = histogram({0: (90, 10), EDGES.index(0.5): (1, 3)}).reliability()
    assert pixels.tolist() == [100, 0, 0, 0, 0, 4, 0, 0, 0, 0]
    assert (share[0], share[5]) == (0.1, 0.75)
    assert (mean[0], mean[5]) == pytest.approx((0.00005, 0.505))
    assert math.isnan(share[1])


def test_no_truth_gives_no_dice_and_an_empty_prediction_zero():
    assert np.isnan(histogram({HALF: (5, 0)}).dice()).all()
    assert histogram({0: (5, 5)}).dice()[0].tolist() == [0.0] * (BINS - 1)


def test_histograms_add_up_unless_their_bins_differ():
    small = histogram({3: (1, 2)})
    assert (small + small).counts.sum() == 6
    with pytest.raises(ValueError, match="different bins"):
        small + Histogram(small.counts[:, :2], EDGES[:3])


def test_results_keep_the_pooled_histogram_where_there_is_one():
    old = fabricate(row_run(0))
    assert "probabilities" not in old.to_json()
    assert Result.from_json(json.loads(json.dumps(old.to_json()))).probabilities is None
    new = replace(old, probabilities=histogram({3: (1, 2), HALF: (4, 5)}))
    text = json.dumps(new.to_json(), separators=(",", ":"))
    assert new.key == old.key
    assert len(text) - len(json.dumps(old.to_json(), separators=(",", ":"))) < 4000
    found = Result.from_json(json.loads(text))
    assert np.array_equal(found.probabilities.counts, new.probabilities.counts)
    assert found.probabilities.edges == EDGES
    raw = json.loads(text)
    raw["probabilities"]["counts"][0][0][0] = 0.5
    with pytest.raises(ResultDamaged, match="probabilities"):
        Result.from_json(raw)
