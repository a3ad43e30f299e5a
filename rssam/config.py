"""RS-SAM (ACCV 2024), declared without torch: its options, the switches of the paper's ablations, and its weights.

Source: the paper, which has no public code.
What we do differently: the decoder chain is not quite Eq. 2 as printed (`chain`), which fails in trials in which this
one learns (docs/measurements.md). Every field marked "not in the paper" is a choice it leaves open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rssam.contract import Optimisation, Task
from rssam.sam.encoder_sizes import CHAINS, SCALES, Chain, EncoderInit, check_encoder

if TYPE_CHECKING:
    from rssam.model import RsSam
    from rssam.weights.folder import WeightsFolder

NOT_THE_PRINTED_MODEL = "not the printed model"
"""Said of every RS-SAM whose chain is not the printed one."""


@dataclass(frozen=True)
class RSSAM:
    """RS-SAM and its ablations, as a declaration of options. The defaults are the full model of Tables 1-4.

    Source: RS-SAM, ACCV 2024, section 3; SAM's parts are facebookresearch/segment-anything's.

    Attributes:
        encoder: SAM's "vit_b", "vit_l" or "vit_h"; or "vit_t" or "vit_s", small encoders without published weights.
        init: "sam" starts the encoder from SAM's checkpoint and freezes it under LoRA; "scratch" trains all of it.
        neck_source: what the neck reads, Table 6: the "last" block, or "layers" at a quarter, half, three quarters and
            the end of the encoder.
        mff: fuse the class tokens of all scales, Table 5.
        mhff: fuse the features of all scales, Table 5.
        scales: strides of the decoders in order. Others than all four are controls and need mhff=False.
        rank: of LoRA in every block. Not in the paper: SAMed's rank, which Table 7's Baseline row confirms for the
            Baseline.
        chain: how decoders pass tokens on, see modules/decoder.py. "sam_first" is not in the paper, "printed" is its
            Eq. 2, "continued" and "residual" are controls.
        pretrained_decoders: under init "sam", start decoders, 1/16 neck and positional code from SAM's too. Not in the
            paper.

    Raises:
        UserError: There is no such encoder or init, or init is "sam" for an encoder without published weights.
        ValueError: Another option has no such value, or options do not fit together.

    Examples:
        The full model, and the row "Neck + MFF" of Table 5:

        >>> from rssam import RSSAM
        >>> RSSAM().weights_needed()
        ('vit_b',)
        >>> RSSAM(mhff=False).mff
        True

        The smallest network, from scratch, which takes images float [B, 3, 32, 32] in 0..1:

        >>> import torch
        >>> from rssam import Task
        >>> net = RSSAM(encoder="vit_t", init="scratch").architecture(Task(("road",), (32, 32)))
        >>> net(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 1, 32, 32])
    """

    name: ClassVar[str] = "rs-sam"
    title: ClassVar[str] = "RS-SAM"
    version: ClassVar[int] = 1
    published: ClassVar[Optimisation | None] = None  # the paper gives no rate, warm-up length or weight decay
    small: ClassVar[Mapping[str, Any]] = {"encoder": "vit_t"}
    cli_options: ClassVar[tuple[str, ...]] = ("encoder", "init")

    encoder: str = "vit_b"
    init: EncoderInit = "sam"
    neck_source: Literal["last", "layers"] = "last"
    mff: bool = True
    mhff: bool = True
    scales: tuple[int, ...] = SCALES
    rank: int = 4
    chain: Chain = "sam_first"
    pretrained_decoders: bool = True

    def __post_init__(self) -> None:
        check_encoder(self.encoder, self.init)
        if self.neck_source not in ("last", "layers"):
            raise ValueError(f"neck_source is 'last' or 'layers', not {self.neck_source!r}")
        if self.chain not in CHAINS:
            raise ValueError(f"chain is one of {', '.join(CHAINS)}, not {self.chain!r}")
        if self.rank < 0:
            raise ValueError(f"rank must be 0 or more, not {self.rank}")
        if not self.scales or not set(self.scales) <= set(SCALES):
            raise ValueError(f"scales must be taken from {SCALES}, not {self.scales}")
        if self.mhff and self.scales != SCALES:
            raise ValueError(f"mhff fuses the scales {SCALES}: set mhff=False to use {self.scales}")
        if self.scales[-1] not in (4, 16):
            raise ValueError(f"the last of scales is 4, or 16 with SAM's upscaling, not {self.scales[-1]}")
        if self.mff and self.scales[-1] != 4:
            raise ValueError(f"mff multiplies with features of stride 4: set mff=False to end at {self.scales[-1]}")
        if self.neck_source == "layers" and self.scales != SCALES:
            raise ValueError(f"neck_source 'layers' feeds the scales {SCALES}: it does not fit {self.scales}")

    def architecture(self, task: Task) -> RsSam:
        """Return the network with random parameters and final freezing; see `rssam.contract.Model.architecture`."""
        from rssam import model

        options = {field.name: getattr(self, field.name) for field in fields(self)}
        del options["pretrained_decoders"]  # of the start, not of the network
        return model.architecture(task, **options)

    def build(self, task: Task, weights: WeightsFolder) -> RsSam:
        """Return a fresh network for `task`. Raises UserError if init is "sam" and the checkpoint is missing."""
        from rssam.model import load_pretrained
        from rssam.sam.loading import load_weights

        path = weights.path_of(self.encoder) if self.init == "sam" else None  # before the network is built
        net = self.architecture(task)
        if path is not None:
            load_pretrained(net, load_weights(path), self.pretrained_decoders)
        return net

    def weights_needed(self) -> tuple[str, ...]:
        """Return the names of the checkpoints that `build` reads."""
        return (self.encoder,) if self.init == "sam" else ()
