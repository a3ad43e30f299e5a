from functools import partial

import numpy as np
import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from torch import nn

from rssam.sam.encoder import SamEncoder
from rssam.sam.encoder_sizes import ENCODERS, EncoderSize
from rssam.sam.loading import checkpoint_part, encoder_state, load_exactly, load_weights
from rssam.weights.folder import WeightsDamaged
from tests.rssam.fakes import linear, parameters, resized_official, shake

NARROW = EncoderSize("vit_b", width=48, blocks=3, heads=3, global_blocks=(1, 2))
MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)


def official_encoder(size, image_size=1024):
    return shake(
        ImageEncoderViT(
            img_size=image_size,
            embed_dim=size.width,
            depth=size.blocks,
            num_heads=size.heads,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            global_attn_indexes=size.global_blocks,
            window_size=14,
            out_chans=256,
        )
    )


def published(encoder):
    return {f"image_encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}


def both_at(size, image_size):
    """(ours, SAM's) neck output for one image, from the same checkpoint of 1024 x 1024."""
    official = official_encoder(size)
    ours = SamEncoder(size, image_size, neck=True)
    load_exactly(ours, encoder_state(published(official), size, image_size))
    if image_size != (1024, 1024):
        official = resized_official(official, size, (image_size[0] // 16, image_size[1] // 16))
    images = torch.rand(1, 3, *image_size)
    with torch.no_grad():
        return ours(images).neck, official((255 * images - MEAN) / STD)


@pytest.mark.parametrize("image_size", [(1024, 1024), (512, 512), (256, 256), (64, 96)])
def test_equals_sam(image_size):
    ours, sams = both_at(NARROW, image_size)
    assert ours.shape == (1, 256, image_size[0] // 16, image_size[1] // 16)
    torch.testing.assert_close(ours, sams, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("side", [1024, 512])
def test_equals_sam_vit_b(side):
    ours, sams = both_at(ENCODERS["vit_b"], (side, side))
    torch.testing.assert_close(ours, sams, atol=1e-4, rtol=0)


def test_vit_l_resamples_its_own_global_blocks():
    """By substring, as the public code does it, blocks 2, 8, 12, 15, 18, 20-22 would change and 17 would not."""
    size = EncoderSize("vit_l", width=16, blocks=24, heads=2, global_blocks=ENCODERS["vit_l"].global_blocks)
    before = official_encoder(size).state_dict()
    after = encoder_state({f"image_encoder.{name}": t for name, t in before.items()}, size, (256, 512))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    tables = {f"blocks.{index}.attn.rel_pos_{axis}" for index in (5, 11, 17, 23) for axis in "hw"}
    assert changed == tables | {"pos_embed"}
    for name in tables:
        length = 31 if name.endswith("h") else 63
        np.testing.assert_allclose(after[name], linear(before[name], length), atol=1e-5)


def test_names_are_sams():
    with torch.device("meta"):
        for size in ENCODERS.values():
            ours = SamEncoder(size, (64, 64), neck=True)
            assert ours.state_dict().keys() == official_encoder(size, 64).state_dict().keys()


@pytest.mark.parametrize(
    ("name", "side", "expected"),
    [
        ("vit_b", 512, 87_278_848),
        ("vit_b", 1024, 89_670_912),
        ("vit_b", 256, 86_672_640),
        ("vit_l", 512, 305_099_776),
        ("vit_l", 1024, 308_278_272),
        ("vit_l", 256, 304_296_960),
    ],
)
def test_parameter_count(name, side, expected):
    with torch.device("meta"):
        assert parameters(SamEncoder(ENCODERS[name], (side, side), neck=True)) == expected


def test_vit_h_is_sams():
    with torch.device("meta"):
        size = ENCODERS["vit_h"]
        assert parameters(SamEncoder(size, (1024, 1024), neck=True)) == parameters(official_encoder(size))


def test_taps_are_the_outputs_of_their_blocks():
    encoder = SamEncoder(NARROW, (64, 96), neck=False)
    seen = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda _, __, output: seen.append(output))
    taps, neck = encoder(torch.rand(2, 3, 64, 96), taps=(2, 0))
    assert neck is None
    assert taps[0].shape == (2, 48, 4, 6)
    assert torch.equal(taps[0], seen[2].permute(0, 3, 1, 2))
    assert torch.equal(taps[1], seen[0].permute(0, 3, 1, 2))


def test_prompts_are_added_before_their_blocks():
    """Against the encoder's own parts, taken one after another by hand."""
    encoder = shake(SamEncoder(NARROW, (64, 96), neck=True))
    images, given = torch.rand(2, 3, 64, 96), torch.randn(3, 2, 4, 6, 48)
    seen = []

    def prompter(pixels, patches):
        seen.extend((pixels, patches))
        return list(given)

    taps, neck = encoder(images, taps=(1,), prompter=prompter)
    pixels = (255 * images - MEAN) / STD
    patches = encoder.patch_embed(pixels)
    torch.testing.assert_close(seen, [pixels, patches])
    first, second, third = encoder.blocks
    x = second(first(patches + encoder.pos_embed + given[0]) + given[1])
    torch.testing.assert_close(taps[0], x.permute(0, 3, 1, 2))
    torch.testing.assert_close(neck, encoder.neck(third(x + given[2]).permute(0, 3, 1, 2)))
    assert torch.equal(encoder(images).neck, encoder(images, prompter=lambda *_: torch.zeros(3, 1, 1, 1, 1)).neck)


def test_another_image_size_is_refused():
    encoder = SamEncoder(NARROW, (64, 96), neck=False)
    with pytest.raises(ValueError, match=r"built for images of \(64, 96\), got \(96, 64\)"):
        encoder(torch.rand(1, 3, 96, 64))
    with pytest.raises(ValueError, match="not a multiple of 16"):
        SamEncoder(NARROW, (64, 100), neck=False)


def test_missing_and_unexpected_names_are_named():
    checkpoint = published(official_encoder(NARROW))
    checkpoint["image_encoder.blocks.0.surplus"] = checkpoint.pop("image_encoder.blocks.0.norm1.bias")
    with pytest.raises(WeightsDamaged, match=r"missing blocks\.0\.norm1\.bias; unexpected blocks\.0\.surplus"):
        encoder_state(checkpoint, NARROW, (64, 64))


def test_another_shape_is_refused():
    checkpoint = published(official_encoder(NARROW))
    checkpoint["image_encoder.neck.1.bias"] = torch.zeros(255)
    with pytest.raises(
        WeightsDamaged, match=r"expected neck\.1\.bias of shape \(256,\) for a \w+ image encoder, found \(255,\)"
    ):
        encoder_state(checkpoint, NARROW, (64, 64))


def test_windowed_tables_keep_their_length():
    checkpoint = published(official_encoder(NARROW))
    checkpoint["image_encoder.blocks.0.attn.rel_pos_h"] = torch.zeros(127, 16)
    with pytest.raises(WeightsDamaged, match=r"blocks\.0\.attn\.rel_pos_h of shape \(27, 16\)"):
        encoder_state(checkpoint, NARROW, (64, 64))


def test_another_size_is_named():
    checkpoint = published(official_encoder(NARROW))
    with pytest.raises(WeightsDamaged, match=r"expected a vit_b checkpoint \(768 wide, 12 blocks\), found 48 wide, 3 "):
        encoder_state(checkpoint, ENCODERS["vit_b"], (64, 64))


def test_parts_by_prefix(weights):
    checkpoint = load_weights(weights.path_of("vit_b"))
    assert checkpoint_part(checkpoint, "prompt_encoder.pe_layer.").keys() == {"positional_encoding_gaussian_matrix"}
    with pytest.raises(WeightsDamaged, match=r"expected tensors named memory\.\*"):
        checkpoint_part(checkpoint, "memory.")


def test_load_exactly_refuses_a_stale_list():
    with pytest.raises(ValueError, match="not parameters of Linear: gone"):
        load_exactly(nn.Linear(2, 2), {}, fresh=["gone"])
    with pytest.raises(WeightsDamaged, match="missing bias"):
        load_exactly(nn.Linear(2, 2), {"weight": torch.zeros(2, 2)})
    with pytest.raises(WeightsDamaged, match=r"expected bias of shape \(2,\)"):
        load_exactly(nn.Linear(2, 2), {"weight": torch.zeros(2, 2), "bias": torch.zeros(3)})
