"""Does it still take SAM? The paper's two systems beside newer encoders and a plain dense head. Not in the paper."""

from __future__ import annotations

from baselines.sam_lora import SamLora
from benchmarks.protocol.studies.study import Question, Study
from benchmarks.protocol.tables import Row
from rssam.config import RSSAM
from rssam.contract import Model

_ROWS: tuple[tuple[str, Model], ...] = (
    ("SAM-B, LoRA (Baseline)", SamLora()),
    ("RS-SAM-B", RSSAM()),
)

STILL_SAM = Study(
    id="still-sam",
    title="Does it still take SAM?",
    datasets=("deepglobe", "whu", "whdld"),
    rows=tuple(Row((label,), model, {}) for label, model in _ROWS),
    questions=(
        Question("neck-sam", "Does RS-SAM's neck gain on SAM?", "RS-SAM-B", "SAM-B, LoRA (Baseline)"),
    ),
)  # fmt: skip
