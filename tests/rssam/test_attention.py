"""The faster blocks against segment_anything's own: outputs and every gradient, tables and biases not zero."""

import copy

import pytest
import torch
from segment_anything.modeling.image_encoder import Block

from rssam.attention import ExactBlock, Windows, choose_kind, set_attention
from rssam.config import ENCODERS, EncoderSize
from rssam.encoder import SamEncoder
from rssam.lora import LoraQkv, add_lora
from tests.rssam.fakes import shake

WAYS = ("tiled", "folded", "dense")
NARROW = EncoderSize("vit_b", width=48, blocks=3, heads=3, global_blocks=(1,))
GRIDS = [(4, 6), (14, 14), (16, 16), (15, 28), (24, 40)]


def block(grid, window, lora=True):
    made = ExactBlock(dim=48, num_heads=3, use_rel_pos=True, window_size=window, input_size=grid)
    if lora:
        made.attn.qkv = LoraQkv(made.attn.qkv, 4)
    return shake(made)


def outcome(module, x, kind, dtype=torch.float64):
    """Output and gradients of input and of every parameter, by name."""
    module = copy.deepcopy(module).to(dtype)
    set_attention(module, kind)
    x = x.detach().to(dtype).requires_grad_()
    out = module(x)
    weight = torch.linspace(-1, 1, out.numel(), dtype=dtype).view(out.shape)
    (out * weight).sum().backward()
    return {"output": out.detach(), "input": x.grad, **{name: p.grad for name, p in module.named_parameters()}}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("window", [0, 14])
@pytest.mark.parametrize("grid", GRIDS)
def test_block_equals_sams_with_every_gradient(grid, window, way):
    """In float64 nothing but the order of sums is left: a wrong row for a column would show at 1e-2."""
    made, x = block(grid, window), torch.randn(2, *grid, 48)
    reference, ours = outcome(made, x, "reference"), outcome(made, x, way)
    assert ours.keys() == reference.keys()
    assert reference["attn.rel_pos_h"].abs().max() > 1e-3  # the tables matter
    for name, expected in reference.items():
        torch.testing.assert_close(ours[name], expected, atol=1e-10, rtol=1e-8, msg=lambda m, n=name: f"{n}: {m}")


def test_reference_is_segment_anythings_own_code(monkeypatch):
    made, x = block((4, 6), 14), torch.randn(1, 4, 6, 48)
    own = Block.forward(made, x)
    set_attention(made, "reference")
    assert torch.equal(made(x), own)
    monkeypatch.setattr(Block, "forward", lambda self, x: x + 1)
    assert torch.equal(made(x), x + 1)


@pytest.mark.parametrize("way", WAYS)
def test_padding_is_the_bias_not_zero(way):
    """Keys of padded tokens are the layer's bias. With zeros in their place the output was wrong by 0.1 and more."""
    made, x = block((4, 6), 14), torch.randn(1, 4, 6, 48, dtype=torch.float64)
    made = made.double()
    set_attention(made, way)
    before = made(x)
    with torch.no_grad():
        made.attn.qkv.bias += 0.5
    reference = Block.forward(made, x)
    assert (reference - before).abs().max() > 0.01
    torch.testing.assert_close(made(x), reference, atol=1e-10, rtol=1e-8)


def test_windows_cover_the_map():
    assert Windows.of(32, 32, 14) == ((14, 14), 3, 3)
    assert Windows.of(28, 14, 14) == ((14, 14), 2, 1)
    assert Windows.of(24, 40, 0) == ((24, 40), 1, 1)


@pytest.mark.parametrize("way", WAYS)
def test_bfloat16_is_as_near_to_float64_as_sams(way):
    """The error against float64 may be that of segment_anything under the same autocast, half as much again."""
    encoder = SamEncoder(NARROW, (256, 384), neck=True)
    add_lora(encoder, 4)
    shake(encoder)
    images = torch.rand(2, 3, 256, 384)
    with torch.no_grad():
        set_attention(encoder, "reference")
        truth = copy.deepcopy(encoder).double()(images.double()).neck
        errors = {}
        for kind in ("reference", way):
            set_attention(encoder, kind)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                errors[kind] = float((encoder(images).neck.double() - truth).square().mean().sqrt())
    assert errors["reference"] > 0
    assert errors[way] < 1.5 * errors["reference"]


def test_a_written_bias_is_for_inference_on_small_maps_alone():
    query = torch.zeros(1, 12, 1024, 64)
    assert choose_kind(query) == "dense"
    assert choose_kind(query.requires_grad_()) == "folded"
    with torch.no_grad():
        assert choose_kind(query) == "dense"
        assert choose_kind(torch.zeros(1, 12, 4096, 64)) == "folded"  # 805 MB of bias
    assert choose_kind(torch.zeros(1, 12, 1024, 64, device="meta")) == "folded"


def close(ours, expected, tolerance):
    """Largest difference relative to the tensor's own size."""
    assert float((ours - expected).norm()) <= tolerance * float(expected.norm())


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(256, 256), (512, 512), (384, 640), (1024, 1024)])
@pytest.mark.parametrize("name", ["vit_b", "vit_l"])
def test_encoder_equals_sams_at_full_size(name, size, batch):
    """Outputs and gradients of input and LoRA, float32, first and last blocks of each kind (four blocks fit memory)."""
    full = ENCODERS[name]
    few = EncoderSize(full.name, full.width, 4, full.heads, (1, 3))
    encoder = SamEncoder(few, size, neck=True)
    add_lora(encoder, 4)
    shake(encoder)
    encoder.requires_grad_(False)
    trained = {
        n: p.requires_grad_() for n, p in encoder.named_parameters() if "_down" in n or "_up" in n or "neck" in n
    }
    images = torch.rand(batch, 3, *size, requires_grad=True)
    found = {}
    for kind in ("reference", "auto"):
        set_attention(encoder, kind)
        neck = encoder(images).neck
        gradients = torch.autograd.grad(neck.square().mean(), [images, *trained.values()])
        found[kind] = {"output": neck.detach(), **dict(zip(["input", *trained], gradients, strict=True))}
        del neck, gradients
    for part, expected in found["reference"].items():
        close(found["auto"][part], expected, 1e-4)
