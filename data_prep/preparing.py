"""The way from a source to a manifest that every data set takes."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from data_prep.archive import opened_source
from data_prep.base import MANIFEST_NAME, Dataset, Manifest, Progress
from data_prep.building import Reading, build, workplace
from data_prep.findings import Origin
from data_prep.marker import MARKER, refuse_marked
from data_prep.pairing import Layout, find_pairs, hidden
from data_prep.verification import verify


def prepare_from(
    source: Path,
    out: Path,
    dataset: Dataset,
    layout: Layout,
    reading: Reading,
    origin: Origin,
    workers: int,
    progress: Progress,
    skip_bad: bool = False,
) -> Manifest:
    """See `Dataset.prepare`; `source` is a folder or a ZIP with the data set's folders at any depth."""

    def wanted(name: str) -> bool:
        return not hidden(name) and (layout.part(name) is not None or PurePosixPath(name).name == MARKER)

    with workplace(out, progress) as work, opened_source(source, work / "source", wanted) as folder:
        if origin == "source":
            refuse_marked(folder, source, dataset)
        found = find_pairs(folder, str(source), layout)
        if (out / MANIFEST_NAME).exists():
            return verify(dataset, reading, found, out, work, origin, workers, progress, skip_bad)
        return build(dataset, reading, found, out, work, origin, workers, progress, skip_bad)
