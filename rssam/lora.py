"""LoRA on the queries and values of any ViT, and freezing (paper section 3.2, Fig. 2: X_out = X_in (SG(W) + W_d W_u)).

Source: the paper follows SAMed (hitachinsk/SAMed, Apache-2.0): rank 4, factor 1, no bias, no dropout, A uniform and
B zero at the start.
What we do differently, and why: the layer is itself the linear layer it adapts, so parameter names stay the ViT's. A
checkpoint loads before or after. The additions are out of place, where SAMed writes into the frozen layer's output.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rssam.sam.attention import Selectable
from rssam.sam.encoder_sizes import EncoderInit


class LoraQkv(Selectable, nn.Linear):
    """Fused query, key and value layer, with a low-rank addition to the query and to the value third."""

    def __init__(self, qkv: nn.Linear, rank: int) -> None:
        super().__init__(qkv.in_features, qkv.out_features, device="meta")
        self.weight, self.bias = qkv.weight, qkv.bias  # the same parameters, not copies
        self.third = qkv.out_features // 3  # the width, or twice as much where SAM 2's stages change
        self.query_down, self.query_up = _low_rank(qkv.in_features, self.third, rank)
        self.value_down, self.value_up = _low_rank(qkv.in_features, self.third, rank)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens [..., width] to [..., 3 * third]; in training both additions are one product of rank 2 r."""
        if self.kind == "reference":
            return self._reference(x)
        if not torch.is_grad_enabled():
            return F.linear(x, self._merged(), self.bias)
        tokens = x.reshape(-1, x.shape[-1])  # [N, width]
        down = F.linear(tokens, torch.cat((self.query_down.weight, self.value_down.weight)))  # [N, 2 r]
        query_up, value_up = self.query_up.weight, self.value_up.weight  # [third, r] each
        none = torch.zeros_like(query_up)
        up = torch.cat((torch.cat((query_up, none, none)), torch.cat((none, none, value_up))), dim=1)  # [3 third, 2 r]
        adapted = super().forward(tokens)  # [N, 3 * third]
        adapted.addmm_(down, up.T.to(adapted.dtype))  # in place: nothing else sees it, nor does its backward pass
        return adapted.view(*x.shape[:-1], -1)

    def _merged(self) -> Tensor:
        """Return the layer's weight [3 * third, width] with both additions: two small products, none of all tokens."""
        weight = self.weight.clone()
        weight[: self.third].addmm_(self.query_up.weight, self.query_down.weight)
        weight[-self.third :].addmm_(self.value_up.weight, self.value_down.weight)
        return weight

    def _reference(self, x: Tensor) -> Tensor:
        """Map tokens as SAMed writes it: four layers and two additions."""
        query, key, value = super().forward(x).chunk(3, dim=-1)  # each [..., third]
        query = query + self.query_up(self.query_down(x))
        value = value + self.value_up(self.value_down(x))
        return torch.cat((query, key, value), dim=-1)  # [..., 3 * third]


class LoraLinear(nn.Linear):
    """A layer of queries or of values alone, with a low-rank addition."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__(layer.in_features, layer.out_features, device="meta")
        self.weight, self.bias = layer.weight, layer.bias  # the same parameters, not copies
        self.down, self.up = _low_rank(layer.in_features, layer.out_features, rank)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens [..., width] to [..., out]."""
        return super().forward(x) + self.up(self.down(x))  # type: ignore[no-any-return]


def add_lora(module: nn.Module, rank: int) -> None:
    """Put LoRA into the queries and values of every attention layer of `module`; rank 0 leaves it as it is.

    They are a linear layer named `qkv` with outputs for all three, or layers named `q_proj` and `v_proj`. Their owner
    must call them: LoRA has no effect where only a layer's weight is read. timm's `EvaAttention` reads it to add a bias
    for queries and values. It calls the layer where it adds the bias apart, so that is what it does here. Raises
    ValueError if there is no such layer.
    """
    if rank == 0:
        return
    layers: list[tuple[Any, str, nn.Linear]] = [
        (owner, name, layer)
        for owner in module.modules()
        for name, layer in owner.named_children()
        if isinstance(layer, nn.Linear)
        and ((name == "qkv" and layer.out_features % 3 == 0) or name in ("q_proj", "v_proj"))
    ]
    if not layers:
        raise ValueError(f"expected linear layers named qkv in {type(module).__name__}, found none to put LoRA into")
    for owner, name, layer in layers:
        setattr(owner, name, LoraQkv(layer, rank) if name == "qkv" else LoraLinear(layer, rank))
        if hasattr(owner, "qkv_bias_separate"):
            owner.qkv_bias_separate = True


def lora_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that `add_lora` brought, by their names in `module`."""
    return {
        f"{name}.{own_name}": parameter
        for name, layer in module.named_modules()
        if isinstance(layer, LoraQkv | LoraLinear)
        for own_name, parameter in layer.named_parameters()
        if own_name not in ("weight", "bias")
    }


def freeze_encoder(encoder: nn.Module, init: EncoderInit) -> None:
    """Leave to training what the start allows: LoRA alone on pretrained weights, the whole encoder from scratch."""
    encoder.requires_grad_(init == "scratch")
    for parameter in lora_parameters(encoder).values():
        parameter.requires_grad_(True)


def _low_rank(width: int, out: int, rank: int) -> tuple[nn.Linear, nn.Linear]:
    down, up = nn.Linear(width, rank, bias=False), nn.Linear(rank, out, bias=False)
    nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
    nn.init.zeros_(up.weight)
    return down, up
