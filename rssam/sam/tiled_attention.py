"""Attention with SAM's relative positions on the CPU: forward and backward tile by tile, on real tokens alone.

Source: the attention of facebookresearch/segment-anything (Apache-2.0), of which this is the same function; it goes
through the scores in tiles, as FlashAttention does (Dao et al. 2022).
What we do differently, and why:
- a tile of scores [heads, queries, keys] is no larger than the cache, where biases, softmax and products find it. The
  backward pass makes the tiles again: but for queries, keys and values nothing is kept, no map [N, N] ever.
- SAM fills windows up with zeros before the layer that makes queries, keys and values, so every padded key is that
  layer's bias, and so is every padded value. Those of one rectangle are one key: with relative positions a_r + b_c the
  sum of exp(s + a_r + b_c) over it is exp(s + logsumexp(a) + logsumexp(b)). What is below and what is beside the real
  tokens of a window are two more keys, where SAM has up to 192 (a window of 2 x 2 tokens), and no more queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rssam.sam.autocast import full_precision

__all__ = ["Region", "TiledAttention", "between", "regions"]

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
        """View of a map [B, H, W, parts * width] as [parts, B, down, across, heads, high, wide, d]."""
        down, across, high, wide = self.down, self.across, self.high, self.wide
        tokens = tokens[:, self.top : self.top + down * high, self.left : self.left + across * wide]
        tokens = tokens.view(tokens.shape[0], down, high, across, wide, parts, heads, -1)
        return tokens.permute(5, 0, 1, 3, 6, 2, 4, 7)


def regions(height: int, width: int, window: int) -> Iterator[Region]:
    """All tokens of a map, once each: up to four regions under square windows, one if `window` is 0."""
    side = (window, window) if window else (height, width)
    for top, down, high in _bands(height, side[0]):
        for left, across, wide in _bands(width, side[1]):
            yield Region(top, left, down, across, high, wide, side)


def _bands(length: int, side: int) -> Iterator[tuple[int, int, int]]:
    """Start, number and real length of the windows along an axis: the whole ones, and the one that juts out."""
    whole, rest = divmod(length, side)
    if whole:
        yield 0, whole, side
    if rest:
        yield whole * side, 1, rest


class Tokens(NamedTuple):
    """What attends in a region, or its gradient; G = B * windows * heads, T real tokens, p keys for the padding."""

    query: Tensor  # [G, T, d]
    key: Tensor  # [G, T + p, d]
    value: Tensor  # [G, T + p, d]


class Places(NamedTuple):
    """What each query adds to its scores, or the gradient: to keys of each row, of each column, and to padding."""

    rows: Tensor  # [G, T, high]
    columns: Tensor  # [G, T, wide]
    padding: Tensor  # [G, T, p]


class TiledAttention(torch.autograd.Function):
    """Attention over the windows of a map: qkv [B, H, W, 3 * width] to [B, H, W, width], before the projection.

    Further arguments: the bias of the layer that made qkv, tables of offsets [2 * side - 1, d] along height and width,
    the number of heads, and the side of a window, 0 for one window over all.
    """

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, bias: Tensor, table_h: Tensor, table_w: Tensor, heads: int, window: int
    ) -> Tensor:
        """Attend. Half precision is computed in float32, softmax and sums included, and rounded once."""
        ctx.save_for_backward(qkv, bias, table_h, table_w)
        ctx.heads, ctx.window = heads, window
        batch, height, width, channels = qkv.shape
        out = qkv.new_empty(batch, height, width, channels // 3)
        with full_precision(qkv.device):
            for region in regions(height, width, window):
                tokens = _gather(region, qkv, bias, heads)
                places = _places(region, tokens.query, _exact(table_h), _exact(table_w))
                attended = region.cut(out, 1, heads)
                attended.copy_(_attend(tokens, places).view(attended.shape))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the four tensors; those of the tables where wanted."""
        qkv, bias, *tables = ctx.saved_tensors
        _, height, width, _ = qkv.shape
        of_qkv, of_bias = torch.empty_like(qkv), torch.zeros_like(_exact(bias))
        leaves = [_exact(t).detach().requires_grad_(w) for t, w in zip(tables, ctx.needs_input_grad[2:4], strict=True)]
        with full_precision(qkv.device):
            for region in regions(height, width, ctx.window):
                tokens = _gather(region, qkv, bias, ctx.heads)
                query = tokens.query.detach().requires_grad_()
                with torch.enable_grad():
                    places = _places(region, query, *leaves)
                upstream = _exact(region.cut(gradient, 1, ctx.heads)).reshape(query.shape)
                of_tokens, of_places = _retrace(tokens, Places(*(place.detach() for place in places)), upstream)
                torch.autograd.backward(places, of_places)  # into query and, over all regions, into the tables
                of_tokens.query.add_(query.grad)  # type: ignore[arg-type]  # backward has set it
                _scatter(region, of_tokens, of_qkv, of_bias, ctx.heads)
        of_tables = (
            None if leaf.grad is None else leaf.grad.to(t.dtype) for leaf, t in zip(leaves, tables, strict=True)
        )
        return of_qkv, of_bias.to(bias.dtype), *of_tables, None, None


def between(table: Tensor, length: int) -> Tensor:
    """A table of offsets [2 * length - 1, d] as [length, length, d]: of query position and key position."""
    place = torch.arange(length, device=table.device)
    return table[place[:, None] - place + length - 1]


def _exact(tensor: Tensor) -> Tensor:
    """In float32 at least."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _gather(region: Region, qkv: Tensor, bias: Tensor, heads: int) -> Tokens:
    parts = _exact(region.cut(qkv, 3, heads))  # [3, B, down, across, heads, high, wide, d]
    query, key, value = parts.reshape(3, -1, region.high * region.wide, parts.shape[-1])  # [G, T, d] each
    padding = sum(real < full for real, full in zip((region.high, region.wide), region.side, strict=True))
    if padding:
        grown = _exact(bias).view(3, 1, heads, 1, -1).expand(3, query.shape[0] // heads, heads, padding, -1)
        grown = grown.reshape(3, -1, padding, parts.shape[-1])  # [3, G, p, d]
        key, value = torch.cat((key, grown[1]), dim=1), torch.cat((value, grown[2]), dim=1)  # [G, T + p, d] each
    return Tokens(query, key, value)


def _scatter(region: Region, of: Tokens, of_qkv: Tensor, of_bias: Tensor, heads: int) -> None:
    """Write the gradient of a region's tokens where they come from, and add that of its padding to the bias."""
    real = of.query.shape[1]
    for part, whole, one in zip(region.cut(of_qkv, 3, heads), of_bias.view(3, heads, -1), of, strict=True):
        part.copy_(one[:, :real].reshape(part.shape))
        whole.add_(one[:, real:].sum(dim=1).view(-1, *whole.shape).sum(dim=0))  # [heads, d]


def _places(region: Region, query: Tensor, table_h: Tensor, table_w: Tensor) -> Places:
    (side_h, side_w), high, wide = region.side, region.high, region.wide
    grid = query.view(-1, high, wide, query.shape[-1])  # [G, high, wide, d]
    rows = torch.einsum("ghwd,hkd->ghwk", grid, between(table_h, side_h)[:high]).flatten(1, 2)  # [G, T, side]
    columns = torch.einsum("ghwd,wkd->ghwk", grid, between(table_w, side_w)[:wide]).flatten(1, 2)
    padding = []  # [G, T] each
    if high < side_h:
        padding.append(rows[..., high:].logsumexp(dim=-1) + columns.logsumexp(dim=-1))
    if wide < side_w:
        padding.append(rows[..., :high].logsumexp(dim=-1) + columns[..., wide:].logsumexp(dim=-1))
    together = torch.stack(padding, dim=-1) if padding else rows[..., :0]
    return Places(rows[..., :high], columns[..., :wide], together)


def _tiles(
    keyed: Sequence[Tensor], queried: Sequence[Tensor]
) -> Iterator[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
    """Views of the tiles: of tensors [G, T + p, .] by groups, and of tensors [G, T, .] by groups and queries.

    A tile has all keys of its groups; queries of a group are cut only if they are too many for a tile by themselves.
    """
    keys, queries = keyed[0].shape[1], queried[0].shape[1]
    at_once = max(1, TILE // (queries * keys))
    step = -(-queries // -(-queries * keys // TILE)) if at_once == 1 else queries
    for group in zip(*(tensor.split(at_once) for tensor in (*keyed, *queried)), strict=True):  # type: ignore[no-untyped-call]
        own = group[: len(keyed)]
        for some in zip(*(tensor.split(step, dim=1) for tensor in group[len(keyed) :]), strict=True):
            yield own, some


def _probabilities(query: Tensor, key: Tensor, places: Places) -> Tensor:
    """Of one tile: queries [g, t, d], keys [g, T + p, d] and the queries' places to [g, t, T + p]."""
    rows, columns, padding = places
    scores = query.new_empty(*query.shape[:2], key.shape[1])
    torch.add(rows.unsqueeze(-1), columns.unsqueeze(-2), out=_grid(scores, places))
    if padding.shape[-1]:
        scores[..., -padding.shape[-1] :] = padding
    scores.baddbmm_(query, key.transpose(1, 2), alpha=query.shape[-1] ** -0.5)
    return torch.softmax(scores, dim=-1, out=scores)  # row by row, so in place: a second tile would leave the cache


def _grid(scores: Tensor, places: Places) -> Tensor:
    """View of a tile's scores [g, t, T + p] on real tokens, by row and column [g, t, high, wide]."""
    high, wide = places.rows.shape[-1], places.columns.shape[-1]
    return scores[..., : high * wide].view(*scores.shape[:2], high, wide)


def _attend(tokens: Tokens, places: Places) -> Tensor:
    """Attention [G, T, d]."""
    out = torch.empty_like(tokens.query)
    for (key, value), (query, attended, *own) in _tiles((tokens.key, tokens.value), (tokens.query, out, *places)):
        torch.bmm(_probabilities(query, key, Places(*own)), value, out=attended)
    return out


def _retrace(tokens: Tokens, places: Places, gradient: Tensor) -> tuple[Tokens, Places]:
    """Gradients of `_attend`, given that of its result [G, T, d]."""
    of_tokens = Tokens(torch.empty_like(tokens.query), torch.zeros_like(tokens.key), torch.zeros_like(tokens.value))
    of_places = Places(*map(torch.empty_like, places))
    scale = tokens.query.shape[-1] ** -0.5
    keyed = tokens.key, tokens.value, of_tokens.key, of_tokens.value
    queried = tokens.query, gradient, of_tokens.query, *places, *of_places
    for (key, value, of_key, of_value), (query, upstream, of_query, *own) in _tiles(keyed, queried):
        here, (of_rows, of_columns, of_padding) = Places(*own[:3]), own[3:]
        likely = _probabilities(query, key, here)  # [g, t, T + p]
        of_value.baddbmm_(likely.transpose(1, 2), upstream)
        wanted = torch.bmm(upstream, value.transpose(1, 2))  # [g, t, T + p]
        scores = torch._softmax_backward_data(wanted, likely, -1, wanted.dtype)  # [g, t, T + p]
        of_key.baddbmm_(scores.transpose(1, 2), query, alpha=scale)
        of_query.baddbmm_(scores, key, beta=0, alpha=scale)
        torch.sum(_grid(scores, here), dim=-1, out=of_rows)
        torch.sum(_grid(scores, here), dim=-2, out=of_columns)
        if of_padding.shape[-1]:
            of_padding.copy_(scores[..., -of_padding.shape[-1] :])
    return of_tokens, of_places
