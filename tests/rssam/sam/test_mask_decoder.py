import pytest
import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

from rssam.sam.mask_decoder import BatchMaskDecoder
from tests.rssam.fakes import parameters, shake


def inputs(batch, h=6, w=6):
    return torch.randn(batch, 256, h, w), torch.randn(1, 256, h, w), torch.randn(1, 256, h, w)


@torch.no_grad()
def test_equals_sam_for_one_image():
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048)
    sams = shake(MaskDecoder(transformer_dim=256, transformer=transformer, num_multimask_outputs=3))
    prompts = PromptEncoder(256, (6, 8), (96, 128), mask_in_chans=16)
    ours = BatchMaskDecoder(4)
    ours.load_state_dict(sams.state_dict())
    image = torch.randn(1, 256, 6, 8)
    sparse, dense = prompts(None, None, None)
    position = prompts.get_dense_pe()
    expected = sams.predict_masks(image, position, sparse, dense)
    found = ours(image, position, dense)
    torch.testing.assert_close(found[0], expected[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1], expected[1], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_two_images_equal_twice_one():
    decoder = shake(BatchMaskDecoder(2))
    image, position, dense = inputs(2)
    masks, iou = decoder(image, position, dense)
    assert masks.shape == (2, 2, 24, 24)
    assert iou.shape == (2, 2)
    for index in range(2):
        alone = decoder(image[index : index + 1], position, dense)
        torch.testing.assert_close(masks[index : index + 1], alone[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(iou[index : index + 1], alone[1], atol=1e-5, rtol=1e-5)


def test_masks_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        masks, _ = BatchMaskDecoder(2)(*inputs(1))
    assert masks.dtype == torch.float32


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(1, 3_637_377), (2, 3_777_698), (3, 3_918_019), (4, 4_058_340), (6, 4_338_982), (7, 4_479_303)],
)
def test_parameter_count(tokens, expected):
    with torch.device("meta"):
        assert parameters(BatchMaskDecoder(tokens)) == expected
