"""List the numbers printed in the paper's seven tables, as data, with what they imply. Imports nothing.

Reference: Zhang et al., "RS-SAM: Integrating Multi-Scale Information for Enhanced Remote Sensing Image Segmentation",
ACCV 2024, section 4. `test_paper_numbers.py` checks every row against the others by arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

RowLabels = tuple[str, ...]


def _rows(columns: tuple[str, ...], rows: dict[RowLabels, tuple[float, ...]]) -> dict[RowLabels, dict[str, float]]:
    """Return the rows keyed by column, in the paper's order of columns."""
    return {labels: dict(zip(columns, values, strict=True)) for labels, values in rows.items()}


FIVE_SCORES = ("dice", "jaccard", "precision", "recall", "accuracy")
WHDLD_CLASSES = ("building", "road", "pavement", "vegetation", "bare_soil", "water")

PAPER_TABLES: dict[str, dict[RowLabels, dict[str, float]]] = {
    "table1": _rows(  # DeepGlobe
        FIVE_SCORES,
        {
            ("FCN",): (0.649, 0.480, 0.649, 0.650, 0.971),
            ("UNet",): (0.705, 0.544, 0.679, 0.733, 0.978),
            ("TransUNet",): (0.681, 0.516, 0.724, 0.643, 0.975),
            ("MANet",): (0.698, 0.536, 0.761, 0.645, 0.977),
            ("HRNet",): (0.713, 0.555, 0.760, 0.672, 0.978),
            ("UNetFormer",): (0.736, 0.582, 0.778, 0.697, 0.979),
            ("SegNet",): (0.707, 0.546, 0.710, 0.704, 0.976),
            ("SAM Adapter",): (0.734, 0.580, 0.732, 0.736, 0.978),
            ("RSAM-Seg",): (0.732, 0.578, 0.733, 0.732, 0.978),
            ("Baseline",): (0.703, 0.542, 0.767, 0.649, 0.977),
            ("RS-SAM",): (0.765, 0.620, 0.765, 0.766, 0.981),
        },
    ),
    "table2": _rows(  # WHU aerial imagery
        FIVE_SCORES,
        {
            ("FCN",): (0.781, 0.641, 0.713, 0.864, 0.946),
            ("UNet",): (0.738, 0.585, 0.618, 0.916, 0.928),
            ("TransUNet",): (0.714, 0.555, 0.597, 0.886, 0.921),
            ("MANet",): (0.765, 0.620, 0.655, 0.921, 0.937),
            ("HRNet",): (0.786, 0.647, 0.687, 0.917, 0.944),
            ("UNetFormer",): (0.707, 0.547, 0.575, 0.920, 0.915),
            ("SegNet",): (0.747, 0.596, 0.650, 0.877, 0.934),
            ("SAM Adapter",): (0.929, 0.868, 0.919, 0.940, 0.984),
            ("RSAM-Seg",): (0.913, 0.841, 0.905, 0.922, 0.981),
            ("Baseline",): (0.908, 0.831, 0.915, 0.900, 0.980),
            ("RS-SAM",): (0.937, 0.881, 0.938, 0.936, 0.986),
        },
    ),
    "table3": _rows(  # WHDLD, mean over its six classes
        FIVE_SCORES,
        {
            ("FCN",): (0.580, 0.420, 0.633, 0.559, 0.891),
            ("UNet",): (0.590, 0.433, 0.594, 0.596, 0.897),
            ("TransUNet",): (0.589, 0.436, 0.611, 0.576, 0.901),
            ("MANet",): (0.586, 0.426, 0.617, 0.574, 0.893),
            ("HRNet",): (0.602, 0.447, 0.623, 0.589, 0.901),
            ("UNetFormer",): (0.617, 0.458, 0.628, 0.622, 0.901),
            ("SegNet",): (0.531, 0.381, 0.551, 0.522, 0.886),
            ("SAM Adapter",): (0.704, 0.569, 0.737, 0.699, 0.936),
            ("RSAM-Seg",): (0.733, 0.602, 0.732, 0.737, 0.943),
            ("Baseline",): (0.728, 0.597, 0.729, 0.730, 0.942),
            ("RS-SAM",): (0.736, 0.607, 0.730, 0.744, 0.945),
        },
    ),
    "table4": _rows(  # WHDLD, Dice of each class
        WHDLD_CLASSES,
        {
            ("FCN",): (0.561, 0.637, 0.448, 0.753, 0.392, 0.690),
            ("UNet",): (0.588, 0.605, 0.472, 0.780, 0.368, 0.729),
            ("TransUNet",): (0.594, 0.564, 0.465, 0.781, 0.344, 0.786),
            ("MANet",): (0.591, 0.633, 0.479, 0.764, 0.365, 0.684),
            ("HRNet",): (0.606, 0.623, 0.460, 0.779, 0.368, 0.776),
            ("UNetFormer",): (0.633, 0.635, 0.488, 0.790, 0.428, 0.725),
            ("SegNet",): (0.553, 0.516, 0.392, 0.742, 0.252, 0.731),
            ("SAM Adapter",): (0.661, 0.706, 0.581, 0.865, 0.464, 0.947),
            ("RSAM-Seg",): (0.705, 0.723, 0.596, 0.880, 0.530, 0.964),
            ("Baseline",): (0.713, 0.716, 0.583, 0.875, 0.520, 0.961),
            ("RS-SAM",): (0.732, 0.723, 0.583, 0.884, 0.531, 0.965),
        },
    ),
    "table5": _rows(  # DeepGlobe; the labels are Multi-scale Neck, MFF, MHFF
        ("dice", "jaccard"),
        {
            ("no", "no", "no"): (0.703, 0.542),
            ("yes", "no", "no"): (0.756, 0.607),
            ("yes", "yes", "no"): (0.759, 0.611),
            ("yes", "no", "yes"): (0.757, 0.610),
            ("yes", "yes", "yes"): (0.765, 0.620),
        },
    ),
    "table6": _rows(  # DeepGlobe; where the multi-scale features come from
        ("dice", "jaccard"),
        {
            ("layers 3, 6, 9, and 12",): (0.758, 0.610),
            ("last layer",): (0.765, 0.620),
        },
    ),
    "table7": _rows(  # DeepGlobe; millions of parameters, then scores
        ("params_m", *FIVE_SCORES),
        {
            ("Baseline (ViT-B)",): (90.36, 0.703, 0.542, 0.767, 0.649, 0.977),
            ("RS-SAM (ViT-B)",): (107.4, 0.765, 0.620, 0.765, 0.766, 0.981),
            ("Baseline (ViT-L)",): (308.12, 0.761, 0.615, 0.754, 0.769, 0.980),
            ("RS-SAM (ViT-L)",): (324.13, 0.781, 0.640, 0.798, 0.763, 0.982),
        },
    ),
}
"""The paper's numbers by table, row labels and score; scores are named as in `benchmarks.metrics.counts.Scores`."""

CITATIONS: dict[str, str | None] = {
    "FCN": "[23]",
    "UNet": "[20]",
    "TransUNet": "[2]",
    "MANet": "[12]",
    "HRNet": "[25]",
    "UNetFormer": "[29]",
    "SegNet": "[1]",
    "SAM Adapter": "[20]",  # as printed, in all four tables; [20] is U-Net
    "RSAM-Seg": "[30]",
    "Baseline": "[8]",
    "Baseline (ViT-B)": "[8]",
    "Baseline (ViT-L)": "[8]",
    "RS-SAM": None,
    "RS-SAM (ViT-B)": None,
    "RS-SAM (ViT-L)": None,
}
"""The reference printed beside each system of Tables 1 to 4 and 7, by the paper's own numbering."""

IMPLIED_FOREGROUND: dict[str, tuple[float, float]] = {
    "deepglobe": (0.0410, 0.0416),
    "whu": (0.1110, 0.1117),
}
"""Foreground share of the test pixels that precision, recall and accuracy of all rows but INCONSISTENT_ROWS allow."""

INCONSISTENT_ROWS: tuple[tuple[str, RowLabels], ...] = (("table1", ("UNet",)),)
"""Rows whose accuracy does not fit their own precision and recall: UNet prints 0.978, its other numbers give 0.975."""

PUBLISHED_PARAMETERS: Mapping[tuple[str, str], float] = {
    ("sam-lora", "vit_b"): PAPER_TABLES["table7"]["Baseline (ViT-B)",]["params_m"],
    ("sam-lora", "vit_l"): PAPER_TABLES["table7"]["Baseline (ViT-L)",]["params_m"],
    ("rs-sam", "vit_b"): PAPER_TABLES["table7"]["RS-SAM (ViT-B)",]["params_m"],
    ("rs-sam", "vit_l"): PAPER_TABLES["table7"]["RS-SAM (ViT-L)",]["params_m"],
}
"""Table 7's parameters in millions, by system and encoder."""

TextRange = tuple[str, str, Literal["dice", "jaccard"], tuple[str, ...], float, float]

TEXT_RANGES: tuple[TextRange, ...] = (
    ("abstract: Dice over the baseline, lowest", "table3", "dice", ("Baseline",), 0.8, 0.8),
    ("abstract: Dice over the baseline, highest", "table1", "dice", ("Baseline",), 6.2, 6.2),
    ("section 4.2: Dice on DeepGlobe", "table1", "dice", ("SAM Adapter", "Baseline", "RSAM-Seg"), 3.1, 6.2),
    ("section 4.2: Jaccard on DeepGlobe", "table1", "jaccard", ("SAM Adapter", "Baseline", "RSAM-Seg"), 4.0, 7.8),
    ("section 4.2: Dice on Aerial Imagery", "table2", "dice", ("SAM Adapter", "Baseline", "RSAM-Seg"), 0.9, 2.8),
    ("section 4.2: Jaccard on Aerial Imagery", "table2", "jaccard", ("SAM Adapter", "Baseline", "RSAM-Seg"), 1.3, 5.0),
    ("section 4.2: Dice on WHDLD", "table3", "dice", ("SAM Adapter", "Baseline", "RSAM-Seg"), 0.3, 3.2),
    ("section 4.2: Jaccard on WHDLD", "table3", "jaccard", ("SAM Adapter", "Baseline", "RSAM-Seg"), 0.5, 3.8),
)
"""Where the text says it, table, score, the systems RS-SAM is said to exceed, and by how many points (least, most)."""

TEXT_TILES = 8189
"""Tiles of the aerial imagery, as section 4.1 counts them."""
