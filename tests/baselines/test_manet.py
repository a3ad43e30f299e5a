import numpy as np
import pytest
import torch

from baselines.manet import MANet
from baselines.manet.network import Attention, ChannelAttention, KernelAttention, architecture
from rssam.contract import Task
from rssam.weights.folder import WeightsFolder, WeightsNotFound
from tests.baselines.published import publish_resnet
from tests.rssam.fakes import parameters, shake, trainable_parameters


def task(classes=1, side=64):
    return Task(tuple("abcdef")[:classes], (side, side))


@pytest.mark.parametrize(
    ("backbone", "classes", "side", "total"),
    [
        ("resnet50", 1, 512, 35_859_177),
        ("resnet50", 6, 256, 35_860_622),
        ("resnet18", 1, 512, 11_985_145),
        ("resnet18", 6, 256, 11_986_590),
    ],
)
def test_totals(backbone, classes, side, total):
    """The other network of this name, smp's, has 147.44 million with a ResNet-50."""
    with torch.device("meta"):
        net = architecture(task(classes, side), backbone=backbone)
        logits = net(torch.zeros(1, 3, side, side))
    assert parameters(net) == trainable_parameters(net) == total
    assert logits.shape == (1, classes, side, side)


def softplus(x):
    return np.logaddexp(0, x)


def pointwise(conv, x):
    """A 1x1 convolution of [C, N], float64."""
    weight = conv.weight.detach().numpy()[:, :, 0, 0].astype(np.float64)
    return weight @ x + conv.bias.detach().numpy().astype(np.float64)[:, None]


def queries_and_keys(attention, x):
    """Of one image [C, h, w]: queries and keys [C/8, N], their softplus taken, and the image [C, N]; float64."""
    x = x.detach().numpy().astype(np.float64).reshape(len(x), -1)
    return softplus(pointwise(attention.query, x)), softplus(pointwise(attention.key, x)), x


def kernel_attention(attention, x):
    """Of one image [C, h, w]: every position asks every position, as attention is written down."""
    query, key, flat = queries_and_keys(attention, x)
    value = pointwise(attention.value, flat)
    out = np.empty_like(value)
    for i in range(flat.shape[1]):
        weight = query[:, i] @ key
        out[:, i] = value @ weight / weight.sum()
    return (flat + float(attention.gamma) * out).reshape(x.shape)


@torch.no_grad()
def test_kernel_attention_is_attention_with_softplus():
    torch.manual_seed(0)
    attention = shake(KernelAttention(16))
    attention.gamma.fill_(0.7)
    x = torch.randn(2, 16, 5, 3)
    expected = np.stack([kernel_attention(attention, image) for image in x])
    np.testing.assert_allclose(attention(x).numpy(), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_kernel_attention_survives_float16():
    """The normaliser passes 65,504 in float16: its inverse is 0, and the output would be the input alone."""
    torch.manual_seed(0)
    attention = shake(KernelAttention(32))
    attention.gamma.fill_(1)
    attention.query.bias.fill_(3)
    attention.key.bias.fill_(3)
    x = torch.randn(1, 32, 64, 64)

    query, key, _ = queries_and_keys(attention, x[0])
    with np.errstate(over="ignore"):
        normaliser = (key.sum(axis=1) @ query).astype(np.float16)
    assert np.isinf(normaliser).all()
    assert not (1 / normaliser).any()

    with torch.autocast("cpu", torch.float16):
        out = attention(x)
    expected = kernel_attention(attention, x[0])
    assert np.abs(expected - x[0].numpy()).max() > 0.1
    np.testing.assert_allclose(out[0].numpy(), expected, rtol=0.01, atol=0.01)


def channel_attention(x, gamma):
    """Of one image [C, h, w], one pair of channels after the other."""
    x = x.numpy().astype(np.float64)
    out = np.empty_like(x)
    for i, channel in enumerate(x):
        likeness = np.array([(channel * other).sum() for other in x])
        weight = np.exp(-likeness + likeness.min())
        out[i] = channel + gamma * np.tensordot(weight / weight.sum(), x, axes=1)
    return out


@torch.no_grad()
@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
def test_channel_attention_goes_to_the_least_alike(bfloat16):
    """In bfloat16, likenesses of a few hundred are rounded to the next even number, and other channels are chosen."""
    torch.manual_seed(0)
    attention = ChannelAttention()
    attention.gamma.fill_(0.7)
    x = 0.8 + 0.1 * torch.randn(2, 12, 16, 16)
    expected = np.stack([channel_attention(image, 0.7) for image in x])
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        out = attention(x)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_attention_starts_as_twice_its_input():
    x = torch.rand(2, 16, 4, 4)
    torch.testing.assert_close(Attention(16)(x), 2 * x)


def test_backbone_is_loaded(monkeypatch, tmp_path):
    weights, published = publish_resnet(monkeypatch, tmp_path, system=MANet)
    state = MANet(backbone="test_resnet", init="imagenet").build(task(), weights).backbone.state_dict()
    assert all(torch.equal(tensor, published[name]) for name, tensor in state.items())


@pytest.mark.parametrize("backbone", ["resnet50", "resnet18"])
def test_without_weights_nothing_is_built(tmp_path, backbone):
    with pytest.raises(WeightsNotFound, match=f"prepare weights {backbone} "):
        MANet(backbone=backbone, init="imagenet").build(task(), WeightsFolder(tmp_path))


@pytest.mark.parametrize("size", [300.0, 3000.0])
def test_attention_of_large_maps_is_finite_in_float16(size):
    """Likenesses of channels pass 65,504 from maps of 4 on, and in float16 both attentions were NaN."""
    torch.manual_seed(0)
    attention = shake(Attention(32))
    for part in (attention.position, attention.channel):
        torch.nn.init.constant_(part.gamma, 0.7)
    for layer in (attention.position.query, attention.position.key):
        torch.nn.init.normal_(layer.weight, std=1 / size)  # softplus is 0 below -104, in float32 too
    x = (size * torch.randn(1, 32, 64, 64)).requires_grad_()
    exact = attention(x)
    with torch.autocast("cpu", torch.float16):
        found = attention(x)
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < 0.01 * exact.abs().max()
    found.mean().backward()
    assert x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in attention.parameters())
