import copy

import pytest
import torch
from torch.nn import functional as F

from baselines.sam_lora import SamLora
from baselines.sam_lora import network as sam_lora
from baselines.sam_lora.network import architecture
from rssam.contract import Task
from rssam.sam.loading import load_weights
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound
from tests.rssam.fakes import (
    has_zero_gradient,
    official_sam,
    overfit,
    parameters,
    train_two_steps,
    trainable_parameters,
)

ROAD = Task(("road",), (64, 64))


def scratch(task=ROAD, seed=0):
    torch.manual_seed(seed)
    return SamLora(encoder="vit_t", init="scratch", rank=4).build(task, WeightsFolder("/nowhere"))


@pytest.mark.parametrize(
    ("encoder", "total", "trainable"), [("vit_b", 91_210_222, 3_793_312), ("vit_l", 309_276_910, 4_039_072)]
)
def test_totals(encoder, total, trainable):
    with torch.device("meta"):
        net = architecture(Task(("road",), (512, 512)), encoder=encoder, init="sam", rank=4)
        logits = net(torch.zeros(1, 3, 512, 512))
    assert (parameters(net), trainable_parameters(net)) == (total, trainable)
    assert logits.shape == (1, 1, 512, 512)


@pytest.mark.parametrize(("side", "classes", "total"), [(256, 1, 90_604_014), (256, 6, 91_165_298)])
def test_totals_at_256(side, classes, total):
    with torch.device("meta"):
        net = architecture(Task(tuple("abcdef")[:classes], (side, side)), encoder="vit_b", init="sam", rank=4)
    assert parameters(net) == total


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (64, 96)])
@pytest.mark.parametrize("classes", [("road",), ("a", "b", "c")])
@torch.no_grad()
def test_forward_contract(size, classes):
    task = Task(classes, size)
    net = scratch(task)
    for batch in (1, 3):
        images = torch.rand(batch, 3, *size)
        logits = net.train()(images)
        assert logits.shape == (batch, task.channels, *size)
        assert torch.equal(net.eval()(images), logits)


@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
def test_overfits_four_tiles(bfloat16):
    assert overfit(scratch(), bfloat16) > 0.9


@torch.no_grad()
def test_bfloat16_is_finite_and_near():
    net, images = scratch(), torch.rand(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(images)
    exact = net(images)
    assert logits.dtype == torch.float32
    assert (logits - exact).abs().max() < 0.1 * exact.abs().max()


@torch.no_grad()
def test_same_seed_same_network_and_state_round_trip():
    first, second, third = scratch(), scratch(), scratch(seed=1)
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(first(images), second(images))
    assert not torch.equal(first(images), third(images))
    third.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(first(images), third(images))


def test_scratch_trains_all_it_calls_trainable():
    net = scratch()
    changed, silent = train_two_steps(net)
    assert not changed
    assert not [name for name in silent if not has_zero_gradient(name)]
    assert all(p.requires_grad for p in net.encoder.parameters())


# ---- from SAM's weights


def test_frozen_stays_and_the_rest_learns(weights):
    net = SamLora(encoder="vit_b", init="sam", rank=4).build(ROAD, weights)
    changed, silent = train_two_steps(net)
    assert not changed
    assert not [name for name in silent if not has_zero_gradient(name)]
    trainable = {name for name, p in net.named_parameters() if p.requires_grad}
    assert {name for name in trainable if name.startswith("prompt_encoder.")} == {"prompt_encoder.no_mask_embed.weight"}
    assert not any("iou_prediction_head" in name for name in trainable)
    assert all("_down" in name or "_up" in name for name in trainable if name.startswith("encoder."))


@torch.no_grad()
def test_equals_sam_where_nothing_was_learnt(weights, sam_file):
    """With SAM's weights, LoRA at its start and two of SAM's tokens put in, it is SAM on each image, unprompted."""
    net = SamLora(encoder="vit_b", init="sam", rank=4).build(Task(("road",), (1024, 1024)), weights)
    sam = official_sam()
    sam.load_state_dict(torch.load(sam_file, weights_only=True))
    own, sams = net.mask_decoder, sam.mask_decoder
    own.mask_tokens.weight.copy_(sams.mask_tokens.weight[:2])
    for index in range(2):
        own.output_hypernetworks_mlps[index].load_state_dict(sams.output_hypernetworks_mlps[index].state_dict())
    sams.mask_tokens = torch.nn.Embedding.from_pretrained(sams.mask_tokens.weight[:2])
    sams.num_mask_tokens = 2

    image = torch.rand(1, 3, 1024, 1024)
    embedding = sam.image_encoder(sam.preprocess(255 * image[0])[None])
    sparse, dense = sam.prompt_encoder(None, None, None)
    masks, _ = sams.predict_masks(embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense)
    expected = F.interpolate(masks[:, 1:] - masks[:, :1], (1024, 1024), mode="bilinear", align_corners=False)
    torch.testing.assert_close(net(image), expected, atol=1e-3, rtol=1e-3)


def test_what_is_loaded_and_what_is_not(weights):
    checkpoint = load_weights(weights.path_of("vit_b"))
    state = SamLora(encoder="vit_b", init="sam", rank=4).build(ROAD, weights).state_dict()
    fresh = ("mask_tokens.", "output_hypernetworks_mlps.", "iou_prediction_head.")
    for name, tensor in checkpoint.items():
        part = name.removeprefix("mask_decoder.")
        if name.startswith("image_encoder."):
            own = state[name.replace("image_encoder.", "encoder.")]
            assert own.shape != tensor.shape or torch.equal(own, tensor)
        elif not part.startswith(fresh):
            assert torch.equal(state[name], tensor)


def test_a_part_expected_to_be_there_is_missed(weights):
    checkpoint = load_weights(weights.path_of("vit_b"))
    without = {name: tensor for name, tensor in checkpoint.items() if "iou_prediction_head" not in name}
    with pytest.raises(WeightsDamaged, match=r"iou_prediction_head\.\*"):
        sam_lora.load_pretrained(architecture(ROAD, encoder="vit_b", init="sam", rank=4), without)


def test_without_weights_nothing_is_built(tmp_path):
    with pytest.raises(WeightsNotFound, match="prepare weights vit_b"):
        SamLora(encoder="vit_b", init="sam", rank=4).build(ROAD, WeightsFolder(tmp_path))
