"""Declare the paper's figures of segmentation results: the systems in the columns, and the data sets."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.sam_lora import SamLora
from benchmarks.protocol.tables import SYSTEMS
from rssam.config import RSSAM
from rssam.contract import Model


@dataclass(frozen=True)
class Panel:
    """Column of predictions: its title and the system, as declared."""

    title: str
    model: Model


@dataclass(frozen=True)
class Figure:
    """Figure of the paper: image, truth and a column for each panel, in `images` rows for each data set.

    The rows are test images chosen by a rule, not by eye. The rule takes the Dice of the panel `ours` less that of the
    panel `reference`: rows are nearest its median over the test images.
    """

    id: str
    title: str
    datasets: tuple[str, ...]
    panels: tuple[Panel, ...]
    images: int
    width: float  # inches
    ours: str = "RS-SAM"
    reference: str = "Baseline"
    circles: int = 0  # a row and pair of neighbouring panels: around what changed most

    def __post_init__(self) -> None:
        titles = [panel.title for panel in self.panels]
        if len(set(titles)) != len(titles) or len({panel.model for panel in self.panels}) != len(titles):
            raise ValueError(f"{self.id}: two panels have the same title or declare the same run")
        if not {self.ours, self.reference} <= set(titles):
            raise ValueError(f"{self.id}: no panels {self.ours} and {self.reference} to choose the images by")


FIG6 = Figure(
    id="fig6",
    title="Performance comparison",
    datasets=("deepglobe", "whdld", "whu"),
    panels=tuple(Panel(title, model) for title, model in SYSTEMS),
    images=2,
    width=7.0,
)

FIG7 = Figure(
    id="fig7",
    title="Visualization of ablation results",
    datasets=("deepglobe",),
    panels=(
        Panel("Baseline", SamLora()),
        Panel("with Neck", RSSAM(mff=False, mhff=False)),
        Panel("RS-SAM", RSSAM()),
    ),
    images=3,
    width=5.0,
    circles=1,
)

FIGURES: dict[str, Figure] = {figure.id: figure for figure in (FIG6, FIG7)}
