"""Verify a bundle: whether keys, digests, splits, counts and tables fit together. Nothing in it is trusted.

This cannot show that a run was made: consistent changes of all files are found only by running it again.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks.protocol.tables import TABLES
from benchmarks.results.failed_run import read_failed_run
from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.result import Result
from benchmarks.results.store import read_result
from benchmarks.results.submission import Submission, read_submission
from data_prep.prepare.archive import extract
from data_prep.registry import register_home
from reports.bundle.checked import RebuiltSplit
from reports.bundle.failures import failure_faults
from reports.bundle.ledger import use_counts
from reports.bundle.publish import ABOUT, NAMES, README, SCHEMA, SUMS, documents
from reports.bundle.record_checks import RecordChecks
from reports.bundle.splits import SPLIT_SCHEMA, split_faults, split_manifest, split_name
from rssam.errors import UserError

MALFORMED = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RecursionError, LookupError,
    AssertionError, UserError,
)  # fmt: skip
"""Errors of reading values that somebody made up."""

SHOWN = 200
"""Characters of a problem's text."""


@dataclass
class BundleProblems:
    """Problems, a line each with the file in front, and the numbers of checked files."""

    problems: list[str] = field(default_factory=list)
    results: int = 0
    submissions: int = 0
    splits: int = 0
    images: int = 0  # rows of counts
    uses: tuple[str, ...] = ()  # of each test split, a sentence each

    def add(self, file: str, problem: str) -> None:
        """Add a problem without control characters, because text of a file must not control the terminal."""
        line = f"{file}: {problem}"
        line = "".join(letter if letter.isprintable() else "?" for letter in line)
        self.problems.append(line if len(line) <= SHOWN + len(file) else f"{line[: SHOWN + len(file)]}...")


def check(source: Path) -> BundleProblems:
    """Return all problems of a bundle, a file or a folder. An archive that is not safe to unpack is a problem too.

    Raises UserError if there is nothing at `source`.
    """
    problems = BundleProblems()
    if source.is_dir():
        _check_folder(source, problems)
        return problems
    if not source.is_file():
        raise UserError(f"expected a bundle, a .zip file or a folder, at {source}, found nothing")
    with tempfile.TemporaryDirectory(prefix="rssam-bench-") as scratch:
        out = Path(scratch) / "bundle"
        strangers: list[str] = []

        def is_bundle_file(name: str) -> bool:
            if NAMES.fullmatch(name):
                return True
            strangers.append(name)
            return False

        try:
            extract(source, out, is_bundle_file)
        except UserError as error:
            problems.add(source.name, str(error))
            return problems
        for name in strangers:
            problems.add(name, "no bundle has such a file")
        _check_folder(out, problems)
    return problems


def _check_folder(folder: Path, problems: BundleProblems) -> None:
    names = _names(folder, problems)
    _check_sums(folder, names, problems)
    tables = _about(folder, problems)
    for sentence in register_home(Home(folder).data):  # the bundle's own data sets, in place of this home's
        problems.add("data", sentence.replace(f"{folder}/", ""))
    splits = {}
    for name in sorted(name for name in names if name.startswith("splits/")):
        problems.splits += 1
        with _guarded(name, problems):
            digest, split = _check_split(folder / name, name, problems)
            splits[digest] = split
    checks = RecordChecks(splits)
    for name in sorted(name for name in names if name.startswith(("results/", "scores/"))):
        with _guarded(name, problems):
            record: Result | Submission
            if name.startswith("results/"):
                problems.results += 1
                record = read_result(folder / name)
            else:
                problems.submissions += 1
                record = read_submission(folder / name)
            problems.images += len(record.images)
            for fault in checks.faults(record, name):
                problems.add(name, fault)
    for name in sorted(name for name in names if name.startswith("runs/")):
        with _guarded(name, problems):
            for fault in failure_faults(read_failed_run(folder / name), name, folder):
                problems.add(name, fault)
    with _guarded(ABOUT, problems):
        for name, fault in checks.of_whole(folder, tables):
            problems.add(name, fault)
        problems.uses = use_counts(folder)
    _check_documents(folder, names, tables, problems)


class _guarded:
    """Context that turns an error of reading a made-up file into a problem of that file."""

    def __init__(self, name: str, problems: BundleProblems) -> None:
        self.name, self.problems = name, problems

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if isinstance(error, ResultDamaged):
            self.problems.add(self.name, str(error).rpartition(f"{Path(self.name).name}: ")[2])
        elif isinstance(error, MALFORMED):
            self.problems.add(self.name, f"a part is missing or malformed ({type(error).__name__}: {error})")
        else:
            return False
        return True


def _names(folder: Path, problems: BundleProblems) -> set[str]:
    """The files of the folder that a bundle may hold; links are not followed."""
    names = set()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            problems.add(name, "is a link")
        elif path.is_file():
            if NAMES.fullmatch(name):
                names.add(name)
            else:
                problems.add(name, "no bundle has such a file")
    for needed in (ABOUT, README, SUMS):
        if needed not in names:
            problems.add(needed, "missing")
    return names


def _check_sums(folder: Path, names: set[str], problems: BundleProblems) -> None:
    if SUMS not in names:
        return
    listed: dict[str, str] = {}
    for number, line in enumerate((folder / SUMS).read_bytes().decode(errors="replace").splitlines(), start=1):
        digest, gap, name = line.partition("  ")
        if not gap or len(digest) != 64 or name in listed:
            problems.add(SUMS, f"line {number} is no digest and name, or its name comes twice")
        listed[name] = digest
    for name in sorted(names - {SUMS} - listed.keys()):
        problems.add(name, f"not in {SUMS}")
    for name, digest in sorted(listed.items()):
        if name not in names:
            problems.add(name, f"listed in {SUMS}, and missing")
        elif hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            problems.add(name, "its SHA-256 is not the one listed")


def _about(folder: Path, problems: BundleProblems) -> list[str]:
    """The tables of a bundle."""
    tables: list[str] = []
    if not (folder / ABOUT).is_file():
        return tables
    with _guarded(ABOUT, problems):
        raw = json.loads((folder / ABOUT).read_text())
        if raw["schema"] != SCHEMA:
            problems.add(ABOUT, f"bundle format {raw['schema']}, this version reads {SCHEMA}")
        if raw["made_with"] != version("rssam-bench"):
            problems.add(
                ABOUT, f"made with rssam-bench {raw['made_with']}; check it with that version, this is another"
            )  # fmt: skip
        tables = [str(name) for name in raw["tables"]]
        if unknown := [name for name in tables if name not in TABLES]:
            problems.add(ABOUT, f"names unknown tables: {', '.join(unknown)}")
    return [name for name in tables if name in TABLES]


def _check_split(path: Path, name: str, problems: BundleProblems) -> tuple[str, RebuiltSplit]:
    raw = json.loads(path.read_text())
    if raw["schema"] != SPLIT_SCHEMA:
        problems.add(name, f"split format {raw['schema']}, this version reads {SPLIT_SCHEMA}")
    manifest = split_manifest(raw)
    for fault in split_faults(raw, manifest):
        problems.add(name, fault)
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
        printed = (folder / name).read_bytes().decode(errors="replace").splitlines()
        expected = content.decode().splitlines()
        place = _first_difference(printed, expected)
        if place is not None:
            difference = _difference(printed[place], expected[place])
            problems.add(name, f"line {place + 1} is not what the results give: {difference}")
        elif len(printed) != len(expected):
            problems.add(name, f"{len(printed)} lines, the results give {len(expected)}")
    if fresh:
        for name in sorted(name for name in names if name.startswith("tables/") and name not in fresh):
            problems.add(name, "the results give no such table")


def _difference(printed: str, expected: str) -> str:
    """The parts of two lines around their first difference."""
    start = _first_difference(printed, expected) or 0
    begin = max(0, start - 20)
    return f"printed ...{printed[begin : start + 30]!r}, expected ...{expected[begin : start + 30]!r}"


def _first_difference(printed: Sequence[str], expected: Sequence[str]) -> int | None:
    """The index of the first item in which two sequences differ; None if they agree as far as both go."""
    pairs = zip(printed, expected, strict=False)
    return next((index for index, (left, right) in enumerate(pairs) if left != right), None)
