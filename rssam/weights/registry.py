"""List the published checkpoints by name: URL, SHA-256, licence, and what they are recognised by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Weights:
    """Published checkpoint. `sha256` is that of the published file, or its leading digits where no more is known.

    torchvision, timm and DINOv3 write the first eight digits into the file's name. "" is a file without a published
    digest. The digest of the file that was prepared is recorded with it, and is in the key of every run.
    """

    name: str
    url: str
    sha256: str
    megabytes: int
    licence: str

    licence_first: ClassVar[bool] = False
    """Whether the URL is a page on which the licence must be accepted before anybody is sent the file."""

    @property
    def published_file(self) -> str:
        """Return the name of the file at the URL."""
        return self.url.rsplit("/", 1)[1]

    @property
    def file(self) -> str:
        """Return the name of the prepared file."""
        return f"{self.name}.safetensors"

    @property
    def remedy(self) -> str:
        """Return the command that prepares it, in words."""
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

    licence_first: ClassVar[bool] = True


_META = "https://dl.fbaipublicfiles.com"
_TORCHVISION = "https://download.pytorch.org/models"
_TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download"

_PATCHES = "patch_embed.proj.weight"


def _sam(name: str, file: str, sha256: str, megabytes: int, width: int, blocks: int, heads: int) -> SamWeights:
    """Return a checkpoint in the list of segment-anything's README. Each quarter of its blocks ends in a global one."""
    last = tuple(blocks * quarter // 4 - 1 for quarter in range(1, 5))
    return SamWeights(
        name, f"{_META}/segment_anything/{file}", sha256, megabytes, "Apache-2.0", width, blocks, heads, last
    )


def _torchvision(name: str, sha256: str, megabytes: int, tensor: str, shape: tuple[int, ...]) -> BackboneWeights:
    return BackboneWeights(
        name, f"{_TORCHVISION}/{name}-{sha256}.pth", sha256, megabytes, "BSD-3-Clause", tensor, shape
    )


def _hrnet(width: int, sha256: str, megabytes: int) -> BackboneWeights:
    return BackboneWeights(
        f"hrnet_w{width}", f"{_TIMM}/v0.1-hrnet/hrnetv2_w{width}-{sha256}.pth", sha256, megabytes, "MIT",
        "stage4.0.branches.3.0.conv1.weight", (8 * width, 8 * width, 3, 3),
    )  # fmt: skip


def _dinov3(name: str, variant: str, sha256: str, megabytes: int, width: int) -> LicensedWeights:
    return LicensedWeights(
        name, "https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/", sha256, megabytes,
        "DINOv3 License", _PATCHES, (width, 3, 16, 16), f"dinov3_{variant}-{sha256}.pth",
    )  # fmt: skip


def _from_hugging_face(name: str, published: str, megabytes: int) -> EncoderWeights:
    """Return a ViT-B in timm's format, whose publisher gives no digest."""
    return EncoderWeights(
        name, f"https://huggingface.co/timm/{published}/resolve/main/model.safetensors", "", megabytes, "Apache-2.0",
        _PATCHES, (768, 3, 16, 16), f"{published}.safetensors",
    )  # fmt: skip


_ALL: tuple[Weights, ...] = (
    _sam("vit_b", "sam_vit_b_01ec64.pth", "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
         375, 768, 12, 12),
    _sam("vit_l", "sam_vit_l_0b3195.pth", "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
         1250, 1024, 24, 16),
    _sam("vit_h", "sam_vit_h_4b8939.pth", "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
         2565, 1280, 32, 16),
    # Backbones of the CNN and Transformer baselines
    _torchvision("resnet50", "0676ba61", 103, "layer4.2.conv3.weight", (2048, 512, 1, 1)),
    _torchvision("resnet18", "f37072fd", 47, "layer4.1.conv2.weight", (512, 512, 3, 3)),
    BackboneWeights(
        "resnet18_swsl",
        f"{_META}/semiweaksupervision/model_files/semi_weakly_supervised_resnet18-118f1556.pth",
        "118f1556", 47, "CC-BY-NC-4.0", "layer4.1.conv2.weight", (512, 512, 3, 3),
    ),
    _torchvision("vgg16_bn", "6c64b313", 553, "features.40.weight", (512, 512, 3, 3)),
    _hrnet(18, "8cb57bb9", 86),
    _hrnet(32, "90d8c5fb", 166),
    _hrnet(48, "abd2e6ab", 311),
    BackboneWeights(
        "r50_vit_b16", f"{_TIMM}/v0.1-vitjx/jx_vit_base_resnet50_224_in21k-6f7c7740.pth",
        "6f7c7740", 458, "Apache-2.0", _PATCHES, (768, 1024, 1, 1),
    ),
    # Encoders in the place of SAM's: DINOv3's digests from facebookresearch/dinov3
    _dinov3("dinov3_s", "vits16_pretrain_lvd1689m", "08c60483", 86, 384),
    _dinov3("dinov3_b", "vitb16_pretrain_lvd1689m", "73cec8be", 343, 768),
    _dinov3("dinov3_l", "vitl16_pretrain_lvd1689m", "8aa4cbdd", 1213, 1024),
    _dinov3("dinov3_l_sat", "vitl16_pretrain_sat493m", "eadcf0ff", 1213, 1024),
    _from_hugging_face("imagenet_b", "vit_base_patch16_224.augreg_in21k", 410),
    _from_hugging_face("pe_b", "vit_pe_spatial_base_patch16_512.fb", 343),
    EncoderWeights(
        "sam2_b_plus", f"{_META}/segment_anything_2/092824/sam2.1_hiera_base_plus.pt",
        # Meta publishes none; several projects that fetched the file recorded this one.
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        324, "Apache-2.0", _PATCHES, (112, 3, 7, 7), "sam2.1_hiera_base_plus.pt",
    ),
)  # fmt: skip

WEIGHTS: dict[str, Weights] = {weights.name: weights for weights in _ALL}
