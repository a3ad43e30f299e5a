"""Write the caption of a figure: what it shows, which images by which rule, and how its runs were made."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.protocol.figures import Figure
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.setting import Setting
from reports.figures.error_maps import THINNEST
from reports.figures.examples import Block
from reports.select.settings import PAPER_SETTING, describe
from reports.tables.recipe_text import describe_recipe, describe_replicate


def caption(figure: Figure, setting: Setting, blocks: Sequence[Block]) -> tuple[str, ...]:
    """Return the caption, one sentence or two a line, without commands: those are for the user, not for readers."""
    parts = (
        f"{figure.title}.",
        _not_a_reproduction(setting, blocks),
        _colours(blocks),
        _circles(figure),
        _rule(figure, blocks),
        *(_rows(block) for block in blocks),
        f"Setting: {describe(setting)}. Recipe: {describe_recipe(PROFILES[setting.profile].recipe)}.",
        *(_data(figure, block) for block in blocks),
        _collapsed(figure, blocks),
        _without_result(blocks),
    )
    return tuple(part for part in parts if part)


def _not_a_reproduction(setting: Setting, blocks: Sequence[Block]) -> str:
    reasons = [] if setting == PAPER_SETTING else [describe(setting)]
    for block in blocks:
        data = block.shown[0].data
        if data.get("origin") == "synthetic":
            reasons.append(f"synthetic data in place of {block.dataset.title}")
        elif not data.get("complete"):
            reasons.append(f"partial data of {block.dataset.title}")
    return f"Not a reproduction of the paper's figure: {'; '.join(reasons)}." if reasons else ""


def _colours(blocks: Sequence[Block]) -> str:
    binary = [block.dataset.title for block in blocks if len(block.dataset.classes) == 1]
    several = [block.dataset.title for block in blocks if len(block.dataset.classes) > 1]
    parts = []
    if binary:
        parts.append(
            f"{' and '.join(binary)}: hits white, background black, missed pixels blue, invented ones orange; "
            "under each map the foreground's Dice in this image"
        )
    if several:
        parts.append(
            f"{' and '.join(several)}: classes in the colours of the data set; under each map the mean Dice over the "
            "classes in this image's truth or prediction"
        )
    return f"{'. '.join(parts)}."


def _circles(figure: Figure) -> str:
    if not figure.circles:
        return ""
    parts = "the largest part" if figure.circles == 1 else f"the {figure.circles} largest parts"
    return (
        f"Circles: {parts} of the image on which exactly one of two neighbouring systems is right, drawn on both, "
        f"without what is thinner than {THINNEST} pixels; solid where more became right than wrong, dashed where less."
    )


def _rule(figure: Figure, blocks: Sequence[Block]) -> str:
    medians = "; ".join(f"{block.dataset.title}: median {block.median:+.3f}, n = {block.compared}" for block in blocks)
    return (
        f"Images are chosen by a rule: of each data set the {figure.images} test images whose difference of Dice, "
        f"{figure.ours} less {figure.reference}, is nearest its median over the test images whose truth is not empty "
        f"({medians})."
    )


def _rows(block: Block) -> str:
    stems = [scene.stem for scene in block.scenes]
    named = f"; asked for by name: {', '.join(block.named)}" if block.named else ""
    return f"Rows of {block.dataset.title}: {', '.join(stems)}{named}."


def _data(figure: Figure, block: Block) -> str:
    """Return data, seeds and precision of the rows of a data set, and the panels with another seed."""
    titles = [panel.title for panel in figure.panels]
    ours = block.results[titles.index(figure.ours)]
    assert ours is not None
    others = [
        f"{title} seed {result.identity['seed']}"
        for title, result in zip(titles, block.results, strict=True)
        if result is not None and result.identity["seed"] != ours.identity["seed"]
    ]
    rule = "blocked " if ours.identity["split_rule"] == "blocked" else ""
    lowest = f", the lowest of {block.replicates} replicates" if block.replicates > 1 else ""
    return (
        f"Data: {block.dataset.title}, {ours.data_description}; {rule}{describe_replicate(ours, ' with ')}{lowest}"
        + (f" ({', '.join(others)})" if others else "")
        + f"; precision {ours.identity['precision']}."
    )


def _collapsed(figure: Figure, blocks: Sequence[Block]) -> str:
    names = [
        f"{panel.title} on {block.dataset.title}"
        for block in blocks
        for panel, result in zip(figure.panels, block.results, strict=True)
        if result is not None and result.collapsed
    ]
    return f"Collapsed, not above the constant answer: {', '.join(names)}." if names else ""


def _without_result(blocks: Sequence[Block]) -> str:
    lost = [f"{title} on {block.dataset.title}, {runs}" for block in blocks for title, runs in block.lost.items()]
    return f"Systems with a run that has no result: {'; '.join(lost)}." if lost else ""
