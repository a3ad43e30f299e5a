import pytest
import torch
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from torch import nn
from torch.nn import functional as F

from baselines.sam_adapter import SamAdapter
from baselines.sam_adapter.network import architecture, load_pretrained
from rssam.contract import Task
from rssam.sam.loading import load_weights
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound
from tests.rssam.fakes import (
    TINY,
    has_zero_gradient,
    official_sam,
    parameters,
    resized_official,
    shake,
    train_two_steps,
    trainable_parameters,
)

ROAD = Task(("road",), (64, 64))
LAND = Task(tuple("abcdef"), (64, 64))
HEADS = "output_hypernetworks_mlps"
CODE, NO_MASK = "pe_layer.positional_encoding_gaussian_matrix", "no_mask_embed.weight"


@pytest.mark.parametrize(
    ("encoder", "side", "classes", "total"),
    [
        ("vit_b", 512, 1, 91_400_756),
        ("vit_b", 1024, 1, 93_792_820),
        ("vit_b", 256, 1, 90_794_548),
        ("vit_l", 512, 1, 309_274_916),
        ("vit_b", 512, 6, 91_681_398),
    ],
)
def test_totals(encoder, side, classes, total):
    with torch.device("meta"):
        net = architecture(Task(tuple("abcdef")[:classes], (side, side)), encoder=encoder, init="sam")
        logits = net(torch.zeros(1, 3, side, side))
    assert parameters(net) == total
    assert logits.shape == (1, classes, side, side)


@pytest.mark.parametrize(("encoder", "listed"), [("vit_b", 4_121_908), ("vit_l", 4_175_140)])
def test_trainable_is_the_published_count_without_what_no_loss_reaches(encoder, listed):
    iou_head, three_unused_heads = 132_612, 3 * 139_808
    with torch.device("meta"):
        net = architecture(Task(("road",), (512, 512)), encoder=encoder, init="sam")
    assert trainable_parameters(net) == listed - iou_head - three_unused_heads


def test_from_scratch_the_encoder_is_trained():
    with torch.device("meta"):
        net = architecture(ROAD, encoder="vit_t", init="scratch")
    assert all(p.requires_grad for p in net.encoder.parameters())


@torch.no_grad()
def test_one_class_is_the_first_mask():
    net = architecture(ROAD, encoder="vit_t", init="scratch")
    images = torch.rand(1, 3, 64, 64)
    logits = net(images)
    for head in net.mask_decoder.output_hypernetworks_mlps[1:]:
        shake(head)
    assert torch.equal(net(images), logits)
    silence(net.mask_decoder.output_hypernetworks_mlps[0])
    assert not net(images).any()


@torch.no_grad()
def test_each_class_is_the_mask_of_its_own_token():
    net = architecture(LAND, encoder="vit_t", init="scratch")
    silence(net.mask_decoder.output_hypernetworks_mlps[2])
    assert net(torch.rand(1, 3, 64, 64)).flatten(1).reshape(6, -1).any(1).tolist() == [True, True, False] + 3 * [True]


def silence(head):
    head.layers[-1].weight.zero_()
    head.layers[-1].bias.zero_()


# ---- from SAM's weights


@torch.no_grad()
def test_equals_sam_with_prompts_before_its_blocks(weights, sam_file):
    """Against segment_anything's own model, unprompted, whose tokens are moved before every block from outside."""
    net = SamAdapter(encoder="vit_b", init="sam").build(Task(("road",), (256, 256)), weights)
    sam = official_sam()
    sam.load_state_dict(torch.load(sam_file, weights_only=True))
    resized_official(sam.image_encoder, TINY, (16, 16)).img_size = 256
    sam.prompt_encoder.image_embedding_size = (16, 16)
    image = torch.rand(1, 3, 256, 256)

    def by_sam():
        embedding = sam.image_encoder(sam.preprocess(255 * image[0])[None])
        sparse, dense = sam.prompt_encoder(None, None, None)
        masks, _ = sam.mask_decoder(embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense, False)
        return F.interpolate(masks, (256, 256), mode="bilinear", align_corners=False)

    for parameter in net.prompt_generator.shared_mlp.parameters():
        parameter.zero_()
    torch.testing.assert_close(net(image), by_sam(), atol=1e-3, rtol=1e-3)

    shake(net.prompt_generator)
    unprompted = by_sam()
    pixels = sam.preprocess(255 * image[0])[None]
    prompts = net.prompt_generator(pixels, sam.image_encoder.patch_embed(pixels))
    for block, prompt in zip(sam.image_encoder.blocks, prompts, strict=True):
        block.register_forward_pre_hook(lambda _, inputs, prompt=prompt: (inputs[0] + prompt,))
    prompted = by_sam()
    torch.testing.assert_close(net(image), prompted, atol=1e-3, rtol=1e-3)
    assert (prompted - unprompted).abs().max() > 0.1


def test_positional_code_and_no_mask_prompt_are_sams(weights):
    """Under the published code's names, SAM's checkpoint loads neither: the decoder would get a random code."""
    checkpoint = load_weights(weights.path_of("vit_b"))
    published = nn.Module()
    published.pe_layer, published.no_mask_embed = PositionEmbeddingRandom(128), nn.Embedding(1, 256)
    assert published.load_state_dict(checkpoint, strict=False).missing_keys == [CODE, NO_MASK]

    state = SamAdapter(encoder="vit_b", init="sam").build(ROAD, weights).prompt_encoder.state_dict()
    assert state.keys() == {CODE, NO_MASK}
    for name in (CODE, NO_MASK):
        assert torch.equal(state[name], checkpoint[f"prompt_encoder.{name}"])
        assert not torch.equal(published.state_dict()[name], checkpoint[f"prompt_encoder.{name}"])


@pytest.mark.parametrize(
    ("task", "fresh"), [(ROAD, ()), (LAND, ("mask_tokens.", "output_hypernetworks_mlps.", "iou_prediction_head."))]
)
def test_the_decoder_is_sams_but_for_new_classes(weights, task, fresh):
    checkpoint = load_weights(weights.path_of("vit_b"))
    net = SamAdapter(encoder="vit_b", init="sam").build(task, weights)
    for name, tensor in net.mask_decoder.state_dict().items():
        published = checkpoint.get(f"mask_decoder.{name}")
        same = published is not None and published.shape == tensor.shape and torch.equal(published, tensor)
        assert same != name.startswith(fresh), name


def test_frozen_stays_and_the_rest_learns(weights):
    net = SamAdapter(encoder="vit_b", init="sam").build(ROAD, weights)
    changed, silent = train_two_steps(net)
    assert not changed
    assert not [name for name in silent if not has_zero_gradient(name)]
    frozen = {name for name, p in net.named_parameters() if not p.requires_grad}
    unused = ("encoder.", "mask_decoder.iou_prediction_head.", *(f"mask_decoder.{HEADS}.{i}." for i in (1, 2, 3)))
    assert frozen == {name for name, _ in net.named_parameters() if name.startswith(unused)}


@pytest.mark.parametrize("gone", ["prompt_encoder.no_mask_embed.weight", "mask_decoder.iou_token.weight"])
def test_a_missing_tensor_is_named(weights, gone):
    checkpoint = load_weights(weights.path_of("vit_b"))
    del checkpoint[gone]
    with pytest.raises(WeightsDamaged, match=f"missing {gone.split('.', 1)[1]}"):
        load_pretrained(architecture(ROAD, encoder="vit_b", init="sam"), checkpoint)


def test_without_weights_nothing_is_built(tmp_path):
    with pytest.raises(WeightsNotFound, match="prepare weights vit_b"):
        SamAdapter(encoder="vit_b", init="sam").build(ROAD, WeightsFolder(tmp_path))
