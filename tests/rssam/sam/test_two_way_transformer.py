"""The decoder transformer against segment_anything's own, bit for bit, and what stays in float32 under autocast."""

import pytest
import torch
from segment_anything.modeling import TwoWayTransformer
from torch import nn

from rssam.sam.two_way_transformer import MixedTwoWayTransformer
from tests.rssam.fakes import shake

HALVES = (torch.bfloat16, torch.float16)


def pair():
    """SAM's transformer and ours with its parameters, which load both ways."""
    sams = shake(TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048))
    ours = MixedTwoWayTransformer()
    ours.load_state_dict(sams.state_dict())
    sams.load_state_dict(ours.state_dict())
    return sams, ours


def inputs(batch=2, dtype=torch.float32):
    return (
        torch.randn(batch, 256, 4, 6, dtype=dtype),
        torch.randn(1, 256, 4, 6, dtype=dtype),
        torch.randn(batch, 3, 256, dtype=dtype),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_sams_bit_for_bit_and_its_gradients_to_rounding(dtype):
    sams, ours = (net.to(dtype) for net in pair())
    features, position, tokens = inputs(dtype=dtype)
    outputs, gradients = [], []
    for net in (sams, ours):
        given = features.clone().requires_grad_(), position, tokens.clone().requires_grad_()
        outputs.append(net(*given))
        sum(output.sin().sum() for output in outputs[-1]).backward()
        gradients.append([given[0].grad, given[2].grad, *(parameter.grad for parameter in net.parameters())])
    assert all(torch.equal(found, expected) for expected, found in zip(*outputs, strict=True))
    largest = max(gradient.abs().max() for gradient in gradients[0])
    for expected, found in zip(*gradients, strict=True):
        assert (found - expected).abs().max() <= 1e-5 * largest  # features and position are added once: another order


@torch.no_grad()
def test_adding_to_queries_and_their_position_are_sams_own_second_layer():
    """With SAM's flag of the first layer off, its forward is the sum; a position apart enters wherever tokens ask."""
    sams, ours = pair()
    sams.layers[0].skip_first_layer_pe = False
    features, position, tokens = inputs()
    expected = sams(features, position, tokens)
    found = ours(features, position, tokens, replaces_queries=False)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))

    asked = torch.randn_like(tokens)
    flat = features.flatten(2).permute(0, 2, 1), position.flatten(2).permute(0, 2, 1)
    queries, keys = tokens, flat[0]
    for layer in sams.layers:
        queries, keys = layer(queries=queries, keys=keys, query_pe=asked, key_pe=flat[1])
    read = sams.final_attn_token_to_image(q=queries + asked, k=keys + flat[1], v=keys)
    found = ours(features, position, tokens, asked, replaces_queries=False)
    assert torch.equal(found[0], sams.norm_final_attn(queries + read))
    assert torch.equal(found[1], keys)


@pytest.mark.parametrize("half", HALVES)
@torch.no_grad()
def test_under_autocast_tokens_are_float32_and_maps_are_not(half):
    """SAM's own gives tokens in the short type, and every product of theirs in it."""
    _, ours = pair()
    types = {}
    for name, module in ours.named_modules():
        if isinstance(module, nn.Linear | nn.LayerNorm):
            module.register_forward_hook(lambda _, __, output, name=name: types.update({name: output.dtype}))
    with torch.autocast("cpu", half):
        tokens, pixels = ours(*inputs())
    assert (tokens.dtype, pixels.dtype) == (torch.float32, half)
    short = {name for name, dtype in types.items() if dtype == half}
    of_maps = {f"layers.{i}.cross_attn_token_to_image.{part}" for i in (0, 1) for part in ("k_proj", "v_proj")}
    of_maps |= {f"layers.{i}.cross_attn_image_to_token.{part}" for i in (0, 1) for part in ("q_proj", "out_proj")}
    of_maps |= {"final_attn_token_to_image.k_proj", "final_attn_token_to_image.v_proj"}
    assert short - {"layers.0.norm4", "layers.1.norm4"} == of_maps


@pytest.mark.parametrize("half", HALVES)
@torch.no_grad()
def test_two_close_tokens_stay_two_under_autocast(half):
    """The difference of the outputs of tokens 4e-5 apart: SAM's own gives one far off, or none."""
    sams, ours = pair()
    features, position, tokens = inputs(batch=1)
    tokens[:, 1] = tokens[:, 0] + 4e-5 * torch.randn(256)
    exact = sams(features, position, tokens)[0]
    with torch.autocast("cpu", half):
        found, rounded = ours(features, position, tokens)[0], sams(features, position, tokens)[0].float()
    true = exact[0, 1] - exact[0, 0]
    assert (found[0, 1] - found[0, 0] - true).norm() < 0.1 * true.norm()
    assert (rounded[0, 1] - rounded[0, 0] - true).norm() > 0.9 * true.norm()
