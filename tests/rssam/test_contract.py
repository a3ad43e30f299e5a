"""Images are brought to 0..1 once, and what is in no known range is refused."""

import pytest
import torch

from rssam import to_unit_range


def test_bytes_are_divided_and_floats_are_kept():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    images = to_unit_range(pixels)
    assert images.dtype == torch.float32
    assert torch.equal(images, pixels / 255)
    assert torch.equal(to_unit_range(images), images)
    assert to_unit_range(images.double()).dtype == torch.float32
    assert to_unit_range(torch.zeros(0, 3, 8, 8)).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("wrong", [254.0, 1.01, -0.01, float("nan"), float("inf")])
def test_floats_of_another_range_are_refused(wrong):
    """A network took 0..255 in floats for 0..1 and gave other logits without a word."""
    images = torch.zeros(1, 3, 8, 8)
    images[0, 1, 2, 3] = wrong
    with pytest.raises(ValueError, match=r"expected images float in 0\.\.1, found .*: divide 0\.\.255 by 255"):
        to_unit_range(images)


@pytest.mark.parametrize("kind", [torch.int64, torch.int16, torch.bool])
def test_other_integers_are_refused(kind):
    with pytest.raises(TypeError, match=f"found {kind}"):
        to_unit_range(torch.zeros(1, 3, 8, 8, dtype=kind))
