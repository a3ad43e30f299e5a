"""Declare the paper's tables: the run of each row, and the numbers printed there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from baselines.fcn import Fcn
from baselines.hrnet import HRNet
from baselines.manet import MANet
from baselines.rsam_seg import RsamSeg
from baselines.sam_adapter import SamAdapter
from baselines.sam_lora import SamLora
from baselines.segnet import SegNet
from baselines.transunet import TransUNet
from baselines.unet import UNet
from baselines.unet_smp import SmpUNet
from baselines.unetformer import UNetFormer
from benchmarks.protocol.paper_numbers import FIVE_SCORES, PAPER_TABLES, WHDLD_CLASSES
from rssam.config import RSSAM
from rssam.contract import Model
from rssam.sam.encoder_sizes import CHAINS


@dataclass(frozen=True)
class Row:
    """Row of a table: labels at its left, the system, and the paper's numbers by column (none of a control)."""

    labels: tuple[str, ...]
    model: Model
    paper: Mapping[str, float]


@dataclass(frozen=True)
class Table:
    """One table. `scores` are the columns to regenerate, named as in `reports.tables.frames.score`.

    `controls` are rows that the paper does not have; they are run when asked for. `own` are rows of systems that are
    not of this suite; reports add them from results. A table that `compares_encoders` cannot be run with one encoder
    for all rows. `study` is the item whose rows on one data set a table holds: then it is not of the paper. `profile`
    is what its rows are run under if nothing else is asked for.
    """

    id: str
    title: str
    dataset: str
    label_columns: tuple[str, ...]
    scores: tuple[str, ...]
    rows: tuple[Row, ...]
    controls: tuple[Row, ...] = ()
    compares_encoders: bool = False
    own: tuple[Row, ...] = ()
    study: str = ""
    profile: str = "paper"

    def __post_init__(self) -> None:
        for row in self.every_row:
            if len(row.labels) != len(self.label_columns):
                raise ValueError(f"{self.id}: row {row.labels} does not fit the columns {self.label_columns}")
        for row in self.rows:
            if row.paper and set(row.paper) != set(self.scores):
                raise ValueError(f"{self.id}: row {row.labels} lacks the paper's numbers for {self.scores}")
        if len({row.model for row in self.every_row}) != len(self.every_row):
            raise ValueError(f"{self.id}: two rows declare the same run")

    @property
    def every_row(self) -> tuple[Row, ...]:
        """Return the paper's rows and those it does not have."""
        return (*self.rows, *self.controls, *self.own)

    @property
    def compares_systems(self) -> bool:
        """Return whether a row is a whole system, so that a user's own may stand below, and not a part of a system."""
        return self.label_columns == ("Method",)


SYSTEMS: tuple[tuple[str, Model], ...] = (
    ("FCN", Fcn()),
    ("UNet", UNet()),
    ("TransUNet", TransUNet()),
    ("MANet", MANet()),
    ("HRNet", HRNet()),
    ("UNetFormer", UNetFormer()),
    ("SegNet", SegNet()),
    ("SAM Adapter", SamAdapter()),
    ("RSAM-Seg", RsamSeg()),
    ("Baseline", SamLora()),
    ("RS-SAM", RSSAM()),
)
"""The eleven systems under the names and in the order of the paper's Tables 1 to 4."""


def _row(table: str, labels: tuple[str, ...], model: Model) -> Row:
    """Return a row whose paper numbers stand in `benchmarks.protocol.paper_numbers` under the same labels."""
    return Row(labels, model, PAPER_TABLES[table][labels])


def _comparison(table: str, title: str, dataset: str, scores: tuple[str, ...]) -> Table:
    """Return the table of all systems on a data set, with smp's U-Net as a control."""
    return Table(
        id=table,
        title=title,
        dataset=dataset,
        label_columns=("Method",),
        scores=scores,
        rows=tuple(_row(table, (name,), model) for name, model in SYSTEMS),
        controls=(Row(("UNet (smp, ResNet-50)",), SmpUNet(), {}),),
    )


TABLE1 = _comparison("table1", "Comparison on the DeepGlobe data set", "deepglobe", FIVE_SCORES)
TABLE2 = _comparison("table2", "Comparison on the WHU aerial data set", "whu", FIVE_SCORES)
TABLE3 = _comparison("table3", "Comparison on the WHDLD data set", "whdld", FIVE_SCORES)
TABLE4 = _comparison("table4", "Dice of each class on the WHDLD data set", "whdld", WHDLD_CLASSES)

TABLE5 = Table(
    id="table5",
    title="Performance comparison of different modules on the DeepGlobe data set",
    dataset="deepglobe",
    label_columns=("Multi-scale Neck", "MFF", "MHFF"),
    scores=("dice", "jaccard"),
    rows=(
        _row("table5", ("no", "no", "no"), SamLora()),
        _row("table5", ("yes", "no", "no"), RSSAM(mff=False, mhff=False)),
        _row("table5", ("yes", "yes", "no"), RSSAM(mff=True, mhff=False)),
        _row("table5", ("yes", "no", "yes"), RSSAM(mff=False, mhff=True)),
        _row("table5", ("yes", "yes", "yes"), RSSAM()),
    ),
    controls=(
        Row(("no: four decoders at 1/16", "no", "no"), RSSAM(mff=False, mhff=False, scales=(16, 16, 16, 16)), {}),
        Row(("1/4 alone: one decoder", "no", "no"), RSSAM(mff=False, mhff=False, scales=(4,)), {}),
        *(
            Row((f"yes: chain {chain}", "yes", "yes"), RSSAM(chain=chain), {})
            for chain in CHAINS
            if chain != RSSAM().chain
        ),
    ),
)

TABLE6 = Table(
    id="table6",
    title="Source of the multi-scale features, on the DeepGlobe data set",
    dataset="deepglobe",
    label_columns=("Source",),
    scores=("dice", "jaccard"),
    rows=(
        _row("table6", ("layers 3, 6, 9, and 12",), RSSAM(neck_source="layers")),
        _row("table6", ("last layer",), RSSAM()),
    ),
)

TABLE7 = Table(
    id="table7",
    title="Encoder sizes on the DeepGlobe data set",
    dataset="deepglobe",
    label_columns=("Method",),
    scores=("params_m", *FIVE_SCORES),
    rows=(
        _row("table7", ("Baseline (ViT-B)",), SamLora()),
        _row("table7", ("RS-SAM (ViT-B)",), RSSAM()),
        _row("table7", ("Baseline (ViT-L)",), SamLora(encoder="vit_l")),
        _row("table7", ("RS-SAM (ViT-L)",), RSSAM(encoder="vit_l")),
    ),
    compares_encoders=True,
)

TABLES: dict[str, Table] = {table.id: table for table in (TABLE1, TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, TABLE7)}
