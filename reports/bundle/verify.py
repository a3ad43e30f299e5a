"""Whether a bundle agrees with itself and with the rules: every problem, each with its file. Nothing in it is trusted.

It shows that keys, digests, splits, counts and tables belong together. It cannot show that a run was made: whoever
changes everything alike is not found out, but by running it again.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks.protocol.tables import TABLES
from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.result import Result
from benchmarks.results.store import read_result
from benchmarks.results.submission import Submission, read_submission
from data_prep.prepare.archive import extract
from data_prep.registry import register_home
from reports.bundle.publish import ABOUT, NAMES, README, SCHEMA, SUMS, documents
from reports.bundle.record_checks import RebuiltSplit, Records
from reports.bundle.splits import SPLIT_SCHEMA, split_faults, split_manifest, split_name
from rssam.errors import UserError

MALFORMED = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RecursionError, LookupError,
    AssertionError, UserError,
)  # fmt: skip
"""What reading values that somebody made up may raise."""

SHOWN = 200
"""Characters of a problem's text."""


@dataclass
class BundleProblems:
    """Problems, a line each with the file in front, and what was looked at."""

    problems: list[str] = field(default_factory=list)
    results: int = 0
    submissions: int = 0
    splits: int = 0
    images: int = 0  # rows of counts

    def add(self, file: str, problem: str) -> None:
        """Note a problem; what somebody wrote into a file cannot steer the terminal."""
        line = f"{file}: {problem}"
        line = "".join(letter if letter.isprintable() else "?" for letter in line)
        self.problems.append(line if len(line) <= SHOWN + len(file) else f"{line[: SHOWN + len(file)]}...")


def check(source: Path) -> BundleProblems:
    """All problems of a bundle, a file or a folder. An archive that is not safe to unpack is a problem too.

    Raises UserError if there is nothing at `source`.
    """
    findings = BundleProblems()
    if source.is_dir():
        _check_folder(source, findings)
        return findings
    if not source.is_file():
        raise UserError(f"expected a bundle, a .zip file or a folder, at {source}, found nothing")
    with tempfile.TemporaryDirectory(prefix="rssam-bench-") as scratch:
        out = Path(scratch) / "bundle"
        strangers: list[str] = []

        def wanted(name: str) -> bool:
            if NAMES.fullmatch(name):
                return True
            strangers.append(name)
            return False

        try:
            extract(source, out, wanted)
        except UserError as error:
            findings.add(source.name, str(error))
            return findings
        for name in strangers:
            findings.add(name, "no bundle has such a file")
        _check_folder(out, findings)
    return findings


def _check_folder(folder: Path, findings: BundleProblems) -> None:
    names = _names(folder, findings)
    _check_sums(folder, names, findings)
    tables = _about(folder, findings)
    for sentence in register_home(Home(folder).data):  # the bundle's own data sets, in place of this home's
        findings.add("data", sentence.replace(f"{folder}/", ""))
    dealt = {}
    for name in sorted(one for one in names if one.startswith("splits/")):
        findings.splits += 1
        with _guarded(name, findings):
            digest, split = _check_split(folder / name, name, findings)
            dealt[digest] = split
    records = Records(dealt)
    for name in sorted(one for one in names if one.startswith(("results/", "scores/"))):
        with _guarded(name, findings):
            one: Result | Submission
            if name.startswith("results/"):
                findings.results += 1
                one = read_result(folder / name)
            else:
                findings.submissions += 1
                one = read_submission(folder / name)
            findings.images += len(one.images)
            for fault in records.faults(one, name):
                findings.add(name, fault)
    _check_documents(folder, names, tables, findings)


class _guarded:
    """Turns what a made-up file raises within the block into a problem of that file."""

    def __init__(self, name: str, findings: BundleProblems) -> None:
        self.name, self.findings = name, findings

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if isinstance(error, ResultDamaged):
            self.findings.add(self.name, str(error).rpartition(f"{Path(self.name).name}: ")[2])
        elif isinstance(error, MALFORMED):
            self.findings.add(self.name, f"a part is missing or malformed ({type(error).__name__}: {error})")
        else:
            return False
        return True


def _names(folder: Path, findings: BundleProblems) -> set[str]:
    """Files of the folder that a bundle may hold; links are not followed."""
    found = set()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            findings.add(name, "is a link")
        elif path.is_file():
            if NAMES.fullmatch(name):
                found.add(name)
            else:
                findings.add(name, "no bundle has such a file")
    for needed in (ABOUT, README, SUMS):
        if needed not in found:
            findings.add(needed, "missing")
    return found


def _check_sums(folder: Path, names: set[str], findings: BundleProblems) -> None:
    if SUMS not in names:
        return
    listed: dict[str, str] = {}
    for number, line in enumerate((folder / SUMS).read_bytes().decode(errors="replace").splitlines(), start=1):
        digest, gap, name = line.partition("  ")
        if not gap or len(digest) != 64 or name in listed:
            findings.add(SUMS, f"line {number} is no digest and name, or its name comes twice")
        listed[name] = digest
    for name in sorted(names - {SUMS} - listed.keys()):
        findings.add(name, f"not in {SUMS}")
    for name, digest in sorted(listed.items()):
        if name not in names:
            findings.add(name, f"listed in {SUMS}, and missing")
        elif hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            findings.add(name, "its SHA-256 is not the one listed")


def _about(folder: Path, findings: BundleProblems) -> list[str]:
    """The tables of a bundle."""
    tables: list[str] = []
    if not (folder / ABOUT).is_file():
        return tables
    with _guarded(ABOUT, findings):
        raw = json.loads((folder / ABOUT).read_text())
        if raw["schema"] != SCHEMA:
            findings.add(ABOUT, f"bundle format {raw['schema']}, this version reads {SCHEMA}")
        if raw["made_with"] != version("rssam-bench"):
            findings.add(
                ABOUT, f"made with rssam-bench {raw['made_with']}; check it with that version, this is another"
            )  # fmt: skip
        tables = [str(name) for name in raw["tables"]]
        if unknown := [name for name in tables if name not in TABLES]:
            findings.add(ABOUT, f"names unknown tables: {', '.join(unknown)}")
    return [name for name in tables if name in TABLES]


def _check_split(path: Path, name: str, findings: BundleProblems) -> tuple[str, RebuiltSplit]:
    raw = json.loads(path.read_text())
    if raw["schema"] != SPLIT_SCHEMA:
        findings.add(name, f"split format {raw['schema']}, this version reads {SPLIT_SCHEMA}")
    manifest = split_manifest(raw)
    for fault in split_faults(raw, manifest):
        findings.add(name, fault)
    if split_name(manifest.dataset, raw["digest"]) != name:
        findings.add(name, "its name is not that of its data set and digest")
    return raw["digest"], RebuiltSplit(manifest, manifest.splits(raw["split_seed"], raw["split_rule"]))


def _check_documents(folder: Path, names: set[str], tables: list[str], findings: BundleProblems) -> None:
    """The printed tables against those that the results give."""
    fresh: dict[str, bytes] = {}
    with _guarded(README, findings):
        fresh = documents(folder, tables)
    for name, content in fresh.items():
        if name not in names:
            if name != README:
                findings.add(name, "missing: its results give such a table")
            continue
        printed = (folder / name).read_bytes().decode(errors="replace").splitlines()
        wanted = content.decode().splitlines()
        pairs = zip(printed, wanted, strict=False)
        place = next((number for number, (one, other) in enumerate(pairs, start=1) if one != other), None)
        if place is not None:
            where = _difference(printed[place - 1], wanted[place - 1])
            findings.add(name, f"line {place} is not what the results give: {where}")
        elif len(printed) != len(wanted):
            findings.add(name, f"{len(printed)} lines, the results give {len(wanted)}")
    if fresh:
        for name in sorted(one for one in names if one.startswith("tables/") and one not in fresh):
            findings.add(name, "the results give no such table")


def _difference(printed: str, wanted: str) -> str:
    """Where two lines part."""
    start = next((at for at, (a, b) in enumerate(zip(printed, wanted, strict=False)) if a != b), 0)
    begin = max(0, start - 20)
    return f"printed ...{printed[begin : start + 30]!r}, expected ...{wanted[begin : start + 30]!r}"
