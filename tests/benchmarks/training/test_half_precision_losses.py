"""Six steps of five systems in bfloat16 and float16 have the losses of float32, within bounds.

Products are taken in float32 and rounded once, as tensor cores do; the CPU's own take ten times as long.
"""

import dataclasses
from contextlib import nullcontext

import pytest
import torch

from baselines.manet import MANet
from baselines.sam_lora import SamLora
from baselines.unet import UNet
from baselines.unetformer import UNetFormer
from benchmarks.protocol.recipe import PAPER
from benchmarks.protocol.registry import MODELS
from benchmarks.training.loop import make_fabric, set_up_training
from benchmarks.training.loss import training_loss
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.precision import LossScale
from benchmarks.training.reproducibility import seeded
from rssam.config import RSSAM
from rssam.contract import Task
from tests.rssam.fakes import tiles
from tests.rssam.half_precision import Float32Products

SYSTEMS = {
    "rs-sam": RSSAM("vit_t", "scratch"),
    "sam-lora": SamLora("vit_t", "scratch"),
    "unet": UNet(8),
    "manet": dataclasses.replace(MODELS["manet"], **{**MANet.small, "init": "scratch"}),
    "unetformer": dataclasses.replace(MODELS["unetformer"], **{**UNetFormer.small, "init": "scratch"}),
}
BOUNDS = {"bf16-mixed": (torch.bfloat16, 0.1), "16-mixed": (torch.float16, 0.05)}
"""Type of the products, and how far the loss of any step may be from that in float32, as a share of the first loss.

Found in ten steps: RS-SAM 0.011 and 0.028, whose loss falls by nine tenths; UNetFormer 0.002; SAM-LoRA 0.0005 and
0.0016; U-Net and MANet at most 0.0004.
"""
STEPS, RATE = 6, 1e-4


def losses(model, precision):
    """Loss of each step, and how many steps overflowed."""
    images, masks = (part[:2] for part in tiles())
    labels = masks[:, 0].long()
    with seeded(0):
        net = model.architecture(Task(("road",), tuple(images.shape[-2:]))).train()
        for module in net.modules():
            if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d):
                module.p = 0.0  # its draws depend on the type of the map
        fabric = make_fabric("cpu", precision)
        wrapped, optimizer = set_up_training(fabric, net, make_optimizer(net, PAPER, RATE, fused=True))
        scale = LossScale(fabric, {})
        found = []
        for _ in range(STEPS):
            with Float32Products(BOUNDS[precision][0]) if precision in BOUNDS else nullcontext():
                with fabric.autocast():
                    loss = training_loss(wrapped, images, labels, 0.2, 0.8)
                fabric.backward(loss)
            scale.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
            found.append(float(loss.detach()))
    return torch.tensor(found), scale.take_left_out()


BESIDES = ("manet", "unetformer")
"""Further networks of convolutions, whose losses differ least: only among the slow tests."""


@pytest.mark.parametrize("system", [pytest.param(n, marks=pytest.mark.slow if n in BESIDES else ()) for n in SYSTEMS])
def test_losses_are_those_of_fp32(system):
    exact, _ = losses(SYSTEMS[system], "32-true")
    assert exact[-1] < exact[0]
    for precision, (_, bound) in BOUNDS.items():
        found, overflows = losses(SYSTEMS[system], precision)
        assert overflows == 0
        assert (found - exact).abs().max() < bound * exact[0], precision
