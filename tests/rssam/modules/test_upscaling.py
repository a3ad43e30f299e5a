"""SAM's upscaling as the head of a control: the same product as in SAM's own mask decoder."""

import torch
from segment_anything.modeling.mask_decoder import MaskDecoder

from rssam.config import RSSAM
from rssam.contract import Task
from rssam.modules.upscaling import SamUpscaling
from rssam.sam.two_way_transformer import MixedTwoWayTransformer
from rssam.weights.folder import WeightsFolder
from tests.rssam.fakes import shake


@torch.no_grad()
def test_equals_the_end_of_sams_decoder():
    sam = shake(MaskDecoder(transformer_dim=256, transformer=MixedTwoWayTransformer(), num_multimask_outputs=1))
    ours = SamUpscaling(2)
    ours.output_upscaling.load_state_dict(sam.output_upscaling.state_dict())
    ours.output_hypernetworks_mlps.load_state_dict(sam.output_hypernetworks_mlps.state_dict())
    features, tokens = torch.randn(1, 256, 4, 6), torch.randn(1, 2, 256)

    class Stub(torch.nn.Module):
        def forward(self, *_):
            return torch.cat([torch.zeros(1, 1, 256), tokens], dim=1), features.flatten(2).transpose(1, 2)

    sam.transformer = Stub()
    expected, _ = sam.predict_masks(features, features, torch.zeros(1, 0, 256), torch.zeros_like(features))
    fused, weights = ours(features, tokens)
    assert fused.shape == (1, 32, 16, 24)
    torch.testing.assert_close(torch.einsum("btc,bchw->bthw", weights, fused), expected)


@torch.no_grad()
def test_the_control_at_one_sixteenth_predicts_at_one_quarter():
    """Without it neighbouring logits would be interpolated between points 16 pixels apart."""
    torch.manual_seed(0)
    task = Task(("road",), (128, 128))
    net = RSSAM("vit_t", "scratch", mff=False, mhff=False, scales=(16, 16, 16, 16)).build(task, WeightsFolder("/none"))
    logits = net(torch.rand(1, 3, 128, 128))[0, 0]
    rows = logits[64]  # bilinear from stride 4: straight between the centres of 4-pixel cells, bent at them
    bends = (rows[:-2] - 2 * rows[1:-1] + rows[2:]).abs() > 1e-6
    assert bends.sum() > 128 / 16
