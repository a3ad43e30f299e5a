"""The published checkpoints by name: URL, SHA-256, licence, and what they are recognised by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """A published checkpoint. `sha256` is that of the published file, or its leading digits where no more is known.

    torchvision, timm and DINOv3 write the first eight digits into the file's name. "" is a file without a published
    digest: that of the file that was prepared is recorded with it, and is in the key of every run.
    """

    name: str
    url: str
    sha256: str
    megabytes: int
    licence: str

    @property
    def published_file(self) -> str:
        """Name of the file at the URL."""
        return self.url.rsplit("/", 1)[1]

    @property
    def file(self) -> str:
        """Name of the prepared file."""
        return f"{self.name}.safetensors"

    @property
    def licence_first(self) -> bool:
        """Whether the URL is a page on which the licence must be accepted before anybody is sent the file."""
        return False

    @property
    def remedy(self) -> str:
        """The command that prepares it, in words."""
        if not self.licence_first:
            return (
                f"rssam-bench prepare weights {self.name} (downloads {self.megabytes} MB), "
                "or add --source FILE.pth if you have it"
            )
        return (
            f"rssam-bench prepare weights {self.name} --source FILE, with the file {self.published_file} "
            f"that {self.url} sends once the {self.licence} is accepted there"
        )


@dataclass(frozen=True)
class SamWeights(Weights):
    """One of SAM's checkpoints. The image encoder's numbers say which tensors a file must have."""

    width: int  # channels of a token
    blocks: int
    heads: int
    global_blocks: tuple[int, ...]  # indices of the blocks that attend over the whole image, ascending

    @property
    def file(self) -> str:
        """Name of the prepared file."""
        return f"sam_{self.name}.safetensors"


@dataclass(frozen=True)
class BackboneWeights(Weights):
    """A classifier trained on ImageNet, of which a baseline takes the backbone. One tensor tells whether it is it."""

    tensor: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class EncoderWeights(BackboneWeights):
    """An encoder that can stand in the place of SAM's; its network has the names and shapes of all its tensors."""

    filename: str

    @property
    def published_file(self) -> str:
        """Name of the file that the publisher sends."""
        return self.filename


@dataclass(frozen=True)
class LicensedWeights(EncoderWeights):
    """An encoder whose file is sent from the page at `url` to whoever accepts the licence there."""

    @property
    def licence_first(self) -> bool:
        """Whether the licence must be accepted first: yes."""
        return True


_SAM = "https://dl.fbaipublicfiles.com/segment_anything"


_TORCHVISION = "https://download.pytorch.org/models"


_TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download"


_HUGGING_FACE = "https://huggingface.co/timm"


_PATCHES = "patch_embed.proj.weight"


def _dinov3(name: str, variant: str, sha256: str, megabytes: int, width: int) -> LicensedWeights:
    return LicensedWeights(
        name=name,
        url="https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/",
        sha256=sha256,
        megabytes=megabytes,
        licence="DINOv3 License",
        tensor=_PATCHES,
        shape=(width, 3, 16, 16),
        filename=f"dinov3_{variant}-{sha256}.pth",
    )


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
        tensor=_PATCHES,
        shape=(768, 1024, 1, 1),
    ),
    # Encoders in the place of SAM's: DINOv3's digests from facebookresearch/dinov3
    _dinov3("dinov3_s", "vits16_pretrain_lvd1689m", "08c60483", 86, 384),
    _dinov3("dinov3_b", "vitb16_pretrain_lvd1689m", "73cec8be", 343, 768),
    _dinov3("dinov3_l", "vitl16_pretrain_lvd1689m", "8aa4cbdd", 1213, 1024),
    _dinov3("dinov3_l_sat", "vitl16_pretrain_sat493m", "eadcf0ff", 1213, 1024),
    EncoderWeights(
        name="imagenet_b",
        url=f"{_HUGGING_FACE}/vit_base_patch16_224.augreg_in21k/resolve/main/model.safetensors",
        sha256="",
        megabytes=410,
        licence="Apache-2.0",
        tensor=_PATCHES,
        shape=(768, 3, 16, 16),
        filename="vit_base_patch16_224.augreg_in21k.safetensors",
    ),
    EncoderWeights(
        name="pe_b",
        url=f"{_HUGGING_FACE}/vit_pe_spatial_base_patch16_512.fb/resolve/main/model.safetensors",
        sha256="",
        megabytes=343,
        licence="Apache-2.0",
        tensor=_PATCHES,
        shape=(768, 3, 16, 16),
        filename="vit_pe_spatial_base_patch16_512.fb.safetensors",
    ),
    EncoderWeights(
        name="sam2_b_plus",
        url="https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_base_plus.pt",
        # Meta publishes none; several projects that fetched the file recorded this one.
        sha256="a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        megabytes=324,
        licence="Apache-2.0",
        tensor=_PATCHES,
        shape=(112, 3, 7, 7),
        filename="sam2.1_hiera_base_plus.pt",
    ),
)


WEIGHTS: dict[str, Weights] = {weights.name: weights for weights in _ALL}
