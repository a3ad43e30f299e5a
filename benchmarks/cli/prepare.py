"""Make a data set or pretrained weights ready for runs: the command `prepare`. Heavy imports stand inside."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from benchmarks.cli.options import (
    Json,
    complete_prepared,
    complete_weights,
    note,
    print_json,
    root,
    screen,
    show_needs,
    warnings,
)
from benchmarks.results.home import Home
from data_prep.rules import EdgeTiles, rules_to_json, sentences
from rssam.errors import UnknownName, UserError
from rssam.files import scratch_folder

if TYPE_CHECKING:
    from data_prep.dataset import Dataset
    from data_prep.datasets.folder_options import ClassMap
    from data_prep.manifest import Manifest

FolderFit = Literal["tile", "resize"]


def prepare(
    name: Annotated[
        str,
        typer.Argument(
            help="A data set, or: weights, or: folder (your own images and masks)", autocompletion=complete_prepared
        ),
    ],
    checkpoint: Annotated[
        str | None,
        typer.Argument(help="With weights: vit_b, vit_l, resnet50, ...", autocompletion=complete_weights),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            help="Folder or archive of the data set, or a .pth checkpoint. [looked for in HOME/downloads and here]"
        ),
    ] = None,
    synthetic: Annotated[int | None, typer.Option(min=4, help="Draw this number of stand-in scenes instead.")] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="With deepglobe --synthetic: wide, light roads that a small network learns.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out pairs with a bad file; every report says how many.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [all cores]")] = None,
    class_order: Annotated[
        str | None, typer.Option(help="whdld with class numbers for colours: building,road,... by number.")
    ] = None,
    own_name: Annotated[str | None, typer.Option("--name", help="With folder: the name of the new data set.")] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(help='With folder: values in the masks, "road=255" or "road=255,120,80,roof=..."'),
    ] = None,
    class_map: Annotated[Path | None, typer.Option(help="With folder: the same and more as a YAML file.")] = None,
    ignore: Annotated[str | None, typer.Option(help="With folder: the value of pixels that count nowhere.")] = None,
    fit: Annotated[
        FolderFit | None, typer.Option(help="With folder: how images of several sizes get one size. [tile]")
    ] = None,
    side: Annotated[
        int | None, typer.Option(min=32, help="With folder: side in pixels, a multiple of 32. [512]")
    ] = None,
    ignore_split: Annotated[
        bool, typer.Option("--ignore-split", help="With folder: ignore a published split, and split 70/15/15.")
    ] = False,
    images: Annotated[
        str | None, typer.Option(metavar="GLOB", help='With folder: pattern of images in the source, "rgb/**/*_x.tif".')
    ] = None,
    masks: Annotated[
        str | None, typer.Option(metavar="GLOB", help='The same for masks: "gt/**/*_y.tif"; wildcards must agree.')
    ] = None,
    threshold: Annotated[
        int | None,
        typer.Option(min=1, max=255, help="With folder, one class: the lowest grey value of the class."),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="MIN,MAX|auto", help="With folder, images of more than 8 bits: the values that become 0 and 255."
        ),
    ] = None,
    bands: Annotated[
        str | None, typer.Option(help="With folder, GeoTIFFs: the bands read as red, green and blue, such as 4,3,2.")
    ] = None,
    edges: Annotated[
        EdgeTiles | None, typer.Option(help="With large rasters: tiles that reach beyond them. [drop]")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write the data card of the prepared data set.")] = False,
    out_card: Annotated[Path | None, typer.Option("--out", help="Folder of the card. [HOME/data-cards/NAME]")] = None,
    as_json: Json = False,
) -> None:
    """Verify, split and resize a data set (a second call verifies and changes nothing), or fetch pretrained weights."""
    if name == "weights":
        _prepare_weights(checkpoint, source)
        return
    if check:
        if source is not None or synthetic is not None:
            raise typer.BadParameter("--check reads the prepared data set: it takes no --source and no --synthetic")
        _check(name, out_card or Home(root.home).data_card(name), workers or os.cpu_count() or 1, as_json)
        return
    from data_prep.datasets.folder_options import ClassMap
    from data_prep.manifest_file import load_manifest
    from data_prep.registry import PUBLICATIONS, find_dataset

    options = ClassMap(
        name=own_name, fit=fit, side=side, ignore_split=ignore_split, globs=(images, masks), threshold=threshold,
        scale=scale, bands=bands,
    )  # fmt: skip
    if name == "folder":
        data = _own_dataset(source, classes, class_map, ignore, options)
        name = data.name
    elif options != ClassMap() or classes or class_map or ignore:
        raise typer.BadParameter(
            "prepare folder alone takes --name, --classes, --class-map, --ignore, --fit, --side, --threshold, "
            "--scale, --bands, --ignore-split, --images and --masks"
        )
    else:
        data = find_dataset(name)
    if class_order is not None:
        from data_prep.datasets.whdld import Whdld
        from data_prep.datasets.whdld_class_order import class_order as in_order

        if not isinstance(data, Whdld):
            raise typer.BadParameter(f"--class-order is for whdld, not for {name}")
        data = Whdld(in_order(class_order))
    if wide:
        from data_prep.datasets.deepglobe import DeepGlobe, WideStandIns

        if not isinstance(data, DeepGlobe) or synthetic is None:
            raise typer.BadParameter(f"--wide is for: deepglobe --synthetic N, not for {name}")
        data = WideStandIns()
    if edges is not None:
        from data_prep.datasets.whu import Whu

        if not isinstance(data, Whu) or source is None:
            raise typer.BadParameter(f"--edges is for the raw rasters of whu, not for {name}")
        data = Whu(edges)
    if source is not None and synthetic is not None:
        raise typer.BadParameter(f"give one of --source DIR|ARCHIVE and --synthetic N to prepare {name}")
    out = Home(root.home).dataset(name)
    if source is None and synthetic is None and (source := _look_for_archive(name)) is None:
        _show_manifest(name, load_manifest(out, data.name), out, as_json)
        if name in PUBLICATIONS:
            warnings.print(f"not verified; to do so: rssam-bench prepare {name} --source FILE_OR_FOLDER")
        return
    from benchmarks.console.progress import data_progress

    temporary, processes = Path(tempfile.gettempdir()), workers or os.cpu_count() or 1
    with data_progress(warnings) as progress, scratch_folder(temporary, "rssam-bench-prepare") as scratch:
        if synthetic is not None:
            source = scratch / name
            data.synthesize(source, synthetic, seed=0)
        assert source is not None
        origin: Literal["source", "synthetic"] = "source" if synthetic is None else "synthetic"
        manifest = data.prepare(source, out, origin=origin, workers=processes, progress=progress, skip_bad=skip_bad)
    _show_manifest(name, manifest, out, as_json)


def _look_for_archive(name: str) -> Path | None:
    """Return the published archive where it lies ready, None if the data set is prepared.

    If neither, say where the data comes from, and exit.
    """
    from benchmarks.needs import data_need, find_archive
    from data_prep.registry import PUBLICATIONS

    if name in PUBLICATIONS and (found := find_archive(root.home, name)) is not None:
        warnings.print(f"found {found}")
        return found
    need = data_need(root.home, name)
    if not need.ready:
        show_needs([need])
        raise typer.Exit(1)
    return None


def _own_dataset(
    source: Path | None, classes: list[str] | None, class_map: Path | None, ignore: str | None, options: ClassMap
) -> Dataset:
    """Return the data set that the options declare; options stand above the class map."""
    from data_prep.datasets.folder_options import BadDeclaration, from_file, from_options
    from data_prep.prepared import declare_own

    if source is None:
        raise typer.BadParameter("give the folder of images and masks: --source DIR|ZIP")
    if class_map is not None and (classes or ignore):
        raise typer.BadParameter("give --class-map, or --classes and --ignore, not both")
    try:
        declared = from_options(classes or [], ignore) if class_map is None else from_file(class_map)
        return declare_own(declared.overruled(options), source)
    except BadDeclaration as error:
        raise typer.BadParameter(str(error)) from error


def _check(name: str, out: Path, workers: int, as_json: bool) -> None:
    """Write the data card; the exit code is 1 if files were damaged, whatever else was found."""
    from benchmarks.console.progress import data_progress
    from data_prep.checks.card import examine
    from data_prep.checks.card_markdown import findings, write_card
    from data_prep.manifest_file import load_manifest
    from data_prep.registry import find_dataset

    folder = Home(root.home).dataset(name)
    manifest = load_manifest(folder, find_dataset(name).name)
    with data_progress(warnings) as progress:
        card = examine(folder, manifest, workers, progress)
    paths = write_card(card, manifest, folder, out)
    if as_json:
        print_json(asdict(card))
    else:
        screen.print(f"{name}: {card.describe}")
        for sentence in findings(card):
            screen.print(f"- {sentence}")
        screen.print(f"wrote {', '.join(path.name for path in paths)} in {out}")
    if card.damaged:
        raise typer.Exit(1)


def _show_manifest(name: str, manifest: Manifest, out: Path, as_json: bool) -> None:
    sizes = {split: len(entries) for split, entries in manifest.splits(0).items()}
    if as_json:
        record = {
            "dataset": name, "folder": str(out), "describe": manifest.describe(), "complete": manifest.complete,
            "pairs": len(manifest.entries), "splits": sizes, "without_mask": manifest.without_mask,
            "skipped": list(manifest.skipped), "absent": list(manifest.absent),
            "foreground": manifest.foreground, "rules": rules_to_json(manifest.rules), "digest": manifest.digest(0),
            "copies_across_splits": manifest.copies_across_splits, "official_split": manifest.official_split,
        }  # fmt: skip
        print_json(record)
        return
    screen.print(f"{name}: {manifest.describe()}, in {out}")
    screen.print("split: " + ", ".join(f"{size} {split}" for split, size in sizes.items()))
    if len(manifest.classes) == 1:
        screen.print(f"foreground: {manifest.foreground:.2%} of the pixels")
    if manifest.labelled < 1:
        screen.print(f"ignored, or padding of edge tiles: {1 - manifest.labelled:.1%} of the prepared pixels")
    from data_prep.prepare.tiles import padding_advice

    if advice := padding_advice(manifest):
        screen.print(advice)
    if manifest.absent:
        screen.print(f"no pixel in any mask: {', '.join(manifest.absent)}")
    if manifest.without_mask:
        screen.print(f"left out: {manifest.without_mask} image(s) without a mask")
    for line in manifest.skipped:
        screen.print(f"left out: {line}")
    for subject, sentence in sentences(manifest.rules).items():
        screen.print(f"{subject}: {sentence}")
    for stems in manifest.copies_across_splits:
        screen.print(f"identical in several splits: {', '.join(stems)}")


def _prepare_weights(name: str | None, source: Path | None) -> None:
    from benchmarks.console.progress import data_progress
    from benchmarks.needs import find_checkpoint, weights_need
    from benchmarks.starting_weights import prepare_weights
    from rssam.weights.folder import WeightsFolder
    from rssam.weights.registry import WEIGHTS

    if name is None:
        for known in map(partial(weights_need, root.home), WEIGHTS):
            facts = dict(known.facts)
            state = "ready" if known.ready else facts["size"]
            warnings.print(f"{known.name}: {state}, {facts['licence']}, {facts['source']}")
        warnings.print("name the one to prepare, as in: rssam-bench prepare weights vit_b")
        raise typer.Exit(1)
    if name not in WEIGHTS:
        raise UnknownName(f"unknown weights {name!r}: choose from {', '.join(WEIGHTS)}")
    folder = WeightsFolder(Home(root.home).weights)
    if source is None and not folder.path(name).is_file():
        if (source := find_checkpoint(root.home, name)) is not None:
            warnings.print(f"found {source}")
        elif not (weights := WEIGHTS[name]).licence_first:
            warnings.print(f"downloading {weights.megabytes} MB from {weights.url} ({weights.licence})")
    try:
        with data_progress(warnings) as progress:
            sentence, notes = prepare_weights(name, source, folder, progress)
    except UserError:
        if source is None:
            show_needs([weights_need(root.home, name)])
        raise
    screen.print(sentence)
    note(*notes)
