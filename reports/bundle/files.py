"""Name the files and folders that a bundle may hold, and the parts of its `bundle.json`."""

from __future__ import annotations

import re
from typing import Any

from benchmarks.protocol.targets import WITH_TABLES
from reports.bundle.failures import FAILURE_NAMES
from reports.bundle.ledger import LEDGER, UNLOGGED
from rssam.kinds import COUNT, LONGEST_NAME, WORD, Leaf, name

SCHEMA = 2
ABOUT, README, SUMS = "bundle.json", "README.md", "SHA256SUMS"
NAMES = re.compile(
    r"(results|scores|splits)/[\w.-]+\.json|tables/[\w.-]+\.csv|data/[\w.-]+/dataset\.json|"
    rf"{FAILURE_NAMES}|{re.escape(ABOUT)}|{re.escape(README)}|{re.escape(LEDGER)}|{SUMS}"
)
"""Files that a bundle may hold."""

FOLDERS = re.compile(r"results|scores|splits|tables|(data|runs)(/[\w.-]+)?")
"""Folders of an unpacked bundle."""

MOST_FILES = 20_000


def _names(most: int) -> Leaf:
    return Leaf(
        f"a list of at most {most} names",
        lambda value: isinstance(value, list) and len(value) <= most and all(map(WORD.fits, value)),
    )


ABOUT_KINDS: dict[str, Any] = {
    "schema": COUNT,
    "made_with": name(LONGEST_NAME),
    "tables": _names(2 * len(WITH_TABLES)),
    f"{UNLOGGED}?": _names(MOST_FILES),
}
"""Kinds of all parts of `bundle.json`, which has no others."""
