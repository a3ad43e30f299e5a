import pytest
import torch
import torchvision
from torchvision.transforms.functional import normalize

from baselines.backbone import ImageNetNormalise, load_backbone, resnet
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound
from tests.baselines.published import publish_resnet


def load(weights):
    backbone = resnet("test_resnet")
    load_backbone(backbone, weights.path_of("test_resnet"), dropped=("fc.",))
    return backbone


@pytest.mark.parametrize("name", ["resnet50", "resnet18"])
@pytest.mark.parametrize("output_stride", [32, 8])
def test_parts_are_torchvisions_without_its_classifier(name, output_stride):
    """The published files are torchvision's: another name or shape here, and they would not load."""
    with torch.device("meta"):
        published = getattr(torchvision.models, name)(weights=None).state_dict()
        own = resnet(name, output_stride=output_stride).state_dict()
    assert {n: t.shape for n, t in own.items()} == {n: t.shape for n, t in published.items() if not n.startswith("fc.")}


def test_every_tensor_but_the_classifier_is_loaded(monkeypatch, tmp_path):
    weights, published = publish_resnet(monkeypatch, tmp_path)
    state = load(weights).state_dict()
    assert {name for name in published if name not in state} == {"fc.weight", "fc.bias"}
    assert all(torch.equal(tensor, published[name]) for name, tensor in state.items())


def test_a_file_older_than_the_counter_of_batch_norm_loads(monkeypatch, tmp_path):
    weights, published = publish_resnet(
        monkeypatch, tmp_path, lambda state: {n: t for n, t in state.items() if "num_batches_tracked" not in n}
    )
    state = load(weights).state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in published.items() if not name.startswith("fc."))


def test_a_prefix_is_taken_off(monkeypatch, tmp_path):
    weights, published = publish_resnet(
        monkeypatch, tmp_path, lambda state: {n.replace("layer1", "net.layer1"): t for n, t in state.items()}
    )
    backbone = resnet("test_resnet")
    load_backbone(backbone, weights.path_of("test_resnet"), dropped=("fc.",), prefix="net.")
    assert torch.equal(backbone.state_dict()["layer1.0.conv1.weight"], published["net.layer1.0.conv1.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {n: t for n, t in state.items() if n != "conv1.0.weight"}, "missing conv1.0.weight"),
        (lambda state: {n: t for n, t in state.items() if n != "bn1.running_var"}, "missing bn1.running_var"),
        (lambda state: {**state, "layer5.weight": torch.zeros(1)}, "unexpected layer5.weight"),
        (lambda state: {**state, "bn1.weight": torch.zeros(7)}, "bn1.weight of shape"),
        (lambda state: {n: t for n, t in state.items() if not n.startswith("fc.")}, r"fc\.\*"),
    ],
    ids=["missing", "missing buffer", "unexpected", "shape", "nothing to drop"],
)
def test_a_file_that_is_not_it_is_refused(monkeypatch, tmp_path, change, message):
    """Loaded as far as it fits, the rest would silently stay random and the run be called pretrained."""
    weights, _ = publish_resnet(monkeypatch, tmp_path, change)
    with pytest.raises(WeightsDamaged, match=message):
        load(weights)


def test_without_a_file_the_remedy_is_named(tmp_path):
    with pytest.raises(WeightsNotFound, match="prepare weights resnet18_swsl"):
        load_backbone(resnet("test_resnet"), WeightsFolder(tmp_path).path_of("resnet18_swsl"), dropped=("fc.",))


def test_pixels_are_normalised_as_torchvision_does():
    images = torch.rand(2, 3, 5, 4)
    torch.testing.assert_close(
        ImageNetNormalise()(images), normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    assert not ImageNetNormalise().state_dict()
