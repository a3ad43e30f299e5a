import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from rssam.config import RSSAM
from rssam.contract import Task
from rssam.sam.encoder_sizes import CHAINS
from rssam.sam.loading import load_weights
from rssam.weights.folder import WeightsFolder, WeightsNotFound
from tests.rssam.fakes import (
    TINY,
    has_zero_gradient,
    official_sam,
    overfit,
    parameters,
    train_two_steps,
    trainable_parameters,
)

SCRATCH = RSSAM("vit_t", init="scratch")
ROAD = Task(("road",), (64, 64))
ROWS = {
    "neck": replace(SCRATCH, mff=False, mhff=False),
    "neck+mff": replace(SCRATCH, mhff=False),
    "neck+mhff": replace(SCRATCH, mff=False),
    "all": SCRATCH,
}
CONTROLS = {
    "layers": replace(SCRATCH, neck_source="layers"),
    **{chain: replace(SCRATCH, chain=chain) for chain in CHAINS if chain != SCRATCH.chain},
    "four at 1/16": replace(SCRATCH, mff=False, mhff=False, scales=(16, 16, 16, 16)),
    "one at 1/4": replace(SCRATCH, mff=False, mhff=False, scales=(4,)),
}


def seeded(config, task=ROAD, seed=0, weights=None):
    torch.manual_seed(seed)
    return config.build(task, weights or WeightsFolder("/nowhere"))


@pytest.mark.parametrize(
    ("encoder", "total", "trainable"),
    [("vit_b", 107_866_582, 21_375_190), ("vit_l", 328_178_454, 23_931_670)],
)
def test_totals(encoder, total, trainable):
    with torch.device("meta"):
        net = RSSAM(encoder).architecture(Task(("road",), (512, 512)))
        logits = net(torch.zeros(1, 3, 512, 512))
    assert (parameters(net), trainable_parameters(net)) == (total, trainable)
    assert logits.shape == (1, 1, 512, 512)


def test_total_of_six_classes():
    with torch.device("meta"):
        net = RSSAM().architecture(Task(tuple("abcdef"), (256, 256)))
    assert parameters(net) == 107_261_398


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (64, 96)])
@pytest.mark.parametrize("classes", [("road",), ("a", "b", "c")])
@torch.no_grad()
def test_forward_contract(size, classes):
    task = Task(classes, size)
    net = seeded(SCRATCH, task)
    for batch in (1, 3):
        images = torch.rand(batch, 3, *size)
        logits = net.train()(images)
        assert logits.shape == (batch, task.channels, *size)
        assert logits.dtype == torch.float32
        assert torch.equal(net.eval()(images), logits)


@pytest.mark.parametrize("config", [*ROWS.values(), *CONTROLS.values()], ids=[*ROWS, *CONTROLS])
def test_every_variant_trains_all_it_calls_trainable(config):
    changed, silent = train_two_steps(seeded(config))
    assert not changed
    assert not [name for name in silent if not has_zero_gradient(name)]


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_table_5(name):
    """A row's prediction, put together by hand from the outputs of its parts; parts it does not use do not exist."""
    config = ROWS[name]
    net = seeded(config)
    seen = {}
    for part in ("decoders", "mff", "mhff"):
        if module := getattr(net, part):
            module.register_forward_hook(lambda _, __, output, part=part: seen.update({part: output}))
    assert (net.mff is not None, net.mhff is not None) == (config.mff, config.mhff)
    with torch.no_grad():
        logits = net(torch.rand(2, 3, 64, 64))
        features, tokens = seen["decoders"]
        fused = seen["mhff"] if config.mhff else features[3]
        classes = seen["mff"] if config.mff else tokens[3]
        assert fused.shape == (2, 256, 16, 16)
        background, foreground = (torch.einsum("bchw,bc->bhw", fused, classes[:, i]) / 16 for i in range(2))
        expected = F.interpolate((foreground - background)[:, None], (64, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("chain", ["printed", "sam_first"])
@pytest.mark.parametrize("name", ROWS)
def test_every_row_overfits_four_tiles(name, chain):
    """The quick suite learns the full model by heart, as a check of conformance."""
    assert overfit(seeded(replace(ROWS[name], chain=chain)), bfloat16=False) > 0.9


@pytest.mark.slow  # a step takes seconds on a CPU without instructions for it
@pytest.mark.parametrize("name", ROWS)
def test_every_row_overfits_four_tiles_in_bfloat16(name):
    assert overfit(seeded(ROWS[name]), bfloat16=True) > 0.9


@torch.no_grad()
def test_bfloat16_is_finite_and_near():
    net, images = seeded(SCRATCH), torch.rand(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(images)
    exact = net(images)
    assert logits.dtype == torch.float32
    assert (logits - exact).abs().max() < 0.1 * exact.abs().max()


@torch.no_grad()
def test_binary_logit_is_the_softmax_of_two_tokens():
    net = seeded(SCRATCH)
    other = seeded(SCRATCH, Task(("background", "road"), (64, 64)))
    assert other.load_state_dict(net.state_dict())
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(net(images).sigmoid(), other(images).softmax(1)[:, 1:], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_same_seed_same_network_and_state_round_trip():
    first, second, third = seeded(SCRATCH), seeded(SCRATCH), seeded(SCRATCH, seed=1)
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(first(images), second(images))
    assert not torch.equal(first(images), third(images))
    third.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(first(images), third(images))


@torch.no_grad()
def test_images_do_not_see_each_other():
    net, images = seeded(SCRATCH).train(), torch.rand(3, 3, 64, 64)
    torch.testing.assert_close(net(images)[1:2], net(images[1:2]), atol=1e-4, rtol=1e-4)


def test_layers_takes_the_quarters():
    assert seeded(CONTROLS["layers"]).sources == {32: 3, 16: 2, 8: 1, 4: 0}
    assert seeded(SCRATCH).sources == {32: 3, 16: 3, 8: 3, 4: 3}


# ---- from SAM's weights


def test_starts_from_sam(weights):
    checkpoint = load_weights(weights.path_of("vit_b"))
    net = seeded(RSSAM(), weights=weights)
    state = net.state_dict()
    for name in ("patch_embed.proj.weight", "blocks.0.attn.qkv.bias", "blocks.0.attn.rel_pos_h", "blocks.3.norm2.bias"):
        assert torch.equal(state[f"encoder.{name}"], checkpoint[f"image_encoder.{name}"])
    assert state["encoder.pos_embed"].shape == (1, 4, 4, 96)
    for index in range(4):
        for name, tensor in checkpoint.items():
            if name.startswith("mask_decoder.transformer."):
                own = name.replace("mask_decoder.", f"decoders.decoders.{index}.")
                assert torch.equal(state[own], tensor)
    for part in ("0.weight", "1.bias", "2.weight", "3.weight"):
        assert torch.equal(state[f"neck.levels.16.neck.{part}"], checkpoint[f"image_encoder.neck.{part}"])
    no_mask = checkpoint["prompt_encoder.no_mask_embed.weight"][0]  # SAM adds it to every pixel of this map
    assert torch.equal(state["neck.levels.16.neck.3.bias"], checkpoint["image_encoder.neck.3.bias"] + no_mask)
    code = "positional_encoding_gaussian_matrix"
    assert torch.equal(state[f"decoders.position.{code}"], checkpoint[f"prompt_encoder.pe_layer.{code}"])


@torch.no_grad()
def test_the_level_at_one_sixteenth_and_its_decoder_start_as_sams_own(weights, sam_file):
    """SAM adds "no mask" to every pixel; without it the tokens were 40 % off. Its IoU token is given for once."""
    sam = official_sam()
    sam.load_state_dict(torch.load(sam_file, weights_only=True))
    net = seeded(RSSAM(), weights=weights)
    mapped = torch.randn(1, TINY.width, 4, 6)  # of the last block
    position = net.decoders.position((4, 6))[None]
    tokens = torch.cat((sam.mask_decoder.iou_token.weight, sam.mask_decoder.mask_tokens.weight))[None]
    no_mask = sam.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
    expected = sam.mask_decoder.transformer(sam.image_encoder.neck(mapped) + no_mask, position, tokens)
    features, updated = net.decoders.decoders[1](net.neck.levels["16"](mapped), position, tokens)
    torch.testing.assert_close(updated, expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features.flatten(2).transpose(1, 2), expected[1], atol=1e-5, rtol=1e-5)
    without = sam.mask_decoder.transformer(sam.image_encoder.neck(mapped), position, tokens)[0]
    assert (without - expected[0]).norm() > 0.01 * expected[0].norm()


def test_decoders_can_start_at_random(weights):
    checkpoint = load_weights(weights.path_of("vit_b"))
    state = seeded(RSSAM(pretrained_decoders=False), weights=weights).state_dict()
    assert torch.equal(state["encoder.blocks.0.norm1.weight"], checkpoint["image_encoder.blocks.0.norm1.weight"])
    norm = "transformer.norm_final_attn.bias"
    assert not torch.equal(state[f"decoders.decoders.0.{norm}"], checkpoint[f"mask_decoder.{norm}"])
    assert not torch.equal(state["neck.levels.16.neck.1.bias"], checkpoint["image_encoder.neck.1.bias"])


@pytest.mark.parametrize("scales", [(16, 16, 16, 16), (4,)])
def test_controls_start_from_sam(weights, scales):
    net = seeded(RSSAM(mff=False, mhff=False, scales=scales), weights=weights)
    assert net(torch.rand(1, 3, 64, 64)).isfinite().all()


def test_frozen_stays_and_the_rest_learns(weights):
    net = seeded(RSSAM(), weights=weights)
    changed, silent = train_two_steps(net)
    assert not changed
    assert not [name for name in silent if not has_zero_gradient(name)]
    frozen = {name for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {n for n, _ in net.named_parameters() if n.startswith("encoder.") and "_up" not in n} - {
        name for name, _ in net.named_parameters() if "_down" in name
    }


@torch.no_grad()
def test_rank_0_is_the_frozen_encoder(weights):
    images = torch.rand(1, 3, 64, 64)
    zero, four = (seeded(RSSAM(rank=rank), weights=weights) for rank in (0, 4))
    taps = zero.taps
    for a, b in zip(zero.encoder(images, taps).taps, four.encoder(images, taps).taps, strict=True):
        assert torch.equal(a, b)
    assert not any(p.requires_grad for p in zero.encoder.parameters())


def test_without_weights_nothing_is_built(tmp_path):
    with pytest.raises(WeightsNotFound, match="prepare weights vit_b"):
        RSSAM().build(ROAD, WeightsFolder(tmp_path))
