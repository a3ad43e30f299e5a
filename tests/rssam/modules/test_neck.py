import pytest
import torch
from segment_anything.modeling import ImageEncoderViT

from rssam.modules.neck import MultiScaleNeck, source_blocks
from tests.rssam.fakes import parameters, shake


@pytest.mark.parametrize(("width", "expected"), [(768, 5_560_000), (1024, 7_805_184)])
def test_parameter_count(width, expected):
    with torch.device("meta"):
        neck = MultiScaleNeck(width)
    assert parameters(neck) == expected


def test_count_of_each_level():
    with torch.device("meta"):
        levels = MultiScaleNeck(768).levels
    assert {scale: parameters(level.neck) for scale, level in levels.items()} == {
        "4": 640_000,
        "8": 689_152,
        "16": 787_456,
        "32": 787_456,
    }
    assert parameters(levels["4"].resample) == 1_180_032 + 295_104 + 768
    assert parameters(levels["8"].resample) == 1_180_032


def transposed_2x2(x, layer):
    """A 2x2 transposed convolution of stride 2, pixel by pixel: each input pixel becomes a 2x2 square."""
    b, _, h, w = x.shape
    square = torch.einsum("bihw,iokl->bohkwl", x, layer.weight)
    return square.reshape(b, -1, 2 * h, 2 * w) + layer.bias[:, None, None]


@torch.no_grad()
def test_equation_1():
    neck = shake(MultiScaleNeck(64))
    maps = {scale: torch.randn(2, 64, 4, 6) for scale in (4, 8, 16, 32)}
    found = neck(maps)
    assert {scale: tuple(f.shape) for scale, f in found.items()} == {
        4: (2, 256, 16, 24),
        8: (2, 256, 8, 12),
        16: (2, 256, 4, 6),
        32: (2, 256, 2, 3),
    }
    level = neck.levels["4"]
    first, norm, gelu, second = level.resample
    expected = {
        4: level.neck(transposed_2x2(gelu(norm(transposed_2x2(maps[4], first))), second)),
        8: neck.levels["8"].neck(transposed_2x2(maps[8], neck.levels["8"].resample)),
        16: neck.levels["16"].neck(maps[16]),
        32: neck.levels["32"].neck(maps[32].reshape(2, 64, 2, 2, 3, 2).amax(dim=(3, 5))),
    }
    for scale, expected_map in expected.items():
        torch.testing.assert_close(found[scale], expected_map, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_stride_16_takes_sams_neck():
    sams = shake(ImageEncoderViT(img_size=64, embed_dim=64, depth=1, num_heads=1)).neck
    neck = MultiScaleNeck(64, scales=(16,))
    neck.levels["16"].neck.load_state_dict(sams.state_dict())
    x = torch.randn(1, 64, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(
        neck.double()({16: x})[16], sams.double()(x), atol=1e-13, rtol=0
    )  # sums in another order


def test_only_the_wanted_levels_are_built():
    assert list(MultiScaleNeck(64, scales=(16, 16, 16, 16)).levels) == ["16"]


def test_layers_3_6_9_12():
    assert source_blocks(12) == {4: 2, 8: 5, 16: 8, 32: 11}
    assert source_blocks(24) == {4: 5, 8: 11, 16: 17, 32: 23}
