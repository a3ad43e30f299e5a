"""Find prepared checkpoints in their folder, with the errors for missing and damaged ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rssam.errors import UserError
from rssam.foreign_json import Unreadable, parse_json
from rssam.kinds import TEXT, Each, fault
from rssam.weights.registry import WEIGHTS

MOST_HEADER = 1 << 24
"""Bytes of a safetensors header up to which it is read; that of the largest system has a tenth of a million."""


class WeightsNotFound(UserError):
    """A checkpoint is missing in the weights folder; the message names the remedy."""


class WeightsDamaged(UserError):
    """A checkpoint cannot be read, or is not the one that its name says."""


@dataclass(frozen=True)
class WeightsFolder:
    """The folder of prepared checkpoints: one safetensors file a name, written by `prepare weights`."""

    root: Path

    def path(self, name: str) -> Path:
        """Return the path of the checkpoint `name` once it is prepared."""
        return self.root / WEIGHTS[name].file

    def path_of(self, name: str) -> Path:
        """Return the path of the prepared checkpoint. Raises WeightsNotFound with the command that prepares it."""
        path = self.path(name)
        if not path.is_file():
            raise WeightsNotFound(
                f"checkpoint {name} is not in {self.root}. Run: rssam-bench prepare weights {name} "
                f"(downloads {WEIGHTS[name].megabytes} MB), or add --source FILE.pth if you have it, "
                "or use --init scratch to train without it"
            )
        return path

    def digest(self, name: str) -> str:
        """Read the SHA-256 of the file that the checkpoint was made from; it is part of the key of every run."""
        path = self.path_of(name)
        digest = read_metadata(path).get("source_sha256")
        if digest is None:
            raise WeightsDamaged(
                f"{path} does not say which file it was made from: delete it and run: "
                f"rssam-bench prepare weights {name} --source FILE.pth"
            )
        return digest


def read_metadata(path: Path) -> dict[str, str]:
    """Read the text metadata in a safetensors header, without reading a tensor. Raises WeightsDamaged."""
    try:
        return read_header(path)
    except (OSError, Unreadable) as error:
        raise WeightsDamaged(
            f"{path} is not a readable safetensors file ({error}): delete it and prepare the weights again"
        ) from error


def read_header(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file. Raises Unreadable unless its header is whole and of bounded size."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not length <= min(MOST_HEADER, path.stat().st_size):
            raise Unreadable(f"its header is said to have {length} bytes")
        header = parse_json(stream.read(length))
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if words := fault(metadata, Each(TEXT, TEXT), "its metadata"):
        raise Unreadable(words)
    return dict(header.get("__metadata__", {}))
