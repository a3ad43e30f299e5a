"""SAM's transformer blocks, made faster and smaller without changing the function: no N x N bias, no padded tokens.

Source: the blocks of facebookresearch/segment-anything (Apache-2.0), which are the base classes and stay the reference.
What we do differently, and why:
- windows are cut after the queries, keys and values are made, not before. A padded token is zero, so all three equal
  the layer's bias (LoRA has none), and its output is thrown away. Norm, both projections, LoRA and MLP see real tokens
  alone. At 256, 512 and 1024 pixels SAM's windows hold 3.06, 1.72 and 1.20 times as many.
- on the CPU attention goes tile by tile, forward and backward, on real tokens alone (`rssam.sam.tiled_attention`).
- elsewhere the decomposed relative positions are folded into queries and keys. With q' = [q / sqrt(d), q R_h, q R_w]
  and k' = [k, one-hot row, one-hot column], q' k' is q k / sqrt(d) plus both biases, exactly. So a fused kernel without
  any bias carries them, forward and backward, and no map [N, N] is kept for the backward pass.
"""

from __future__ import annotations

from typing import Literal

import torch
from segment_anything.modeling.image_encoder import Attention, Block
from torch import Tensor, nn
from torch.nn import functional as F

from rssam.sam.tiled_attention import Region, TiledAttention, offset_table

AttentionMethod = Literal["tiled", "folded", "dense"]
"""Ways to attend with relative positions: tile by tile, folded into queries and keys, or as a bias [N, N]."""

AttentionKind = Literal["auto", "reference", "tiled", "folded", "dense"]
"""How a block attends: one of these ways, the fastest for the device ("auto"), or segment_anything's own code."""


class Selectable:
    """Base of modules that compute the same function in the way that `kind` selects."""

    kind: AttentionKind = "auto"


class ExactBlock(Selectable, Block):  # type: ignore[misc]  # segment_anything has no types
    """SAM's transformer block on maps [B, H, W, width], under SAM's parameter names."""

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens [B, H, W, width] to the same shape: `Block.forward` up to the order of float sums."""
        if self.kind == "reference":
            return super().forward(x)  # type: ignore[no-any-return]
        attention: Attention = self.attn
        # Patches come from a convolution, whose layout every sum and norm would keep, and take longer for it.
        x = x.contiguous()
        x = x + attention.proj(attend(attention, attention.qkv(self.norm1(x)), self.window_size, self.kind))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


def set_attention(net: nn.Module, kind: AttentionKind) -> None:
    """Set how every block of `net` attends. It changes no parameter, no key and no number beyond rounding."""
    for module in net.modules():
        if isinstance(module, Selectable):
            module.kind = kind


def attend(attention: Attention, qkv: Tensor, window: int, kind: AttentionKind) -> Tensor:
    """Attend over the windows of a map: qkv [B, H, W, 3 * width] to [B, H, W, width], before the projection.

    Args:
        attention: SAM's layer, with its tables of relative positions.
        qkv: queries, keys and values.
        window: side of a window in tokens; 0 for one window over all.
        kind: the way.
    """
    batch, height, width, _ = qkv.shape
    heads = attention.num_heads
    method = kind if kind in ("tiled", "folded", "dense") else choose_kind(qkv.device)
    if method == "tiled":
        tables = attention.rel_pos_h, attention.rel_pos_w
        return TiledAttention.apply(qkv, attention.qkv.bias, *tables, heads, window)  # type: ignore[no-any-return]
    padded = covering(height, width, window)
    parts = padded.cut(_pad(qkv, padded, attention.qkv.bias), 3, heads)  # [3, B, down, across, heads, high, wide, d]
    query, key, value = parts.reshape(3, -1, heads, padded.high * padded.wide, parts.shape[-1]).unbind(0)
    rows, columns = _relative(query, attention.rel_pos_h, attention.rel_pos_w, padded.side)
    if method == "folded":
        out = _folded(query, key, value, rows, columns, padded.side)
    else:
        bias = rows.unsqueeze(-1) + columns.unsqueeze(-2)  # [B * windows, heads, N, rows, columns]
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.flatten(-2))
    out = out.view(batch, padded.down, padded.across, heads, padded.high, padded.wide, -1)
    out = out.permute(0, 1, 4, 2, 5, 3, 6)  # [B, down, high, across, wide, heads, d]
    return out.reshape(batch, padded.down * padded.high, padded.across * padded.wide, -1)[:, :height, :width]


def choose_kind(device: torch.device) -> AttentionMethod:
    """Return the fastest way on a device, by docs/measurements.md: tiled on the CPU, elsewhere for a fused kernel."""
    return "tiled" if device.type == "cpu" else "folded"


def covering(height: int, width: int, window: int) -> Region:
    """Return the squares of side `window` that cover a map, and may reach beyond its edges; 0 is one window."""
    side = (window, window) if window else (height, width)
    return Region(0, 0, -(-height // side[0]), -(-width // side[1]), *side, side)


def _pad(qkv: Tensor, padded: Region, bias: Tensor) -> Tensor:
    """Pad a map [B, H, W, 3 * width] to whole windows with tokens that are the layer's bias."""
    batch, height, width, channels = qkv.shape
    below = padded.down * padded.high - height
    right = padded.across * padded.wide - width
    bias = bias.to(qkv.dtype)
    if right:
        qkv = torch.cat((qkv, bias.expand(batch, height, right, channels)), dim=2)
    if below:
        qkv = torch.cat((qkv, bias.expand(batch, below, width + right, channels)), dim=1)
    return qkv


def _relative(query: Tensor, table_h: Tensor, table_w: Tensor, side: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return what each query [B, heads, N, d] adds to the keys of each row [B, heads, N, high] and of each column."""
    high, wide = side
    grid = query.view(*query.shape[:2], high, wide, -1)  # [B, heads, high, wide, d]
    rows = torch.einsum("bnhwd,hkd->bnhwk", grid, offset_table(table_h, high))
    columns = torch.einsum("bnhwd,wkd->bnhwk", grid, offset_table(table_w, wide))
    return rows.flatten(2, 3), columns.flatten(2, 3)


def _folded(query: Tensor, key: Tensor, value: Tensor, rows: Tensor, columns: Tensor, side: tuple[int, int]) -> Tensor:
    depth = query.shape[-1]
    extra = sum(side)
    query = torch.cat((query * depth**-0.5, rows, columns), dim=-1)  # [B, heads, N, d + high + wide]
    key = torch.cat((key, _one_hot(side, key).expand(*key.shape[:-1], extra)), dim=-1)
    value = F.pad(value, (0, extra))  # fused kernels want one depth for all three
    return F.scaled_dot_product_attention(query, key, value, scale=1.0)[..., :depth]


def _one_hot(side: tuple[int, int], like: Tensor) -> Tensor:
    """Return row and column of each token of a window, one-hot: [N, high + wide]."""
    high, wide = side
    rows = torch.eye(high, dtype=like.dtype, device=like.device).repeat_interleave(wide, dim=0)
    columns = torch.eye(wide, dtype=like.dtype, device=like.device).repeat(high, 1)
    return torch.cat((rows, columns), dim=-1)
