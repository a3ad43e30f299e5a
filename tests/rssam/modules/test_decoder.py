import torch
from segment_anything.modeling import MaskDecoder, TwoWayTransformer

from rssam.modules.decoder import DecoderChain, ScaleDecoder
from rssam.sam.mask_decoder import two_way_transformer
from tests.rssam.fakes import parameters, shake


def pyramid(batch=2):
    return [torch.randn(batch, 256, side, side) for side in (2, 4, 8, 16)]


def distance(tokens):
    """How far apart two class tokens [B, 2, 256] are, relative to their length."""
    return ((tokens[:, 1] - tokens[:, 0]).norm(dim=-1) / tokens.norm(dim=-1).mean(-1)).mean().item()


@torch.no_grad()
def test_one_scale_equals_sams_decoder():
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048)
    sams = shake(MaskDecoder(transformer_dim=256, transformer=transformer))
    seen = {}
    sams.transformer.register_forward_hook(lambda _, __, output: seen.update(tokens=output[0], pixels=output[1]))
    features, position = torch.randn(1, 256, 4, 6), torch.randn(1, 256, 4, 6)
    sams.predict_masks(features, position, torch.empty(1, 0, 256), torch.zeros(1, 256, 1, 1))

    ours = ScaleDecoder(two_way_transformer())
    ours.transformer.load_state_dict(sams.transformer.state_dict())
    tokens = torch.cat((sams.iou_token.weight, sams.mask_tokens.weight))[None]
    refined, updated = ours(features, position, tokens)
    assert torch.equal(updated, seen["tokens"])
    assert torch.equal(refined.flatten(2).transpose(1, 2), seen["pixels"])


@torch.no_grad()
def test_two_images_equal_twice_one():
    chain, features, tokens = DecoderChain(4), pyramid(), torch.randn(2, 256)
    refined, states = chain(features, tokens)
    for index in range(2):
        one = chain([feature[index : index + 1] for feature in features], tokens)
        for both, single in zip(refined + states, one[0] + one[1], strict=True):
            torch.testing.assert_close(both[index : index + 1], single, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_chain_is_equation_2_with_a_residual():
    chain, features, tokens = DecoderChain(4), pyramid(), torch.randn(2, 256)
    refined, states = chain(features, tokens)
    state = tokens.expand(2, -1, -1)
    for index, decoder in enumerate(chain.decoders):
        position = chain.position(features[index].shape[-2:])[None]
        expected, update = decoder(features[index], position, state)
        state = state + update
        torch.testing.assert_close(refined[index], expected)
        torch.testing.assert_close(states[index], state)


@torch.no_grad()
def test_the_printed_chain_has_none():
    chain, features, tokens = DecoderChain(2, residual=False), pyramid(), torch.randn(2, 256)
    _, states = chain(features[:2], tokens)
    expected = tokens.expand(2, -1, -1)
    for index, decoder in enumerate(chain.decoders):
        _, expected = decoder(features[index], chain.position(features[index].shape[-2:])[None], expected)
    torch.testing.assert_close(states[-1], expected)


@torch.no_grad()
def test_class_tokens_stay_apart():
    for seed in range(3):
        torch.manual_seed(seed)
        _, states = DecoderChain(4)(pyramid(), torch.randn(2, 256))
        assert distance(states[-1]) >= 0.05  # measured 0.6


@torch.no_grad()
def test_the_printed_chain_drives_them_together():
    """Why the residual is the default: with Eq. 2 as printed, the classes are one at the last stride."""
    for seed in range(3):
        torch.manual_seed(seed)
        _, states = DecoderChain(4, residual=False)(pyramid(), torch.randn(2, 256))
        assert distance(states[-1]) < 1e-3  # measured 1e-5


def test_tokens_are_carried_in_float32():
    with torch.autocast("cpu", torch.bfloat16):
        _, states = DecoderChain(2)(pyramid()[:2], torch.randn(2, 256))
    assert all(state.dtype == torch.float32 for state in states)


def test_parameter_count():
    with torch.device("meta"):
        assert parameters(DecoderChain(4)) == 13_165_056
