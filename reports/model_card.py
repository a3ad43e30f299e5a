"""The model card of an adapter, from the adapter's own metadata: what it is, what it was trained on, what it cannot do.

Everything on the card is in the metadata too, so a card that was lost can be written again from the file alone. Its
form stands in templates/model_card.md.j2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.protocol.recipe import Recipe
from benchmarks.results.result import Result
from reports.render.templates import environment
from reports.statistics.bootstrap import interval, resampled_dice
from reports.tables.intervals import FEWEST
from reports.tables.recipe_text import describe_recipe

METRES: Mapping[str, float] = {"deepglobe": 1.0, "whu": 0.3, "whdld": 2.0}
"""Ground resolution in metres of a pixel as prepared, by the data sheets: DeepGlobe's 0.5 m are halved."""


def dice_interval(result: Result) -> tuple[float, float] | None:
    """The 95 % interval of a result's Dice over its test images, as under the tables.

    None where there are too few of them, or no resample has a score.
    """
    if len(result.images) < FEWEST:
        return None
    found = interval(resampled_dice([result.counts], result.average)[0])
    return None if found.low != found.low else (found.low, found.high)


def render(about: Mapping[str, Any], file: str) -> str:
    """The card of the adapter in `file` with the metadata `about` (see `adapter.describe`), as Markdown."""
    template = environment().get_template("model_card.md.j2")
    return template.render(
        about=about,
        file=file,
        model=about["identity"]["model"],
        dataset=about["identity"]["dataset"]["name"],
        score="no score" if about["result"]["scores"]["dice"] is None else f"{about['result']['scores']['dice']:.3f}",
        doubt=_doubt(about["result"]),
        others={name: value for name, value in about["result"]["scores"].items() if name != "dice" and value},
        resolution=_resolution(about),
        recipe=_recipe(about["identity"]["recipe"]),
        limits=limits(about),
    )


def limits(about: Mapping[str, Any]) -> list[str]:
    """What the adapter must not be taken for, a sentence each."""
    identity, result, data = about["identity"], about["result"], about["data"]
    height, width = about["task"]["image_size"]
    dice, constant = result["scores"]["dice"], result["constant_dice"]
    options, own = identity["model"]["options"], about["provenance"].get("system")
    found = [
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
        "It is one training on one split: the luck of either is in no interval here.",
        f"The network takes images of {height}x{width} pixels; larger ones are to be cut into such.",
        "Other sensors, ground resolutions, regions and seasons than those of its test images were not tested.",
        f"The system is declared in {own['class']}, which must be installed to load it." if own else "",
    ]
    return [sentence for sentence in found if sentence]


def _doubt(result: Mapping[str, Any]) -> str:
    if result["dice_interval"] is None:
        return (
            f"no interval: it takes {FEWEST} test images with something to score, and there are {result['test_images']}"
        )
    low, high = result["dice_interval"]
    return f"95 % interval {low:.3f} to {high:.3f} over {result['test_images']} test images"


def _resolution(about: Mapping[str, Any]) -> str:
    """Metres a pixel of what it was trained on, where known: of a published data set that was not cut anew."""
    metres = METRES.get(about["identity"]["dataset"]["name"])
    data = about["data"]
    if metres is None or data.get("origin") != "source" or "raw raster" in data["describe"]:
        return "ground resolution not known"
    return f"{metres:g} m a pixel on the ground"


def _recipe(fields: Mapping[str, Any]) -> str:
    """In words. The optimiser of a FAIR run is recorded as it was, so the name is left out of the reading."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return describe_recipe(Recipe(**(values | {"name": ""})))
