"""Find the files of a user's own code that a system was built from, and their digests. Imports none of them.

Python has imported what it ran, so after a network is built the files are those of `sys.modules`. Only modules that
lie beside the declaration count: those of its package, and top-level modules and packages in the same folder. This
suite and installed packages have versions, which results record.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

OF_THIS_SUITE = frozenset({"rssam", "baselines", "data_prep", "benchmarks", "reports"})
_INSTALLED = ("site-packages", "dist-packages")


def source_digest(declaration: type) -> str | None:
    """Return the SHA-256 of the file that declares a system; None if there is none, as in a notebook."""
    file = _file(declaration)
    return None if file is None else _digest(file)


def source_files(declaration: type) -> dict[str, str]:
    """Return the SHA-256 of each imported file of the user's own code, by its path below the folder of the code.

    The declaring file is among them. Empty if there is none. What is imported later is in a later call only.
    """
    file, root = _file(declaration), _folder(declaration)
    if file is None or root is None:
        return {}
    own = declaration.__module__.partition(".")[0]
    names, installed = {file.relative_to(root)}, _is_installed(root)
    for module_name, module in list(sys.modules.items()):
        top = module_name.partition(".")[0]
        path = getattr(module, "__file__", None)
        if top == own or (top not in OF_THIS_SUITE and not installed):
            names |= _below(root, path, top) if isinstance(path, str) else set()
    digests = {name.as_posix(): _digest(root / name) for name in sorted(names)}
    return {name: digest for name, digest in digests.items() if digest is not None}


def changed_files(declaration: type, recorded: Mapping[str, str]) -> list[str]:
    """Return which of the files that `source_files` gave have another content now, or are gone.

    The record may come from elsewhere: a path that leaves the folder is not read.
    """
    root = _folder(declaration)
    return [name for name in _inside(recorded) if root is None or _digest(root / name) != recorded[name]]


def _inside(names: Iterable[str]) -> list[str]:
    """Return the printable relative paths without "..", sorted."""
    paths = {name: PurePosixPath(name) for name in names}
    return sorted(
        name for name, path in paths.items() if name.isprintable() and not path.is_absolute() and ".." not in path.parts
    )


def _below(root: Path, file: str, top: str) -> set[Path]:
    """Return the file of a module as a path below the folder, if its top-level module lies directly there."""
    path, inside = os.path.abspath(file), os.path.join(root, "")
    if not path.startswith(inside):  # as text: thousands of modules are looked at
        return set()
    relative = Path(path.removeprefix(inside))
    return {relative} if relative.parts[0].partition(".")[0] == top else set()


def _file(declaration: type) -> Path | None:
    try:
        return Path(os.path.abspath(inspect.getfile(declaration)))
    except (OSError, TypeError):
        return None


def _folder(declaration: type) -> Path | None:
    """Return the folder in which the top-level module or package of a declaration lies."""
    file = _file(declaration)
    if file is None:
        return None
    depth = declaration.__module__.count(".") + (file.stem == "__init__")
    return file.parents[depth] if depth < len(file.parents) else None


def _is_installed(folder: Path) -> bool:
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return any(part in _INSTALLED for part in folder.parts) or str(folder) in standard


def _digest(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None
