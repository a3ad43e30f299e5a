"""Faster kernels: what is laid out channels last, and that a checkpoint gives the optimiser its layout back."""

import copy

import pytest
import torch
from torch import nn

from benchmarks.execution.hardware import choose_workers
from benchmarks.protocol.recipe import PAPER
from benchmarks.protocol.registry import MODELS, smallest
from benchmarks.training.checkpoint import Checkpoints
from benchmarks.training.compile import channels_last
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.reproducibility import seeded
from rssam.contract import Task, cli_options

TASK = Task(("road",), (64, 64))
SAM = {name for name, model in MODELS.items() if "encoder" in cli_options(model)}


def apart(net):
    """Weights of convolutions that have another order of bytes channels last."""
    return [value for value in net.parameters() if value.ndim == 4 and min(value.shape[1], value.shape[2]) > 1]


@pytest.mark.parametrize("name", sorted(MODELS.keys() - SAM))
def test_convolutions_channels_last_give_the_same(name):
    """State dict bit for bit, logits and every gradient to rounding, in float64.

    Without dropout, which draws in the order of memory: other elements, as good as the first.
    """
    with seeded(0):
        net = smallest(MODELS[name]).architecture(TASK).double().train()
        for module in net.modules():
            if isinstance(module, nn.Dropout | nn.Dropout2d):
                module.p = 0.0
        images = torch.rand(2, 3, *TASK.image_size, dtype=torch.float64)
    laid, before = copy.deepcopy(net), copy.deepcopy(net.state_dict())
    channels_last(laid)
    assert apart(laid)
    assert not any(value.is_contiguous() for value in apart(laid))
    assert list(laid.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in laid.state_dict().items())
    found, wanted = outcome(laid, images), outcome(net, images)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, atol=1e-6, rtol=1e-6, msg=lambda m, k=key: f"{k}: {m}")


def outcome(net, images):
    """Logits of an evaluation, and of a training pass its logits and gradients; logits are float32."""
    logits = net(images)
    logits.square().mean().backward()
    gradients = {key: value.grad for key, value in net.named_parameters() if value.grad is not None}
    with torch.no_grad():
        return {"training": logits.detach(), "evaluation": net.eval()(images), **gradients}


@pytest.mark.parametrize("name", sorted(SAM))
def test_a_transformer_of_sam_is_left(name):
    """RSAM-Seg, whose blocks are its own, was not known for one, and was laid out channels last."""
    net = smallest(MODELS[name]).architecture(TASK)
    channels_last(net)
    assert apart(net)
    assert all(value.is_contiguous() for value in apart(net))


@pytest.mark.parametrize("fused", [False, True])
def test_resumed_with_channels_last_equals_straight(tmp_path, fused):
    """The fused kernel walks through memory: a moment in another layout than its parameter would be misread."""
    torch.manual_seed(0)
    start = nn.Conv2d(3, 5, 3).state_dict()
    images = torch.rand(3, 2, 3, 8, 8)

    def fresh():
        net = nn.Conv2d(3, 5, 3)
        net.load_state_dict(start)
        channels_last(net)
        return net, make_optimizer(net, PAPER, 0.01, fused=fused)

    def step(net, optimizer, number):
        net(images[number]).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    straight, optimizer = fresh()
    for number in range(2):
        step(straight, optimizer, number)
    Checkpoints(tmp_path).save(straight, optimizer, {"best_epoch": 0}, {})
    step(straight, optimizer, 2)
    resumed, optimizer = fresh()
    Checkpoints(tmp_path).resume(resumed, optimizer)
    step(resumed, optimizer, 2)
    assert torch.equal(resumed.weight, straight.weight)
    assert optimizer.state[resumed.weight]["exp_avg"].stride() == resumed.weight.stride()
    assert resumed.weight.stride() != nn.Conv2d(3, 5, 3).weight.stride()


def test_workers_are_chosen_by_the_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(12)))
    assert [choose_workers(wish, "cuda") for wish in (None, 0, 20)] == [6, 0, 20]
    assert choose_workers(None, "cuda", jobs=3) == 2
    assert choose_workers(None, "cuda", jobs=30) == 1
    assert choose_workers(None, "cpu") == 0
