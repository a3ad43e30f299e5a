"""What every system must keep, tested over MODELS on each system's smallest variant: to be listed is to be tested."""

import copy

import numpy as np
import pytest
import torch

from benchmarks.engine import training_loss
from benchmarks.zoo import MODELS, smallest, variants
from rssam.contract import Model, Task
from rssam.weights import WeightsFolder
from tests.rssam.fakes import deaf, tiles

NOWHERE = WeightsFolder("/nowhere")
ROAD = ("road",)
SIX = ("building", "road", "pavement", "vegetation", "bare soil", "water")
SMALL = [pytest.param(smallest(model), id=name) for name, model in MODELS.items()]


def built(model, classes=ROAD, size=(64, 64), seed=0):
    torch.manual_seed(seed)
    return model.build(Task(classes, size), NOWHERE)


def loss_of(net, images, labels):
    return training_loss(net, images, labels, ce_weight=0.2, dice_weight=0.8)


@pytest.mark.parametrize("model", SMALL)
def test_declaration(model):
    assert isinstance(model, Model)
    assert model.weights_needed() == ()
    assert hash(model) == hash(copy.deepcopy(model))


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (96, 160)], ids=["64", "128", "96x160"])
@pytest.mark.parametrize("classes", [ROAD, SIX], ids=["binary", "six"])
@pytest.mark.parametrize("model", SMALL)
@torch.no_grad()
def test_forward_contract(model, classes, size):
    """Logits float32 [B, channels, H, W] at the input's resolution, alike in training and evaluation."""
    net = built(model, classes, size)
    for batch in (1, 3):
        images = torch.rand(batch, 3, *size)
        for mode in (net.train(), net.eval()):
            logits = mode(images)
            assert logits.shape == (batch, len(classes), *size)
            assert logits.dtype == torch.float32
            assert logits.isfinite().all()
            assert logits.std() > 0


@pytest.mark.parametrize("model", SMALL)
@torch.no_grad()
def test_images_of_a_batch_do_not_mix(model):
    net = built(model).eval()
    images = torch.rand(3, 3, 64, 64)
    torch.testing.assert_close(net(images)[1:2], net(images[1:2]), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("model", SMALL)
def test_two_steps_train_what_is_declared_trainable(model):
    net = built(model)
    images, masks = tiles()
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    trainable = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-3)
    silent = set(trainable)
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(net, images, masks[:, 0].long()).backward()
        silent -= {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
        optimizer.step()
    changed = {name for name, parameter in net.named_parameters() if not torch.equal(parameter, before[name])}
    heard = {name for name in trainable if not deaf(name)}
    assert not silent & heard
    assert heard <= changed <= trainable


@pytest.mark.parametrize("model", SMALL)
@torch.no_grad()
def test_built_twice_is_the_same_and_the_state_makes_the_round_trip(model):
    first, second, other = built(model).eval(), built(model).eval(), built(model, seed=1).eval()
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(first(images), second(images))
    assert not torch.equal(first(images), other(images))
    other.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(first(images), other(images))


@pytest.mark.parametrize("model", SMALL)
def test_building_leaves_the_global_state_alone(model):
    flags = torch.is_grad_enabled(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
    rng = np.random.get_state()[1].copy()
    built(model)
    assert flags == (
        torch.is_grad_enabled(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled(),
    )  # fmt: skip
    assert (rng == np.random.get_state()[1]).all()


@pytest.mark.parametrize("model", SMALL)
def test_overfits_four_tiles(model):
    """Four tiles of 64 pixels, squares of 26: a network that cannot learn them by heart is wired wrongly."""
    net = built(model)
    images, masks = tiles()
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-3)
    for step in range(200):
        optimizer.zero_grad()
        loss_of(net, images, masks[:, 0].long()).backward()
        optimizer.step()
        if step % 10 == 9 and dice(net, images, masks) > 0.9:
            break
    assert dice(net, images, masks) > 0.9


@torch.no_grad()
def dice(net, images, masks):
    """Dice in training mode: the running statistics of batch norm are young, and tested elsewhere."""
    found = net(images) > 0
    return float(2 * (found * masks).sum() / (found.sum() + masks.sum()))


@pytest.mark.parametrize("model", SMALL)
def test_bfloat16_is_finite_forward_and_backward(model):
    net = built(model)
    images, masks = tiles()
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(images)
        loss = loss_of(net, images, masks[:, 0].long())
    loss.backward()
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


@pytest.mark.slow
@pytest.mark.parametrize("model", [pytest.param(m, id=f"{m.name}-{getattr(m, 'encoder', 'own')}") for m in variants()])
def test_real_size_forward_and_backward(model):
    """The systems as the tables declare them; random numbers stand in for pretrained weights."""
    torch.manual_seed(0)
    net = model.architecture(Task(ROAD, (256, 256)))
    images = torch.rand(1, 3, 256, 256)
    labels = (images.mean(dim=1) > 0.5).long()
    loss = loss_of(net, images, labels)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
