import pytest
import timm
import torch
from torch import nn

from rssam.lora import LoraQkv, add_lora, freeze_encoder, lora_parameters
from rssam.sam.encoder import SamEncoder
from rssam.sam.encoder_sizes import ENCODERS
from tests.rssam.fakes import TINY, parameters, shake


def tiny(rank=None, seed=0):
    torch.manual_seed(seed)
    encoder = shake(SamEncoder(TINY, (64, 64), neck=True))
    if rank is not None:
        add_lora(encoder, rank)
    return encoder


@pytest.mark.parametrize("rank", [0, 4])
def test_at_the_start_equals_the_encoder_without(rank):
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(tiny(rank)(images).neck, tiny()(images).neck)


def test_adds_the_low_rank_product_to_queries_and_values_only():
    qkv, layer = tiny().blocks[0].attn.qkv, shake(tiny(rank=4)).blocks[0].attn.qkv
    qkv.load_state_dict({"weight": layer.weight, "bias": layer.bias})
    x = torch.rand(5, 96)
    added = (layer(x) - qkv(x)).split(96, dim=-1)
    query = layer.query_up.weight @ layer.query_down.weight
    value = layer.value_up.weight @ layer.value_down.weight
    torch.testing.assert_close(added[0], x @ query.T, atol=1e-5, rtol=1e-4)
    assert not added[1].any()
    torch.testing.assert_close(added[2], x @ value.T, atol=1e-5, rtol=1e-4)


def test_without_gradients_the_product_is_merged_into_the_layer():
    """To rounding the same, also on maps; the layer's own weight stays."""
    layer, x = shake(tiny(rank=4)).blocks[0].attn.qkv, torch.rand(2, 3, 5, 96)
    trained, weight = layer(x), layer.weight.clone()
    with torch.no_grad():
        merged = layer(x)
    torch.testing.assert_close(merged, trained.detach(), atol=1e-5, rtol=1e-4)
    assert torch.equal(layer.weight, weight)
    assert (layer._merged() - weight).abs().max() > 1e-3  # the addition matters


def test_start():
    for name, parameter in lora_parameters(tiny(rank=4)).items():
        if "up" in name:
            assert not parameter.any()
        else:  # uniform in +-1 / sqrt(fan_in), which is what a = sqrt(5) means
            assert 0.9 / 96**0.5 < parameter.abs().max() <= 1 / 96**0.5


@pytest.mark.parametrize(("name", "expected"), [("vit_b", 147_456), ("vit_l", 393_216), ("vit_h", 655_360)])
def test_parameter_count(name, expected):
    with torch.device("meta"):
        encoder = SamEncoder(ENCODERS[name], (512, 512), neck=True)
        before = parameters(encoder)
        add_lora(encoder, 4)
    assert parameters(encoder) - before == expected
    assert sum(p.numel() for p in lora_parameters(encoder).values()) == expected


def test_sams_names_stay():
    assert tiny().state_dict().keys() == tiny(rank=4).state_dict().keys() - lora_parameters(tiny(rank=4)).keys()


def test_what_is_frozen():
    encoder = tiny(rank=4)
    freeze_encoder(encoder, "sam")
    assert {name for name, p in encoder.named_parameters() if p.requires_grad} == lora_parameters(encoder).keys()
    freeze_encoder(encoder, "scratch")
    assert all(p.requires_grad for p in encoder.parameters())


# ---- in a ViT that is not SAM's


def timm_vit(rank, **options):
    torch.manual_seed(0)
    net = shake(timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=5, depth=2, **options)).eval()
    names = net.state_dict().keys()
    add_lora(net, rank)
    return net, names


@pytest.mark.parametrize("options", [{}, {"qkv_bias": False}], ids=["bias", "no bias"])
def test_a_vit_of_timm_starts_as_it_was_and_trains_lora_alone(options):
    (plain, names), (net, _) = timm_vit(0, **options), timm_vit(4, **options)
    images = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        before = plain(images)
        assert torch.equal(net(images), before)
    assert names == net.state_dict().keys() - lora_parameters(net).keys()
    assert sum(p.numel() for p in lora_parameters(net).values()) == 2 * 2 * 2 * 4 * 192  # blocks, Q and V, down and up

    freeze_encoder(net, "sam")
    frozen = {name: parameter.clone() for name, parameter in net.named_parameters() if not parameter.requires_grad}
    assert frozen.keys() == {name for name, _ in plain.named_parameters()}
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):  # in the first step only B moves: A has no gradient behind a B of zero
        optimizer.zero_grad()
        net(images).square().sum().backward()
        optimizer.step()
    state = dict(net.named_parameters())
    assert all(torch.equal(state[name], parameter) for name, parameter in frozen.items())
    assert all(parameter.grad.any() for parameter in lora_parameters(net).values())
    with torch.no_grad():
        assert (net(images) - before).abs().max() > 1e-3


def test_a_module_without_fused_layers_is_refused():
    layers = nn.ModuleDict({"qkv": nn.Linear(8, 16)})  # too few outputs for three
    with pytest.raises(ValueError, match="expected linear layers named qkv in ModuleDict, found none"):
        add_lora(layers, 4)
    add_lora(layers, 0)
    assert not any(isinstance(module, LoraQkv) for module in layers.modules())


# ---- in each class of attention of timm


def attentions():
    """One layer of each class, called on tokens [2, 16, 32] of two heads, with what its heads see recorded."""
    from timm.layers import Attention, AttentionRope
    from timm.models.eva import EvaAttention
    from timm.models.hieradet_sam2 import MultiScaleAttention

    pool = nn.MaxPool2d(2)
    return {
        "fused": Attention(32, 2, qkv_bias=True),
        "fused rope": AttentionRope(32, 2),
        "separate rope": AttentionRope(32, 2, qkv_fused=False),
        "eva fused": EvaAttention(32, 2, norm_layer=nn.LayerNorm, scale_norm=False),
        "eva without bias": EvaAttention(32, 2, qkv_bias=False, scale_norm=False),
        "eva separate": EvaAttention(32, 2, qkv_fused=False, scale_norm=False),
        "hiera": MultiScaleAttention(32, 32, 2),
        "hiera at a change of stages": MultiScaleAttention(32, 64, 2, q_pool=pool),
    }


def seen(layer, x, monkeypatch):
    """Queries, keys and values as the attention product takes them, and the layer's output."""
    found = []

    def record(query, key, value, **_):
        found.append((query, key, value))
        return torch.zeros_like(query) + value.mean()

    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr("torch.nn.functional.scaled_dot_product_attention", record)
        layer(x)
    with torch.no_grad():
        return *found[0], layer(x)


@pytest.mark.parametrize("name", attentions())
def test_lora_changes_queries_and_values_alone_in_every_class_of_attention(name, monkeypatch):
    """In EvaAttention with biases it changed nothing: it multiplies by `qkv.weight` itself, past the layer."""
    torch.manual_seed(0)
    layer = shake(attentions()[name]).eval()
    x = torch.rand(2, 4, 4, 32) if name.startswith("hiera") else torch.rand(2, 16, 32)
    holder = nn.ModuleDict({"attn": layer})
    before = seen(layer, x, monkeypatch)
    add_lora(holder, 4)
    for plain, started in zip(before, seen(layer, x, monkeypatch), strict=True):
        torch.testing.assert_close(started, plain, atol=1e-6, rtol=1e-5)
    state = lora_parameters(holder)
    assert len(state) == 4
    with torch.no_grad():
        for parameter in state.values():
            parameter += 0.3 * torch.randn_like(parameter)
    query, key, value, out = (
        float((after - plain).abs().max()) for after, plain in zip(seen(layer, x, monkeypatch), before, strict=True)
    )
    assert key < 1e-5
    assert min(query, value, out) > 1e-2
    x.requires_grad_(True)
    layer(x).square().sum().backward()
    assert all(parameter.grad.any() for parameter in state.values())
