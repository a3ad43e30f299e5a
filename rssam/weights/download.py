"""Download a published checkpoint, verify its digest, and convert it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from rssam.errors import UserError
from rssam.weights.convert import convert_checkpoint, weights_named
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound
from rssam.weights.http_download import DownloadProgress, Fetch


def download(
    name: str,
    folder: WeightsFolder,
    progress: DownloadProgress = lambda done, total, what: None,
    *,
    replace: bool = False,
) -> Path:
    """Download the checkpoint `name`, verify its digest, convert it, delete the download; return the prepared path.

    A good file in place is returned, unless it is to be replaced. The next call resumes what a lost connection or a
    kill leaves. Raises UserError if the network fails or the licence must be accepted first. Raises WeightsDamaged if
    the file is not the published one; such a file is deleted.
    """
    weights = weights_named(name)
    if weights.licence_first:
        raise UserError(f"{name} is not downloaded: accept its licence at its source first. Run: {weights.remedy}")
    remedy = f"fetch it elsewhere and run: rssam-bench prepare weights {name} --source FILE"
    published = weights.published_file
    fetch = Fetch(weights.url, folder.root / "downloads" / f"{published}.part", name, progress)
    fetch.part.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(fetch.part.with_name(f"{published}.lock")):
        with suppress(WeightsNotFound, WeightsDamaged):
            if not replace:
                return folder.path_of(name)  # another process has prepared it meanwhile
        try:
            fetch.run()
        except OSError as error:
            kept = fetch.part.stat().st_size >> 20 if fetch.part.is_file() else 0
            again = f"the {kept} MB that came are kept, run the command again to go on; or " if kept else ""
            raise UserError(f"could not download {weights.url} ({error}): {again}{remedy}") from error
        try:
            path = convert_checkpoint(name, fetch.part, folder, weights.sha256)
        except WeightsDamaged as error:
            fetch.forget()
            raise WeightsDamaged(
                f"the file at {weights.url} is not the published checkpoint {name} and was deleted ({error}): {remedy}"
            ) from error
        fetch.forget()
    return path
