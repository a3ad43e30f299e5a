"""Evaluate a trained system on a data set it was not trained on: no training, no choice, one pass.

Classes are matched by their names, whatever their case and their order. `--classes a=b` says that what the system calls
a is b in the data. Several classes of the system may be one class of the data. On a data set with one class, all other
classes of the system are background.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.execution.session import Session
from benchmarks.export.load_run import TrainedNetwork, recorded_range
from benchmarks.results.home import Home
from benchmarks.results.provenance import provenance
from benchmarks.results.submission import (
    Submission,
    identify,
    put_submission,
    submission_key,
)
from benchmarks.results.test_set_log import append_use
from benchmarks.scoring.score import ScoredSubmission, readable
from benchmarks.scoring.test_images import ImagesToScore
from benchmarks.training.evaluate import evaluate
from benchmarks.training.loop import make_fabric
from benchmarks.training.reproducibility import seeded
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from rssam.contract import Task
from rssam.errors import UserError
from rssam.parameters import parameters_digest


class ClassesDoNotMatch(UserError):
    """Raised for a system and a data set whose classes do not match."""


@dataclass(frozen=True)
class ClassMapping:
    """Mapping of the classes of a trained system to those of a data set; `sources[i]` are those of class i."""

    trained: tuple[str, ...]
    tested: tuple[str, ...]
    sources: tuple[tuple[int, ...], ...]

    def to_json(self) -> list[list[str]]:
        """Return pairs of names: the system's, the data set's."""
        return [
            [self.trained[source], name]
            for name, sources in zip(self.tested, self.sources, strict=True)
            for source in sources
        ]


def match_classes(trained: Sequence[str], tested: Sequence[str], declared: Iterable[tuple[str, str]]) -> ClassMapping:
    """Match classes by name; pairs of `declared` say for a class of the system which of the data set it is.

    Raises ClassesDoNotMatch if a name is unknown, or if a class of the system is declared to be two. The same if a
    class of the data set stays without a class of the system. The same if one of the system has no place among several.
    """
    pairs = dict.fromkeys(declared)
    unknown = [name for name, _ in pairs if _plain(name) not in map(_plain, trained)]
    foreign = [name for _, name in pairs if _plain(name) not in map(_plain, tested)]
    lists = f"the system knows {', '.join(trained)}; the data set has {', '.join(tested)}"
    if unknown or foreign:
        wrong = [f"no class {name!r} of the system" for name in unknown]
        wrong += [f"no class {name!r} of the data set" for name in foreign]
        raise ClassesDoNotMatch(f"--classes SYSTEM=DATA names {' and '.join(wrong)}: {lists}")
    renamed: dict[str, str] = {}
    for name, data_class in pairs:
        if renamed.setdefault(_plain(name), _plain(data_class)) != _plain(data_class):
            raise ClassesDoNotMatch(f"--classes SYSTEM=DATA says of {name} that it is two classes: name one. {lists}")
    places = {_plain(name): place for place, name in enumerate(tested)}
    sources: list[list[int]] = [[] for _ in tested]
    unplaced = []
    for number, name in enumerate(trained):
        place = places.get(renamed.get(_plain(name), _plain(name)))
        if place is None:
            unplaced.append(name)
        else:
            sources[place].append(number)
    empty = [name for name, sources_of_class in zip(tested, sources, strict=True) if not sources_of_class]
    if len(trained) == 1 and len(tested) > 1:
        raise ClassesDoNotMatch(f"a system that tells {trained[0]} from the rest cannot fill several classes: {lists}")
    if empty or (unplaced and len(tested) > 1):
        reasons = [f"nothing of the system is {', '.join(empty)}"] if empty else []
        reasons += [f"nothing of the data set is {', '.join(unplaced)}"] if unplaced and len(tested) > 1 else []
        raise ClassesDoNotMatch(
            f"the classes do not match: {' and '.join(reasons)} ({lists}). Give --classes SYSTEM=DATA"
        )
    return ClassMapping(tuple(trained), tuple(tested), tuple(map(tuple, sources)))


class MappedNetwork(nn.Module):
    """Network whose logits are brought to another list of classes: of several that are one, the largest counts.

    So the largest logit of the data set's classes belongs to the class with the largest of the system's. For one class
    the logit is what it has above the largest of all others.
    """

    def __init__(self, net: nn.Module, mapping: ClassMapping) -> None:
        super().__init__()
        self.net, self.mapping = net, mapping

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, 3, H, W] to logits [B, channels of the data set's task, H, W]."""
        logits: Tensor = self.net(images)  # [B, channels of the system, H, W]
        if len(self.mapping.trained) == 1:
            return logits
        mapped = [logits[:, list(sources)].amax(dim=1) for sources in self.mapping.sources]
        if len(mapped) > 1:
            return torch.stack(mapped, dim=1)
        others = [number for number in range(len(self.mapping.trained)) if number not in self.mapping.sources[0]]
        if not others:
            return torch.ones_like(mapped[0])[:, None]  # every class of the system is the one of the data set
        return (mapped[0] - logits[:, others].amax(dim=1))[:, None]


def crop_for(trained: TrainedNetwork, test_images: ImagesToScore) -> int | None:
    """Return the side of the squares that cover an image, None for whole images.

    Raises UserError if the images have another size than the network takes, and no grid of such squares.
    """
    (height, width), size = trained.task.image_size, test_images.manifest.image_size
    if size == (height, width):
        return None
    if height == width and size[0] % height == 0 and size[1] % width == 0:
        return height
    raise UserError(
        f"{trained.key} takes images of {width}x{height} pixels, and those of {test_images.dataset.name} have "
        f"{size[1]}x{size[0]}, which no grid of such squares covers. Resizing would change the scale "
        "and is not done: take a system trained on that size, or on a crop that divides it"
    )


def evaluate_elsewhere(
    trained: TrainedNetwork,
    test_images: ImagesToScore,
    mapping: ClassMapping,
    name: str | None,
    session: Session,
    progress: Callable[[int, int], None],
) -> ScoredSubmission:
    """Predict images of another data set, count, and store the submission, unless it was counted before.

    Args:
        trained: the trained network.
        test_images: images of a data set that the network was not trained on.
        mapping: which of its classes count as which class of the data set.
        name: what reports call the submission, if not by the system's title, which is in no key.
        session: home, device and precision.
        progress: called as progress(done, total) after each image.

    Raises UserError if the network was trained on that data set.
    """
    if trained.dataset == test_images.dataset.name:
        raise UserError(
            f"{trained.key} was trained on {trained.dataset}: its test is in its result (rssam-bench report). Name "
            "another data set, because it may have seen these images"
        )
    crop = crop_for(trained, test_images)
    system = {
        "key": trained.key,
        "parameters": parameters_digest(trained.net),
        "dataset": trained.dataset,
        "classes": mapping.to_json(),
        "precision": session.precision,
        "crop": crop,
    }
    identity = identify(
        "evaluated", name or trained.model.name, test_images.dataset, data=test_images.digest,
        split_seed=test_images.split_seed, split_rule=test_images.split_rule, images=test_images.selection,
        system=system,
    )  # fmt: skip
    key = submission_key(identity)
    path = Home(session.home).score(key)
    if path.is_file() and (stored := readable(path)) is not None:
        return ScoredSubmission(stored, path, _notes(stored, trained), cached=True)
    append_use(session.home, key, trained.model.name, test_images.dataset.name, test_images.digest, "evaluate")
    from data_prep.loading.torch_dataset import PreparedDataset

    data = PreparedDataset(test_images.folder, test_images.entries, native=True, cache=False)
    fabric = make_fabric(session.device, session.precision)
    with seeded(0, deterministic=session.device == "cpu"):
        net = fabric.setup(MappedNetwork(trained.net, mapping))
        task = Task(test_images.dataset.classes, trained.task.image_size)
        evaluation = evaluate(net, data, task, crop, fabric.device, progress)
    copies = _copies(session, trained, test_images)
    title = {"title": trained.model.title} if name is None else {}
    submission = Submission(
        identity=identity,
        average=test_images.dataset.average,
        classes=test_images.dataset.classes,
        images=evaluation.images,
        counts=evaluation.counts,
        native_counts=evaluation.native_counts,
        reading=(_size_rule(trained, crop),),
        data={**test_images.record, **title, **({} if copies is None else {"copies": copies})},
        provenance=provenance(fabric.device),
    )
    path = put_submission(session.home, submission)
    return ScoredSubmission(submission, path, _notes(submission, trained), cached=False)


def _size_rule(trained: TrainedNetwork, crop: int | None) -> str:
    height, width = trained.task.image_size
    whole = f"Whole images of {width}x{height}, as it was trained."
    return whole if crop is None else f"Images covered by a grid of squares of {crop} pixels, as it was trained."


def _copies(session: Session, trained: TrainedNetwork, test_images: ImagesToScore) -> int | None:
    """Return how many of the images are also in the data it was trained on; None if those are not prepared here.

    Other data of the same name, or the same prepared anew, say nothing about its training.
    """
    try:
        manifest = load_manifest(session.data_folder(trained.dataset), trained.dataset)
        run = trained.identity
        if run is not None and manifest.digest(run["split_seed"], run["split_rule"]) != run["data"]:
            return None
    except DataError:
        return None
    digests = {digest for entry in manifest.entries for digest in (entry.image_sha256, entry.source_image_sha256)}
    return sum(entry.image_sha256 in digests or entry.source_image_sha256 in digests for entry in test_images.entries)


def _notes(submission: Submission, trained: TrainedNetwork) -> tuple[str, ...]:
    """Return sentences for the user: images that may be training images, and values that were stretched otherwise."""
    notes, copies, stretched = [], submission.data.get("copies"), recorded_range(submission.data)
    if copies is None:
        notes.append(
            f"{trained.dataset} is not prepared here as {trained.key} was trained on it, so images that "
            f"{submission.dataset} shares with it are not known"
        )
    elif copies:
        notes.append(f"{copies} of the images are also in {trained.dataset}, and may have been trained on")
    if stretched != trained.value_range:
        said, meant = (each.text if each else "bytes as they are" for each in (stretched, trained.value_range))
        notes.append(f"the images of {submission.dataset} show values of {said}, and it was trained on {meant}")
    return tuple(notes)


def _plain(name: str) -> str:
    """Return a class name without case, and with one kind of gap."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
