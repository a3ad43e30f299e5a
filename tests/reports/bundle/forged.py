"""Forge an unpacked bundle as somebody would who makes every digest, key and printed table anew."""

import contextlib
import json
from pathlib import Path

from benchmarks.protocol.run import make_key
from benchmarks.results.submission import submission_key
from reports.bundle.documents import documents
from reports.bundle.publish import SUMS, sums
from reports.bundle.splits import split_manifest, split_name


def seal(folder):
    """Write new digests."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != SUMS
    }
    (folder / SUMS).write_bytes(sums(files))


class Forger:
    """The records of an unpacked bundle as plain values, to be changed and written back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results, self.scores, self.splits = (self._read(name) for name in ("results", "scores", "splits"))
        self.about = json.loads((folder / "bundle.json").read_text())
        ledger = folder / "ledger.jsonl"
        self.uses = [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else None

    def result(self, system="unet", dataset="deepglobe", recipe="smoke", seed=0):
        """The one result of these."""
        (found,) = [
            raw for raw in self.results
            if (raw["identity"]["model"]["name"], raw["identity"]["dataset"]["name"]) == (system, dataset)
            and (raw["identity"]["recipe"]["name"], raw["identity"]["seed"]) == (recipe, seed)
        ]  # fmt: skip
        return found

    def score(self, kind="scored"):
        return next(raw for raw in self.scores if raw["identity"]["kind"] == kind)

    def split_of(self, raw):
        return next(split for split in self.splits if split["digest"] == raw["identity"]["data"])

    def write(self, *, tables: bool = True) -> None:
        """Write everything with new digests, keys and tables; without tables, those before stay."""
        digests = {}
        for split in self.splits:
            new = split_manifest(split).digest(split["split_seed"], split["split_rule"])
            digests[split["digest"]] = split["digest"] = new
        keys = {}
        for raw in (*self.results, *self.scores):
            identity = raw["identity"]
            identity["data"] = digests.get(identity["data"], identity["data"])
            if identity.get("system"):
                identity["system"]["key"] = keys.get(identity["system"]["key"], identity["system"]["key"])
            make = make_key if "model" in identity else submission_key
            with contextlib.suppress(ValueError):  # no key for NaN
                keys[raw["key"]] = raw["key"] = make(identity)
        for use in self.uses or ():
            use["key"], use["split"] = keys.get(use["key"], use["key"]), digests.get(use["split"], use["split"])
        for name in ("results", "scores", "splits"):
            for path in (self.folder / name).glob("*"):
                path.unlink()
        for name, records in (("results", self.results), ("scores", self.scores)):
            for raw in records:
                (self.folder / name / f"{raw['key']}.json").write_text(json.dumps(raw))
        for split in self.splits:
            (self.folder / split_name(split["dataset"], split["digest"])).write_text(json.dumps(split))
        (self.folder / "bundle.json").write_text(json.dumps(self.about))
        if self.uses is not None:
            lines = "".join(json.dumps(use, sort_keys=True) + "\n" for use in self.uses)
            (self.folder / "ledger.jsonl").write_text(lines)
        if tables:
            self._print()
        seal(self.folder)

    def _print(self) -> None:
        for path in (self.folder / "tables").glob("*"):
            path.unlink()
        with contextlib.suppress(Exception):
            for name, content in documents(self.folder, self.about["tables"]).items():
                (self.folder / name).write_bytes(content)

    def _read(self, name):
        return [json.loads(path.read_text()) for path in sorted((self.folder / name).glob("*.json"))]
