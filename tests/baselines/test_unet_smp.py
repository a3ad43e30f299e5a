import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision

from baselines.unet_smp import SmpUNet
from baselines.unet_smp.network import architecture
from rssam.contract import Task
from rssam.weights.convert import convert_checkpoint
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound
from tests.rssam.fakes import parameters, trainable_parameters

ROAD = Task(("road",), (64, 64))
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


@pytest.mark.parametrize("backbone", ["resnet50", "resnet18"])
@pytest.mark.parametrize("classes", [("road",), tuple("abcdef")])
def test_is_smp_in_its_published_size(backbone, classes):
    with torch.device("meta"):
        net = architecture(Task(classes, (512, 512)), backbone=backbone, width=16)
        published = smp.Unet(backbone, encoder_weights=None, classes=len(classes))  # its defaults: 256 ... 16
    assert parameters(net) == trainable_parameters(net) == parameters(published)
    shapes = {name: tensor.shape for name, tensor in net.unet.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in published.state_dict().items()}


def test_totals():
    with torch.device("meta"):
        net = architecture(Task(("road",), (512, 512)), backbone="resnet50", width=16)
    assert parameters(net) == 32_521_105  # the paper's U-Net has 31,037,633


@pytest.fixture(scope="module")
def classifier():
    """torchvision's ResNet-18, moved off its start by two batches."""
    torch.manual_seed(3)
    net = torchvision.models.resnet18(weights=None).train()
    with torch.no_grad():
        for _ in range(2):
            net(torch.rand(2, 3, 64, 64))
    return net.eval()


def prepared(tmp_path, state):
    torch.save(state, tmp_path / "resnet18.pth")
    folder = WeightsFolder(tmp_path / "weights")
    convert_checkpoint("resnet18", tmp_path / "resnet18.pth", folder)
    return folder


@torch.no_grad()
def test_encoder_is_the_published_classifier(classifier, tmp_path):
    folder = prepared(tmp_path, classifier.state_dict())
    torch.manual_seed(0)
    net = SmpUNet(backbone="resnet18", init="imagenet", width=4).build(ROAD, folder).eval()
    images = torch.rand(2, 3, 64, 64)
    seen = []  # by the decoder, in the forward pass
    net.unet.encoder.register_forward_hook(lambda module, inputs, features: seen.extend(features))
    net(images)
    x = (images - MEAN) / STD
    x = classifier.relu(classifier.bn1(classifier.conv1(x)))
    torch.testing.assert_close(seen[1], x)
    x = classifier.maxpool(x)
    for feature, stage in zip(seen[2:], ("layer1", "layer2", "layer3", "layer4"), strict=True):
        x = getattr(classifier, stage)(x)
        torch.testing.assert_close(feature, x)


def test_decoder_starts_at_random_as_without_weights(classifier, tmp_path):
    folder = prepared(tmp_path, classifier.state_dict())
    torch.manual_seed(0)
    loaded = SmpUNet(backbone="resnet18", init="imagenet", width=4).build(ROAD, folder).state_dict()
    torch.manual_seed(0)
    scratch = SmpUNet(backbone="resnet18", init="scratch", width=4).build(ROAD, folder).state_dict()
    for name, tensor in scratch.items():
        if name.startswith("unet.encoder.") and name.endswith("conv1.weight"):
            assert not torch.equal(loaded[name], tensor)
        if not name.startswith("unet.encoder."):
            assert torch.equal(loaded[name], tensor)


def test_a_file_that_lacks_a_tensor_is_refused(classifier, tmp_path):
    state = classifier.state_dict()
    del state["layer3.0.downsample.1.running_var"]
    with pytest.raises(WeightsDamaged, match=r"layer3\.0\.downsample\.1\.running_var"):
        SmpUNet(backbone="resnet18", init="imagenet", width=4).build(ROAD, prepared(tmp_path, state))


def test_without_weights_nothing_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr(smp, "Unet", None)
    with pytest.raises(WeightsNotFound, match="prepare weights resnet50"):
        SmpUNet(backbone="resnet50", init="imagenet", width=16).build(ROAD, WeightsFolder(tmp_path))
