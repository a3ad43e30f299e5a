import math

import numpy as np
import pytest
import torch

from baselines.prompt_generator import PromptGenerator, _without_complex_numbers, high_frequencies
from tests.rssam.fakes import parameters, shake


def without_low_frequencies(image, half):
    """The definition, with Fourier matrices: waves with -half <= frequency < half on both axes are taken out."""
    forward = [np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) for n in image.shape]
    spectrum = forward[0] @ image @ forward[1] / image.size
    height, width = image.shape
    for y in range(height):
        for x in range(width):
            signed = (y - height if y >= height / 2 else y, x - width if x >= width / 2 else x)
            if all(-limit <= frequency < limit for frequency, limit in zip(signed, half, strict=True)):
                spectrum[y, x] = 0
    return np.abs((forward[0].conj() @ spectrum @ forward[1].conj()).real)


@pytest.mark.parametrize("way", [high_frequencies, _without_complex_numbers])
@pytest.mark.parametrize(("size", "half"), [((32, 32), (8, 8)), ((64, 96), (16, 24)), ((32, 160), (8, 40))])
def test_high_frequencies_by_the_definition(size, half, way):
    images = torch.rand(2, 3, *size)
    found = way(images)
    for image, details in zip(images.flatten(0, 1).double().numpy(), found.flatten(0, 1).numpy(), strict=True):
        np.testing.assert_allclose(details, without_low_frequencies(image, half), atol=1e-6)


@pytest.mark.parametrize("side", [32, 96, 256, 512, 1024])
def test_on_squares_the_box_is_the_published_one(side):
    half = int((side * side * 0.25) ** 0.5 // 2)
    assert (side // 2 - half, side // 2 + half) == (side // 4, side - side // 4)


def test_what_stays_and_what_goes():
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    slow = torch.cos(2 * torch.pi * (7 * x + 3 * y) / 64) + 5
    chequers = ((x + y) % 2).float()
    torch.testing.assert_close(high_frequencies(slow[None, None]), torch.zeros(1, 1, 64, 64), atol=1e-5, rtol=0)
    torch.testing.assert_close(high_frequencies(chequers[None, None]), torch.full((1, 1, 64, 64), 0.5))


def test_the_transform_stays_in_float32():
    """Rounded to bfloat16, an image is off by up to 0.2 %: much of what the low frequencies leave of a smooth one."""
    images = torch.rand(1, 3, 96, 96)
    for half in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", half):
            found = high_frequencies(images)
        assert torch.equal(found, high_frequencies(images))
    assert high_frequencies(images.bfloat16()).dtype == torch.float32


def seeded(width=96, blocks=2):
    torch.manual_seed(0)
    return shake(PromptGenerator(width, blocks))


@torch.no_grad()
def test_prompts_by_hand():
    generator = seeded()
    pixels, patches = torch.rand(2, 3, 32, 48), torch.randn(2, 2, 3, 96)
    prompts = generator(pixels, patches)
    weights = {name: tensor.double().numpy() for name, tensor in generator.state_dict().items()}
    details, embeddings = high_frequencies(pixels).double().numpy(), patches.double().numpy()
    gelu = np.vectorize(lambda value: value * (1 + math.erf(value / math.sqrt(2))) / 2)
    for image, row, column in np.ndindex(2, 2, 3):
        square = details[image, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        feature = weights["embedding_generator.weight"] @ embeddings[image, row, column]
        feature = feature + (weights["frequency_generator.weight"] * square).sum((1, 2, 3))
        feature = feature + weights["embedding_generator.bias"] + weights["frequency_generator.bias"]
        for block, prompt in enumerate(prompts):
            own = weights[f"lightweight_mlps.{block}.0.weight"] @ feature + weights[f"lightweight_mlps.{block}.0.bias"]
            expected = weights["shared_mlp.weight"] @ gelu(own) + weights["shared_mlp.bias"]
            np.testing.assert_allclose(prompt[image, row, column], expected, atol=1e-4)


@torch.no_grad()
def test_a_prompt_is_made_from_its_own_patch():
    """Read as the published code reads it, one patch would reach the prompts of all 24 tokens."""
    generator = seeded()
    pixels, patches = torch.rand(1, 3, 64, 96), torch.randn(1, 4, 6, 96)
    other = patches.clone()
    other[0, 2, 3] += 1
    for prompt, moved in zip(generator(pixels, patches), generator(pixels, other), strict=True):
        assert (prompt != moved).any(-1).nonzero().tolist() == [[0, 2, 3]]
    published = [x.reshape(1, 96, 24).permute(0, 2, 1) for x in (patches, other)]
    assert (published[0] != published[1]).any(-1).sum() == 24


@pytest.mark.parametrize(("width", "blocks", "total"), [(768, 12, 63_312), (1024, 24, 116_544)])
def test_counts(width, blocks, total):
    with torch.device("meta"):
        assert parameters(PromptGenerator(width, blocks)) == total


@torch.no_grad()
def test_published_start():
    torch.manual_seed(0)
    generator = PromptGenerator(768, 12)
    assert not any(p.any() for name, p in generator.named_parameters() if name.endswith("bias"))
    assert generator.shared_mlp.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert generator.frequency_generator.weight.std().item() == pytest.approx(math.sqrt(2 / (16 * 16 * 24)), rel=0.05)
