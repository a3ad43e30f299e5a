"""SAM's image encoder by itself: ours, and its peers, as people would take it elsewhere.

A peer is built for the size of the image with random numbers, and takes images in 0..1. It is frozen except for its
position table, so that a gradient passes every block, as it does to the LoRA of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec

from torch import Tensor, nn

from rssam.contract import Task
from rssam.errors import UserError
from rssam.lora import add_lora, freeze_encoder
from rssam.sam.encoder import SamEncoder
from rssam.sam.encoder_sizes import ENCODERS


class EncoderAlone(nn.Module):
    """SAM's image encoder with its neck, as segment_anything has it, under the forward contract of a network."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        """Return the neck's map [B, 256, H/16, W/16] of images [B, 3, H, W]."""
        neck: Tensor = self.encoder(images).neck
        return neck


def encoder_alone(name: str, task: Task) -> nn.Module:
    """Return an encoder of SAM with LoRA, frozen except for LoRA."""
    encoder = SamEncoder(ENCODERS[name], task.image_size, neck=True)
    add_lora(encoder, 4)
    freeze_encoder(encoder, "sam")
    return EncoderAlone(encoder)


class PeerMissing(UserError):
    """A peer whose package is not installed."""


class _FirstOutput(nn.Module):
    """A network whose first output is the neck's map [B, 256, H/16, W/16]."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """Return the neck's map of images [B, 3, H, W]."""
        made = self.net(images)
        neck: Tensor = made if isinstance(made, Tensor) else made[0]
        return neck


def peer_encoder(peer: str, name: str, task: Task) -> nn.Module:
    """Return SAM's encoder `name` as the peer has it, for images of the task. Raises PeerMissing."""
    package, build = _BUILDERS[peer]
    if find_spec(package) is None:
        raise PeerMissing(f"{peer} needs the package {package}, which is not installed: pip install {package}")
    net = build(name, task.image_size[0])
    net.requires_grad_(False)
    (position,) = (value for label, value in net.named_parameters() if label.split(".")[-1] == "pos_embed")
    position.requires_grad_(True)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.02)  # some are zero at the start
    return _FirstOutput(net)


def _stock(name: str, side: int) -> nn.Module:
    from segment_anything.modeling import ImageEncoderViT

    size = ENCODERS[name]
    net: nn.Module = ImageEncoderViT(
        img_size=side, patch_size=16, embed_dim=size.width, depth=size.blocks, num_heads=size.heads, out_chans=256,
        qkv_bias=True, use_rel_pos=True, window_size=14, global_attn_indexes=size.global_blocks,
    )  # fmt: skip
    return net


def _transformers(attention: str) -> Callable[[str, int], nn.Module]:
    def build(name: str, side: int) -> nn.Module:
        from transformers import SamVisionConfig
        from transformers.models.sam.modeling_sam import SamVisionEncoder

        size = ENCODERS[name]
        config = SamVisionConfig(
            hidden_size=size.width, num_hidden_layers=size.blocks, num_attention_heads=size.heads, image_size=side,
            mlp_dim=4 * size.width, global_attn_indexes=list(size.global_blocks), attn_implementation=attention,
        )  # fmt: skip
        net: nn.Module = SamVisionEncoder(config)
        return net

    return build


def _timm(name: str, side: int) -> nn.Module:
    import timm

    kinds = {"vit_b": "base", "vit_l": "large", "vit_h": "huge"}
    if name not in kinds:
        raise UserError(f"timm has no {name}: choose --encoder {', '.join(kinds)}")
    net: nn.Module = timm.create_model(f"samvit_{kinds[name]}_patch16", img_size=side, num_classes=0, global_pool="")
    return net


_BUILDERS: Mapping[str, tuple[str, Callable[[str, int], nn.Module]]] = {
    "stock": ("segment_anything", _stock),
    "transformers": ("transformers", _transformers("eager")),
    "transformers-sdpa": ("transformers", _transformers("sdpa")),
    "timm": ("timm", _timm),
}
"""The package of each peer, and what builds its encoder for a side of images."""

PEERS = tuple(_BUILDERS)
