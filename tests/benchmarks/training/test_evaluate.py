"""Counts at the label's resolution, against a loop; windows against the whole image."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.metrics.confusion import confusion_matrices, confusion_matrix
from benchmarks.training.evaluate import evaluate, to_float, validation_loss
from benchmarks.training.loss import segmentation_loss
from data_prep.errors import DataError
from data_prep.loading.torch_dataset import PreparedDataset
from rssam.contract import Task
from tests.benchmarks.prepared import SIDE, TINY, write_prepared

TASK = Task(("road",), (SIDE, SIDE))
CPU = torch.device("cpu")


class Brightness(nn.Module):
    """Road where the pixel is brighter than half: a network that looks at one pixel at a time."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.mean(dim=1, keepdim=True) - 0.5) * 20


@pytest.fixture
def data(tmp_path):
    manifest = write_prepared(tmp_path, count=5)
    return PreparedDataset(tmp_path, manifest.entries, native=True)


def test_images_are_scaled_once():
    """Floats of 0..1 were divided by 255 again, and the network saw black images without a word."""
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    scaled = to_float(pixels, CPU)
    assert (float(scaled.min()), float(scaled.max())) == (0, 1)
    for wrong in (scaled, pixels.long()):
        with pytest.raises(TypeError, match=rf"expected images uint8 in 0\.\.255, found {wrong.dtype}"):
            to_float(wrong, CPU)


@pytest.mark.parametrize("classes", [1, 6, 200])
def test_confusion_equals_a_loop(classes):
    rng = np.random.default_rng(1)
    size = max(classes, 2)
    truth, guess = rng.integers(0, size, (2, 9, 7))
    truth[0] = 255
    expected = np.zeros((size, size), np.int64)
    for t, g in zip(truth.ravel(), guess.ravel(), strict=True):
        if t != 255:
            expected[t, g] += 1
    task = Task(tuple(f"class {number}" for number in range(classes)), (32, 32))
    found = confusion_matrix(*(torch.from_numpy(labels).to(torch.uint8) for labels in (truth, guess)), task)
    assert found.numpy().tolist() == expected.tolist()


@pytest.mark.parametrize("wrong", [6, 42, 254])
def test_a_truth_of_no_class_is_in_no_cell(wrong):
    truth = torch.full((4, 4), wrong, dtype=torch.uint8)
    with pytest.raises(RuntimeError):
        confusion_matrix(truth, torch.zeros_like(truth), Task(tuple("abcdef"), (32, 32)))


@pytest.mark.parametrize("crop", [None, 32])
def test_counts_equal_a_loop_whole_and_in_windows(data, crop):
    evaluation = evaluate(Brightness(), data, TASK, crop, CPU)
    for number in range(len(data)):
        item = data[number]
        guess = item["image"].float().mean(dim=0) / 255 > 0.5
        truth = item["mask"] == 1
        assert evaluation.counts.tp[number, 0] == int((guess & truth).sum())
        assert evaluation.counts.fp[number, 0] == int((guess & ~truth).sum())
        assert evaluation.counts.fn[number, 0] == int((~guess & truth).sum())
        assert evaluation.counts.tn[number, 0] == int((~guess & ~truth).sum())
        assert np.array_equal(evaluation.predictions[number], guess.numpy())


@pytest.mark.parametrize(("crop", "together"), [(None, 2), (None, 8), (32, 8), (32, 3)])
def test_images_predicted_together_count_as_one_by_one(data, crop, together):
    """Against the same pass with one image at a time: counts, histograms, labels, in the order of the images."""
    one = evaluate(Brightness(), data, TASK, crop, CPU)
    told = []
    several = evaluate(
        Brightness(), data, TASK, crop, CPU, lambda *progress: told.append(progress), together=together, readers=2
    )
    assert several.images == one.images
    for name in ("counts", "native_counts"):
        for ours, theirs in zip(vars(getattr(several, name)).values(), vars(getattr(one, name)).values(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(several.histograms, one.histograms)
    np.testing.assert_array_equal(np.stack(several.predictions), np.stack(one.predictions))
    at_once = max(1, together // (1 if crop is None else (SIDE // crop) ** 2))
    assert told == [(min(done, 5), 5) for done in range(at_once, 5 + at_once, at_once)]


def test_a_truth_of_no_class_is_found_in_a_batch():
    """Cells of a batch lie one after another: it would have been counted for the image that follows."""
    truth = torch.zeros(3, 4, 4, dtype=torch.uint8)
    truth[1, 2, 2] = 6
    with pytest.raises(RuntimeError, match="none of the 6 classes"):
        confusion_matrices(truth, torch.zeros_like(truth), Task(tuple("abcdef"), (32, 32)))


def test_an_image_that_cannot_be_read_ends_the_pass(data):
    (data.folder / data.entries[3].image).write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read"):
        evaluate(Brightness(), data, TASK, None, CPU, readers=2)


def test_native_counts_are_of_the_native_mask(data):
    native = evaluate(Brightness(), data, TASK, None, CPU).native_counts
    assert native is not None
    total = native.tp + native.fp + native.fn + native.tn
    assert (total == (2 * SIDE) ** 2).all()
    assert (native.tp + native.fn)[0, 0] == int((data[0]["native_mask"] == 1).sum())


def test_validation_loss_weighs_a_smaller_last_group(data):
    items = [data[number] for number in range(5)]
    expected = 0.0
    for first in (0, 2, 4):
        group = items[first : first + 2]
        images = torch.stack([item["image"] for item in group]).float() / 255
        labels = torch.stack([item["mask"] for item in group])
        expected += len(group) * float(segmentation_loss(Brightness()(images), labels, 0.2, 0.8))
    assert validation_loss(Brightness(), data, TINY, CPU) == pytest.approx(expected / 5, rel=1e-6)


@pytest.mark.parametrize("group", [1, 3])
def test_validation_decodes_an_image_once_for_all_its_windows(data, monkeypatch, group):
    """Four windows an image were four decodings, sixteen in the smoke profile."""
    read, whole = [], PreparedDataset.__getitem__
    monkeypatch.setattr(PreparedDataset, "__getitem__", lambda self, index: read.append(index) or whole(self, index))
    validation_loss(Brightness(), data, replace(TINY, crop=SIDE // 2, batch=3, group=group), CPU)
    assert read == [0, 1, 2, 3, 4]
