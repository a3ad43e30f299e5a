"""Activation checkpointing changes no number: loss, gradients, running statistics and random states, bit for bit."""

import copy
from functools import partial

import pytest
import torch

from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.setting import Setting
from benchmarks.training.activation_checkpointing import enable_activation_checkpointing
from benchmarks.training.loss import training_loss
from benchmarks.training.reproducibility import seeded
from rssam.contract import Task
from rssam.weights.folder import WeightsFolder

SIDE = 64


def step(net, images, labels):
    net.train()
    torch.manual_seed(7)
    for _ in range(2):  # two groups: batch norm has moved when the second one is run
        loss = training_loss(net, images, labels, 0.2, 0.8)
        loss.backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters() if parameter.grad is not None}
    return loss.detach(), gradients, dict(net.named_buffers()), torch.get_rng_state()


@pytest.mark.parametrize("name", MODELS)
def test_no_number_changes(tmp_path, name):
    model = Setting("smoke").run(MODELS[name], "deepglobe").model
    with seeded(0):
        net = model.build(Task(("road",), (SIDE, SIDE)), WeightsFolder(tmp_path))
        twin = copy.deepcopy(net)
        images, labels = torch.rand(2, 3, SIDE, SIDE), (torch.rand(2, SIDE, SIDE) > 0.7).to(torch.uint8)
        loss, gradients, buffers, state = step(net, images, labels)
        assert enable_activation_checkpointing(twin) > 1
        twin_loss, twin_gradients, twin_buffers, twin_state = step(twin, images, labels)
    assert torch.equal(loss, twin_loss)
    assert torch.equal(state, twin_state)
    assert gradients.keys() == twin_gradients.keys()
    assert [key for key, value in gradients.items() if not torch.equal(value, twin_gradients[key])] == []
    assert [key for key, value in buffers.items() if not torch.equal(value, twin_buffers[key])] == []


def test_statistics_would_move_twice_without_care():
    """A second run of batch norm in the backward pass gave num_batches_tracked 2 and other running means."""
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    twin = copy.deepcopy(net)
    images = torch.rand(2, 3, 8, 8)
    torch.utils.checkpoint.checkpoint(net, images, use_reentrant=False).sum().backward()
    assert enable_activation_checkpointing(twin) == 1
    twin(images).sum().backward()
    assert (int(net[1].num_batches_tracked), int(twin[1].num_batches_tracked)) == (2, 1)


def test_less_is_kept_for_the_backward_pass(tmp_path):
    """Bytes that autograd keeps for a step of the transformer encoder: below a half."""
    model = Setting("smoke").run(MODELS["sam-lora"], "deepglobe").model
    kept = []
    for wrapped in (False, True):
        with seeded(0):
            net = model.build(Task(("road",), (SIDE, SIDE)), WeightsFolder(tmp_path)).train()
        if wrapped:
            enable_activation_checkpointing(net)
        storages = {}
        with torch.autograd.graph.saved_tensors_hooks(partial(remember, storages), lambda tensor: tensor):
            net(torch.rand(2, 3, SIDE, SIDE)).sum()
        weights = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
        kept.append(sum(storage.nbytes() for place, storage in storages.items() if place not in weights))
    assert kept[1] < 0.5 * kept[0]


def remember(storages, tensor):
    storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
    return tensor
