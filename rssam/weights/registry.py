"""List the published checkpoints by name: URL, SHA-256, licence, and what they are recognised by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """Published checkpoint. `sha256` is that of the published file, or its leading digits where no more is known.

    torchvision and timm write the first eight digits into the file's name.
    """

    name: str
    url: str
    sha256: str
    megabytes: int
    licence: str

    @property
    def published_file(self) -> str:
        """Return the name of the file at the URL."""
        return self.url.rsplit("/", 1)[1]

    @property
    def file(self) -> str:
        """Return the name of the prepared file."""
        return f"{self.name}.safetensors"


@dataclass(frozen=True)
class SamWeights(Weights):
    """Checkpoint of SAM. The image encoder's numbers say which tensors a file must have."""

    width: int  # channels of a token
    blocks: int
    heads: int
    global_blocks: tuple[int, ...]  # indices of the blocks that attend over the whole image, ascending

    @property
    def file(self) -> str:
        """Return the name of the prepared file."""
        return f"sam_{self.name}.safetensors"


@dataclass(frozen=True)
class BackboneWeights(Weights):
    """Classifier trained on ImageNet, of which a baseline takes the backbone. One tensor tells whether it is it."""

    tensor: str
    shape: tuple[int, ...]


_SAM = "https://dl.fbaipublicfiles.com/segment_anything"


_TORCHVISION = "https://download.pytorch.org/models"


_TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download"


_ALL: tuple[Weights, ...] = (
    # SAM: from the list in the segment-anything README
    SamWeights(
        name="vit_b",
        url=f"{_SAM}/sam_vit_b_01ec64.pth",
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        megabytes=375,
        licence="Apache-2.0",
        width=768,
        blocks=12,
        heads=12,
        global_blocks=(2, 5, 8, 11),
    ),
    SamWeights(
        name="vit_l",
        url=f"{_SAM}/sam_vit_l_0b3195.pth",
        sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        megabytes=1250,
        licence="Apache-2.0",
        width=1024,
        blocks=24,
        heads=16,
        global_blocks=(5, 11, 17, 23),
    ),
    SamWeights(
        name="vit_h",
        url=f"{_SAM}/sam_vit_h_4b8939.pth",
        sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        megabytes=2565,
        licence="Apache-2.0",
        width=1280,
        blocks=32,
        heads=16,
        global_blocks=(7, 15, 23, 31),
    ),
    # Backbones of the CNN and Transformer baselines
    BackboneWeights(
        name="resnet50",
        url=f"{_TORCHVISION}/resnet50-0676ba61.pth",
        sha256="0676ba61",
        megabytes=103,
        licence="BSD-3-Clause",
        tensor="layer4.2.conv3.weight",
        shape=(2048, 512, 1, 1),
    ),
    BackboneWeights(
        name="resnet18",
        url=f"{_TORCHVISION}/resnet18-f37072fd.pth",
        sha256="f37072fd",
        megabytes=47,
        licence="BSD-3-Clause",
        tensor="layer4.1.conv2.weight",
        shape=(512, 512, 3, 3),
    ),
    BackboneWeights(
        name="resnet18_swsl",
        url="https://dl.fbaipublicfiles.com/semiweaksupervision/model_files/"
        "semi_weakly_supervised_resnet18-118f1556.pth",
        sha256="118f1556",
        megabytes=47,
        licence="CC-BY-NC-4.0",
        tensor="layer4.1.conv2.weight",
        shape=(512, 512, 3, 3),
    ),
    BackboneWeights(
        name="vgg16_bn",
        url=f"{_TORCHVISION}/vgg16_bn-6c64b313.pth",
        sha256="6c64b313",
        megabytes=553,
        licence="BSD-3-Clause",
        tensor="features.40.weight",
        shape=(512, 512, 3, 3),
    ),
    BackboneWeights(
        name="hrnet_w18",
        url=f"{_TIMM}/v0.1-hrnet/hrnetv2_w18-8cb57bb9.pth",
        sha256="8cb57bb9",
        megabytes=86,
        licence="MIT",
        tensor="stage4.0.branches.3.0.conv1.weight",
        shape=(144, 144, 3, 3),
    ),
    BackboneWeights(
        name="hrnet_w32",
        url=f"{_TIMM}/v0.1-hrnet/hrnetv2_w32-90d8c5fb.pth",
        sha256="90d8c5fb",
        megabytes=166,
        licence="MIT",
        tensor="stage4.0.branches.3.0.conv1.weight",
        shape=(256, 256, 3, 3),
    ),
    BackboneWeights(
        name="hrnet_w48",
        url=f"{_TIMM}/v0.1-hrnet/hrnetv2_w48-abd2e6ab.pth",
        sha256="abd2e6ab",
        megabytes=311,
        licence="MIT",
        tensor="stage4.0.branches.3.0.conv1.weight",
        shape=(384, 384, 3, 3),
    ),
    BackboneWeights(
        name="r50_vit_b16",
        url=f"{_TIMM}/v0.1-vitjx/jx_vit_base_resnet50_224_in21k-6f7c7740.pth",
        sha256="6f7c7740",
        megabytes=458,
        licence="Apache-2.0",
        tensor="patch_embed.proj.weight",
        shape=(768, 1024, 1, 1),
    ),
)


WEIGHTS: dict[str, Weights] = {weights.name: weights for weights in _ALL}
