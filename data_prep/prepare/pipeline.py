"""Prepare a data set from its source, an archive or folder: build it on the first call, verify it on later ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.images.place import pictures_of
from data_prep.manifest import Manifest
from data_prep.manifest_file import MANIFEST_NAME, load_manifest
from data_prep.prepare.archive import READ, archives_within, opened_source
from data_prep.prepare.build import Preparation, build, workplace
from data_prep.prepare.large_scenes import cut_pair, faults_of_pair
from data_prep.prepare.layouts import Layout, NamedFiles
from data_prep.prepare.pairs import NoPairs, Origin, PairSearch, find_pairs, hidden
from data_prep.prepare.reading import Reading
from data_prep.prepare.verify import verify
from data_prep.processes import Progress
from data_prep.synthetic.marker import MARKER, refuse_marked
from rssam.amounts import shortened


def prepare_from(
    source: Path,
    out: Path,
    dataset: Dataset,
    layout: Layout | Callable[[Path], NamedFiles],
    reading: Reading | Callable[[PairSearch, Progress], Reading],
    origin: Origin,
    workers: int,
    progress: Progress,
    skip_bad: bool = False,
    *,
    is_wanted: Callable[[str], bool] | None = None,
) -> Manifest:
    """Prepare `source` as the folder `out`, or verify that folder; return its manifest. See `Dataset.prepare`.

    A folder with a manifest is verified: source, rules and the digest of every file must be as they were.

    Args:
        source: a folder, or a ZIP, TAR or TAR.GZ, with the data set's folders at any depth.
        out: the prepared folder, `home.dataset(name)` for runs.
        dataset: the declaration.
        layout: which files are images and masks, or a function that finds this in the folder of the source.
        reading: how they are decoded, or a function that chooses this for all pairs of the source.
        origin: "source" for real data, "synthetic" for stand-ins.
        workers: processes.
        progress: called as progress(done, total, what) while long work runs.
        skip_bad: leave out pairs with a bad file, which the manifest then lists.
        is_wanted: which members of an archive are unpacked, for a layout that is found.

    Raises:
        DataError: The source has no pairs, or files that cannot be used; the message lists every one. So is an `out`
            that was changed, or made of another source.

    Examples:
        `Dataset.prepare` of a class is one call of this function; docs/extend.md has a whole class.

        >>> from pathlib import Path
        >>> from data_prep import find_dataset, prepare_from
        >>> from data_prep.datasets.whdld import LAYOUT, READING
        >>> whdld = find_dataset("whdld")
        >>> whdld.synthesize(Path("land"), 4, seed=0)
        >>> manifest = prepare_from(
        ...     Path("land"), Path("prepared/whdld"), whdld, LAYOUT, READING,
        ...     origin="synthetic", workers=1, progress=lambda done, total, what: None,
        ... )
        >>> manifest.describe()
        'synthetic stand-in scenes (4 pairs), not whdld'
    """

    def is_unpacked(name: str) -> bool:
        names = (name, *pictures_of(name))
        named = isinstance(layout, Layout) and any(map(layout.classify, names))
        wanted = named or PurePosixPath(name).name == MARKER or (is_wanted is not None and any(map(is_wanted, names)))
        return wanted and not hidden(name)

    if (out / MANIFEST_NAME).exists():
        load_manifest(out, dataset.name)  # one that cannot be read is refused before a source of gigabytes is unpacked
    asked = Preparation(dataset, out, origin, workers, progress, skip_bad)
    with workplace(asked), opened_source(source, asked.work / "source", is_unpacked) as folder:
        if origin == "source":
            refuse_marked(folder, source, dataset)
        try:
            chosen_layout = layout if isinstance(layout, Layout) else layout(folder)
            search = find_pairs(folder, str(source), chosen_layout)
        except NoPairs as error:
            raise DataError(f"{error}{_inner_archives(source)}") from error

        def choose() -> Reading:
            return reading if isinstance(reading, Reading) else reading(search, progress)

        if (out / MANIFEST_NAME).exists():
            return verify(asked, choose, search, faults_of_pair)
        return build(asked, choose(), search, cut_pair)


def _inner_archives(source: Path) -> str:
    """Return what to do if a source without pairs holds archives, as the end of a message; empty if it holds none."""
    names = archives_within(source)
    if not names:
        return ""
    listed = shortened(names, 3)
    if source.is_dir() and names[0].lower().endswith(READ):
        return f". It holds {listed}: give the archive itself, --source {source / names[0]}"
    return f". It holds {listed}: unpack what is inside and give the folder"
