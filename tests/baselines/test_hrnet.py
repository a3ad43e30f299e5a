import pytest
import timm
import torch
from torch.nn import functional as F

from baselines.hrnet import HRNet
from baselines.hrnet import network as hrnet
from baselines.hrnet.network import architecture, branches_of
from rssam.contract import Task
from rssam.weights.convert import convert_checkpoint
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound
from tests.rssam.fakes import parameters, shake, trainable_parameters

ROAD = Task(("road",), (64, 64))
LAND = tuple("abcdef")


@pytest.mark.parametrize(
    ("width", "roads", "six"),
    [
        ("w18", 9_636_241, 9_637_596),
        pytest.param("w32", 29_537_857, 29_540_262, marks=pytest.mark.slow),
        pytest.param("w48", 65_846_401, 65_850_006, marks=pytest.mark.slow),
    ],
)
def test_totals(width, roads, six):
    for classes, side, total in ((("road",), 512, roads), (LAND, 256, six)):
        with torch.device("meta"):
            net = architecture(Task(classes, (side, side)), width=width)
            logits = net(torch.zeros(1, 3, side, side))
        assert parameters(net) == trainable_parameters(net) == total
        assert logits.shape == (1, len(classes), side, side)  # not a quarter of it


def test_branches_are_not_those_of_the_classifier():
    """timm's default features have 128 to 1024 channels and, with the stem, 67,119,040 parameters for w48."""
    with torch.device("meta"):
        trunk, channels = branches_of("w48")
        maps = trunk(torch.zeros(1, 3, 64, 96))
        default = timm.create_model("hrnet_w48", pretrained=False, features_only=True)
    assert channels == [48, 96, 192, 384]
    assert [tuple(map_.shape) for map_ in maps] == [(1, 48, 16, 24), (1, 96, 8, 12), (1, 192, 4, 6), (1, 384, 2, 3)]
    assert (parameters(trunk), parameters(default)) == (65_325_120, 67_119_040)


@pytest.mark.parametrize("width", ["w18_small", "w18"])
def test_every_parameter_is_reached(width):
    torch.manual_seed(0)
    net = architecture(ROAD, width=width)
    net(torch.rand(2, 3, 64, 64)).square().mean().backward()
    assert not [name for name, parameter in net.named_parameters() if parameter.grad is None]


@torch.no_grad()
def test_branches_are_fused_bilinearly():
    """As for segmentation; the classifier's nearest neighbour gives blocks of up to 8 x 8 equal pixels."""
    trunk, _ = branches_of("w18_small")
    module = shake(trunk).eval().stage3[0]
    x = [torch.rand(1, channels, side, side) for channels, side in ((16, 16), (32, 8), (64, 4))]
    branches = [branch(map_) for branch, map_ in zip(module.branches, x, strict=True)]
    expected = branches[0]
    for index in (1, 2):
        conv, norm, _ = module.fuse_layers[0][index]
        expected = expected + F.interpolate(norm(conv(branches[index])), (16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(module(list(x))[0], F.relu(expected))


@torch.no_grad()
def test_head_sees_all_branches_at_a_quarter():
    torch.manual_seed(0)
    net = shake(architecture(Task(LAND, (64, 96)), width="w18_small")).eval()
    images = torch.rand(2, 3, 64, 96)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    branches = net.trunk((images - mean[:, None, None]) / std[:, None, None])
    maps = [F.interpolate(branch, (16, 24), mode="bilinear", align_corners=False) for branch in branches]
    first, norm, _, last = net.head
    x = torch.einsum("oc,bchw->bohw", first.weight[:, :, 0, 0], torch.cat(maps, dim=1)) + first.bias[:, None, None]
    x = torch.relu(x / (1 + 1e-5) ** 0.5 * norm.weight[:, None, None] + norm.bias[:, None, None])
    x = torch.einsum("oc,bchw->bohw", last.weight[:, :, 0, 0], x) + last.bias[:, None, None]
    expected = F.interpolate(x, (64, 96), mode="bilinear", align_corners=False)
    torch.testing.assert_close(net(images), expected, atol=1e-4, rtol=1e-4)


# ---- from timm's weights


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(3)
    return shake(timm.create_model("hrnet_w18", pretrained=False))


def prepared(tmp_path, state):
    torch.save(state, tmp_path / "hrnet.pth")
    folder = WeightsFolder(tmp_path / "weights")
    convert_checkpoint("hrnet_w18", tmp_path / "hrnet.pth", folder)
    return folder


def test_trunk_is_the_published_classifier(classifier, tmp_path):
    state = classifier.state_dict()
    torch.manual_seed(0)
    net = HRNet(width="w18", init="imagenet").build(ROAD, prepared(tmp_path, state))
    own = net.trunk.state_dict()
    for name, tensor in own.items():
        assert torch.equal(tensor, state[name])
    left = {name.split(".")[0] for name in state.keys() - own.keys()}
    assert left == {"incre_modules", "downsamp_modules", "final_layer", "classifier"}
    torch.manual_seed(0)
    scratch = architecture(ROAD, width="w18")
    assert torch.equal(net.head[0].weight, scratch.head[0].weight)


def test_a_file_that_lacks_a_tensor_is_refused(classifier, tmp_path):
    state = classifier.state_dict()
    del state["stage4.2.fuse_layers.3.0.0.0.weight"]
    with pytest.raises(WeightsDamaged, match=r"stage4\.2\.fuse_layers\.3\.0\.0\.0\.weight"):
        HRNet(width="w18", init="imagenet").build(ROAD, prepared(tmp_path, state))


def test_without_weights_nothing_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr(hrnet, "architecture", None)
    with pytest.raises(WeightsNotFound, match="prepare weights hrnet_w48"):
        HRNet(width="w48", init="imagenet").build(ROAD, WeightsFolder(tmp_path))
