"""Find a finished run by what a person types for it: its key, a prefix, table5:5, or rs-sam@deepglobe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.run_names import find_rows, is_listed, rows_of, run_name
from benchmarks.protocol.targets import WITH_TABLES, tables_of
from benchmarks.results.result import Result
from benchmarks.results.store import Store, read_results
from rssam.errors import UnknownName

Identity = Mapping[str, Any]
MOST_SHOWN = 12


def find_run(home: Path, text: str) -> str:
    """Return the key of the only finished run that `text` names; `text` itself if it names none.

    A row is written as table5:5 or "table5:Neck + MFF". As system@data it means the system as it is listed, and no
    ablation of it where there is such a run.

    Args:
        home: folder of the results.
        text: a key or the beginning of one, a row, or system@data.

    Raises UnknownName listing the candidates if there are several, or the rows if the table has no such row.
    """
    keys = Store(home).keys
    if text in keys or not text:
        return text
    named = [key for key in keys if key.startswith(text)]
    if not named and (fits := _test(text)) is not None:
        identities = {result.key: result.identity for result in _results(home)}
        named = [key for key, identity in identities.items() if fits(identity)]
        listed = [key for key in named if is_listed(identities[key]["model"])]
        named = listed if "@" in text and listed else named
    if len(named) > 1:
        raise UnknownName(f"{text!r} names {len(named)} finished runs; choose one by its key:{_shown(home, named)}")
    return named[0] if named else text


def names_run(text: str, key: str, identity: Identity) -> bool:
    """Return whether `text` names a run, as `find_run` takes it; `identity` is empty where nothing says what it is."""
    if not text or key.startswith(text):
        return bool(text)
    fits = _test(text)
    return bool(identity) and fits is not None and fits(identity)


def _results(home: Path) -> list[Result]:
    return [result for result in read_results(Store(home).results) if isinstance(result, Result)]


def _test(text: str) -> Callable[[Identity], bool] | None:
    """Return which identities the text means, None if it is neither a row nor system@data."""
    table, colon, row = text.partition(":")
    if colon and table in WITH_TABLES:
        first = tables_of([WITH_TABLES[table]])[0]  # of a study the rows are the same on every data set
        (wanted,) = find_rows(first, [row])
        number = [*first.rows, *first.controls].index(wanted) + 1
        return lambda identity: f"{table}:{number}" in rows_of(identity)
    system, at, dataset = text.partition("@")
    if not at:
        return None
    names = {model.name for model in MODELS.values() if model.title.casefold() == system.casefold()} | {system}
    return lambda identity: identity["model"]["name"] in names and identity["dataset"]["name"] == dataset


def _shown(home: Path, keys: Sequence[str]) -> str:
    names = {result.key: run_name(result.identity) for result in _results(home) if result.key in keys}
    lines = [f"{key}  {names[key].title} · {names[key].place}" if key in names else key for key in keys[:MOST_SHOWN]]
    more = len(keys) - len(lines)
    return "".join(f"\n  {line}" for line in [*lines, *([f"... and {more} more"] if more else [])])
