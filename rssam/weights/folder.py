"""Find prepared checkpoints in their folder, with the errors for missing and damaged ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rssam.errors import UserError
from rssam.weights.registry import WEIGHTS


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
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length <= path.stat().st_size else None
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise WeightsDamaged(f"{path} is not a readable safetensors file: delete it and prepare the weights again")
    return dict(header.get("__metadata__", {}))
