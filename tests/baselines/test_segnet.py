import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import vgg

from baselines.segnet import SegNet
from baselines.segnet import network as segnet
from baselines.segnet.network import architecture, unpool
from rssam.contract import Task
from rssam.weights.convert import convert_checkpoint
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound
from tests.rssam.fakes import parameters, shake, trainable_parameters

ROAD = Task(("road",), (64, 64))
LAND = tuple("abcdef")
ENCODER = [64, 64, "pool", 128, 128, "pool", *[256] * 3, "pool", *[512] * 3, "pool", *[512] * 3, "pool"]
DECODER = [
    "unpool", 512, 512, 512, "unpool", 512, 512, 256, "unpool", 256, 256, 128, "unpool", 128, 64, "unpool", 64, "head",
]  # fmt: skip
"""The authors' layer table: output channels of each convolution."""


# meetps/pytorch-semseg has 29,443,587 for one class: a batch norm on the logits
@pytest.mark.parametrize(("classes", "side", "total"), [(("road",), 512, 29_443_585), (LAND, 256, 29_446_470)])
def test_totals(classes, side, total):
    with torch.device("meta"):
        net = architecture(Task(classes, (side, side)), width=64)
        logits = net(torch.zeros(1, 3, side, side))
    assert parameters(net) == trainable_parameters(net) == total
    assert logits.shape == (1, len(classes), side, side)


def numpy_unpool(x, indices, size):
    out = np.zeros((*x.shape[:2], *size), dtype=x.dtype)
    for b, c, row, column in np.ndindex(*x.shape):
        at = indices[b, c, row, column]
        out[b, c, at // size[1], at % size[1]] = x[b, c, row, column]
    return out


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (2, 2)])  # odd sides leave a row and a column without a maximum
def test_unpooling_puts_values_back(size):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    pooled, indices = F.max_pool2d(x, 2, return_indices=True)
    other = torch.randn(pooled.shape)
    back = unpool(other, indices, x.shape[-2:])
    assert torch.equal(back, torch.from_numpy(numpy_unpool(other.numpy(), indices.numpy(), size)))
    assert torch.equal(back, F.max_unpool2d(other, indices, 2, output_size=size))
    assert (unpool(pooled, indices, x.shape[-2:]) != 0).float().mean() <= 0.25  # bilinear upsampling leaves no zeros


def test_gradients_are_deterministic():
    """max_unpool2d stops with an error under this setting."""
    net = architecture(ROAD, width=16)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        net(torch.rand(2, 3, 64, 64)).square().mean().backward()
    finally:
        torch.use_deterministic_algorithms(before)
    assert all(parameter.grad is not None for parameter in net.parameters())


def reference(net, images):
    """SegNet in evaluation by the authors' table, sixteen wide, with PyTorch's own unpooling."""
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (images - mean[:, None, None]) / std[:, None, None]
    where = []
    for entry in ENCODER + DECODER:
        if entry == "pool":
            size = x.shape[-2:]
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            where.append((indices, size))
        elif entry == "unpool":
            indices, size = where.pop()
            x = F.max_unpool2d(x, indices, 2, output_size=size)
        else:
            conv = layers.pop(0)
            x = F.conv2d(x, conv.weight, conv.bias, padding=1)
            if entry == "head":  # bare
                assert not layers
                return x
            assert conv.out_channels == entry // 4
            norm = layers.pop(0)
            x = F.relu(F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias))
    raise AssertionError


@torch.no_grad()
def test_equals_the_layer_table():
    torch.manual_seed(0)
    net = shake(architecture(Task(LAND, (32, 64)), width=16))
    images = torch.rand(2, 3, 32, 64)
    net.train()(images)  # running averages of its own
    net.eval()
    torch.testing.assert_close(net(images), reference(net, images), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_logits_take_both_signs():
    """Behind a ReLU, as in the PyTorch code most copied, a threshold of 0 calls every pixel foreground."""
    torch.manual_seed(0)
    logits = architecture(ROAD, width=16)(torch.rand(2, 3, 64, 64))
    assert 0.05 < (logits < 0).float().mean() < 0.95


# ---- from the weights of VGG16


@pytest.fixture(scope="module")
def published():
    """torchvision's convolutions, moved off their start, without the classifier of 120 million numbers."""
    torch.manual_seed(3)
    features = shake(vgg.make_layers(vgg.cfgs["D"], batch_norm=True))
    with torch.no_grad():
        features.train()(torch.rand(2, 3, 64, 64))
    return features.eval()


def prepared(tmp_path, features, rest):
    state = {f"features.{name}": tensor for name, tensor in features.state_dict().items()} | rest
    torch.save(state, tmp_path / "vgg.pth")
    folder = WeightsFolder(tmp_path / "weights")
    convert_checkpoint("vgg16_bn", tmp_path / "vgg.pth", folder)
    return folder


CLASSIFIER = {"classifier.6.weight": torch.zeros(2, 4096), "classifier.6.bias": torch.zeros(2)}


@torch.no_grad()
def test_encoder_is_the_published_classifier(published, tmp_path):
    torch.manual_seed(0)
    net = SegNet(width=64, init="imagenet").build(ROAD, prepared(tmp_path, published, CLASSIFIER)).eval()
    images = torch.rand(2, 3, 64, 64)
    x = images
    for layer in net.encoder:
        x = layer(x)[0] if isinstance(layer, nn.MaxPool2d) else layer(x)
    torch.testing.assert_close(x, published(images))
    torch.manual_seed(0)
    scratch = architecture(ROAD, width=64)
    assert torch.equal(net.decoder[0][0].weight, scratch.decoder[0][0].weight)
    assert not torch.equal(net.encoder[0].weight, scratch.encoder[0].weight)


def test_a_file_without_a_classifier_is_refused(published, tmp_path):
    with pytest.raises(WeightsDamaged, match=r"classifier\.\*"):
        SegNet(width=64, init="imagenet").build(ROAD, prepared(tmp_path, published, {}))


def test_without_weights_nothing_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr(segnet, "architecture", None)
    with pytest.raises(WeightsNotFound, match="prepare weights vgg16_bn"):
        SegNet(width=64, init="imagenet").build(ROAD, WeightsFolder(tmp_path))
