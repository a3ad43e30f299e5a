"""Masks in memory: any array of labels is counted, and more classes than a byte tells apart are refused."""

import numpy as np
import pytest
import torch

from benchmarks.scoring.count_masks import count_masks

MASK = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)


@pytest.mark.parametrize(
    "masks", [np.stack([MASK, MASK]), torch.from_numpy(np.stack([MASK, MASK])), [MASK.tolist()] * 2]
)
def test_arrays_tensors_and_lists_are_masks(masks):
    """One array of all: "The truth value of an array is ambiguous". Tensors and lists had no attribute `astype`."""
    counts = count_masks(masks, masks)
    assert (counts.tp.tolist(), counts.fn.tolist()) == ([[3], [3]], [[0], [0]])


@pytest.mark.parametrize("classes", [0, 256, 300])
def test_a_number_of_classes_that_a_byte_cannot_tell_is_refused(classes):
    """Of 300 classes the label 256 was counted as class 0, and of 256 the last one was ignored."""
    with pytest.raises(ValueError, match=f"expected 1 to 255 classes, found {classes}"):
        count_masks([MASK], [MASK], classes=classes)


def test_a_masked_array_is_refused():
    with pytest.raises(ValueError, match="found also None"):
        count_masks([np.ma.masked_equal(MASK, 1)], [MASK])
