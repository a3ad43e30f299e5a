"""Attention with SAM's relative positions on the CPU, forward and backward tile by tile, without padded tokens.

Source: the attention of facebookresearch/segment-anything (Apache-2.0), of which this is the same function. It goes
through the scores in tiles, as FlashAttention does (Dao et al. 2022).
What we do differently, and why:
- a tile of scores [heads, queries, keys] is no larger than the cache, where biases, softmax and products find it. The
  backward pass makes the tiles again: except queries, keys and values nothing is kept, no map [N, N] ever.
- SAM fills windows up with zeros before the layer that makes queries, keys and values. So every padded key is that
  layer's bias, and so is every padded value. The padded keys of one rectangle are one key. With relative positions a_r
  + b_c the sum of exp(s + a_r + b_c) over it is exp(s + logsumexp(a) + logsumexp(b)). The rectangles below and beside
  the real tokens of a window are two more keys, and no more queries. SAM has up to 192 (a window of 2 x 2 tokens).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rssam.sam.autocast import exact, full_precision

TILE = 2**19
"""Scores in a tile: 2 MiB in float32. From 2^18 to 2^21 the differences were those of single runs; 2^17 was slower."""


class Region(NamedTuple):
    """Windows of a map side by side that hold equally many real tokens: all the whole ones, or those at an edge."""

    top: int
    left: int
    down: int  # windows
    across: int
    high: int  # real tokens of a window
    wide: int
    side: tuple[int, int]  # of a window, padding included

    def cut(self, tokens: Tensor, parts: int, heads: int) -> Tensor:
        """Return a view of a map [B, H, W, parts * width] as [parts, B, down, across, heads, high, wide, d]."""
        down, across, high, wide = self.down, self.across, self.high, self.wide
        tokens = tokens[:, self.top : self.top + down * high, self.left : self.left + across * wide]
        tokens = tokens.view(tokens.shape[0], down, high, across, wide, parts, heads, -1)
        return tokens.permute(5, 0, 1, 3, 6, 2, 4, 7)


def regions(height: int, width: int, window: int) -> Iterator[Region]:
    """Yield all tokens of a map once: up to four regions under square windows, one if `window` is 0."""
    side = (window, window) if window else (height, width)
    for top, down, high in _bands(height, side[0]):
        for left, across, wide in _bands(width, side[1]):
            yield Region(top, left, down, across, high, wide, side)


def _bands(length: int, side: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, number and real length of the windows along an axis: the whole ones, then the partial one."""
    whole, rest = divmod(length, side)
    if whole:
        yield 0, whole, side
    if rest:
        yield whole * side, 1, rest


class Tokens(NamedTuple):
    """Queries, keys and values of a region, or their gradients.

    G = B * windows * heads; T real tokens; p keys for the padding.
    """

    query: Tensor  # [G, T, d]
    key: Tensor  # [G, T + p, d]
    value: Tensor  # [G, T + p, d]


class PositionScores(NamedTuple):
    """Additions to each query's scores by position, or their gradients: by row, by column, and for the padding."""

    rows: Tensor  # [G, T, high]
    columns: Tensor  # [G, T, wide]
    padding: Tensor  # [G, T, p]


class TiledAttention(torch.autograd.Function):
    """Attention over the windows of a map: qkv [B, H, W, 3 * width] to [B, H, W, width], before the projection."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, bias: Tensor, table_h: Tensor, table_w: Tensor, heads: int, window: int
    ) -> Tensor:
        """Return [B, H, W, width]. Half precision is computed in float32, softmax and sums too, and rounded once.

        Args:
            ctx: keeps the inputs for the backward pass.
            qkv: queries, keys and values [B, H, W, 3 * width].
            bias: of the layer that made `qkv`, [3 * width].
            table_h: relative positions along the height, [2 * side - 1, d].
            table_w: relative positions along the width, [2 * side - 1, d].
            heads: their number.
            window: the side of a window in tokens; 0 for one window over all.
        """
        ctx.save_for_backward(qkv, bias, table_h, table_w)
        ctx.heads, ctx.window = heads, window
        batch, height, width, channels = qkv.shape
        out = qkv.new_empty(batch, height, width, channels // 3)
        with full_precision(qkv.device):
            for region in regions(height, width, window):
                tokens = _gather(region, qkv, bias, heads)
                position = _position_scores(region, tokens.query, exact(table_h), exact(table_w))
                attended = region.cut(out, 1, heads)
                attended.copy_(_attend(tokens, position).view(attended.shape))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the four tensors; those of the tables where autograd needs them."""
        qkv, bias, *tables = ctx.saved_tensors
        _, height, width, _ = qkv.shape
        grad_qkv, grad_bias = torch.empty_like(qkv), torch.zeros_like(exact(bias))
        leaves = [
            exact(table).detach().requires_grad_(needed)
            for table, needed in zip(tables, ctx.needs_input_grad[2:4], strict=True)
        ]
        with full_precision(qkv.device):
            for region in regions(height, width, ctx.window):
                tokens = _gather(region, qkv, bias, ctx.heads)
                query = tokens.query.detach().requires_grad_()
                with torch.enable_grad():
                    position = _position_scores(region, query, *leaves)
                upstream = exact(region.cut(gradient, 1, ctx.heads)).reshape(query.shape)
                detached = PositionScores(*(scores.detach() for scores in position))
                grad_tokens, grad_position = _attend_backward(tokens, detached, upstream)
                torch.autograd.backward(position, grad_position)  # into query and, over all regions, into the tables
                grad_tokens.query.add_(query.grad)  # type: ignore[arg-type]  # backward has set it
                _scatter(region, grad_tokens, grad_qkv, grad_bias, ctx.heads)
        grad_tables = (
            None if leaf.grad is None else leaf.grad.to(table.dtype) for leaf, table in zip(leaves, tables, strict=True)
        )
        return grad_qkv, grad_bias.to(bias.dtype), *grad_tables, None, None


def offset_table(table: Tensor, length: int) -> Tensor:
    """Expand a table of offsets [2 * length - 1, d] to [length, length, d]: by query position and key position."""
    index = torch.arange(length, device=table.device)
    return table[index[:, None] - index + length - 1]


def _gather(region: Region, qkv: Tensor, bias: Tensor, heads: int) -> Tokens:
    parts = exact(region.cut(qkv, 3, heads))  # [3, B, down, across, heads, high, wide, d]
    query, key, value = parts.reshape(3, -1, region.high * region.wide, parts.shape[-1])  # [G, T, d] each
    padding = sum(real < full for real, full in zip((region.high, region.wide), region.side, strict=True))
    if padding:
        padded = exact(bias).view(3, 1, heads, 1, -1).expand(3, query.shape[0] // heads, heads, padding, -1)
        padded = padded.reshape(3, -1, padding, parts.shape[-1])  # [3, G, p, d]
        key, value = torch.cat((key, padded[1]), dim=1), torch.cat((value, padded[2]), dim=1)  # [G, T + p, d] each
    return Tokens(query, key, value)


def _scatter(region: Region, grad_tokens: Tokens, grad_qkv: Tensor, grad_bias: Tensor, heads: int) -> None:
    """Write the gradient of a region's tokens to their places, and add that of its padding to the bias."""
    real = grad_tokens.query.shape[1]
    targets = zip(region.cut(grad_qkv, 3, heads), grad_bias.view(3, heads, -1), grad_tokens, strict=True)
    for of_tokens, of_bias, gradient in targets:
        of_tokens.copy_(gradient[:, :real].reshape(of_tokens.shape))
        of_bias.add_(gradient[:, real:].sum(dim=1).view(-1, *of_bias.shape).sum(dim=0))  # [heads, d]


def _position_scores(region: Region, query: Tensor, table_h: Tensor, table_w: Tensor) -> PositionScores:
    (side_h, side_w), high, wide = region.side, region.high, region.wide
    grid = query.view(-1, high, wide, query.shape[-1])  # [G, high, wide, d]
    rows = torch.einsum("ghwd,hkd->ghwk", grid, offset_table(table_h, side_h)[:high]).flatten(1, 2)  # [G, T, side]
    columns = torch.einsum("ghwd,wkd->ghwk", grid, offset_table(table_w, side_w)[:wide]).flatten(1, 2)
    padding = []  # [G, T] each
    if high < side_h:
        padding.append(rows[..., high:].logsumexp(dim=-1) + columns.logsumexp(dim=-1))
    if wide < side_w:
        padding.append(rows[..., :high].logsumexp(dim=-1) + columns[..., wide:].logsumexp(dim=-1))
    of_padding = torch.stack(padding, dim=-1) if padding else rows[..., :0]  # [G, T, p]
    return PositionScores(rows[..., :high], columns[..., :wide], of_padding)


def _tiles(
    keyed: Sequence[Tensor], queried: Sequence[Tensor]
) -> Iterator[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
    """Yield views of the tiles: of tensors [G, T + p, .] by groups, and of tensors [G, T, .] by groups and queries.

    A tile has all keys of its groups; queries of a group are cut only if they are too many for a tile by themselves.
    """
    keys, queries = keyed[0].shape[1], queried[0].shape[1]
    at_once = max(1, TILE // (queries * keys))
    step = -(-queries // -(-queries * keys // TILE)) if at_once == 1 else queries
    for group in zip(*(tensor.split(at_once) for tensor in (*keyed, *queried)), strict=True):  # type: ignore[no-untyped-call]
        of_keys = group[: len(keyed)]
        for of_queries in zip(*(tensor.split(step, dim=1) for tensor in group[len(keyed) :]), strict=True):
            yield of_keys, of_queries


def _probabilities(query: Tensor, key: Tensor, position: PositionScores) -> Tensor:
    """Compute the probabilities [g, t, T + p] of a tile from queries [g, t, d], keys [g, T + p, d] and positions."""
    rows, columns, padding = position
    scores = query.new_empty(*query.shape[:2], key.shape[1])
    torch.add(rows.unsqueeze(-1), columns.unsqueeze(-2), out=_grid(scores, position))
    if padding.shape[-1]:
        scores[..., -padding.shape[-1] :] = padding
    scores.baddbmm_(query, key.transpose(1, 2), alpha=query.shape[-1] ** -0.5)
    return torch.softmax(scores, dim=-1, out=scores)  # row by row, so in place: a second tile would leave the cache


def _grid(scores: Tensor, position: PositionScores) -> Tensor:
    """View a tile's scores [g, t, T + p] on real tokens by row and column: [g, t, high, wide]."""
    high, wide = position.rows.shape[-1], position.columns.shape[-1]
    return scores[..., : high * wide].view(*scores.shape[:2], high, wide)


def _attend(tokens: Tokens, position: PositionScores) -> Tensor:
    out = torch.empty_like(tokens.query)  # [G, T, d]
    queried = tokens.query, out, *position
    for (key, value), (query, attended, *of_tile) in _tiles((tokens.key, tokens.value), queried):
        torch.bmm(_probabilities(query, key, PositionScores(*of_tile)), value, out=attended)
    return out


def _attend_backward(tokens: Tokens, position: PositionScores, gradient: Tensor) -> tuple[Tokens, PositionScores]:
    """Return the gradients of `_attend`, given that of its result [G, T, d]."""
    grad_tokens = Tokens(torch.empty_like(tokens.query), torch.zeros_like(tokens.key), torch.zeros_like(tokens.value))
    grad_position = PositionScores(*map(torch.empty_like, position))
    scale = tokens.query.shape[-1] ** -0.5
    keyed = tokens.key, tokens.value, grad_tokens.key, grad_tokens.value
    queried = tokens.query, gradient, grad_tokens.query, *position, *grad_position
    for (key, value, grad_key, grad_value), (query, upstream, grad_query, *of_tile) in _tiles(keyed, queried):
        tile, (grad_rows, grad_columns, grad_padding) = PositionScores(*of_tile[:3]), of_tile[3:]
        probabilities = _probabilities(query, key, tile)  # [g, t, T + p]
        grad_value.baddbmm_(probabilities.transpose(1, 2), upstream)
        grad_probabilities = torch.bmm(upstream, value.transpose(1, 2))  # [g, t, T + p]
        grad_scores = torch._softmax_backward_data(
            grad_probabilities, probabilities, -1, grad_probabilities.dtype
        )  # [g, t, T + p]
        grad_key.baddbmm_(grad_scores.transpose(1, 2), query, alpha=scale)
        grad_query.baddbmm_(grad_scores, key, beta=0, alpha=scale)
        torch.sum(_grid(grad_scores, tile), dim=-1, out=grad_rows)
        torch.sum(_grid(grad_scores, tile), dim=-2, out=grad_columns)
        if grad_padding.shape[-1]:
            grad_padding.copy_(grad_scores[..., -grad_padding.shape[-1] :])
    return grad_tokens, grad_position
