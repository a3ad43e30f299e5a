"""Find prepared checkpoints in their folder, with the errors for missing and damaged ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rssam.errors import UnknownName, UserError, made_by_0_1
from rssam.foreign_json import Unreadable
from rssam.weights.prepared_file import prepared_fault, read_header
from rssam.weights.registry import WEIGHTS

CONTENT = "content_sha256"
"""Entry of a prepared file's metadata: the SHA-256 of the file itself, with these 64 digits read as zeros."""

NO_DIGEST = "0" * 64

READ_AS = "read_as"
"""Entry of the metadata that says in what its source differed from a published file: wrappers, names, types."""

CUSTOM = "custom:"
"""What stands in a run's identity before the digest of a checkpoint that is not the published file."""

DIGITS = 12
"""Leading digits of a digest that name custom weights to people."""

_intact: set[tuple[str, int, int, int]] = set()
"""Path, size, time and inode of prepared files whose content this process has compared with its digest."""


class WeightsNotFound(UserError):
    """Raised for a checkpoint that is missing in the weights folder; the message names the remedy."""


class WeightsDamaged(UserError):
    """Raised for a checkpoint that cannot be read, or is another than its name says."""


class WeightsOfEarlierVersion(WeightsDamaged):
    """Raised for a checkpoint that rssam-bench 0.1 prepared: it is neither read nor changed."""


@dataclass(frozen=True)
class WeightsFolder:
    """The folder of prepared checkpoints: one safetensors file a name, written by `rssam-bench prepare weights`.

    `Model.build` takes one. A home has its own: `WeightsFolder(open_home().weights)`. Names are those of
    `Model.weights_needed`, and any other raises UserError with the choices. All methods except `path` raise UserError
    if the checkpoint is missing or damaged, naming the command that prepares it.

    Attributes:
        root: the folder, which need not exist.

    Examples:
        >>> from pathlib import Path
        >>> from rssam import UserError, WeightsFolder
        >>> try:
        ...     WeightsFolder(Path("weights")).path_of("vit_b")
        ... except UserError as error:
        ...     print(str(error).partition(" (")[0])
        checkpoint vit_b is not in weights. Run: rssam-bench prepare weights vit_b
    """

    root: Path

    def path(self, name: str) -> Path:
        """Return where the checkpoint `name` lies once it is prepared; nothing is read. Raises UnknownName."""
        if name not in WEIGHTS:
            raise UnknownName(
                f"unknown checkpoint {name!r}: choose from {', '.join(WEIGHTS)}; for a file of your own declare its "
                "path as a field of your system"
            )
        return self.root / WEIGHTS[name].file

    def path_of(self, name: str) -> Path:
        """Return the path of the prepared checkpoint, whose content has been compared with its digest.

        It is read once a session, and again if size, time or inode change. Raises WeightsNotFound with the command that
        prepares it. Raises WeightsDamaged if it is not as it was prepared, or was prepared from a file that is of no
        use. Both are UserErrors.
        """
        path = self._prepared(name)
        stat = path.stat()
        seen = (str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
        if seen not in _intact:
            expected, found = self._metadata(name)[CONTENT], content_digest(path)
            if found != expected:
                raise WeightsDamaged(
                    f"{path} is not as it was prepared: expected content of SHA-256 {expected[:12]}..., found "
                    f"{found[:12]}...: run: {prepare_again(name)}"
                )
            if words := prepared_fault(WEIGHTS[name], path):
                raise WeightsDamaged(f"{path} is no checkpoint to start from: {words}: run: {prepare_again(name)}")
            _intact.add(seen)
        return path

    def digest(self, name: str) -> str:
        """Read the SHA-256 of the file that the checkpoint was made from, without reading a tensor."""
        return self._metadata(name)["source_sha256"]

    def read_as(self, name: str) -> str:
        """Return how the checkpoint's source differed from a published file, "" if in nothing that matters."""
        return self._metadata(name).get(READ_AS, "")

    def start(self, name: str) -> str:
        """Return the checkpoint as run keys have it: its source's digest, after `CUSTOM` if that was not published."""
        digest = self.digest(name)
        return digest if digest.startswith(WEIGHTS[name].sha256) else f"{CUSTOM}{digest}"

    def _prepared(self, name: str) -> Path:
        path = self.path(name)
        if not path.is_file():
            raise WeightsNotFound(
                f"checkpoint {name} is not in {self.root}. Run: {WEIGHTS[name].remedy}, "
                "or use --init scratch to train without it"
            )
        return path

    def _metadata(self, name: str) -> dict[str, str]:
        """Return the metadata. Raises WeightsDamaged if it lacks a digest, as that of rssam-bench 0.1 does."""
        path = self._prepared(name)
        metadata = read_metadata(path)
        if "source_sha256" not in metadata:
            raise WeightsDamaged(
                f"{path} does not say which file it was made from. Run: "
                f"rssam-bench prepare weights {name} --source FILE.pth"
            )
        if CONTENT not in metadata:
            raise WeightsOfEarlierVersion(made_by_0_1(str(path), f"rssam-bench prepare weights {name}"))
        return metadata


def prepare_again(name: str) -> str:
    """Return the command that replaces a bad file by a good file."""
    return f"rssam-bench prepare weights {name}, with --source FILE.pth if you have it"


def custom_digits(starts: Iterable[str]) -> tuple[str, ...]:
    """Return the first digits of those starts of a run that are not the published files, see `WeightsFolder.start`."""
    return tuple(start.removeprefix(CUSTOM)[:DIGITS] for start in map(str, starts) if start.startswith(CUSTOM))


def content_digest(path: Path) -> str:
    """Compute the SHA-256 of a prepared file, header and tensors, in which its own digest reads as zeros."""
    with path.open("rb") as stream:
        length = stream.read(8)
        header = stream.read(int.from_bytes(length, "little"))
        sha256 = hashlib.sha256(length + re.sub(_OWN_DIGEST, rb"\g<1>" + NO_DIGEST.encode(), header))
        while piece := stream.read(1 << 20):
            sha256.update(piece)
    return sha256.hexdigest()


def write_content_digest(path: Path) -> None:
    """Write the digest of its content into a file whose metadata has zeros in its place."""
    digest = content_digest(path)
    with path.open("r+b") as stream:
        length = int.from_bytes(stream.read(8), "little")
        found = re.search(_OWN_DIGEST, stream.read(length))
        assert found is not None
        stream.seek(8 + found.end(1))
        stream.write(digest.encode())


_OWN_DIGEST = rb'("' + CONTENT.encode() + rb'"\s*:\s*")[0-9a-f]{64}'


def read_metadata(path: Path) -> dict[str, str]:
    """Read the text metadata in a safetensors header, without reading a tensor. Raises WeightsDamaged."""
    try:
        return read_header(path)
    except (OSError, Unreadable) as error:
        raise WeightsDamaged(
            f"{path} is not a readable safetensors file ({error}): prepare the weights again"
        ) from error
