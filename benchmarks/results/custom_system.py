"""Record a system that is not of this suite in its results, so that reports can show it without its code.

A report asks how a row is run under a setting, and which results that explains. For that it needs a declaration with
its fields and defaults, not the network.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from benchmarks.protocol.custom import is_own
from benchmarks.protocol.own_code import changed_files, source_digest, source_files
from benchmarks.protocol.recipe import added
from benchmarks.protocol.run import ResolvedRun, canonical, from_json_value, to_json_value
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from rssam.amounts import shortened
from rssam.contract import Model, Optimisation, Task, cli_options
from rssam.errors import UserError

if TYPE_CHECKING:
    from rssam.weights.folder import WeightsFolder

SYSTEM = "system"
"""The entry of a result's provenance."""

FILES = "source_files"
"""In that entry: the SHA-256 of each file of the user's own code, by its path."""


def record(model: Model) -> dict[str, Any]:
    """Return what to keep of a system beside its identity: title, class, defaults, and the SHA-256 of its source files.

    `files` are those that are imported when this is called: see `with_files`.
    """
    declaration = type(model)
    fields = dataclasses.fields(model)  # type: ignore[arg-type]
    defaults = declaration()
    return {
        "title": model.title,
        "class": f"{declaration.__module__}:{declaration.__qualname__}",
        "defaults": {field.name: to_json_value(getattr(defaults, field.name)) for field in fields},
        "added": [field.name for field in fields if field.metadata.get("added")],
        "small": {name: to_json_value(value) for name, value in model.small.items()},
        "cli_options": sorted(cli_options(model)),
        "published": None if model.published is None else dataclasses.asdict(model.published),
        "source_sha256": source_digest(declaration),
        FILES: source_files(declaration),
    }


def with_files(recorded: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """Return a record with the files that were imported since it was made; the others keep their digests."""
    return {**recorded, FILES: {**source_files(type(model)), **recorded[FILES]}}


def stand_in(result: Result | FailedRun) -> Model | None:
    """Return the declaration of a result's system, from what the result keeps of it; None if it keeps nothing.

    Equal records give the same class, so that results of one system are rows of one row.
    """
    stored = result.provenance.get(SYSTEM)
    if stored is None:
        return None
    identity = result.identity["model"]
    code = {"source_sha256": "", FILES: {}}
    stored = {**stored, "name": identity["name"], "version": identity["version"], **code}
    return _stand_in(canonical(stored))


def changes(runs: Sequence[ResolvedRun], store: Store) -> list[str]:
    """Return a sentence for each finished run of a system whose code is another than when its result was made.

    The number of a system's own code is its version, raised by hand; to forget it would show an old score as the new.
    """
    sentences = {}
    for resolved in runs:
        model = resolved.run.model
        result = store.get(resolved.key) if is_own(model) else None
        stored = result.provenance.get(SYSTEM, {}) if result else {}
        if changed := _changed(model, stored):
            sentences[resolved.key] = (
                f"{changed} changed since {resolved.key} was made, whose result is shown: if the network has changed, "
                f"raise its version (now {model.version}) to train it"
            )
    return list(sentences.values())


def _changed(model: Model, stored: Mapping[str, Any]) -> str:
    """Return which code of a system has changed, in words; empty if none has. Older records have one digest alone."""
    declaration = type(model)
    digest, files = stored.get("source_sha256"), stored.get(FILES)
    if isinstance(files, Mapping) and files:
        others = changed_files(declaration, {name: str(value) for name, value in files.items()})
        verb = "has" if len(others) == 1 else "have"
        return f"{shortened(others, 3)} of the code of {declaration.__module__} {verb}" if others else ""
    changed = digest is not None and digest != source_digest(declaration)
    return f"the file of {declaration.__module__} has" if changed else ""


class StandIn:
    """Declaration without a network."""

    def architecture(self, task: Task) -> NoReturn:
        """Raise UserError: the code is not here."""
        raise UserError("a system known from its results only cannot be built")

    def build(self, task: Task, weights: WeightsFolder) -> NoReturn:
        """Raise UserError: the code is not here."""
        self.architecture(task)

    def weights_needed(self) -> tuple[str, ...]:
        """Return nothing: the weights are unknown."""
        return ()


@cache
def _stand_in(text: str) -> Model:
    stored: Mapping[str, Any] = json.loads(text)
    fields = []
    for name, value in stored["defaults"].items():
        default = from_json_value(value)
        fields.append((name, Any, added(default) if name in stored["added"] else dataclasses.field(default=default)))
    published = stored["published"]
    declaration = dataclasses.make_dataclass(
        "StandIn",
        fields,
        bases=(StandIn,),
        namespace={
            "name": stored["name"],
            "title": stored["title"],
            "version": stored["version"],
            "small": {name: from_json_value(value) for name, value in stored["small"].items()},
            "cli_options": tuple(stored["cli_options"]),
            "published": None if published is None else Optimisation(published["optimizer"], published["weight_decay"]),
        },
        frozen=True,
    )
    model: Model = declaration()
    return model
