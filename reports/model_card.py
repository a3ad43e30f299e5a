"""Write the model card of an adapter from its metadata, with templates/model_card.md.j2.

Everything on the card is in the metadata too, so a card that was lost can be written again from the adapter alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.protocol.recipe import Recipe
from benchmarks.results.result import Result
from data_prep.facts import describe_data
from data_prep.rules import with_tuples
from reports.formatting import format_number, join_words
from reports.render.templates import environment
from reports.statistics.units import dice_interval
from reports.tables.recipe_text import describe_recipe
from rssam.files import require_no_folder, write_atomic
from rssam.weights.folder import custom_digits

if TYPE_CHECKING:
    from benchmarks.export.load_run import TrainedNetwork

METRES: Mapping[str, float] = {"deepglobe": 1.0, "whu": 0.3, "whdld": 2.0}
"""Ground resolution in metres of a pixel as prepared, by the data sheets: DeepGlobe's 0.5 m are halved."""


def interval_record(result: Result) -> dict[str, Any]:
    """Return what an adapter says of the interval of its Dice, as JSON values: the one of the tables, or why none."""
    found = dice_interval(result)
    bounds = None if found.why else [found.low, found.high]
    return {"dice_interval": bounds, "interval_over": found.units, "no_interval": found.why}


def write_with_card(path: Path, trained: TrainedNetwork, result: Result) -> tuple[dict[str, Any], Path]:
    """Write the adapter of a finished run and its card beside it; return the adapter's metadata and the card's path."""
    from benchmarks.export.adapter import write_adapter  # imports torch

    card = path.with_suffix(".md")
    require_no_folder(card)  # before the adapter is written
    about = write_adapter(path, trained, result, interval_record(result))
    write_atomic(card, render(about, path.name).encode())
    return about, card


def render(about: Mapping[str, Any], file: str) -> str:
    """Return the card of the adapter in `file` with the metadata `about` (see `adapter.describe`), as Markdown."""
    template = environment().get_template("model_card.md.j2")
    return template.render(
        about=about,
        file=file,
        model=about["identity"]["model"],
        dataset=about["identity"]["dataset"]["name"],
        score=format_number(about["result"]["scores"]["dice"], missing="no score"),
        interval=_interval(about["result"]),
        others={name: value for name, value in about["result"]["scores"].items() if name != "dice" and value},
        data=describe_data(about["identity"]["dataset"]["name"], about["data"]),
        resolution=_resolution(about),
        # A FAIR run recorded the optimiser it used, so the recipe's name must not be read.
        recipe=describe_recipe(Recipe(**(with_tuples(about["identity"]["recipe"]) | {"name": ""}))),
        limits=limits(about),
    )


def limits(about: Mapping[str, Any]) -> list[str]:
    """Return the adapter's limits, a sentence each."""
    identity, result, data = about["identity"], about["result"], about["data"]
    height, width = about["task"]["image_size"]
    dice, constant = result["scores"]["dice"], result["constant_dice"]
    options, own = identity["model"]["options"], about["provenance"].get("system")
    custom = custom_digits(identity["weights"])
    sentences = [
        "It was trained on made-up scenes: it shows that everything works, and is of no use on real images."
        if data.get("origin") == "synthetic"
        else "",
        f"Its test Dice does not exceed that of a constant answer ({constant:.3f}): it has learned nothing of use."
        if constant is not None and (dice is None or dice <= constant)
        else "",
        "The data set was not complete." if data.get("origin") == "source" and not data.get("complete") else "",
        f"The recipe is {identity['recipe']['name']}, not the paper's."
        if identity["recipe"]["name"] != "paper"
        else "",
        "It was trained from scratch, without pretrained weights." if options.get("init") == "scratch" else "",
        f"It started from custom weights {join_words(custom)}, not the published file." if custom else "",
        "It is one training on one split: the luck of either is in no interval here.",
        f"The network takes images of {height}x{width} pixels; cut larger images into tiles of this size.",
        "Other sensors, ground resolutions, regions and seasons than those of its test images were not tested.",
        f"The system is declared in {own['class']}, which must be installed to load it." if own else "",
    ]
    return [sentence for sentence in sentences if sentence]


def _interval(result: Mapping[str, Any]) -> str:
    over = result.get("interval_over", f"{result['test_images']} test images")  # one that was saved in code lacks it
    if result["dice_interval"] is None:
        return f"no interval: {result.get('no_interval') or over}"
    low, high = result["dice_interval"]
    return f"95 % interval {low:.3f} to {high:.3f} over {over}"


def _resolution(about: Mapping[str, Any]) -> str:
    """Return metres a pixel of the training images, where known: of a published data set that was not tiled again."""
    metres = METRES.get(about["identity"]["dataset"]["name"])
    data = about["data"]
    if metres is None or data.get("origin") != "source" or data["cut_anew"]:
        return "ground resolution not known"
    return f"{metres:g} m a pixel on the ground"
