"""Does it still take SAM? The paper's two systems beside newer encoders and a plain dense head. Not in the paper."""

from __future__ import annotations

from baselines.encoder_swap import EncoderSwap
from baselines.sam_lora import SamLora
from benchmarks.protocol.studies.study import Question, Study
from benchmarks.protocol.tables import Row
from rssam.config import RSSAM
from rssam.contract import Model

_ROWS: tuple[tuple[str, Model], ...] = (
    ("SAM-B LoRA (Baseline)", SamLora()),
    ("RS-SAM-B", RSSAM()),
    ("SAM-B frozen + DPT", EncoderSwap("vit_b", tuning="frozen")),
    ("SAM-B fully tuned + DPT", EncoderSwap("vit_b", tuning="full")),
    ("ImageNet ViT-B LoRA + DPT", EncoderSwap("imagenet_b", tuning="lora")),
    ("DINOv3-B frozen + DPT", EncoderSwap("dinov3_b", tuning="frozen")),
    ("DINOv3-B LoRA + DPT", EncoderSwap("dinov3_b", tuning="lora")),
    ("DINOv3-B LoRA + RS-SAM's head", EncoderSwap("dinov3_b", tuning="lora", head="rssam")),
    ("DINOv3-L web frozen + DPT", EncoderSwap("dinov3_l", tuning="frozen")),
    ("DINOv3-L satellite frozen + DPT", EncoderSwap("dinov3_l_sat", tuning="frozen")),
    ("SAM 2.1-B+ LoRA + DPT", EncoderSwap("sam2_b_plus", tuning="lora")),
)

STILL_SAM = Study(
    id="still-sam",
    title="Does it still take SAM?",
    datasets=("deepglobe", "whu", "whdld"),
    rows=tuple(Row((label,), model, {}) for label, model in _ROWS),
    questions=(
        Question("dinov3", "Is RS-SAM better than a frozen DINOv3 with DPT?", "RS-SAM-B", "DINOv3-B frozen + DPT"),
        Question("neck-sam", "Does RS-SAM's head gain on SAM?", "RS-SAM-B", "SAM-B LoRA (Baseline)"),
        Question(
            "neck-dinov3", "Does RS-SAM's head gain on DINOv3?", "DINOv3-B LoRA + RS-SAM's head", "DINOv3-B LoRA + DPT"
        ),
        Question("tuning", "Is SAM better tuned than frozen?", "SAM-B fully tuned + DPT", "SAM-B frozen + DPT"),
        Question(
            "satellite",
            "Is DINOv3 better from satellite images than from the web?",
            "DINOv3-L satellite frozen + DPT",
            "DINOv3-L web frozen + DPT",
        ),
    ),
)
