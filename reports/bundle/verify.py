"""Verify a bundle: whether keys, digests, splits, counts and tables fit together. Nothing in it is trusted.

This cannot show that a run was made: consistent changes of all files are found only by running it again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

from benchmarks.protocol.targets import WITH_TABLES
from benchmarks.results.failed_run import FailedRun, read_failed_run
from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.result import Result
from benchmarks.results.store import read_result
from benchmarks.results.submission import Submission, read_submission
from data_prep.prepare.archive import extract
from data_prep.registry import register_home
from reports.bundle.checks.checked import Checked, RebuiltSplit, WholeBundle, some
from reports.bundle.checks.record_checks import bundle_faults, record_faults
from reports.bundle.documents import documents
from reports.bundle.failures import failure_faults
from reports.bundle.files import ABOUT, ABOUT_KINDS, FOLDERS, MOST_FILES, NAMES, README, SCHEMA, SUMS
from reports.bundle.ledger import use_counts
from reports.bundle.problems import BundleProblems
from reports.bundle.splits import SPLIT_KINDS, SPLIT_SCHEMA, split_faults, split_manifest, split_name
from rssam.errors import UserError
from rssam.files import scratch_folder
from rssam.foreign_json import Unreadable, read_bytes, read_json
from rssam.kinds import fault

MALFORMED = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RecursionError, LookupError,
    AssertionError, UserError,
)  # fmt: skip
"""Errors of reading values that somebody made up."""

MOST_BYTES = 256 << 20
"""Of a bundle, unpacked: a hundred times those of all tables with five replicates."""


def check(source: Path) -> BundleProblems:
    """Return all problems of a bundle, a file or a folder. An archive that is not safe to unpack is a problem too.

    Raises UserError if there is nothing at `source`.
    """
    problems = BundleProblems()
    if source.is_dir():
        _check_folder(source, problems)
        return problems
    if not source.is_file():
        found = "a device, a pipe or a broken link" if os.path.lexists(source) else "nothing"
        raise UserError(f"expected a bundle, a .zip file or a folder, at {source}, found {found}")
    with scratch_folder(Path(tempfile.gettempdir()), "rssam-bench-verify") as scratch:
        out = scratch / "bundle"
        strangers: list[str] = []

        def is_bundle_file(name: str) -> bool:
            if NAMES.fullmatch(name):
                return True
            strangers.append(name)
            return False

        try:
            extract(source, out, is_bundle_file, most_bytes=MOST_BYTES, most_members=MOST_FILES)
        except UserError as error:
            problems.add(source.name, str(error))
            return problems
        for name in strangers:
            problems.add(name, "no bundle has such a file")
        _check_folder(out, problems)
    return problems


def _check_folder(folder: Path, problems: BundleProblems) -> None:
    names, safe = _names(folder, problems)
    if safe and _made_by_0_1(folder):
        problems.add(ABOUT, "a bundle of rssam-bench 0.1, of which this version reads nothing: use rssam-bench 0.1.0")
        return
    with _guarded(SUMS, problems):
        _check_sums(folder, names, problems)
    if not safe:
        return
    tables = _about(folder, names, problems)
    with _guarded("data", problems):
        for sentence in register_home(Home(folder).data):  # the bundle's own data sets, in place of this home's
            problems.add("data", sentence.replace(f"{folder}/", ""))
    splits = {}
    for name in sorted(name for name in names if name.startswith("splits/")):
        problems.splits += 1
        with _guarded(name, problems):
            digest, split = _check_split(folder / name, name, problems)
            splits[digest] = split
    records: list[Checked] = []
    for name in sorted(name for name in names if name.startswith(("results/", "scores/"))):
        with _guarded(name, problems):
            record: Result | Submission
            if name.startswith("results/"):
                problems.results += 1
                record = read_result(folder / name, follow_links=False)
            else:
                problems.submissions += 1
                record = read_submission(folder / name, follow_links=False)
            problems.images += len(record.images)
            records.append(Checked(record, name, splits.get(record.identity["data"])))
            for problem in record_faults(records[-1]):
                problems.add(name, problem)
    failures: list[tuple[str, FailedRun]] = []
    for name in sorted(name for name in names if name.startswith("runs/")):
        with _guarded(name, problems):
            failed = read_failed_run(folder / name, follow_links=False)
            failures.append((name, failed))
            for problem in failure_faults(failed, name, Home(folder), splits.get(failed.identity["data"])):
                problems.add(name, problem)
    with _guarded(ABOUT, problems):
        for name, problem in bundle_faults(WholeBundle(folder, tables, records, splits, failures)):
            problems.add(name, problem)
        problems.uses = use_counts(folder)
    _check_documents(folder, names, tables, problems)


@contextmanager
def _guarded(name: str, problems: BundleProblems) -> Iterator[None]:
    """Turn an error of reading a made-up file into a problem of that file."""
    try:
        yield
    except ResultDamaged as error:
        problems.add(name, str(error).rpartition(f"{Path(name).name}: ")[2])
    except OSError as error:  # without its path, which is of a scratch folder
        problems.add(name, f"it cannot be read ({error.strerror})")
    except MALFORMED as error:
        problems.add(name, f"a part is missing or malformed ({type(error).__name__}: {error})")


def _names(folder: Path, problems: BundleProblems) -> tuple[set[str], bool]:
    """Return the files of the folder that a bundle may hold, and whether it is safe to read what is in them.

    Links, pipes and devices are named, and neither followed nor opened.
    """
    names, safe, size = set(), True, 0
    for place, folders, files in os.walk(folder):
        for path in sorted(Path(place) / name for name in (*folders, *files)):
            name = path.relative_to(folder).as_posix()
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode) or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
                problems.add(name, "is a link" if stat.S_ISLNK(found.st_mode) else "is a pipe or a device")
                safe = False
            elif stat.S_ISREG(found.st_mode) and NAMES.fullmatch(name):
                names.add(name)
                size += found.st_size
            elif stat.S_ISREG(found.st_mode):
                problems.add(name, "no bundle has such a file")
            elif stat.S_ISDIR(found.st_mode) and not FOLDERS.fullmatch(name):
                problems.add(name, "no bundle has such a folder")
        if len(names) > MOST_FILES or size > MOST_BYTES or len(problems.problems) + problems.more > MOST_FILES:
            problems.add(folder.name, f"more than {MOST_FILES} files or {MOST_BYTES} bytes, which no bundle has")
            return set(), False
    for needed in (ABOUT, README, SUMS):
        if needed not in names:
            problems.add(needed, "missing")
    return names, safe


def _check_sums(folder: Path, names: set[str], problems: BundleProblems) -> None:
    if SUMS not in names:
        return
    listed: dict[str, str] = {}
    lines = read_bytes(folder / SUMS, follow_links=False).decode(errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        digest, gap, name = line.partition("  ")
        if not gap or len(digest) != 64 or name in listed:
            problems.add(SUMS, f"line {number} is no digest and name, or its name comes twice")
        listed[name] = digest
    for name in sorted(names - {SUMS} - listed.keys()):
        problems.add(name, f"not in {SUMS}")
    for name, digest in sorted(listed.items()):
        if name not in names:
            problems.add(name, f"listed in {SUMS}, and missing")
        elif hashlib.sha256(_content(folder / name)).hexdigest() != digest:
            problems.add(name, "its SHA-256 is not the one listed")


def _content(path: Path) -> bytes:
    return read_bytes(path, most_bytes=MOST_BYTES, follow_links=False)


def _about(folder: Path, names: set[str], problems: BundleProblems) -> list[str]:
    """Return the tables of a bundle."""
    tables: list[str] = []
    if ABOUT not in names:
        return tables
    with _guarded(ABOUT, problems):
        raw = read_json(folder / ABOUT, follow_links=False)
        if raw["schema"] != SCHEMA:
            problems.add(ABOUT, f"bundle format {raw['schema']}, this version reads {SCHEMA}")
        if raw["made_with"] != version("rssam-bench"):
            problems.add(
                ABOUT, f"made with rssam-bench {raw['made_with']}; check it with that version, this is another"
            )  # fmt: skip
        if words := fault(raw, ABOUT_KINDS):
            raise Unreadable(words)
        if unknown := sorted(raw.keys() - {name.removesuffix("?") for name in ABOUT_KINDS}):
            problems.add(ABOUT, f"no bundle has its fields {some(unknown)}")
        tables = raw["tables"]
        if unknown := [name for name in tables if name not in WITH_TABLES]:
            problems.add(ABOUT, f"names unknown tables: {', '.join(unknown)}")
    return [name for name in tables if name in WITH_TABLES]


def _made_by_0_1(folder: Path) -> bool:
    """Return whether the bundle says that it is of rssam-bench 0.1; then no file of it can be checked here."""
    try:
        return bool(read_json(folder / ABOUT, follow_links=False)["schema"] == 1)
    except (*MALFORMED, OSError):
        return False


def _check_split(path: Path, name: str, problems: BundleProblems) -> tuple[str, RebuiltSplit]:
    raw = read_json(path, follow_links=False)
    if words := fault(raw, SPLIT_KINDS):
        raise Unreadable(words)
    if raw["schema"] != SPLIT_SCHEMA:
        problems.add(name, f"split format {raw['schema']}, this version reads {SPLIT_SCHEMA}")
    manifest = split_manifest(raw)
    for problem in split_faults(raw, manifest):
        problems.add(name, problem)
    if split_name(manifest.dataset, raw["digest"]) != name:
        problems.add(name, "its name is not that of its data set and digest")
    return raw["digest"], RebuiltSplit(manifest, manifest.splits(raw["split_seed"], raw["split_rule"]))


def _check_documents(folder: Path, names: set[str], tables: list[str], problems: BundleProblems) -> None:
    """Compare the printed tables with those that the results give."""
    fresh: dict[str, bytes] = {}
    with _guarded(README, problems):
        fresh = documents(folder, tables)
    for name, content in fresh.items():
        if name not in names:
            if name != README:
                problems.add(name, "missing: its results give such a table")
            continue
        printed = _content(folder / name).decode(errors="replace").splitlines()
        expected = content.decode().splitlines()
        place = _agreement(printed, expected)
        if place < min(len(printed), len(expected)):
            difference = _difference(printed[place], expected[place])
            problems.add(name, f"line {place + 1} is not what the results give: {difference}")
        elif len(printed) != len(expected):
            problems.add(name, f"{len(printed)} lines, the results give {len(expected)}")
    if fresh:
        for name in sorted(name for name in names if name.startswith("tables/") and name not in fresh):
            problems.add(name, "the results give no such table")


def _difference(printed: str, expected: str) -> str:
    """Return the parts of two lines around their first difference."""
    start = _agreement(printed, expected)
    begin = max(0, start - 20)
    return f"printed ...{printed[begin : start + 30]!r}, expected ...{expected[begin : start + 30]!r}"


def _agreement(printed: Sequence[str], expected: Sequence[str]) -> int:
    """Return the number of items before the first in which two sequences differ, as far as both go."""
    pairs = zip(printed, expected, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
