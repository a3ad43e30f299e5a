import copy

import pytest
import torch
from segment_anything.modeling.image_encoder import Attention, Block
from torch.nn import functional as F

from baselines.rsam_seg import RsamSeg
from baselines.rsam_seg.network import AdaptedBlock, adapter_parameters, architecture
from baselines.sam_adapter import SamAdapter
from rssam.contract import Task
from rssam.sam.attention import set_attention
from rssam.sam.loading import encoder_state, load_weights
from rssam.weights.folder import WeightsFolder, WeightsNotFound
from tests.rssam.fakes import TINY, has_zero_gradient, parameters, shake, train_two_steps, trainable_parameters
from tests.rssam.sam.test_attention import GRIDS, WAYS, outcome

ROAD = Task(("road",), (64, 64))


@pytest.mark.parametrize(
    ("encoder", "side", "classes", "total"),
    [
        ("vit_b", 512, 1, 98_501_684),
        ("vit_b", 512, 6, 98_782_326),
        # published totals without the third adapter of every block, which nothing calls
        ("vit_b", 1024, 1, 104_444_212 - 3_550_464),
        ("vit_b", 256, 1, 101_445_940 - 3_550_464),
        ("vit_l", 512, 1, 347_115_812 - 24 * (2 * 1024 * 256 + 256 + 1024)),
    ],
)
def test_totals(encoder, side, classes, total):
    with torch.device("meta"):
        task = Task(tuple("abcdef")[:classes], (side, side))
        net = architecture(task, encoder=encoder, init="sam", train_adapters=True)
        logits = net(torch.zeros(1, 3, side, side))
    assert parameters(net) == total
    assert logits.shape == (1, classes, side, side)


@pytest.mark.parametrize(("train_adapters", "listed"), [(True, 11_222_836), (False, 4_121_908)])
def test_trainable_as_the_paper_and_as_the_published_code(train_adapters, listed):
    iou_head, three_unused_heads = 132_612, 3 * 139_808
    with torch.device("meta"):
        net = architecture(Task(("road",), (512, 512)), encoder="vit_b", init="sam", train_adapters=train_adapters)
    assert trainable_parameters(net) == listed - iou_head - three_unused_heads


@pytest.mark.parametrize("kind", ["reference", *WAYS])
@pytest.mark.parametrize("window", [0, 14])
@torch.no_grad()
def test_block_by_hand(window, kind):
    """SAM's block without its MLP gives the attention's part; the rest is put together outside the windows."""
    torch.manual_seed(0)
    grid = (5, 17)
    block = shake(Block(dim=32, num_heads=2, use_rel_pos=True, window_size=window, input_size=grid))
    adapted = shake(AdaptedBlock(block, 32), seed=1)  # shakes the block's own parameters once more
    silent = copy.deepcopy(block)
    silent.mlp.lin2.weight.zero_()
    silent.mlp.lin2.bias.zero_()

    def adapter(layers, x):
        (down, _, up), gelu = layers, F.gelu
        return gelu(x @ down.weight.T + down.bias) @ up.weight.T + up.bias

    x = torch.randn(2, *grid, 32)
    attended = silent(x) - x
    middle = x + attended + adapter(adapted.space_adapter, attended)
    normal = F.layer_norm(middle, (32,), block.norm2.weight, block.norm2.bias, block.norm2.eps)
    expected = middle + block.mlp(normal) + 0.5 * adapter(adapted.mlp_adapter, normal)
    set_attention(adapted, kind)
    torch.testing.assert_close(adapted(x), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("window", [0, 14])
@pytest.mark.parametrize("grid", GRIDS)
def test_block_equals_the_published_way_with_every_gradient(grid, window, way):
    """In float64 nothing but the order of sums is left, on maps that windows jut out of too."""
    torch.manual_seed(0)
    block = Block(dim=48, num_heads=3, use_rel_pos=True, window_size=window, input_size=grid)
    adapted, x = shake(AdaptedBlock(block, 48)), torch.randn(2, *grid, 48)
    reference, ours = outcome(adapted, x, "reference"), outcome(adapted, x, way)
    assert ours.keys() == reference.keys()
    assert min(float(value.abs().max()) for value in reference.values()) > 1e-3  # everything has a part in it
    for name, expected in reference.items():
        torch.testing.assert_close(ours[name], expected, atol=1e-10, rtol=1e-8, msg=lambda m, n=name: f"{n}: {m}")


def test_the_layout_of_the_patches_does_not_change_a_block():
    """Patches are a transposed map; what comes out is laid out as a map of tokens."""
    block = Block(dim=48, num_heads=3, use_rel_pos=True, window_size=14, input_size=(5, 17))
    adapted, x = shake(AdaptedBlock(block, 48)), torch.randn(2, 48, 5, 17).permute(0, 2, 3, 1)
    out = adapted(x)
    assert out.is_contiguous()
    assert torch.equal(out, adapted(x.contiguous()))


def test_reference_is_segment_anythings_own_attention(monkeypatch):
    """And only it: the other ways never call SAM's `Attention.forward`."""
    net, images = architecture(ROAD, encoder="vit_t", init="scratch", train_adapters=True), torch.rand(1, 3, 64, 64)
    called = []
    forward = Attention.forward
    monkeypatch.setattr(Attention, "forward", lambda self, x: called.append(x.shape[1:3]) or forward(self, x))
    net(images)
    assert not called
    set_attention(net, "reference")
    net(images)
    sides = [block.window_size or 4 for block in net.encoder.blocks]
    assert called == [(side, side) for side in sides]
    assert 14 in sides


def seeded(train_adapters=True, task=ROAD, weights=None):
    torch.manual_seed(0)
    if weights is None:
        return RsamSeg(encoder="vit_t", init="scratch", train_adapters=train_adapters).build(task, WeightsFolder("/"))
    return RsamSeg(encoder="vit_b", init="sam", train_adapters=train_adapters).build(task, weights)


@pytest.mark.parametrize("train_adapters", [True, False])
def test_from_scratch(train_adapters):
    net = seeded(train_adapters)
    changed, silent = train_two_steps(net)
    assert not changed
    assert not [name for name in silent if not has_zero_gradient(name)]
    adapters = adapter_parameters(net.encoder)
    assert all(
        p.requires_grad == (train_adapters or name not in adapters) for name, p in net.encoder.named_parameters()
    )


# ---- from SAM's weights


@torch.no_grad()
def test_equals_sam_adapter_where_the_adapters_give_nothing(weights):
    net = seeded(task=Task(("road",), (64, 256)), weights=weights)
    plain = SamAdapter(encoder="vit_b", init="sam").build(Task(("road",), (64, 256)), weights)
    plain.prompt_generator.load_state_dict(net.prompt_generator.state_dict())
    images = torch.rand(2, 3, 64, 256)
    assert (net(images) - plain(images)).abs().max() > 1e-3
    for parameter in adapter_parameters(net.encoder).values():
        parameter.zero_()
    torch.testing.assert_close(net(images), plain(images))


def test_sams_tensors_are_loaded_and_the_adapters_are_fresh(weights):
    net = seeded(weights=weights)
    adapters = adapter_parameters(net.encoder)
    assert len(adapters) == TINY.blocks * 2 * 4
    published = encoder_state(load_weights(weights.path_of("vit_b")), TINY, (64, 64))
    state = net.encoder.state_dict()
    assert state.keys() == published.keys() | adapters.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in published.items())


@pytest.mark.parametrize("train_adapters", [True, False])
def test_frozen_stays_and_the_rest_learns(weights, train_adapters):
    """As published, nothing in the encoder learns, not even the random adapters."""
    net = seeded(train_adapters, weights=weights)
    changed, silent = train_two_steps(net)
    assert not changed
    assert not [name for name in silent if not has_zero_gradient(name)]
    trained = {name for name, p in net.encoder.named_parameters() if p.requires_grad}
    assert trained == (adapter_parameters(net.encoder).keys() if train_adapters else set())


def test_without_weights_nothing_is_built(tmp_path):
    with pytest.raises(WeightsNotFound, match="prepare weights vit_b"):
        RsamSeg(encoder="vit_b", init="sam", train_adapters=True).build(ROAD, WeightsFolder(tmp_path))
