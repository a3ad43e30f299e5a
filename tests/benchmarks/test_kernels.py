"""Faster kernels: what is laid out channels last, and that a checkpoint gives the optimiser its layout back."""

import pytest
import torch
from torch import nn

from benchmarks.checkpoint import Checkpoints
from benchmarks.engine import make_optimizer
from benchmarks.kernels import channels_last
from benchmarks.session import choose_workers
from benchmarks.spec import PAPER
from benchmarks.zoo import Fcn, SamLora
from rssam.contract import Task


def test_convolutions_are_channels_last_and_sams_transformer_is_left():
    task = Task(("road",), (32, 32))
    nets = [model.architecture(task) for model in (Fcn("test_resnet", "scratch"), SamLora("vit_t", "scratch"))]
    before = {name: value.clone() for name, value in nets[0].state_dict().items()}
    layouts = []
    for net in nets:
        channels_last(net)
        wide = [value for value in net.parameters() if value.ndim == 4 and min(value.shape[1], value.shape[2]) > 1]
        layouts.append([value.is_contiguous() for value in wide])
    assert layouts[0]
    assert not any(layouts[0])
    assert layouts[1]
    assert all(layouts[1])
    assert all(torch.equal(value, before[name]) for name, value in nets[0].state_dict().items())


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
