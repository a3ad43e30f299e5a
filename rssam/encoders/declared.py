"""The encoders by name: size, normalisation, pretraining. No torch; licence and file are in `rssam.weights.registry`.

Sources: the configurations of timm (Apache-2.0) and of facebookresearch/dinov3.
"""

from __future__ import annotations

from dataclasses import dataclass

from rssam.sam.encoder_sizes import ENCODERS as SAM_ENCODERS
from rssam.weights.registry import WEIGHTS

TAPS = 4
"""Maps that a dense head takes."""

SAM = "sam"
"""The network of SAM's own encoders, which is not timm's."""

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_SATELLITE = (0.430, 0.411, 0.296), (0.213, 0.156, 0.143)  # of the satellite images that it was trained on

_WEB = "LVD-1689M, self-supervised"

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation of images in 0..1."""


@dataclass(frozen=True)
class Encoder:
    """An encoder with patches of 16 pixels, or with stages of strides 4, 8, 16 and 32.

    The name is that of its weights in `WEIGHTS` where any are published.
    """

    name: str
    network: str  # timm's name with the tag of its weights, or `SAM`
    width: int  # channels of a token; of the first stage, which the next ones double
    blocks: int
    heads: int  # of the first stage, which the next ones double
    small: str  # the encoder of this family for tests and smoke runs
    pretraining: str = "none"
    normalisation: Normalisation = _IMAGENET
    stages: tuple[int, ...] = ()  # blocks of each stage; () is one width throughout
    global_blocks: tuple[int, ...] = ()  # of an encoder with stages: indices of the blocks without windows

    @property
    def taps(self) -> tuple[int, ...]:
        """Indices of the blocks after which a dense head takes its maps: the stages' last, or the last of each quarter.

        For ViT-B these are "layers 3, 6, 9, and 12" of the paper's Table 6, and the blocks of SAM's global attention.
        """
        if self.stages:
            return tuple(sum(self.stages[: stage + 1]) - 1 for stage in range(TAPS))
        return tuple(self.blocks * quarter // TAPS - 1 for quarter in range(1, TAPS + 1))

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the maps at the taps."""
        return tuple(self.width << stage if self.stages else self.width for stage in range(TAPS))

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the maps at the taps."""
        return tuple(4 << stage if self.stages else 16 for stage in range(TAPS))

    @property
    def weights(self) -> str | None:
        """Name of the published weights; None if there are none."""
        return self.name if self.name in WEIGHTS else None

    @property
    def licence(self) -> str:
        """Licence of the published weights, or "none"."""
        return WEIGHTS[self.weights].licence if self.weights else "none"


ENCODERS: dict[str, Encoder] = {
    encoder.name: encoder
    for encoder in (
        *(
            Encoder(size.name, SAM, size.width, size.blocks, size.heads, "vit_t",
                    "SA-1B, masks" if size.name in WEIGHTS else "none")
            for size in SAM_ENCODERS.values()
        ),
        Encoder("dinov3_s", "vit_small_patch16_dinov3_qkvb.lvd1689m", 384, 12, 6, "dinov3_nano", _WEB),
        Encoder("dinov3_b", "vit_base_patch16_dinov3_qkvb.lvd1689m", 768, 12, 12, "dinov3_nano", _WEB),
        Encoder("dinov3_l", "vit_large_patch16_dinov3_qkvb.lvd1689m", 1024, 24, 16, "dinov3_nano", _WEB),
        Encoder("dinov3_l_sat", "vit_large_patch16_dinov3_qkvb.sat493m", 1024, 24, 16, "dinov3_nano",
                "SAT-493M, self-supervised", _SATELLITE),
        Encoder("imagenet_b", "vit_base_patch16_224.augreg_in21k", 768, 12, 12, "imagenet_nano",
                "ImageNet-21k, labels", _HALF),
        Encoder("sam2_b_plus", "sam2_hiera_base_plus.fb_r896_2pt1", 112, 24, 2, "sam2_nano", "SA-1B and SA-V, masks",
                stages=(2, 3, 16, 3), global_blocks=(12, 16, 20)),
        Encoder("pe_b", "vit_pe_spatial_base_patch16_512.fb", 768, 12, 12, "pe_nano",
                "5.4 B image-text pairs, aligned with SAM 2.1", _HALF),
        # Ours, without published weights: for tests, smoke runs and training on a CPU.
        Encoder("dinov3_nano", "vit_tiny_patch16_dinov3_qkvb", 192, 4, 3, "dinov3_nano"),
        Encoder("imagenet_nano", "vit_tiny_patch16_224", 192, 4, 3, "imagenet_nano", normalisation=_HALF),
        Encoder("pe_nano", "vit_pe_spatial_tiny_patch16_512", 192, 4, 3, "pe_nano", normalisation=_HALF),
        Encoder("sam2_nano", "sam2_hiera_tiny", 32, 5, 1, "sam2_nano", stages=(1, 1, 2, 1), global_blocks=(3,)),
    )
}  # fmt: skip
