"""One odd file is one named line in `status` and `report`, and the good ones are shown. Each ended both in a traceback.

The comments say what they raised.
"""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.cli.app import app
from benchmarks.execution.run_status import StatusFiles, run_status
from benchmarks.protocol.run import make_key
from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.result import Result
from benchmarks.results.store import Store, read_results
from benchmarks.results.submission import Submission
from reports.select.results import collect
from reports.tables.assemble import assemble
from tests.reports.fabricate import TABLE5, fabricate, row_run

SYSTEM = {
    "title": "Mine", "class": "mine:Net", "defaults": {"width": 4}, "added": [], "small": {}, "cli_options": [],
    "published": None, "source_sha256": "0" * 64,
}  # fmt: skip


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


ODD = [
    ("provenance", "evil"),  # AttributeError
    ("provenance.versions", "x"),
    ("provenance.finished", 5),
    ("provenance.device", "a\nb"),
    ("provenance.system", {**SYSTEM, "defaults": {"__class__": 1}}),  # went to make_dataclass
    ("provenance.system.defaults", {"build": 1}),
    ("provenance.system.defaults", {"small": 1, "width": 4}),  # hid the class's own part in the stand-in
    ("provenance.system.cli_options", ["encoder"]),  # KeyError: no such option
    ("provenance.system.small", {"depth": 1}),  # TypeError in replace
    ("provenance.system.added", ["depth"]),
    ("provenance.system", {**SYSTEM, "defaults": {"encoder": 1}, "cli_options": ["encoder"]}),
    ("identity.model.options", {"encoder": ["vit_b"], "init": "sam", "rank": 4}),  # unhashable
    ("data", None),
    ("data.pairs", "x"),  # the sentence on the data is made of it
    ("data.expected", 0.5),
    ("data.test_scenes", 5),
    ("data.test_scenes", ["a"]),  # of three images
    ("images", [{}, {}, {}]),  # TypeError: unhashable
    ("history", "x"),  # ValueError in dict(epoch)
    ("history.0", {"val_loss": "x"}),
    ("parameters", None),
    ("parameters.total", "x"),
    ("seconds", "x"),
    ("peak_memory", None),
    ("best_epoch", "x"),
    ("classes", ["a\n\\input{/etc/passwd}"]),
    ("average", "evil"),
    ("identity.data", None),
    ("identity.recipe", "x"),
    ("identity.model.options", "x"),
    ("identity.precision", {}),
    ("identity.dataset.name", ["deepglobe"]),
    ("identity.seed", -1),
    ("identity.weights", 5),
    ("identity.weights.0", "custom:| x | y |"),  # tables print the first digits
    ("native_counts", "x"),
    ("counts", {"tp": [], "fp": [], "fn": [], "tn": []}),  # IndexError
    ("counts.tp", [[2**62], [2**62], [2**62]]),  # the sum was negative
    ("probabilities", "x"),
    ("later", deep(30)),
]


def put(raw, path, value):
    *parents, last = path.split(".")
    for name in parents:
        raw = raw[int(name)] if name.isdigit() else raw[name]
    raw[int(last) if last.isdigit() else last] = value


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, value in ODD if path != "later"])
def test_an_odd_result_is_named_and_the_good_one_is_shown(tmp_path, path, value):
    store = Store(tmp_path)
    good = fabricate(row_run(0), 0.7)
    store.put(good)
    raw = json.loads(json.dumps(fabricate(row_run(1), 0.7, provenance={"system": SYSTEM, "versions": {}}).to_json()))
    put(raw, path, value)
    try:
        raw["key"] = make_key(raw["identity"])
    except (TypeError, KeyError):
        raw["key"] = "deepglobe-x-0123456789"
    store.results.joinpath(f"{raw['key'] if isinstance(raw['key'], str) else 'x'}.json").write_text(json.dumps(raw))
    collection = collect(tmp_path, tmp_path / "none")
    (line,) = collection.damaged
    assert "\n" not in line
    assert [stored.result.key for stored in collection.stored] == [good.key]
    assert assemble([TABLE5], collection).frames[0].results[0].key == good.key
    done = CliRunner().invoke(app, ["--home", str(tmp_path), "status"])
    assert done.exception is None
    assert good.key in done.output
    assert "1 damaged, 1 finished" in done.output


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"schema": 1, "later": ' + b"[" * 50 + b"]" * 50 + b"}", b"5", b"[]"]
)
def test_a_deep_or_foreign_file_is_named(tmp_path, content):
    Home(tmp_path).results.mkdir()
    Home(tmp_path).result("a").write_bytes(content)
    (found,) = read_results(Home(tmp_path).results)
    assert isinstance(found, ResultDamaged)
    assert run_status(Store(tmp_path), "a").state == "damaged"


def test_a_file_that_bears_another_name_is_a_stray(tmp_path):
    """`Store.get` returned whatever file bore the name."""
    store = Store(tmp_path)
    first, second = fabricate(row_run(0), 0.7), fabricate(row_run(1), 0.6)
    store.put(first)
    store.path(first.key).rename(store.path(second.key))
    with pytest.raises(ResultDamaged, match=f"its name is not its key, {first.key}"):
        store.get(second.key)
    assert store.get(first.key) is None


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("progress.json", {"seconds_left": "x"}, "progress.json cannot be read (seconds_left: expected a number"),
        ("progress.json", "x", "progress.json cannot be read (it: expected an object"),
        ("failure.json", {"reason": 5}, "failure.json cannot be read (reason: expected text, found 5)"),
        ("holder.json", {"host": "a\x1b[31m"}, "holder.json cannot be read (host: expected one printable line"),
    ],
)
def test_an_odd_status_file_is_named(tmp_path, name, values, words):
    """A progress of `seconds_left: "x"` ended `status` in a TypeError."""
    folder = Home(tmp_path).run("deepglobe-unet-0123456789")
    folder.mkdir(parents=True)
    (folder / "last.safetensors").write_bytes(b"")
    good = {
        "what": "training", "epoch": 1, "epochs": 2, "step": 1, "steps": 3, "done": 0.5, "seconds_left": 3.0,
        "overflows": 0, "device": "cpu", "noted": "2025", "reason": "r", "when": "2025", "pid": 1, "host": "h",
        "since": "2025",
    }  # fmt: skip
    (folder / name).write_text(json.dumps({**good, **values} if isinstance(values, dict) else values))
    assert words in run_status(Store(tmp_path), folder.name).text
    assert StatusFiles(folder).progress() is None
    assert CliRunner().invoke(app, ["--home", str(tmp_path), "status"]).exception is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("identity.data", None), ("identity.name", "a\nb"), ("identity.name", "x" * 61), ("identity.kind", "x\ny"),
        ("identity.kind", "evaluated"), ("identity.system", {"key": 5}), ("identity.system", "x"), ("reading", "x"),
        ("reading", [5]), ("images", [None] * 3), ("data.skipped", ["x"]), ("provenance", []),
        ("identity.dataset.name", "../x"), ("identity.split_seed", "x"), ("identity.images", "none"),
    ],
)  # fmt: skip
def test_an_odd_score_is_damage(path, value):
    result = fabricate(row_run(0), 0.7)
    identity = {
        "kind": "scored", "name": "Mine", "dataset": result.identity["dataset"], "data": "d", "split_seed": 0,
        "split_rule": "random", "images": "test", "predictions": "p", "system": None, "protocol": 1,
    }  # fmt: skip
    raw = {**result.counted_json(), "identity": identity, "schema": 2, "reading": ["as they are"]}
    from benchmarks.results.submission import submission_key

    raw["key"] = submission_key(identity)
    raw = json.loads(json.dumps(raw))
    assert Submission.from_json(raw).name == "Mine"
    put(raw, path, value)
    with pytest.raises(ResultDamaged):
        Submission.from_json(raw)


def test_a_result_of_this_version_is_read_as_it_was_written():
    result = fabricate(row_run(0), 0.7, provenance={"system": SYSTEM})
    assert Result.from_json(json.loads(json.dumps(result.to_json()))).to_json() == json.loads(
        json.dumps(result.to_json())
    )
