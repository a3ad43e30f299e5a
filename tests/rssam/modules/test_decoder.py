import pytest
import torch
from segment_anything.modeling import MaskDecoder, TwoWayTransformer

from rssam.modules.decoder import DecoderChain, ScaleDecoder, class_distance
from rssam.sam.encoder_sizes import CHAINS
from tests.rssam.fakes import parameters, shake


def pyramid(batch=2):
    return [torch.randn(batch, 256, side, side) for side in (2, 4, 8, 16)]


@torch.no_grad()
def test_one_scale_equals_sams_decoder():
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048)
    sams = shake(MaskDecoder(transformer_dim=256, transformer=transformer))
    seen = {}
    sams.transformer.register_forward_hook(lambda _, __, output: seen.update(tokens=output[0], pixels=output[1]))
    features, position = torch.randn(1, 256, 4, 6), torch.randn(1, 256, 4, 6)
    sams.predict_masks(features, position, torch.empty(1, 0, 256), torch.zeros(1, 256, 1, 1))

    ours = ScaleDecoder()
    ours.transformer.load_state_dict(sams.transformer.state_dict())
    tokens = torch.cat((sams.iou_token.weight, sams.mask_tokens.weight))[None]
    refined, updated = ours(features, position, tokens)
    assert torch.equal(updated, seen["tokens"])
    assert torch.equal(refined.flatten(2).transpose(1, 2), seen["pixels"])


@torch.no_grad()
def test_two_images_equal_twice_one():
    chain, features, tokens = DecoderChain(4, "printed"), pyramid(), torch.randn(2, 256)
    refined, states = chain(features, tokens)
    for index in range(2):
        alone = chain([feature[index : index + 1] for feature in features], tokens)
        for both, single in zip(refined + states, alone[0] + alone[1], strict=True):
            torch.testing.assert_close(both[index : index + 1], single, atol=1e-4, rtol=1e-4)


def by_hand(chain, features, tokens):
    """The four chains, each decoder called as its formula says."""
    first = state = tokens.expand(2, -1, -1)
    for index, decoder in enumerate(chain.decoders):
        position = chain.position(features[index].shape[-2:])[None]
        if chain.chain == "printed":
            refined, state = decoder(features[index], position, state)
        elif chain.chain == "sam_first":
            refined, state = decoder(features[index], position, state, replaces_queries=index == 0)
        elif chain.chain == "continued":
            refined, state = decoder(features[index], position, state, first, index == 0)
        else:
            refined, update = decoder(features[index], position, state)
            state = state + update
        yield refined, state


@pytest.mark.parametrize("name", CHAINS)
@torch.no_grad()
def test_each_chain_is_its_formula(name):
    chain, features, tokens = DecoderChain(4, name), pyramid(), torch.randn(2, 256)
    refined, states = chain(features, tokens)
    for index, (expected, state) in enumerate(by_hand(chain, features, tokens)):
        torch.testing.assert_close(refined[index], expected)
        torch.testing.assert_close(states[index], state)


@torch.no_grad()
def test_printed_is_equation_2_with_sams_own_transformer():
    torch.manual_seed(0)
    chain, features, tokens = DecoderChain(4, "printed"), pyramid(), torch.randn(2, 256)
    state = tokens.expand(2, -1, -1)
    for index, decoder in enumerate(chain.decoders):
        sams = TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048)
        sams.load_state_dict(decoder.transformer.state_dict())
        state, _ = sams(features[index], chain.position(features[index].shape[-2:])[None], state)
    assert torch.equal(chain(features, tokens)[1][-1], state)


@pytest.mark.parametrize(("name", "low", "high"), [
    ("printed", 1e-7, 1e-4), ("sam_first", 0.1, 0.5), ("continued", 0.05, 0.5), ("residual", 0.4, 1.0),
])  # fmt: skip
@torch.no_grad()
def test_how_far_apart_the_chains_leave_class_tokens(name, low, high):
    """Measured at a random start: 1e-5, 0.24, 0.26, 0.68 (docs/measurements.md)."""
    for seed in range(3):
        torch.manual_seed(seed)
        _, states = DecoderChain(4, name)(pyramid(), torch.randn(2, 256))
        assert low < class_distance(states[-1]) < high


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_under_autocast_the_printed_chain_keeps_what_tells_classes_apart(half):
    """With tokens rounded to bfloat16 the distance was noise: 3e-3 where it is 1e-5."""
    torch.manual_seed(0)
    chain, features, tokens = DecoderChain(4, "printed"), pyramid(), torch.randn(2, 256)
    exact = chain(features, tokens)[1]
    with torch.autocast("cpu", half):
        refined, states = chain(features, tokens)
    assert all(state.dtype == torch.float32 for state in states)
    assert all(feature.dtype == half for feature in refined)
    for state, expected in zip(states, exact, strict=True):
        assert 0.8 < class_distance(state) / class_distance(expected) < 1.25


def test_class_distance_is_that_of_the_closest_pair():
    """Tokens at 0, 3 and 7 on an axis away from the origin: 3 between the closest, relative to their mean length."""
    tokens = torch.zeros(2, 3, 256)
    tokens[:, :, 0] = 10 + torch.tensor([0.0, 3.0, 7.0])
    assert class_distance(tokens) == pytest.approx(3 / (40 / 3))
    assert class_distance(tokens[:, [0, 0]]) == 0


def test_parameter_count():
    with torch.device("meta"):
        assert parameters(DecoderChain(4, "printed")) == 13_165_056
