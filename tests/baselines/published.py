"""A small classifier in the format in which backbones are published."""

import timm
import torch

from rssam.weights.convert import convert_checkpoint
from rssam.weights.folder import WeightsFolder
from rssam.weights.registry import WEIGHTS, BackboneWeights


def publish_resnet(monkeypatch, folder, change=dict, system=None):
    """Publish timm's test_resnet under its own name; return the weights folder and the published tensors.

    `change` makes the published tensors from those of the whole classifier. `system` is the class that takes them.
    """
    torch.manual_seed(1)
    net = timm.create_model("test_resnet", pretrained=False)
    state = change({name: torch.rand(t.shape) if t.is_floating_point() else t for name, t in net.state_dict().items()})
    torch.save(state, folder / "test_resnet.pth")
    known = BackboneWeights("test_resnet", "https://nowhere", "", 1, "none", "layer4.0.conv2.weight", (96, 96, 3, 3))
    monkeypatch.setitem(WEIGHTS, "test_resnet", known)
    if system is not None:
        monkeypatch.setitem(system.sizes, "test_resnet", "test_resnet")
    weights = WeightsFolder(folder / "weights")
    convert_checkpoint("test_resnet", folder / "test_resnet.pth", weights)
    return weights, state
