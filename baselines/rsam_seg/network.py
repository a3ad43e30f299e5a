"""RSAM-Seg (Zhang et al., "RSAM-Seg: A SAM-Based Model with Prior Knowledge Integration for Remote Sensing Image
Semantic Segmentation", Remote Sensing 17(4):590, 2025, arXiv:2402.19004).

Source: Chief-byte/RSAM-Seg (no licence stated), read for its facts: it is SAM Adapter with adapters in every block.
What we do differently, and why:
- the adapters are trained, as the paper says. The published code freezes them at their random numbers, where they can
  only disturb SAM's features (`train_adapters=False`). With ViT-B and one class we train 10,670,800 parameters
  (3,569,872 without the adapters). The published code lists 4,121,908, which includes what no loss reaches.
- a third adapter a block, declared in the published code but never called (3,550,464 parameters), is left out.
Where paper and published code differ we follow the code. It has GELU where the paper draws ReLU. Its adapter of the
attention is behind it and unscaled, where the paper scales both by 0.5. Linear layers start as PyTorch's do, so that
SAM's features are moved before the first step (it trains without a start at zero). Attention is that of
`rssam.sam.attention`, the same function made faster; `kind == "reference"` is the published way. All else is SAM
Adapter's, and so are the differences named there and in `baselines.prompt_generator`.
"""

from __future__ import annotations

from pathlib import Path

from segment_anything.modeling.image_encoder import Block, window_partition, window_unpartition
from torch import Tensor, nn

from baselines.sam_adapter import network as sam_adapter
from baselines.sam_adapter.network import SamAdapter
from rssam.contract import Task
from rssam.sam.attention import Selectable, attend
from rssam.sam.encoder import SamEncoder
from rssam.sam.encoder_sizes import EncoderInit
from rssam.sam.loading import load_weights

MLP_SCALE = 0.5
"""Weight of the adapter beside the MLP."""


class Adapter(nn.Sequential):
    """Bottleneck of a quarter of the width, over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, width // 4), nn.GELU(), nn.Linear(width // 4, width))


class AdaptedBlock(Selectable, nn.Module):
    """SAM's block, under SAM's parameter names, with an adapter behind its attention and one beside its MLP."""

    def __init__(self, block: Block, width: int) -> None:
        super().__init__()
        self.window_size = block.window_size
        self.norm1, self.attn = block.norm1, block.attn
        self.norm2, self.mlp = block.norm2, block.mlp
        self.space_adapter = Adapter(width)
        self.mlp_adapter = Adapter(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens [B, h, w, width] to the same shape."""
        if self.kind == "reference":
            tokens = tokens + self._in_windows(tokens)
        else:
            tokens = tokens.contiguous()  # patches come in the layout of a convolution; see `ExactBlock`
            tokens = tokens + self._on_real_tokens(tokens)
        x = self.norm2(tokens)
        tokens = tokens + self.mlp(x) + MLP_SCALE * self.mlp_adapter(x)
        return tokens

    def _on_real_tokens(self, tokens: Tensor) -> Tensor:
        """Attend and adapt without padded tokens: the adapter works on single tokens."""
        attended = attend(self.attn, self.attn.qkv(self.norm1(tokens)), self.window_size, self.kind)
        x: Tensor = self.attn.proj(attended)  # [B, h, w, width]
        return x + self.space_adapter(x)  # type: ignore[no-any-return]

    def _in_windows(self, tokens: Tensor) -> Tensor:
        """Attend and adapt as published: segment_anything's own attention in padded windows, and the adapter there."""
        x = self.norm1(tokens)
        if self.window_size:
            x, padded = window_partition(x, self.window_size)  # [B * windows, 14, 14, width]
        x = self.attn(x)
        x = x + self.space_adapter(x)
        if self.window_size:
            x = window_unpartition(x, self.window_size, padded, tokens.shape[1:3])  # [B, h, w, width]
        return x  # type: ignore[no-any-return]


def add_adapters(encoder: SamEncoder) -> None:
    """Put adapters into every block of `encoder`."""
    encoder.blocks = nn.ModuleList(AdaptedBlock(block, encoder.size.width) for block in encoder.blocks)


def adapter_parameters(encoder: SamEncoder) -> dict[str, nn.Parameter]:
    """Return the parameters that `add_adapters` brought, by their names in `encoder`."""
    return {
        f"{name}.{own_name}": parameter
        for name, module in encoder.named_modules()
        if isinstance(module, Adapter)
        for own_name, parameter in module.named_parameters()
    }


def architecture(task: Task, *, encoder: str, init: EncoderInit, train_adapters: bool) -> SamAdapter:
    """Return the network with random parameters, frozen as `init` says; also for the meta device."""
    net = sam_adapter.architecture(task, encoder=encoder, init=init)
    add_adapters(net.encoder)
    for parameter in adapter_parameters(net.encoder).values():
        parameter.requires_grad_(train_adapters)
    return net


def load(net: SamAdapter, path: Path) -> None:
    """Start from SAM's prepared checkpoint; the adapters keep their random start."""
    sam_adapter.load_pretrained(net, load_weights(path), fresh=adapter_parameters(net.encoder))
