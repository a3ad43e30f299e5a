"""The loss against plain NumPy, and its corners."""

import numpy as np
import pytest
import torch

from benchmarks.training.loss import SMOOTH, segmentation_loss

GENERATOR = torch.Generator().manual_seed(0)


def reference(logits: np.ndarray, labels: np.ndarray, ce: float, dice: float) -> float:
    """0.2 CE + 0.8 Dice, one pixel at a time."""
    classes = logits.shape[1]
    entropy, pixels = 0.0, 0
    overlap, mass = np.zeros(classes), np.zeros(classes)
    for image in range(logits.shape[0]):
        for y in range(logits.shape[2]):
            for x in range(logits.shape[3]):
                label = labels[image, y, x]
                if label == 255:
                    continue
                values = logits[image, :, y, x]
                if classes == 1:
                    probability = 1 / (1 + np.exp(-values))
                    truth = np.array([float(label == 1)])
                    entropy -= np.log(probability[0] if label == 1 else 1 - probability[0])
                else:
                    probability = np.exp(values) / np.exp(values).sum()
                    truth = np.eye(classes)[label]
                    entropy -= np.log(probability[label])
                pixels += 1
                overlap += probability * truth
                mass += probability**2 + truth**2
    return ce * entropy / pixels + dice * float(np.mean(1 - (2 * overlap + SMOOTH) / (mass + SMOOTH)))


@pytest.mark.parametrize("classes", [1, 6])
@pytest.mark.parametrize("ignored", [False, True])
def test_equals_a_loop_over_pixels(classes, ignored):
    logits = torch.randn(2, classes, 5, 4, generator=GENERATOR)
    labels = torch.randint(0, max(classes, 2), (2, 5, 4), generator=GENERATOR).to(torch.uint8)
    if ignored:
        labels[:, :2] = 255
    expected = reference(logits.double().numpy(), labels.numpy(), 0.2, 0.8)
    assert float(segmentation_loss(logits, labels, 0.2, 0.8)) == pytest.approx(expected, rel=1e-5)


def test_dice_is_pooled_over_the_group():
    """The mean of two groups' losses is another number: why the group is in the key."""
    logits = torch.randn(4, 1, 8, 8, generator=GENERATOR)
    labels = (torch.rand(4, 8, 8, generator=GENERATOR) < torch.tensor([0.02, 0.9, 0.1, 0.5]).view(4, 1, 1)).to(
        torch.uint8
    )
    whole = segmentation_loss(logits, labels, 0.0, 1.0)
    halves = [segmentation_loss(logits[part], labels[part], 0.0, 1.0) for part in (slice(0, 2), slice(2, 4))]
    assert abs(float(whole) - float(torch.stack(halves).mean())) > 1e-3


@pytest.mark.parametrize("label", [0, 255])
def test_nothing_to_find_is_finite(label):
    logits = torch.zeros(1, 1, 4, 4, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((1, 4, 4), label, dtype=torch.uint8), 0.2, 0.8)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_ignored_pixels_get_no_gradient():
    logits = torch.randn(1, 1, 4, 4, generator=GENERATOR).requires_grad_()
    labels = torch.ones(1, 4, 4, dtype=torch.uint8)
    labels[:, 0] = 255
    segmentation_loss(logits, labels, 0.2, 0.8).backward()
    assert (logits.grad[:, :, 0] == 0).all()
    assert (logits.grad[:, :, 1:] != 0).all()


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_summed_in_single(half):
    """512 x 512 pixels of probability 0.5 summed in bf16 stop growing at 256 and gave a Dice loss near -1000."""
    logits = torch.zeros(1, 1, 512, 512, dtype=half)
    labels = torch.ones(1, 512, 512, dtype=torch.uint8)
    assert float(segmentation_loss(logits, labels, 0.0, 1.0)) == pytest.approx(1 - 2 * 0.5 / 1.25, abs=1e-4)


@pytest.mark.parametrize("classes", [1, 3])
def test_losses_and_gradients_hold_for_the_largest_logits_of_float16(classes):
    logits = torch.linspace(-65504, 65504, 512 * classes).view(2, classes, 16, 16).half().requires_grad_()
    labels = torch.zeros(2, 16, 16, dtype=torch.uint8)
    with torch.autocast("cpu", torch.float16):
        loss = segmentation_loss(logits, labels, 0.2, 0.8)
    (2.0**16 * loss).backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
