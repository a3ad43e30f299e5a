"""Prepare the checkpoints that systems start from: what is there is compared, what is of no use is replaced."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from benchmarks.protocol.registry import MODELS
from rssam.contract import Model, Task
from rssam.errors import UserError
from rssam.files import scratch_folder
from rssam.weights.convert import convert_checkpoint, read_checkpoint, source_digest, weights_named
from rssam.weights.download import download
from rssam.weights.folder import CUSTOM, DIGITS, WeightsDamaged, WeightsFolder, WeightsOfEarlierVersion
from rssam.weights.http_download import DownloadProgress
from rssam.weights.registry import BackboneWeights

_TRIAL = Task(("class",), (128, 128))


def prepare_weights(
    name: str, source: Path | None, folder: WeightsFolder, progress: DownloadProgress
) -> tuple[str, tuple[str, ...]]:
    """Prepare the checkpoint `name` from a file, or download it; return what was done in a sentence, and notes.

    A good file in place stays. Raises UserError if it is another than `source`, WeightsDamaged if that is of no use.

    Args:
        name: of the checkpoint.
        source: its file; None to download it.
        folder: of the prepared checkpoints.
        progress: called while it is downloaded.
    """
    weights, path = weights_named(name), folder.path(name)
    damage = _damage(name, folder) if path.is_file() else ""
    if path.is_file() and not damage:
        words = "" if source is None else _comparison(name, source, folder)
        return f"{path} is there{words}", _notes(name, folder)
    if source is None:
        try:
            download(name, folder, progress, replace=bool(damage))
        except UserError as error:
            raise type(error)(f"{damage}; {error}") if damage else error from error
    else:
        _convert(name, source, folder)
    notes = (f"replaced what was there: {damage}",) if damage else ()
    return f"{name} ({weights.licence}): {path}", (*notes, *_notes(name, folder))


def _convert(name: str, source: Path, folder: WeightsFolder) -> None:
    """Convert a file, and put it in its place once a system has started from it where shapes alone do not tell."""
    if not isinstance(weights_named(name), BackboneWeights):
        convert_checkpoint(name, source, folder)
        return
    source_digest(name, source)  # before a folder is made
    folder.root.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder.root, "prepare") as scratch:
        made = convert_checkpoint(name, source, WeightsFolder(scratch))
        _try(name, WeightsFolder(scratch))
        os.replace(made, folder.path(name))


def _damage(name: str, folder: WeightsFolder) -> str:
    """Return why the prepared file is of no use, "" if it is good.

    Raises WeightsOfEarlierVersion, because such files are left.
    """
    try:
        folder.path_of(name)
        _try(name, folder)
    except WeightsOfEarlierVersion:
        raise
    except WeightsDamaged as error:
        return str(error)
    return ""


def _try(name: str, folder: WeightsFolder) -> None:
    """Build a system that starts from an ImageNet checkpoint. Raises WeightsDamaged if its tensors do not fit."""
    if isinstance(weights_named(name), BackboneWeights) and (system := _system(name)) is not None:
        system.build(_TRIAL, folder)


def _system(name: str) -> Model | None:
    for model in MODELS.values():
        option = getattr(model, "size_option", None)
        for size, needed in getattr(model, "sizes", {}).items():
            if option is not None and needed == name:
                return replace(model, **{option: size})  # type: ignore[type-var]
    return None


def _comparison(name: str, source: Path, folder: WeightsFolder) -> str:
    """Return how the prepared file and a source agree. Raises UserError if they do not."""
    digest, stored = source_digest(name, source), folder.digest(name)
    if digest == stored:
        return ", made from this file"
    import torch
    from safetensors.torch import load_file

    tensors, _ = read_checkpoint(weights_named(name), source)
    there = load_file(folder.path(name))
    if there.keys() == tensors.keys() and all(torch.equal(there[key], tensors[key]) for key in there):
        return ", with the same tensors as this file"
    raise UserError(
        f"{folder.path(name)} holds {name} from another file than {source}: expected SHA-256 {stored[:DIGITS]}..., "
        f"found {digest[:DIGITS]}.... To replace it, delete it and run the command again"
    )


def _notes(name: str, folder: WeightsFolder) -> tuple[str, ...]:
    notes: tuple[str, ...] = (f"{name} was read so: {words}",) if (words := folder.read_as(name)) else ()
    if folder.start(name).startswith(CUSTOM):
        digits = folder.digest(name)[:DIGITS]
        notes += (f"{name} is not the file that was published: keys and tables call it custom weights {digits}",)
    elif not weights_named(name).sha256:
        digits = folder.digest(name)[:DIGITS]
        notes += (f"no digest of {name} is published: this file's, {digits}..., is recorded and in the keys of runs",)
    return notes
