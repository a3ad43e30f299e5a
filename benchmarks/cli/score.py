"""Score predicted masks of any tool, and trained systems on other data sets: the commands `score` and `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.cli.options import (
    Json,
    OwnModel,
    PrecisionOption,
    RunOption,
    dataset_option,
    finished_run,
    note,
    print_json,
    require_one,
    root,
    run_option,
    screen,
    warnings,
)
from benchmarks.execution.hardware import DeviceChoice
from benchmarks.results.home import Home
from benchmarks.scoring.encoding import Encoding
from data_prep.splits import ImageSelection, SplitRule


def score(
    predictions: Annotated[
        Path | None, typer.Option(help="Folder of predicted masks, one for each test image: PNG, TIFF or NPY.")
    ] = None,
    dataset: Annotated[str | None, dataset_option("The prepared data set of the masks.")] = None,
    name: Annotated[str | None, typer.Option(help="The row's name in the tables. [the folder's]")] = None,
    suffix: Annotated[str, typer.Option(help="What follows the stem in file names, as _mask in 104_mask.png.")] = "",
    encoding: Annotated[
        Encoding | None, typer.Option(help="The kind of values, if the files leave it open. [read from the files]")
    ] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="Seed of the 70/15/15 split.")] = 0,
    split: Annotated[SplitRule, typer.Option(help="Split image by image, or by whole scenes.")] = "random",
    listed: Annotated[
        bool, typer.Option("--list", help="Only list the test images to predict, one path a line.")
    ] = False,
    run: Annotated[
        str | None, run_option("Instead: compare the saved predictions of this finished run with its result.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --run: write its predictions there as PNG files.")] = None,
    as_json: Json = False,
) -> None:
    """Score any tool's predicted masks on a test split; they get a row in every table of that data set.

    Nothing is scored unless every test image has a file that can be read without doubt. See docs/score.md.
    """
    if run is not None:
        if predictions is not None or dataset is not None or name is not None or suffix or encoding or listed:
            raise typer.BadParameter(
                "--run takes neither --predictions nor --dataset, --name, --suffix, --encoding and --list"
            )
        if split_seed or split != "random":
            raise typer.BadParameter("--run has the split of its run: leave out --split-seed and --split")
        _score_run(finished_run(run), out, as_json)
        return
    if listed and dataset is not None and predictions is None:
        if name is not None or suffix or encoding or out is not None:
            raise typer.BadParameter("--list takes --dataset, --split-seed and --split alone")
        _list_images(dataset, split_seed, split, as_json)
        return
    if predictions is None or dataset is None or out is not None or listed:
        raise typer.BadParameter(
            "give --predictions DIR and --dataset NAME, or --dataset NAME --list, or --run KEY [--out DIR]"
        )
    row_name = _name(predictions.resolve().name if name is None else name)
    from benchmarks.console.progress import data_progress
    from benchmarks.scoring.score import score as score_folder
    from benchmarks.scoring.test_images import select_test_images

    test_images = select_test_images(root.home, dataset, split_seed, split)
    note(test_images.split_note)
    with data_progress(warnings) as progress:
        scored = score_folder(root.home, test_images, predictions, row_name, suffix, progress, encoding)
    _show(scored, as_json)


def evaluate(
    dataset: Annotated[str, dataset_option("The prepared data set to test on; not that of its training.")],
    run: RunOption = None,
    adapter: Annotated[Path | None, typer.Option(metavar="FILE", help="Or a trained system that was exported.")] = None,
    model: OwnModel = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(metavar="SYSTEM=DATA", help="What the system calls SYSTEM is DATA there; may be repeated."),
    ] = None,
    split: Annotated[ImageSelection, typer.Option(help="All images, or its test split alone.")] = "all",
    split_seed: Annotated[int, typer.Option(min=0, help="With --split test: seed of the split.")] = 0,
    name: Annotated[str | None, typer.Option(help="The name in reports. [the system's title]")] = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where to predict.")] = "auto",
    precision: PrecisionOption = "auto",
    as_json: Json = False,
) -> None:
    """Evaluate a trained system on another data set of the same classes; reports show it in a table of its own."""
    pairs = [pair.partition("=") for text in classes or [] for pair in text.split(",")]
    if any(not (system_class.strip() and equals and data_class.strip()) for system_class, equals, data_class in pairs):
        raise typer.BadParameter('give --classes as SYSTEM=DATA, as in --classes "road=street"')
    if split == "all" and split_seed:
        raise typer.BadParameter("--split-seed chooses a test split: give --split test with it")
    key = require_one(run, adapter)
    from benchmarks.console.progress import data_progress
    from benchmarks.execution.hardware import choose_device, precision_note
    from benchmarks.execution.session import Session
    from benchmarks.export.adapter import load_network
    from benchmarks.scoring.cross_dataset import evaluate_elsewhere, match_classes
    from benchmarks.scoring.test_images import select_test_images

    session = Session(root.home, choose_device(device), precision_choice=precision)
    note(precision_note(session.precision, session.device))
    trained = load_network(key, adapter=adapter, model=model, home=root.home)
    note(trained.warning)
    test_images = select_test_images(root.home, dataset, split_seed, "random", split)
    declared = [(system_class.strip(), data_class.strip()) for system_class, _, data_class in pairs]
    mapping = match_classes(trained.task.classes, test_images.dataset.classes, declared)
    row_name = None if name is None else _name(name)
    with data_progress(warnings) as progress:
        scored = evaluate_elsewhere(
            trained, test_images, mapping, row_name, session, lambda done, total: progress(done, total, "predict")
        )
    _show(scored, as_json)


def _list_images(dataset: str, split_seed: int, split: SplitRule, as_json: bool) -> None:
    """Print the prepared images of a test split; their masks stay unread."""
    from benchmarks.scoring.test_images import select_test_images

    test_images = select_test_images(root.home, dataset, split_seed, split)
    note(test_images.split_note)
    paths = [str(test_images.folder / entry.image) for entry in test_images.entries]
    if as_json:
        print_json(paths)
        return
    for path in paths:
        screen.print(path)


def _score_run(key: str, out: Path | None, as_json: bool) -> None:
    """Score what a run saved, and say whether its result has the same counts; exit code 1 if not."""
    from benchmarks.console.progress import data_progress
    from benchmarks.results.store import Store, read_result
    from benchmarks.results.test_set_log import append_use
    from benchmarks.scoring.score import count, read_run
    from data_prep.images.encode import encode_labels
    from rssam.files import require_writable, write_atomic

    result = read_result(Store(root.home).path(key))
    if out is not None:
        Home(root.home).require_outside(out)
        require_writable(out, "the predictions")  # before the use of the split is logged
    test_images, predicted = read_run(root.home, result)
    append_use(root.home, key, result.identity["model"]["name"], test_images.dataset.name, test_images.digest, "score")
    with data_progress(warnings) as progress:
        counts, _ = count(test_images, predicted, progress)
    if out is not None:
        palette = ((0, 0, 0), *test_images.dataset.palette) if test_images.task.binary else test_images.dataset.palette
        for index, entry in enumerate(test_images.entries):
            write_atomic(
                out / f"{entry.stem}.png", encode_labels(predicted.labels(index).copy(), palette), durable=False
            )
    equal = counts.to_json() == result.counts.to_json()
    if as_json:
        written = None if out is None else str(out)
        print_json({"key": key, "images": len(test_images.entries), "equal": equal, "out": written})
    else:
        agreement = "the counts of every image are those of its result"
        screen.print(f"{key}: {agreement if equal else 'THE COUNTS ARE NOT THOSE OF ITS RESULT'}")
        if out is not None:
            screen.print(f"wrote {len(test_images.entries)} masks in {out.resolve()}")
    if not equal:
        raise typer.Exit(1)


def _show(scored: Any, as_json: bool) -> None:
    from dataclasses import asdict

    from benchmarks.results.json_files import nan_to_none
    from reports.statistics.units import dice_interval
    from reports.tables.class_means import class_mean_notes

    submission = scored.submission
    interval, of_means = dice_interval(submission), class_mean_notes({submission.name: [submission]})
    if as_json:
        scores = {name: nan_to_none(value) for name, value in asdict(submission.scores).items()}
        bounds = None if interval.why else [interval.low, interval.high]
        record = {
            "key": submission.key, "kind": submission.kind, "name": submission.name, "dataset": submission.dataset,
            "images": len(submission.images), "average": submission.average, "scores": scores,
            "average_notes": list(of_means), "dice_interval": bounds, "no_interval": interval.why,
            "reading": list(submission.reading), "notes": list(scored.notes),
            "cached": scored.cached, "file": str(scored.path),
        }  # fmt: skip
        print_json(record)
        return
    note(*scored.notes)
    values = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in asdict(submission.scores).items())
    count = len(submission.images)
    screen.print(f"{submission.name} on {count} images of {submission.dataset}: {values}")
    if interval.why:
        screen.print(f"Dice: no interval: {interval.why}")
    else:
        screen.print(f"Dice: 95 % interval {interval.low:.3f} to {interval.high:.3f} over {interval.units}")
    for sentence in of_means:
        screen.print(sentence)
    if not submission.scores.dice > submission.constant_dice:
        screen.print(f"A constant answer has Dice {submission.constant_dice:.3f}: these predictions tell nothing.")
    for sentence in submission.reading:
        screen.print(sentence)
    state = "counted before, in" if scored.cached else "wrote"
    screen.print(f"{state} {scored.path}; its row: rssam-bench report")


def _name(text: str) -> str:
    """Return a name that fits a row of a table. Raises BadParameter."""
    from rssam.kinds import LONGEST_NAME, is_line

    if not (text.strip() and is_line(text, LONGEST_NAME)) or "`" in text:
        raise typer.BadParameter(
            f"expected a --name of at most {LONGEST_NAME} printable characters without backquotes, found {text!r}"
        )
    return text.strip()
