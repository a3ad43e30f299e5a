"""Write the data card: Markdown, JSON and the pictures they refer to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from data_prep.checks.adjacent_tiles import Seam
from data_prep.checks.card import Card, Division
from data_prep.checks.contact_sheets import contact_sheet, copy_sheet, seam_sheet
from data_prep.images.encode import encode_picture
from data_prep.manifest import Manifest
from rssam import escape
from rssam.amounts import counted, shortened
from rssam.contract import IGNORE
from rssam.files import write_atomic

LISTED = 30
"""Lines of a long list that the card shows; `card.json` has all."""

NAMED = 8
"""Names within a line that the card shows."""

SIDES: Mapping[str, str] = {"right": "right of", "below": "below"}

RULES: Mapping[str, str] = {"random": "image by image", "blocked": "by whole scenes", "official": "as published"}


def write_card(card: Card, manifest: Manifest, folder: Path, out: Path) -> list[Path]:
    """Write `card.md`, `card.json` and the pictures that there is something to show on; return their paths.

    Args:
        card: the findings.
        manifest: of the prepared folder.
        folder: the prepared folder.
        out: where the files go.
    """
    pictures = {
        "contact.png": contact_sheet(folder, manifest) if manifest.entries else None,
        "seams.png": seam_sheet(folder, manifest, card),
        "copies.png": copy_sheet(folder, manifest, card),
    }
    paths = []
    for name, picture in pictures.items():
        if picture is None:
            (out / name).unlink(missing_ok=True)  # of an earlier check
            continue
        write_atomic(out / name, encode_picture(picture, "PNG"))
        paths.append(out / name)
    write_atomic(out / "card.json", (json.dumps(asdict(card), indent=1) + "\n").encode())
    write_atomic(out / "card.md", markdown(card, [path.name for path in paths]).encode())
    return [out / "card.md", out / "card.json", *paths]


def markdown(card: Card, pictures: Sequence[str] = ()) -> str:
    """Return the card as Markdown; `pictures` are the names of the files beside it."""
    blocks = [
        f"# Data card: {escape.markdown(card.dataset)}",
        escape.markdown_prose(
            f"{card.describe[:1].upper()}{card.describe[1:]}. "
            f"SHA-256 of data and split, split seed 0: `{card.digest[:16]}`."
        ),
        *_attention(card),
        "## Contents",
        _contents(card),
        "## Splits",
        *[block for division in _different(card) for block in _division(card, division)],
        *_foreground(card),
        "## Copies",
        *_copies(card),
        *_picture(pictures, "copies.png", "Exact and near copies; red: in different splits."),
        "## Abutting tiles",
        *_seams(card),
        *_picture(pictures, "seams.png", "Abutting tiles as they lie; red: in different splits."),
        "## Images and masks",
        *_picture(
            pictures,
            "contact.png",
            "Images of each split above their masks; below, a part in full size under its mask.",
        ),
    ]
    return "\n\n".join(blocks) + "\n"


def findings(card: Card) -> Iterator[str]:
    """Yield what asks for attention, a sentence each, the worst first."""
    if count := len(card.damaged):
        are = "is" if count == 1 else "are"
        yield f"{counted(count, 'file')} {are} not as prepared: delete the folder and run prepare again."
    if card.origin == "synthetic":
        yield "These are invented scenes: no number made on them says anything about the real data."
    if count := len(card.skipped):
        yield f"{counted(count, 'bad file')} of the source {'was' if count == 1 else 'were'} left out (--skip-bad)."
    divisions = _different(card)
    for division in divisions:
        for facts in division.splits:
            where = facts.split if len(divisions) == 1 else f"{facts.split} (split {RULES[division.rule]})"
            if not facts.images:
                yield f"No image in {where}."
            if facts.absent:
                yield f"No pixel of {', '.join(facts.absent)} in {where}."
        if division.rule == "blocked" and not all(facts.images for facts in division.splits):
            yield "--split blocked is refused, because a part would be empty."
    if across := [group for group in card.exact if group.across]:
        yield f"{len(across)} groups of identical images lie in more than one split."
    if near := [copies for copies in card.near if copies.splits[0] != copies.splits[1]]:
        yield f"{len(near)} pairs of near copies lie in different splits."
    first = card.divisions[0]
    if first.parted:
        yield f"{len(first.parted)} of {len(card.seams)} abutting pairs are parted by the split {RULES[first.rule]}."
    if card.complete and card.implied and not _as_implied(card):
        yield "The foreground share of the test split is not the one that the paper's tables imply."
    if card.blank:
        yield f"{len(card.blank)} images show one colour only."


def _different(card: Card) -> tuple[Division, ...]:
    """Return the divisions without those that are equal to the first."""
    first, *others = card.divisions
    return (first, *(division for division in others if card.seams or division.splits != first.splits))


def _as_implied(card: Card) -> bool:
    shares = card.divisions[0].splits[-1].shares
    return card.implied is not None and bool(shares) and card.implied[0] <= shares[0] <= card.implied[1]


def _attention(card: Card) -> list[str]:
    lines = [f"- {escape.markdown_prose(sentence)}" for sentence in findings(card)]
    return ["\n".join(lines)] if lines else ["Nothing asks for attention."]


def _contents(card: Card) -> str:
    out_of = f" of {card.expected_pairs} known" if card.expected_pairs else ""
    tiles = f", cut into {card.tiles} tiles" if card.tiles > card.pairs else ""
    labels = ", ".join(f"{label} ({_meaning(card, label)}) in {count} masks" for label, count in card.labels)
    lines = [
        f"- Pairs: {card.pairs}{out_of}{tiles}; images without a mask, left out: {card.without_mask}",
        f"- Sizes: {_sizes(card.sizes)}; in the source: {_sizes(card.source_sizes)}",
        f"- Values of the masks: {labels or 'none could be read'}",
        *([f"- Pixels that are ignored: {100 * card.ignored:.2f} % of all"] if card.ignored else []),
        f"- Masks without a pixel of any class: {_list(card.empty)}",
        f"- Images of one colour only: {_list(card.blank)}",
        f"- Files damaged since they were prepared: {_list(card.damaged)}",
        f"- Bad files of the source that were left out: {_list(card.skipped)}",
        *(escape.markdown_prose(f"- Rule of {what}: {rule}") for what, rule in card.rules.items()),
    ]
    return "\n".join(lines)


def _division(card: Card, division: Division) -> list[str]:
    names = " | ".join(map(escape.markdown, card.classes))
    lines = [
        f"Split {RULES[division.rule]}; share of the labelled pixels in per cent:",
        "\n".join(
            [
                "| split | images | " + names + " |",
                "| --- | ---: | " + " | ".join("---:" for _ in card.classes) + " |",
                *(
                    f"| {facts.split} | {facts.images} | "
                    + " | ".join([f"{100 * share:.2f}" for share in facts.shares] or ["" for _ in card.classes])
                    + " |"
                    for facts in division.splits
                ),
            ]
        ),
    ]
    if card.seams:
        lines.append(f"It parts {len(division.parted)} of {len(card.seams)} abutting pairs.")
    return lines


def _foreground(card: Card) -> list[str]:
    if card.implied is None:
        return []
    low, high = (f"{100 * bound:.2f}" for bound in card.implied)
    test = card.divisions[0].splits[-1]
    implied = f"The paper's tables imply {low} to {high} % foreground in the test split"
    if not test.shares:
        return [f"{implied}; here it is empty."]
    data = "" if card.complete else ", of a part of the data" if card.origin == "source" else ", of invented scenes"
    return [f"{implied}; here it holds {100 * test.shares[0]:.2f} %{data}."]


def _copies(card: Card) -> list[str]:
    exact = [
        ", ".join(f"{stem} ({split})" for stem, split in zip(copies.stems, copies.splits, strict=True))
        for copies in card.exact
    ]
    near = [
        f"{copies.pair.first} ({copies.splits[0]}), {copies.pair.second} ({copies.splits[1]}): "
        f"{copies.pair.orientation}, {copies.pair.distance} of 64 bits, correlation {copies.pair.correlation:.3f}"
        for copies in card.near
    ]
    lines = [f"Images with identical pixels: {_groups(exact)}", f"Near copies: {_groups(near)}"]
    if card.exact and card.official_split:
        lines.append("The published split is kept: no copy was moved.")
    return lines


def _seams(card: Card) -> list[str]:
    lines = []
    if card.tiles > card.pairs:
        lines.append("Tiles of one image abut, and never part. What follows is about tiles of different images.")
    if not card.seams:
        lines.append("No two tiles were found to abut.")
    else:
        parted = set(card.divisions[0].parted)
        listed = [_seam_text(seam) + (", parted" if (seam.first, seam.second) in parted else "") for seam in card.seams]
        lines.append(f"Found by the correlation of their edges (parted: in different splits): {_groups(listed)}")
    if card.next_seam is not None:
        lines.append(f"The next best pair, refused: {escape.markdown(_seam_text(card.next_seam))}.")
    if not card.scenes_known and not card.official_split:
        lines.append(
            "This folder was prepared before abutting tiles were looked for: to use `--split blocked`, delete it and "
            f"run `rssam-bench prepare {card.dataset} --source DIR`."
        )
    return lines


def _seam_text(seam: Seam) -> str:
    return f"{seam.second} {SIDES[seam.side]} {seam.first}, correlation {seam.correlation:.3f}"


def _picture(pictures: Sequence[str], name: str, words: str) -> list[str]:
    return [f"![{words}]({name})", words] if name in pictures else []


def _meaning(card: Card, label: int) -> str:
    if label == IGNORE:
        return "ignored"
    names = ("background", *card.classes) if len(card.classes) == 1 else card.classes
    return escape.markdown(names[label]) if label < len(names) else "no class"


def _groups(lines: Sequence[str]) -> str:
    """Return a count, and the lines as a list below it."""
    if not lines:
        return "none."
    rest = [f"- and {len(lines) - LISTED} more, see card.json"] if len(lines) > LISTED else []
    return "\n\n".join(
        [f"{len(lines)}.", "\n".join([*(f"- {escape.markdown(line)}" for line in lines[:LISTED]), *rest])]
    )


def _list(names: Sequence[str]) -> str:
    if not names:
        return "none"
    rest = f" and {len(names) - NAMED} more, see card.json" if len(names) > NAMED else ""
    return f"{len(names)} ({', '.join(map(escape.markdown, names[:NAMED]))}{rest})"


def _sizes(sizes: Sequence[tuple[str, int]]) -> str:
    return shortened([f"{size} ({count})" for size, count in sizes], LISTED)
