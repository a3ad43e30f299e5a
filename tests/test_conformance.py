"""What every system must keep, tested over MODELS on each system's smallest variant: to be listed is to be tested.

The checks are those of `benchmarks/conformance.py`, which a user's own system can be held against too; that each can
fail is tested in tests/benchmarks/test_conformance.py.
"""

import pytest
import torch

from benchmarks.conformance import BINARY, CHECKS, built, loss_of
from benchmarks.protocol.registry import MODELS, smallest, variants
from rssam.contract import Task

SMALL = [pytest.param(smallest(model), id=name) for name, model in MODELS.items()]


LONG = ("unet-smp", "unetformer")
"""Systems that take 50 and 80 steps to learn four tiles by heart; quick checks train them for two."""


def marks(name, check):
    """Half precision of a CPU in float16 is slow too: the quick checks have bfloat16, and a test of losses both."""
    slow = check.name == "float16" or (name in LONG and check.name == "overfitting")
    return pytest.mark.slow if slow else ()


@pytest.mark.parametrize(
    ("model", "check"),
    [
        pytest.param(smallest(model), check, id=f"{name}-{check.name.replace(' ', '-')}", marks=marks(name, check))
        for name, model in MODELS.items()
        for check in CHECKS
    ],
)
def test_conformance(model, check):
    check.run(model)


@pytest.mark.parametrize("model", SMALL)
def test_images_of_integers_are_refused(model):
    """Their 0..255 were taken for 0..1: logits of FCN differed by 26, of HRNet by 1442, without a word."""
    net = built(model).eval()
    for dtype in (torch.uint8, torch.int64):
        with pytest.raises(TypeError, match=rf"float \[B, 3, H, W\] in 0\.\.1, found {dtype}: divide 0\.\.255 by 255"):
            net(torch.zeros(1, 3, 64, 64, dtype=dtype))


@pytest.mark.slow
@pytest.mark.parametrize("model", [pytest.param(m, id=f"{m.name}-{getattr(m, 'encoder', 'own')}") for m in variants()])
def test_real_size_forward_and_backward(model):
    """The systems as the tables declare them; random numbers stand in for pretrained weights."""
    torch.manual_seed(0)
    net = model.architecture(Task(BINARY, (256, 256)))
    images = torch.rand(1, 3, 256, 256)
    loss = loss_of(net, images, (images.mean(dim=1, keepdim=True) > 0.5).float())
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
