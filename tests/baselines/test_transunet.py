import dataclasses

import numpy as np
import pytest
import timm
import torch
from timm.data import resolve_model_data_config
from torch import nn
from torch.nn import functional as F

from baselines.transunet import TransUNet
from baselines.transunet import network as transunet
from baselines.transunet.network import SIZES, Decoder, architecture, load_pretrained, resample_positions
from rssam.contract import Task
from rssam.weights.convert import convert_checkpoint
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound
from rssam.weights.registry import WEIGHTS
from tests.rssam.fakes import parameters, shake

NAME = "r50_vit_b16"
AT_224 = Task(("road",), (224, 224))


def meta(classes, image_size, size="base"):
    with torch.device("meta"):
        return architecture(Task(tuple("abcdefghi")[:classes], image_size), size=size)


def tiny(size=(64, 64), classes=1, seed=0):
    torch.manual_seed(seed)
    task = Task(tuple("abcdef")[:classes], size)
    return TransUNet(size="tiny", init="scratch").build(task, WeightsFolder("/nowhere"))


# ---- against the counts of the published code


@pytest.mark.parametrize(
    ("side", "classes", "total"),
    [
        (512, 1, 105_911_825),
        (512, 2, 105_911_970),
        (512, 6, 105_912_550),
        (256, 1, 105_322_001),
        (256, 6, 105_322_726),
        (224, 9, 105_277_081),
    ],
)
def test_totals(side, classes, total):
    net = meta(classes, (side, side))
    assert parameters(net) == total
    assert all(p.requires_grad for p in net.parameters())
    assert net(torch.zeros(1, 3, side, side, device="meta")).shape == (1, classes, side, side)


def test_totals_of_the_parts():
    net = meta(6, (512, 512))
    encoder = net.encoder
    assert parameters(encoder.patch_embed.backbone) == 11_894_848
    assert parameters(encoder.patch_embed.proj) == 787_200
    assert encoder.pos_embed.numel() == 768 * 32**2
    assert parameters(encoder.blocks) + parameters(encoder.norm) == 85_056_000
    assert parameters(net.decoder) == 7_387_200
    assert parameters(net.head) == 145 * 6


# ---- against timm, whose classifier the weights were published for


def timm_classifier(**change):
    """timm's own R50 + ViT-B/16, with a narrow ViT unless told otherwise; the ResNet is the real one."""
    return shake(timm.create_model("vit_base_r50_s16_224", num_classes=5, **change)).eval()


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return timm_classifier(embed_dim=96, depth=2, num_heads=3)


@pytest.fixture
def narrow(monkeypatch):
    """For the time of one test, the size "base" has the narrow ViT and a narrow decoder."""
    size = dataclasses.replace(SIZES["base"], hidden=96, layers=2, heads=3, mlp=384, decoder=(32, 16, 8, 8, 4))
    monkeypatch.setitem(SIZES, "base", size)
    monkeypatch.setitem(WEIGHTS, NAME, dataclasses.replace(WEIGHTS[NAME], shape=(96, 1024, 1, 1)))


def published(classifier):
    """Its tensors as in the published file, which has a layer before the head."""
    layer = {"pre_logits.fc.weight": torch.rand(7, 96), "pre_logits.fc.bias": torch.rand(7)}
    return {**classifier.state_dict(), **layer}


@pytest.fixture
def weights(narrow, classifier, tmp_path):
    torch.save(published(classifier), tmp_path / "published.pth")
    folder = WeightsFolder(tmp_path / "weights")
    convert_checkpoint(NAME, tmp_path / "published.pth", folder)
    return folder


@torch.no_grad()
def encoded_by_timm(classifier, images):
    """The ViT's map and the ResNet's by timm's modules, without its class token."""
    config = resolve_model_data_config(classifier)
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    x = (images - mean) / std
    maps = classifier.patch_embed.backbone.forward_intermediates(x, indices=[0, 1, 2], intermediates_only=True)
    tokens = classifier.patch_embed(x) + classifier.pos_embed[:, 1:]
    tokens = classifier.norm(classifier.blocks(tokens))
    return tokens.transpose(1, 2).reshape(len(images), -1, 14, 14), maps[::-1]


@torch.no_grad()
def assert_encodes_as_timm(net, classifier):
    images = torch.rand(1, 3, 224, 224)
    found, skips = net.eval().encoder(net.normalise(images))
    expected, maps = encoded_by_timm(classifier, images)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert [skip.shape[1:] for skip in skips] == [(512, 28, 28), (256, 56, 56), (64, 112, 112)]
    for own, timms in zip(skips, maps, strict=True):
        torch.testing.assert_close(own, timms, atol=1e-4, rtol=1e-4)
    assert net(images).shape == (1, 1, 224, 224)


def test_encodes_as_timm(weights, classifier):
    assert_encodes_as_timm(TransUNet(size="base", init="imagenet").build(AT_224, weights), classifier)


@pytest.mark.slow
def test_encodes_as_timm_at_full_size(tmp_path):
    classifier = timm_classifier()
    torch.save(classifier.state_dict(), tmp_path / "published.pth")
    convert_checkpoint(NAME, tmp_path / "published.pth", WeightsFolder(tmp_path))
    assert_encodes_as_timm(TransUNet(size="base", init="imagenet").build(AT_224, WeightsFolder(tmp_path)), classifier)


def test_resnet_is_timms_layer_for_layer(classifier):
    """TransUNet's shortcuts have as many groups as channels, and its max-pooling no padding: other numbers."""
    own, timms = meta(1, (64, 64)).encoder.patch_embed.backbone, classifier.patch_embed.backbone
    assert repr(own) == repr(timms)
    pairs = zip(own.modules(), timms.modules(), strict=True)
    assert all(getattr(a, "eps", None) == getattr(b, "eps", None) for a, b in pairs)


# ---- loading


@pytest.mark.parametrize("grid", [(4, 4), (4, 6), (32, 32), (14, 14)])
def test_positions_are_resampled_as_by_the_original(grid):
    """Bilinear with the corners aligned: along one axis, then along the other."""
    table = torch.rand(1, 14 * 14, 5)
    at = [np.linspace(0, 13, length) for length in grid]
    values = table.reshape(14, 14, 5).double().numpy()
    values = np.apply_along_axis(lambda column: np.interp(at[0], np.arange(14), column), 0, values)
    values = np.apply_along_axis(lambda row: np.interp(at[1], np.arange(14), row), 1, values)
    expected = torch.from_numpy(values).float().reshape(1, -1, 5)
    torch.testing.assert_close(resample_positions(table, grid), expected, atol=1e-5, rtol=1e-5)


def test_everything_but_the_positions_is_loaded_unchanged_at_another_size(weights, classifier):
    net = TransUNet(size="base", init="imagenet").build(Task(("road",), (64, 96)), weights)
    own, timms = net.encoder.state_dict(), classifier.state_dict()
    assert own["pos_embed"].shape == (1, 4 * 6, 96)
    assert torch.equal(own["pos_embed"], resample_positions(timms["pos_embed"][:, 1:], (4, 6)))
    assert timms.keys() - own.keys() == {"cls_token", "head.weight", "head.bias"}
    assert all(torch.equal(own[name], timms[name]) for name in own if name != "pos_embed")
    with torch.no_grad():
        assert net.eval()(torch.rand(1, 3, 64, 96)).isfinite().all()


def test_a_file_without_the_layer_before_the_head_will_do(narrow, classifier):
    load_pretrained(architecture(AT_224, size="base"), classifier.state_dict())


@pytest.mark.parametrize(
    "name", ["cls_token", "head.", "pos_embed", "patch_embed.proj.bias", "blocks.1.mlp.fc1.weight"]
)
def test_what_is_missing_is_named(narrow, classifier, name):
    state = {key: tensor for key, tensor in classifier.state_dict().items() if not key.startswith(name)}
    with pytest.raises(WeightsDamaged, match=name.replace(".", r"\.")):
        load_pretrained(architecture(AT_224, size="base"), state)


def test_what_is_unexpected_or_of_another_shape_is_named(narrow, classifier):
    net, state = architecture(AT_224, size="base"), classifier.state_dict()
    with pytest.raises(WeightsDamaged, match=r"unexpected blocks\.2\.norm1\.bias"):
        load_pretrained(net, {**state, "blocks.2.norm1.bias": torch.zeros(96)})
    with pytest.raises(WeightsDamaged, match=r"norm\.bias of shape"):
        load_pretrained(net, {**state, "norm.bias": torch.zeros(97)})
    with pytest.raises(WeightsDamaged, match="class token and a square grid"):
        load_pretrained(net, {**state, "pos_embed": state["pos_embed"][:, 1:]})


def test_without_weights_nothing_is_built(tmp_path, monkeypatch):
    """TransUNet trained without its file is 86 M random numbers of a ViT, and is not to be taken for the real one."""
    monkeypatch.setattr(transunet, "architecture", lambda *_, **__: pytest.fail("built before the file was looked for"))
    with pytest.raises(WeightsNotFound, match=f"prepare weights {NAME}"):
        TransUNet(size="base", init="imagenet").build(AT_224, WeightsFolder(tmp_path))


# ---- the decoder, against the formula


def twice_as_large(x):
    """Bilinear with the corners aligned, along one axis and then along the other."""
    values = x.double().numpy()
    for axis in (2, 3):
        length = values.shape[axis]
        at = np.linspace(0, length - 1, 2 * length)
        values = np.apply_along_axis(lambda line, at=at: np.interp(at, np.arange(len(line)), line), axis, values)
    return torch.from_numpy(values).float()


@torch.no_grad()
def test_decoder_equals_its_formula():
    torch.manual_seed(0)
    x, skips = torch.rand(2, 6, 2, 3), [torch.rand(2, 9, 4, 6), torch.rand(2, 2, 8, 12), torch.rand(2, 11, 16, 24)]
    decoder = shake(Decoder(6, (8, 7, 5, 4, 3), skips=(9, 2, 11)))
    for _ in range(20):  # running statistics that let half of the values through the ReLUs
        decoder.train()(x + 0.1 * torch.randn(x.shape), skips)
    decoder.eval()
    state = decoder.state_dict()

    def conv(name, x):
        x = F.conv2d(x, state[f"{name}.0.weight"], padding=1)
        mean, var, scale, shift = (
            state[f"{name}.1.{part}"].view(-1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (var + 1e-5).sqrt() * scale + shift).clamp(min=0)

    expected = conv("first", x)
    for index in range(4):
        expected = torch.cat([twice_as_large(expected), *skips[index : index + 1]], dim=1)
        expected = conv(f"levels.{index}.1", conv(f"levels.{index}.0", expected))
    found = decoder(x, skips)
    assert found.shape == (2, 3, 32, 48)
    assert 0.2 < (found > 0).float().mean() < 0.8
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_logits_are_the_parts_in_a_row():
    net, images = tiny((64, 96), classes=3).eval(), torch.rand(2, 3, 64, 96)
    x, skips = net.encoder(images * 2 - 1)
    torch.testing.assert_close(net(images), net.head(net.decoder(x, skips)))


# ---- traps


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (256, 256), (512, 512)])
def test_a_patch_is_one_pixel_of_the_last_map(size):
    """The original's default grid of 16 x 16 makes patches of 2 x 2 at 512: 107,681,297 parameters, 256 tokens."""
    encoder = meta(1, size).encoder
    assert encoder.patch_embed.proj.kernel_size == encoder.patch_embed.proj.stride == (1, 1)
    assert encoder.pos_embed.shape == (1, size[0] // 16 * (size[1] // 16), 768)
    features, skips = encoder(torch.zeros(1, 3, *size, device="meta"))
    assert features.shape == (1, 768, size[0] // 16, size[1] // 16)
    assert [skip.shape[2] for skip in skips] == [size[0] // stride for stride in (8, 4, 2)]


def test_tokens_keep_their_place_in_oblong_images():
    """The original takes the square root of the number of tokens for height and width: 24 tokens become 4 x 4."""
    encoder = tiny((64, 96)).encoder.eval()
    encoder.blocks, encoder.norm = nn.Identity(), nn.Identity()
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        found, _ = encoder(images)
        patches, _ = encoder.patch_embed(images)
    expected = patches.clone()
    for row in range(4):
        for column in range(6):
            expected[0, :, row, column] += encoder.pos_embed.detach()[0, 6 * row + column]
    torch.testing.assert_close(found, expected)


def test_another_size_than_it_was_built_for_is_refused():
    with pytest.raises(ValueError, match=r"built for images of \(64, 64\), got \(64, 96\)"):
        tiny()(torch.rand(1, 3, 64, 96))
    with pytest.raises(ValueError, match="not a multiple of 16"):
        transunet.HybridEncoder(SIZES["tiny"], (40, 64))


def test_building_leaves_the_sizes_as_they_are():
    """The original's list of skips is emptied by a build with one skip, and the next has 105,580,049 parameters."""
    before = dict(SIZES)
    tiny(), meta(6, (64, 96)), meta(1, (64, 64), size="tiny")
    assert before == SIZES
    assert parameters(meta(1, (512, 512))) == 105_911_825
    assert len({hash(size) for size in SIZES.values()}) == 2  # what can be hashed holds no list
    with pytest.raises(dataclasses.FrozenInstanceError):
        SIZES["base"].decoder = (512, 256, 128, 64, 16)


def test_training_drops_after_the_positions_and_in_the_mlps_alone():
    """timm's rate for a block would drop after the attention too."""
    net = tiny()
    rates = {name: module.p for name, module in net.named_modules() if isinstance(module, nn.Dropout)}
    dropping = {name for name, rate in rates.items() if rate > 0}
    mlps = {f"encoder.blocks.{index}.mlp.drop{half}" for index in range(2) for half in (1, 2)}
    assert dropping == {"encoder.pos_drop"} | mlps
    assert {rates[name] for name in dropping} == {0.1}
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert not torch.equal(net.encoder(images)[0], net.encoder(images)[0])
        assert torch.equal(net.eval()(images), net(images))


def test_layer_norms_have_the_eps_of_vit():
    norms = [module for module in tiny().modules() if isinstance(module, nn.LayerNorm)]
    assert len(norms) == 2 * 2 + 1
    assert {norm.eps for norm in norms} == {1e-6}
