"""Compare names of files alike on every system: macOS decomposes characters that others keep as one."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence


def nfc(name: str) -> str:
    """Return a file name composed (Unicode NFC): macOS gives "ü" in two characters, other systems mostly in one.

    Without it the same image would fall into another split, depending on the system that unpacked it.
    """
    return unicodedata.normalize("NFC", name)


def same_composed(names: Sequence[str]) -> list[str]:
    """Return a fault for each name that another name equals once both are composed, see `nfc`."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_name[nfc(name)].append(name)
    return [
        f"{' and '.join(map(ascii, alike))}: one name, composed and decomposed; remove one of the files"
        for alike in by_name.values()
        if len(alike) > 1
    ]
