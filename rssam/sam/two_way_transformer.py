"""SAM's two-way transformer between mask tokens and image features, with its tokens in float32 under autocast.

Source: facebookresearch/segment-anything (Apache-2.0), subclassed: parameter names, start and, without autocast, every
bit of the outputs are SAM's.
What we do differently, and why: tokens, their self-attention, MLP and norms, and the scores of tokens against pixels
stay in float32. Class tokens may lie closer together than bfloat16 can tell (relative distance 4e-5, rounding 4e-3).
Maps of pixels have the type of autocast, which is where time and memory go. Two arguments that SAM's has not let
decoders follow each other otherwise than as printed; see `rssam.modules.decoder`.
"""

from __future__ import annotations

import math

import torch
from segment_anything.modeling.transformer import Attention, TwoWayAttentionBlock, TwoWayTransformer
from torch import Tensor

from rssam.sam.autocast import autocast_type, exact, full_precision
from rssam.sam.encoder import EMBEDDING


class MixedTwoWayTransformer(TwoWayTransformer):  # type: ignore[misc]  # segment_anything is untyped
    """SAM's decoder transformer in SAM's size."""

    def __init__(self) -> None:
        super().__init__(depth=2, embedding_dim=EMBEDDING, num_heads=8, mlp_dim=2048)

    def forward(
        self,
        image_embedding: Tensor,
        image_pe: Tensor,
        point_embedding: Tensor,
        query_position: Tensor | None = None,
        replaces_queries: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Return tokens [B, T, 256], at least float32, and pixels [B, h*w, 256].

        Args:
            image_embedding: features [B, 256, h, w].
            image_pe: their positional code [1 or B, 256, h, w], in float32.
            point_embedding: the tokens [B, T, 256].
            query_position: what is added to tokens wherever they ask, like a position; None is the tokens, as in SAM.
            replaces_queries: whether the first self-attention replaces the tokens, as in SAM, or adds to them.
        """
        code = image_pe.flatten(2).transpose(1, 2)  # [1, h*w, 256]
        pixels = image_embedding.flatten(2).transpose(1, 2)  # [B, h*w, 256]
        pixels = pixels.to(autocast_type(pixels))
        located = (pixels + code).to(pixels.dtype)  # added in float32: rounded alone, neighbouring codes would blur
        tokens = exact(point_embedding)
        position = tokens if query_position is None else exact(query_position)
        for layer in self.layers:
            tokens = _update_tokens(layer, tokens, position, pixels, located, replaces_queries)
            update = _image_to_tokens(layer.cross_attn_image_to_token, located, tokens, position)
            pixels = layer.norm4(pixels + update).to(pixels.dtype)  # on CUDA autocast norms in float32
            located = (pixels + code).to(pixels.dtype)
        update = _tokens_to_image(self.final_attn_token_to_image, tokens + position, located, pixels)
        with full_precision(tokens.device):
            return self.norm_final_attn(tokens + update), pixels


def _update_tokens(
    layer: TwoWayAttentionBlock, tokens: Tensor, position: Tensor, pixels: Tensor, located: Tensor, replaces: bool
) -> Tensor:
    """Return the tokens after their self-attention, their look at the image, and their MLP."""
    with full_precision(tokens.device):
        if layer.skip_first_layer_pe and replaces:
            tokens = layer.self_attn(q=tokens, k=tokens, v=tokens)
        else:
            asking = tokens + position
            tokens = tokens + layer.self_attn(q=asking, k=asking, v=tokens)
        tokens = layer.norm1(tokens)
    update = _tokens_to_image(layer.cross_attn_token_to_image, tokens + position, located, pixels)
    with full_precision(tokens.device):
        tokens = layer.norm2(tokens + update)
        tokens = layer.norm3(tokens + layer.mlp(tokens))
    return tokens


def _tokens_to_image(attention: Attention, asking: Tensor, located: Tensor, pixels: Tensor) -> Tensor:
    """Return what tokens [B, T, 256] read from the image, in float32; the projected maps have autocast's type."""
    keys, values = attention.k_proj(located), attention.v_proj(pixels)  # [B, h*w, 128]
    with full_precision(asking.device):
        return _attend(attention, attention.q_proj(asking), exact(keys), exact(values))


def _image_to_tokens(attention: Attention, located: Tensor, tokens: Tensor, position: Tensor) -> Tensor:
    """Return what pixels [B, h*w, 256] read from the tokens, in autocast's type; tokens are projected in float32."""
    queries = attention.q_proj(located)  # [B, h*w, 128]
    with full_precision(tokens.device):
        keys, values = attention.k_proj(tokens + position), attention.v_proj(tokens)  # [B, T, 128]
    return _attend(attention, queries, keys.to(queries.dtype), values.to(queries.dtype))


def _attend(attention: Attention, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return SAM's attention over projected inputs, operation by operation as SAM does it."""
    queries, keys, values = (attention._separate_heads(x, attention.num_heads) for x in (queries, keys, values))
    scores = queries @ keys.permute(0, 1, 3, 2) / math.sqrt(queries.shape[-1])  # [B, heads, queries, keys]
    read = torch.softmax(scores, dim=-1) @ values
    out: Tensor = attention.out_proj(attention._recombine_heads(read))
    return out
