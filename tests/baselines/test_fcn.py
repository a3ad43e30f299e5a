import pytest
import torch
from torchvision.models.segmentation import fcn_resnet50

from baselines.fcn import Fcn
from baselines.fcn.network import architecture
from rssam.contract import Task
from rssam.weights.folder import WeightsFolder, WeightsNotFound
from tests.baselines.published import publish_resnet
from tests.rssam.fakes import parameters, trainable_parameters


def task(classes=1, size=(64, 64)):
    return Task(tuple("abcdef")[:classes], size)


@pytest.mark.parametrize(("classes", "side", "total"), [(1, 512, 32_946_753), (6, 256, 32_949_318)])
def test_totals(classes, side, total):
    """With the auxiliary head, which has no loss here, it would be 35.31 million."""
    with torch.device("meta"):
        net = architecture(task(classes, (side, side)), backbone="resnet50")
        logits = net(torch.zeros(1, 3, side, side))
    assert parameters(net) == trainable_parameters(net) == total
    assert logits.shape == (1, classes, side, side)


@torch.no_grad()
def test_is_torchvisions_function():
    """A dilation one block early or late changes no count and no shape, and gives another network."""
    published = fcn_resnet50(weights=None, weights_backbone=None, aux_loss=None, num_classes=2).eval()
    for name, buffer in published.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    net = architecture(task(2, (64, 96)), backbone="resnet50").eval()
    net.load_state_dict(published.state_dict())
    images = torch.rand(1, 3, 64, 96)
    expected = published(net.normalise(images))["out"]
    assert expected.std() > 0.01
    torch.testing.assert_close(net(images), expected)


@torch.no_grad()
def test_last_map_keeps_stride_8():
    net = architecture(task(), backbone="test_resnet")
    assert net.backbone(torch.zeros(1, 3, 64, 96))[-1].shape[-2:] == (8, 12)


@torch.no_grad()
def test_backbone_is_loaded_and_the_head_starts_at_random(monkeypatch, tmp_path):
    weights, published = publish_resnet(monkeypatch, tmp_path, system=Fcn)
    state = Fcn(backbone="test_resnet", init="imagenet").build(task(), weights).state_dict()
    loaded = {f"backbone.{name}" for name in published if not name.startswith("fc.")}
    assert loaded == {name for name in state if not name.startswith("classifier.")}
    assert all(torch.equal(state[name], published[name.removeprefix("backbone.")]) for name in loaded)


def test_without_weights_nothing_is_built(tmp_path):
    with pytest.raises(WeightsNotFound, match="prepare weights resnet50"):
        Fcn(backbone="resnet50", init="imagenet").build(task(), WeightsFolder(tmp_path))
