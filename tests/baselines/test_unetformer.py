import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from baselines.unetformer import UNetFormer
from baselines.unetformer.network import (
    GlobalLocalAttention,
    WeightedFusion,
    WindowAttention,
    architecture,
    mirror,
    separable,
)
from rssam.contract import Task
from rssam.weights.folder import WeightsFolder, WeightsNotFound
from tests.baselines.published import publish_resnet
from tests.rssam.fakes import paper_loss, parameters, shake, trainable_parameters


def task(classes=1, size=(64, 64)):
    return Task(tuple("abcdef")[:classes], size)


def small(classes=1, size=(64, 64)):
    torch.manual_seed(0)
    return architecture(task(classes, size), backbone="test_resnet", width=16)


@pytest.mark.parametrize(("classes", "side", "total"), [(1, 512, 11_724_254), (6, 256, 11_724_894)])
def test_totals(classes, side, total):
    with torch.device("meta"):
        net = architecture(task(classes, (side, side)), backbone="resnet18", width=64)
        logits = net(torch.zeros(1, 3, side, side))
    assert parameters(net) == trainable_parameters(net) == total
    assert parameters(net) - parameters(net.backbone) == 547_614 + 128 * classes
    assert parameters(net.auxiliary_head) == 36_992 + 64 * classes
    assert logits.shape == (1, classes, side, side)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("extra", [0, 1, 6, 7])
def test_mirror_is_numpys_reflect(length, extra):
    x = torch.rand(2, 3, length, 5)
    padded = mirror(x, 2, extra)
    np.testing.assert_array_equal(padded, np.pad(x.numpy(), ((0, 0), (0, 0), (0, extra), (0, 0)), mode="reflect"))
    if extra < length:
        assert torch.equal(padded, F.pad(x, (0, 0, 0, extra), mode="reflect"))


def window_attention(attention, x):
    """Of one image [C, h, w], one query after the other; float64."""
    channels, height, width = x.shape
    x = np.pad(x.numpy().astype(np.float64), ((0, 0), (0, -height % 8), (0, -width % 8)), mode="reflect")
    qkv = np.einsum("oc,chw->ohw", attention.qkv.weight.numpy()[:, :, 0, 0], x).reshape(
        3, 8, channels // 8, *x.shape[1:]
    )
    table = attention.bias.relative_position_bias_table.numpy().reshape(15, 15, 8)
    out = np.empty((8, channels // 8, *x.shape[1:]))
    for row, column in np.ndindex(*x.shape[1:]):
        top, left = row - row % 8, column - column % 8
        for head in range(8):
            query = qkv[0, head, :, row, column]
            key, value = (part[head, :, top : top + 8, left : left + 8].reshape(-1, 64) for part in qkv[1:])
            bias = [table[row - top - i + 7, column - left - j + 7, head] for i in range(8) for j in range(8)]
            weight = np.exp(query @ key / np.sqrt(channels // 8) + bias)
            out[head, :, row, column] = value @ weight / weight.sum()
    return out.reshape(channels, *x.shape[1:])[:, :height, :width]


@torch.no_grad()
@pytest.mark.parametrize("size", [(16, 8), (10, 13), (2, 3), (1, 1)])
def test_window_attention(size):
    torch.manual_seed(0)
    attention = shake(WindowAttention(16))
    attention.bias.relative_position_bias_table.normal_()
    x = torch.randn(2, 16, *size)
    expected = np.stack([window_attention(attention, image) for image in x])
    np.testing.assert_allclose(attention(x).numpy(), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_cross_shaped_mean():
    """Three before, itself, four after: one of them reflected, zeros further out."""
    attention = GlobalLocalAttention(16).eval()
    attention.windows = attention.mix = nn.Identity()
    for local in (attention.local3, attention.local1):
        local[0].weight.zero_()
    x = torch.rand(1, 16, 9, 6)
    long = np.zeros((16, 9 + 3 + 4, 6 + 3 + 4))
    long[:, 3:12, 3:9] = x[0]
    down, across = long.copy(), long.copy()
    down[:, 12] = down[:, 10]
    across[:, :, 9] = across[:, :, 7]
    expected = [
        [down[:, i : i + 8, j + 3].mean(axis=1) + across[:, i + 3, j : j + 8].mean(axis=1) for j in range(6)]
        for i in range(9)
    ]
    np.testing.assert_allclose(attention(x)[0, :, :9, :6].permute(1, 2, 0), expected, rtol=1e-5)


def test_norm_of_a_separable_convolution_is_in_its_middle():
    assert [type(layer) for layer in separable(8, 3)] == [nn.Conv2d, nn.BatchNorm2d, nn.Conv2d]


@torch.no_grad()
@pytest.mark.parametrize(("weights", "share"), [((1.0, 1.0), 0.5), ((3.0, 1.0), 0.75), ((2.0, -1.0), 1.0)])
def test_fusion_takes_shares(weights, share):
    fusion = WeightedFusion(16, 16)
    fusion.smooth = nn.Identity()
    fusion.weights.copy_(torch.tensor(weights))
    x, skip = torch.rand(1, 16, 1, 1).expand(1, 16, 2, 2), torch.rand(1, 16, 4, 4)
    expected = share * fusion.project(skip) + (1 - share) * x[:, :, :1, :1]
    torch.testing.assert_close(fusion(x, skip), expected)


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (64, 64), (64, 96), (128, 128)])
def test_maps_smaller_than_a_window(size):
    """The public code raises here: PyTorch reflects no further than the map is wide."""
    with pytest.raises(RuntimeError):
        F.pad(torch.zeros(1, 1, size[0] // 32, 8), (0, 0, 0, -(size[0] // 32) % 8), mode="reflect")
    logits = small(2, size).eval()(torch.rand(2, 3, *size))
    assert logits.shape == (2, 2, *size)
    assert logits.isfinite().all()


def test_auxiliary_head_has_its_loss_and_touches_no_prediction():
    """In the public code it exists only if built in training mode, and 37 thousand parameters fewer are counted."""
    net, images = small(2).eval(), torch.rand(2, 3, 64, 64)
    (weight, logits), (auxiliary_weight, auxiliary) = net.training_outputs(images)
    assert (weight, auxiliary_weight) == (1.0, 0.4)
    assert torch.equal(logits, net(images))
    assert auxiliary.shape == logits.shape
    assert auxiliary.dtype == torch.float32

    nn.init.normal_(net.auxiliary_head[-1].weight)
    assert torch.equal(logits, net(images))

    net.train()
    masks = torch.rand(2, 2, 64, 64).round()
    sum(weight * paper_loss(logits, masks) for weight, logits in net.training_outputs(images)).backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None]
    assert all(p.grad.any() for p in net.auxiliary_head.parameters())


def test_auxiliary_head_sees_all_three_blocks():
    net, images = small().eval(), torch.rand(1, 3, 64, 64)
    net.fuse16.weights.data[1] = net.fuse8.weights.data[1] = 0  # cut the way up: deeper blocks reach it directly only
    net.training_outputs(images)[1][1].sum().backward()
    for block in (net.block32, net.block16, net.block8):
        assert block.mlp[2].bias.grad.any()


def test_backbone_is_loaded(monkeypatch, tmp_path):
    weights, published = publish_resnet(monkeypatch, tmp_path, system=UNetFormer)
    state = UNetFormer(backbone="test_resnet", init="imagenet", width=16).build(task(), weights).backbone.state_dict()
    assert all(torch.equal(tensor, published[name]) for name, tensor in state.items())


def test_without_weights_nothing_is_built(tmp_path):
    with pytest.raises(WeightsNotFound, match="prepare weights resnet18_swsl"):
        UNetFormer(backbone="resnet18", init="imagenet", width=64).build(task(), WeightsFolder(tmp_path))
