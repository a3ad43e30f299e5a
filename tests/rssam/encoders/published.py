"""Encoders of timm with random weights, and the same weights in the formats in which they are published."""

import timm
import torch

from rssam.encoders.declared import ENCODERS
from tests.rssam.fakes import shake


def timms_own(name, seed=0, **options):
    """timm's network of a declared encoder, at timm's own image size, for images of any size."""
    declared = ENCODERS[name]
    sizes = {"embed_dim": declared.width, "num_heads": declared.heads}
    if declared.stages:
        sizes |= {"stages": declared.stages, "global_att_blocks": declared.global_blocks}
    else:
        sizes |= {"depth": declared.blocks, "dynamic_img_size": True}
    torch.manual_seed(seed)
    return shake(timm.create_model(declared.network, pretrained=False, **{"num_classes": 0, **sizes, **options})).eval()


def own_forward(net, declared, images):
    """The outputs of all blocks [B, width, h, w] in timm's own forward pass, normed, with prefix tokens left out."""
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in declared.normalisation)
    outputs, handles = [], []
    for block in net.blocks:
        handles.append(block.register_forward_hook(lambda module, inputs, output: outputs.append(output)))
    with torch.no_grad():
        net.forward_features((images - mean) / std)
        for handle in handles:
            handle.remove()
        if declared.stages:
            return [output.permute(0, 3, 1, 2) for output in outputs]
        height, width = (side // 16 for side in images.shape[-2:])
        tokens = [net.norm(output)[:, net.num_prefix_tokens :] for output in outputs]
    return [part.transpose(1, 2).unflatten(2, (height, width)) for part in tokens]


def as_dinov3_publishes(state, seed=0):
    """The tensors of timm's DINOv3 under facebookresearch/dinov3's names, with all that its files hold besides."""
    generator = torch.Generator().manual_seed(seed)
    width = state["cls_token"].shape[-1]
    found = {
        "mask_token": torch.zeros(1, width),
        "rope_embed.periods": torch.rand(16, generator=generator).bfloat16(),
        "local_cls_norm.weight": torch.rand(width, generator=generator),  # of the satellite's ViT-L alone
        "local_cls_norm.bias": torch.rand(width, generator=generator),
    }
    for name, tensor in state.items():
        if name.endswith("q_bias"):
            stem = name.removesuffix("q_bias")
            keys = torch.rand(width, generator=generator)  # never added: their mask is zero
            found[f"{stem}qkv.bias"] = torch.cat((tensor, keys, state[f"{stem}v_bias"]))
            found[f"{stem}qkv.bias_mask"] = torch.cat((torch.ones(width), torch.zeros(width), torch.ones(width)))
        elif not name.endswith("v_bias"):
            for timms, own in (("reg_token", "storage_tokens"), ("gamma_1", "ls1.gamma"), ("gamma_2", "ls2.gamma")):
                name = name.replace(timms, own)
            found[name] = tensor
    return found


def as_sam2_publishes(state):
    """The tensors of timm's Hiera as SAM 2's files hold them: wrapped, deep in a larger network."""
    trunk = {
        "image_encoder.trunk." + name.replace("mlp.fc1", "mlp.layers.0").replace("mlp.fc2", "mlp.layers.1"): tensor
        for name, tensor in state.items()
        if not name.startswith("head.")
    }
    return {
        "model": {**trunk, "image_encoder.neck.convs.0.conv.bias": torch.rand(256), "no_obj_ptr": torch.rand(1, 256)}
    }
