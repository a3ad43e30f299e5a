"""The faster blocks against segment_anything's own: outputs and every gradient, tables and biases not zero."""

import copy

import pytest
import torch
from segment_anything.modeling.image_encoder import Block
from torch.utils.flop_counter import FlopCounterMode

from rssam.lora import LoraQkv, add_lora, freeze_encoder
from rssam.sam.attention import ExactBlock, choose_kind, covering, set_attention
from rssam.sam.encoder import SamEncoder
from rssam.sam.encoder_sizes import ENCODERS, EncoderSize
from rssam.sam.tiled_attention import Region, regions
from tests.rssam.fakes import shake
from tests.rssam.half_precision import Float32Products

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


@torch.no_grad()
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("window", [0, 14])
def test_float16_holds_for_large_maps(window, way):
    """The sum of residuals stays in float32, and scores are no larger than the normed map makes them."""
    made, x = block((15, 28), window), 2e4 * torch.randn(1, 15, 28, 48)
    set_attention(made, way)
    exact = made(x)
    with torch.autocast("cpu", torch.float16), Float32Products(torch.float16):
        found = made(x)
    torch.testing.assert_close(found - x, exact - x, atol=0.05 * float((exact - x).abs().max()), rtol=0)


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
    assert covering(32, 32, 14) == Region(0, 0, 3, 3, 14, 14, (14, 14))
    assert covering(28, 14, 14) == Region(0, 0, 2, 1, 14, 14, (14, 14))
    assert covering(24, 40, 0) == Region(0, 0, 1, 1, 24, 40, (24, 40))


@pytest.mark.parametrize("grid", [(32, 32), (28, 14), (4, 6), (24, 40)])
@pytest.mark.parametrize("window", [0, 14])
def test_regions_hold_every_token_once(grid, window):
    """Token by token: its place, and that its window is a window of SAM's."""
    side = (window, window) if window else grid
    found = []
    places = torch.stack(torch.meshgrid(*map(torch.arange, grid), indexing="ij"), dim=-1)[None]  # [1, H, W, 2]
    for region in regions(*grid, window):
        cut = region.cut(places, 1, 1).flatten(0, 2).flatten(1, 2)  # [down, windows, high, wide, 2]
        for positions in cut.reshape(-1, region.high * region.wide, 2):
            assert len({(int(y) // side[0], int(x) // side[1]) for y, x in positions}) == 1
            found += [(int(y), int(x)) for y, x in positions]
    assert sorted(found) == [(y, x) for y in range(grid[0]) for x in range(grid[1])]


@pytest.mark.parametrize("tile", [1, 50, 1000, 7000, 2**30])
def test_the_size_of_a_tile_changes_nothing(tile, monkeypatch):
    """One query a tile, parts of a head's queries, some heads, all at once; the last tile of each row is smaller."""
    made, x = block((5, 16), 14), torch.randn(2, 5, 16, 48)
    monkeypatch.setattr("rssam.sam.tiled_attention.TILE", tile)
    reference, ours = outcome(made, x, "reference"), outcome(made, x, "tiled")
    for name, expected in reference.items():
        torch.testing.assert_close(ours[name], expected, atol=1e-10, rtol=1e-8, msg=lambda m, n=name: f"{n}: {m}")


def test_large_positions_do_not_overflow():
    """The padding's sum of exponentials is taken in logarithms: written out it is infinite beyond 88 in float32."""
    made, x = block((4, 6), 14), torch.randn(1, 4, 6, 48)
    with torch.no_grad():
        made.attn.rel_pos_h *= 2000
        made.attn.rel_pos_w *= 2000
        reference = Block.forward(made.double(), x.double())
        set_attention(made.float(), "tiled")
        torch.testing.assert_close(made(x), reference.float(), atol=1e-3, rtol=1e-3)


def test_tiles_keep_nothing_but_queries_keys_and_values():
    """No map [N, N] waits for the backward pass; and frozen tables and biases get no gradient, LoRA does."""
    made = block((24, 40), 0).requires_grad_(False)
    for name, parameter in made.named_parameters():
        parameter.requires_grad_("_down" in name or "_up" in name)
    kept = {}
    for kind in ("reference", "tiled"):
        sizes = []
        set_attention(made, kind)
        with torch.autograd.graph.saved_tensors_hooks(lambda t, sizes=sizes: sizes.append(t.numel()) or t, lambda t: t):
            out = made(torch.randn(2, 24, 40, 48))
        kept[kind] = max(sizes)
    assert kept["reference"] >= 2 * 3 * 960**2
    assert kept["tiled"] <= 2 * 960 * 4 * 48  # the MLP's
    out.sum().backward()
    assert {name for name, p in made.named_parameters() if p.grad is not None} == {
        f"attn.qkv.{part}.weight" for part in ("query_down", "query_up", "value_down", "value_up")
    }


def learning(encoder):
    """Freeze all but LoRA and the neck; their parameters by name."""
    freeze_encoder(encoder, "sam")
    encoder.neck.requires_grad_(True)
    return {name: p for name, p in encoder.named_parameters() if p.requires_grad}


def step(encoder, images, kind, bfloat16=False):
    """Output, and gradients of input, LoRA and neck, by name."""
    set_attention(encoder, kind)
    trained = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        neck = encoder(images).neck
    gradients = torch.autograd.grad(neck.double().square().mean(), [images, *trained.values()])
    return {"output": neck.detach(), **dict(zip(["input", *trained], gradients, strict=True))}


def test_the_backward_pass_stops_at_the_first_lora():
    """Products of layers in it, counted: no frozen weight has a gradient, nor has what comes before the first LoRA."""
    encoder = SamEncoder(NARROW, (64, 96), neck=False)
    add_lora(encoder, 4)
    freeze_encoder(encoder, "sam")
    out = encoder(torch.rand(1, 3, 64, 96), taps=(2,)).taps[0]
    with FlopCounterMode(display=False) as counter:
        out.sum().backward()
    tokens, width, rank = 24, 48, 4
    layers = 9 * width**2 + 2 * (3 * width * 2 * rank) + 2 * rank * width  # projection and MLP; LoRA's up, and down
    further = (
        3 * width**2 + 2 * rank * width
    )  # to the input of a block, which the first one lacks: queries, keys, values
    assert counter.get_flop_counts()["Global"][torch.ops.aten.mm] == 2 * tokens * (3 * layers + 2 * further)


@pytest.mark.parametrize("way", WAYS)
def test_bfloat16_is_as_near_to_float64_as_sams(way):
    """Root mean square error of output and gradients under autocast: at most half as much again as SAM's own blocks."""
    encoder = SamEncoder(NARROW, (256, 384), neck=True)
    add_lora(encoder, 4)
    learning(shake(encoder))
    images = torch.rand(1, 3, 256, 384, requires_grad=True)
    truth = step(copy.deepcopy(encoder).double(), images.double(), "reference")
    errors = {kind: deviations(step(encoder, images, kind, bfloat16=True), truth) for kind in ("reference", way)}
    for part, error in errors["reference"].items():
        assert error > 1e-4, part
        assert errors[way][part] < 1.5 * error, part


def deviations(found, truth):
    """Relative to the truth: of output, input, all of LoRA and all of the neck."""
    parts = {"output": ["output"], "input": ["input"]}
    parts["lora"] = [name for name in truth if "attn.qkv" in name]
    parts["neck"] = [name for name in truth if name.startswith("neck")]
    return {
        part: float(
            torch.cat([(found[n].double() - truth[n]).flatten() for n in names]).norm()
            / torch.cat([truth[n].flatten() for n in names]).norm()
        )
        for part, names in parts.items()
    }


def test_on_the_cpu_tiles_elsewhere_a_fused_kernel():
    assert choose_kind(torch.device("cpu")) == "tiled"
    assert choose_kind(torch.device("cuda")) == choose_kind(torch.device("meta")) == "folded"


def adapted(size, image_size, batch):
    """An encoder with LoRA and neck, nothing zero, and images."""
    encoder = SamEncoder(size, image_size, neck=True)
    add_lora(encoder, 4)
    learning(shake(encoder))
    return encoder, torch.rand(batch, 3, *image_size, requires_grad=True)


def sams_step(encoder, images, bfloat16=False):
    """As `step` with SAM's own blocks, image by image, for they keep maps [N, N]."""
    found = {}
    for image in images.detach().split(1):
        for name, value in step(encoder, image.requires_grad_(), "reference", bfloat16).items():
            found.setdefault(name, []).append(value)
    joined = {n: torch.cat(v) if n in ("output", "input") else torch.stack(v).sum(dim=0) for n, v in found.items()}
    return {n: v if n == "output" else v / len(images) for n, v in joined.items()}  # the loss is a mean over images


def agree(size, image_size, batch, ways):
    """Every way against SAM's own blocks in float32: each tensor by its own norm, to 1e-4."""
    encoder, images = adapted(size, image_size, batch)
    reference = sams_step(encoder, images)
    for way in ways:
        ours = step(encoder, images, way)
        for name, expected in reference.items():
            assert float((ours[name] - expected).norm()) <= 1e-4 * float(expected.norm()), (way, name)


@pytest.mark.parametrize("size", [(256, 256), (160, 288)])
@pytest.mark.parametrize("batch", [1, 3])
def test_narrow_encoder_equals_sams(size, batch):
    agree(NARROW, size, batch, ("auto", *WAYS))


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(256, 256), (512, 512), (384, 640), (1024, 1024)])
@pytest.mark.parametrize("name", ["vit_b", "vit_l"])
def test_encoder_equals_sams_at_full_size(name, size, batch):
    """Three blocks, so that gradients go from windows to the whole map and back.

    In a batch only the number of maps is new, and heads are maps too: a quarter of them, each as wide as SAM's.
    """
    full, share = ENCODERS[name], 1 if batch == 1 else 4
    agree(EncoderSize(name, full.width // share, 3, full.heads // share, (1,)), size, batch, ("auto",))


@pytest.mark.parametrize("way", ["reference", *WAYS])
def test_products_in_float32_are_bfloat16s_own(way):
    """What stands for bfloat16 units at full size has the error of their emulation, to a quarter."""
    torch.manual_seed(0)
    encoder, images = adapted(NARROW, (128, 128), 1)
    truth = step(copy.deepcopy(encoder).double(), images.detach().double().requires_grad_(), "reference")
    emulated = step(encoder, images, way, bfloat16=True)
    with Float32Products():
        found = step(encoder, images, way, bfloat16=True)
    assert found["output"].dtype == emulated["output"].dtype
    expected = deviations(emulated, truth)
    for part, error in deviations(found, truth).items():
        assert error == pytest.approx(expected[part], rel=0.25), part


@torch.no_grad()
def test_prediction_in_bfloat16_is_as_near_to_float64_as_sams():
    """There LoRA is merged into its layer before the sum is rounded; SAM's way rounds the two apart."""
    encoder, images = adapted(NARROW, (256, 384), 2)
    truth = copy.deepcopy(encoder).double()(images.double()).neck
    errors = {}
    for kind in ("reference", "auto"):
        set_attention(encoder, kind)
        with torch.autocast("cpu", torch.bfloat16):
            errors[kind] = float((encoder(images).neck.double() - truth).norm() / truth.norm())
    assert 1e-4 < errors["auto"] < 1.2 * errors["reference"], errors


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(256, 256), (512, 512), (384, 640), (1024, 1024)])
@pytest.mark.parametrize("name", ["vit_b", "vit_l"])
def test_bfloat16_is_within_its_noise_at_full_size(name, size, batch):
    """Against float64, of which SAM's blocks in float32 are 1e-4 away: at most half as much again as SAM's in bfloat16.

    One block in windows, one global. The truth is made tile by tile, for SAM's own blocks would need 10 GiB for it.
    """
    full = ENCODERS[name]
    encoder, images = adapted(EncoderSize(full.name, full.width, 2, full.heads, (1,)), size, batch)
    truth = step(copy.deepcopy(encoder).double(), images.detach().double().requires_grad_(), "tiled")
    assert max(deviations(sams_step(encoder, images), truth).values()) < 1e-4
    with Float32Products():
        sams = deviations(sams_step(encoder, images, bfloat16=True), truth)
        found = {way: deviations(step(encoder, images, way, bfloat16=True), truth) for way in ("tiled", "folded")}
    for way, ours in found.items():
        print(way, {part: f"{error:.1e}, SAM's {sams[part]:.1e}" for part, error in ours.items()})
        for part, error in sams.items():
            assert error > 1e-4, part
            assert ours[part] < 1.5 * error, (way, part)
