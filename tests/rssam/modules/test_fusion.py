import math

import numpy as np
import pytest
import torch

from rssam.modules.fusion import AFFM, MFF, MHFF
from tests.rssam.fakes import parameters, shake


def arrays(module):
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


def norm(x, weight, bias):
    x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-6)
    return weight[:, None, None] * x + bias[:, None, None]


def conv_1x1(x, weight, bias):
    return np.einsum("oi,ihw->ohw", weight[:, :, 0, 0], x) + bias[:, None, None]


def bottleneck(x, p, prefix, first):
    names = [f"{prefix}.{first + i}" for i in (0, 1, 3, 4)]
    x = conv_1x1(x, p[f"{names[0]}.weight"], p[f"{names[0]}.bias"])
    x = np.maximum(norm(x, p[f"{names[1]}.weight"], p[f"{names[1]}.bias"]), 0)
    x = conv_1x1(x, p[f"{names[2]}.weight"], p[f"{names[2]}.bias"])
    return norm(x, p[f"{names[3]}.weight"], p[f"{names[3]}.bias"])


def equation_4(p, coarse, fine):
    """Eq. 4 for one image, on arrays [C, h, w] and [C, 2h, 2w]."""
    channels, h, w = coarse.shape
    scaled = np.zeros((channels, 2 * h, 2 * w))
    for y in range(2 * h):
        for x in range(2 * w):
            scaled[:, y, x] = p["up.0.weight"][:, :, y % 2, x % 2].T @ coarse[:, y // 2, x // 2] + p["up.0.bias"]
    scaled = norm(scaled, p["up.1.weight"], p["up.1.bias"])
    scaled = 0.5 * scaled * (1 + np.vectorize(math.erf)(scaled / math.sqrt(2)))

    both = scaled + fine
    local = bottleneck(both, p, "attention_local", 0)
    pooled = both.mean(axis=(1, 2), keepdims=True)
    everywhere = bottleneck(pooled, p, "attention_global", 1)
    mean = np.pad((local + everywhere).mean(0), 3)
    kernel = p["weight.weight"][0, 0]
    w_c = np.empty((2 * h, 2 * w))
    for y in range(2 * h):
        for x in range(2 * w):
            w_c[y, x] = 1 / (1 + np.exp(-((mean[y : y + 7, x : x + 7] * kernel).sum() + p["weight.bias"][0])))
    return scaled * w_c + fine * (1 - w_c) + local + everywhere


@torch.no_grad()
def test_affm_is_equation_4():
    affm = shake(AFFM(channels=8, bottleneck=2)).double()
    coarse = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    fine = torch.randn(2, 8, 6, 8, dtype=torch.float64)
    found = affm(coarse, fine).numpy()
    for index in range(2):
        expected = equation_4(arrays(affm), coarse[index].numpy(), fine[index].numpy())
        np.testing.assert_allclose(found[index], expected, atol=1e-8)


@torch.no_grad()
def test_mff_is_equations_5_and_6():
    mff = shake(MFF(channels=8)).double()
    tokens = [torch.randn(2, 3, 8, dtype=torch.float64) for _ in range(4)]
    p = arrays(mff)
    x = sum(t.numpy() for t in tokens)
    for index in (0, 2, 4):
        x = np.maximum(x @ p[f"layers.{index}.weight"].T + p[f"layers.{index}.bias"], 0)
    np.testing.assert_allclose(mff(tokens).numpy(), x, atol=1e-12)


@torch.no_grad()
def test_mhff_goes_from_coarse_to_fine_then_adds_the_early_branch():
    mhff = shake(MHFF(width=12, channels=8))
    features = [torch.randn(1, 8, side, side) for side in (2, 4, 8, 16)]
    early = torch.randn(1, 12, 4, 4)
    fused = features[0]
    for affm, feature in zip(mhff.affm, features[1:], strict=True):
        fused = affm(fused, feature)
    found = mhff(features, early)
    assert found.shape == (1, 8, 16, 16)
    torch.testing.assert_close(found, mhff.fusion(fused + mhff.early(early)))
    assert found.min() < 0  # signed, as MFF's tokens are not


def test_one_image_of_one_pixel_trains():
    """Batch norm would fail here."""
    AFFM().train()(torch.randn(1, 256, 1, 1), torch.randn(1, 256, 2, 2)).sum().backward()


@pytest.mark.parametrize(("width", "early"), [(768, 723_200), (1024, 788_736)])
def test_parameter_count(width, early):
    with torch.device("meta"):
        mhff, mff = MHFF(width), MFF()
    assert [parameters(affm) for affm in mhff.affm] == [330_418] * 3
    assert parameters(mhff.early) == early
    assert parameters(mhff.fusion) == 590_336
    assert parameters(mff) == 197_376
