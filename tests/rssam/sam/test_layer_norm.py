"""The norm over channels against segment_anything's own: outputs and every gradient, in every layout and type."""

import pytest
import torch
from segment_anything.modeling.common import LayerNorm2d as SamLayerNorm2d
from torch import nn

from baselines.rsam_seg import RsamSeg
from baselines.sam_adapter import SamAdapter
from baselines.sam_lora import SamLora
from rssam.config import RSSAM
from rssam.contract import Task
from rssam.sam.layer_norm import LayerNorm2d

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def pair(channels=24):
    """Ours and SAM's with the same parameters, none of them at its start, in float64."""
    reference = SamLayerNorm2d(channels).double()
    for parameter in reference.parameters():
        nn.init.normal_(parameter)
    ours = LayerNorm2d(channels).double()
    ours.load_state_dict(reference.state_dict())  # strict: SAM's names
    return ours, reference


def outcome(norm, x):
    x = x.detach().requires_grad_()
    out = norm(x)
    weight = torch.linspace(-1, 1, out.numel(), dtype=x.dtype).view(out.shape)
    (out * weight).sum().backward()
    return {"output": out.detach(), "input": x.grad, **{name: p.grad for name, p in norm.named_parameters()}}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 24, 8, 6), (1, 24, 1, 1), (3, 24, 5, 1)])
def test_equals_sams_with_every_gradient(shape, layout):
    ours, reference = pair()
    x = (3 * torch.randn(shape, dtype=torch.float64) + 2).to(memory_format=layout)
    expected, found = outcome(reference, x), outcome(ours, x)
    assert found.keys() == expected.keys() == {"output", "input", "weight", "bias"}
    for name, value in expected.items():
        scale = max(1.0, float(value.abs().max()))
        assert (found[name] - value).abs().max() <= 4e-15 * scale, name


def test_gradients_are_summed_over_pixels_in_float32():
    """On a CPU they were summed in bfloat16: that of the weight was off by 0.08 here, and that of the bias by 1.0."""
    norm, x = LayerNorm2d(24), torch.randn(4, 24, 64, 64)
    expected, found = outcome(norm, x), {}
    with torch.autocast("cpu", torch.bfloat16):
        norm.zero_grad(set_to_none=True)
        found = outcome(norm, x.bfloat16())
    for name in ("weight", "bias"):
        assert (found[name] - expected[name]).norm() < 0.01 * expected[name].norm(), name


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_under_autocast_it_is_the_float32_norm_rounded_once(half):
    """SAM's squares of 300 are infinite in float16, and its result was 0 everywhere; in bfloat16 it was off by 1 %."""
    norm = LayerNorm2d(24)
    x = (300 * torch.randn(2, 24, 8, 6)).to(half)
    with torch.autocast("cpu", half):
        found = norm(x)
    assert found.dtype == half
    torch.testing.assert_close(found.float(), norm(x.float()), atol=0, rtol=torch.finfo(half).eps)
    torch.testing.assert_close(norm(x.float()), SamLayerNorm2d(24)(x.float()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "model", [RSSAM("vit_t", "scratch"), *(system("vit_t", "scratch") for system in (SamLora, SamAdapter, RsamSeg))],
    ids=lambda model: model.name,
)  # fmt: skip
def test_no_system_runs_sams_own(model):
    with torch.device("meta"):
        net = model.architecture(Task(("road",), (64, 64)))
    norms = [
        module
        for name, module in net.named_modules()
        if isinstance(module, SamLayerNorm2d) and "mask_downscaling" not in name  # no mask is ever given as a prompt
    ]
    assert norms
    assert {type(module) for module in norms} == {LayerNorm2d}
