"""Encoders in the place of SAM's, against timm's own forward pass on random weights."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from rssam.encoders.declared import ENCODERS, SAM
from rssam.encoders.network import TimmEncoder, load_encoder, make_encoder
from rssam.lora import add_lora, lora_parameters
from rssam.sam.encoder import SamEncoder
from tests.rssam.encoders.published import own_forward, timms_own
from tests.rssam.fakes import parameters, shake

TIMMS = {name: encoder for name, encoder in ENCODERS.items() if encoder.network != SAM}
NANO = sorted({encoder.small for encoder in TIMMS.values()})
FULL = [name for name, encoder in TIMMS.items() if encoder.weights]


def loaded(name, net, side, folder):
    """Ours for images of that side, with the weights of timm's network as a prepared file holds them."""
    save_file(net.state_dict(), folder / f"{name}.safetensors")
    encoder = TimmEncoder(ENCODERS[name], (side, side)).eval()
    load_encoder(encoder, folder / f"{name}.safetensors")
    return encoder


def require_timms(name, side, folder):
    declared, net = ENCODERS[name], timms_own(name)
    images = torch.rand(1, 3, side, side)
    expected = own_forward(net, declared, images)
    with torch.no_grad():
        found = loaded(name, net, side, folder)(images, range(declared.blocks)).taps
    assert len(found) == declared.blocks
    for tap, truth in zip(found, expected, strict=True):
        torch.testing.assert_close(tap, truth, atol=1e-5, rtol=1e-5)
    for index, width, stride in zip(declared.taps, declared.widths, declared.strides, strict=True):
        assert found[index].shape == (1, width, side // stride, side // stride)


@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize("name", NANO)
def test_every_block_is_timms(name, side, tmp_path):
    """Resampled once, when it is loaded, a position embedding is what timm resamples in every forward pass."""
    require_timms(name, side, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize("name", ["dinov3_b", "imagenet_b", "sam2_b_plus"])
def test_every_block_is_timms_at_full_size(name, side, tmp_path):
    require_timms(name, side, tmp_path)


def test_taps_come_in_the_order_asked_for_at_any_size():
    encoder = TimmEncoder(ENCODERS["dinov3_nano"], (64, 96)).eval()
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        last, first, again = encoder(images, (3, 0, 3)).taps
    assert last.shape == (2, 192, 4, 6)
    assert torch.equal(last, again)
    assert not torch.equal(last, first)


def test_images_of_another_size_or_of_integers_are_refused():
    encoder = TimmEncoder(ENCODERS["dinov3_nano"], (64, 64))
    with pytest.raises(ValueError, match=r"built for images of \(64, 64\), got \(64, 96\)"):
        encoder(torch.rand(1, 3, 64, 96), (0,))
    with pytest.raises(TypeError, match=r"0\.\.1, found torch\.uint8"):
        encoder(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), (0,))


@pytest.mark.parametrize("name", FULL)
def test_names_shapes_and_normalisation_are_those_of_timms_weights(name):
    """A declaration of another width, depth, number of heads or normalisation would be another network than trained."""
    declared = ENCODERS[name]
    with torch.device("meta"):
        timms = timm.create_model(declared.network, pretrained=False, num_classes=0)
        ours = TimmEncoder(declared, timms.pretrained_cfg["input_size"][1:])
    published = {key: tensor.shape for key, tensor in timms.state_dict().items() if not key.startswith("head.")}
    assert {key: tensor.shape for key, tensor in ours.net.state_dict().items()} == published
    heads = [block.attn.num_heads for block in timms.blocks]
    assert [block.attn.num_heads for block in ours.net.blocks] == heads
    assert timms.pretrained_cfg["tag"]  # else it is a network of that name with no weights
    assert (timms.pretrained_cfg["mean"], timms.pretrained_cfg["std"]) == declared.normalisation


@pytest.mark.parametrize(
    ("name", "millions"),
    # DINOv3 and ViT-B: the papers' 21, 86, 300; the trunk of SAM 2.1 B+: 69 of its 80.8
    [("dinov3_s", 21.6), ("dinov3_b", 85.7), ("dinov3_l", 303.1), ("dinov3_l_sat", 303.1), ("imagenet_b", 85.8),
     ("sam2_b_plus", 68.7)],
)  # fmt: skip
def test_parameter_counts(name, millions):
    with torch.device("meta"):
        assert parameters(make_encoder(ENCODERS[name], (224, 224))) / 1e6 == pytest.approx(millions, abs=0.06)


def test_sams_encoder_keeps_the_same_protocol():
    encoder = make_encoder(ENCODERS["vit_t"], (64, 64))
    assert isinstance(encoder, SamEncoder)
    assert [tap.shape for tap in encoder(torch.rand(1, 3, 64, 64), ENCODERS["vit_t"].taps).taps] == [(1, 192, 4, 4)] * 4


def test_taps_are_the_last_blocks_of_quarters_or_stages():
    assert ENCODERS["dinov3_b"].taps == ENCODERS["vit_b"].taps == (2, 5, 8, 11)
    assert ENCODERS["dinov3_l"].taps == (5, 11, 17, 23)
    assert ENCODERS["sam2_b_plus"].taps == (1, 4, 20, 23)


# ---- LoRA


@pytest.mark.parametrize("name", NANO)
def test_lora_starts_as_without_it_and_then_changes_the_maps(name):
    """timm's EvaAttention reads `qkv.weight` past the layer: LoRA in DINOv3 changed nothing, in silence."""
    declared, images = ENCODERS[name], torch.rand(1, 3, 64, 64)
    torch.manual_seed(0)
    encoder = shake(TimmEncoder(declared, (64, 64))).eval()
    with torch.no_grad():
        plain = encoder(images, declared.taps).taps
        add_lora(encoder, 4)
        for before, after in zip(plain, encoder(images, declared.taps).taps, strict=True):
            torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
        state = lora_parameters(encoder)
        assert len(state) == 4 * declared.blocks
        shake_only(state)
        for before, after in zip(plain, encoder(images, declared.taps).taps, strict=True):
            assert (after - before).abs().max() > 1e-3


def shake_only(state):
    generator = torch.Generator().manual_seed(1)
    for parameter in state.values():
        parameter += 0.1 * torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("name", NANO)
def test_lora_loads_beside_prepared_weights(name, tmp_path):
    net = timms_own(name)
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    encoder = TimmEncoder(ENCODERS[name], (64, 64))
    add_lora(encoder, 4)
    load_encoder(encoder, tmp_path / "w.safetensors", fresh=lora_parameters(encoder))
    published, state = net.state_dict(), encoder.net.state_dict()
    assert all(torch.equal(state[key], published[key]) for key in state if key in published and key != "pos_embed")
