"""A change of any file of a user's own code is told, not of the declaring file alone."""

import importlib
import shutil
import sys

import pytest

from benchmarks.protocol.custom import find_model
from benchmarks.protocol.own_code import changed_files, source_files
from benchmarks.protocol.run import ResolvedRun
from benchmarks.protocol.setting import Setting
from benchmarks.results.custom_system import FILES, SYSTEM, changes, record, stand_in, with_files
from benchmarks.results.store import Store
from rssam.contract import Task
from tests.reports.fabricate import PROVENANCE, fabricate

DECLARATION = """
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Twofold:
    name: ClassVar[str] = "twofold"
    title: ClassVar[str] = "Twofold"
    version: ClassVar[int] = 1
    published: ClassVar[Any] = None
    small: ClassVar[dict] = {}

    width: int = 2

    def architecture(self, task):
        from LAYERS import Net

        return Net(self.width, task.channels)

    def build(self, task, weights):
        return self.architecture(task)

    def weights_needed(self):
        return ()
"""
NETWORK = """
from torch import nn


class Net(nn.Conv2d):
    def __init__(self, width, channels):
        super().__init__(3, channels, 1)

    def forward(self, images):
        import LATER

        return super().forward(images)
"""
LAYOUTS = {
    "a file": ("twofold.py", "twofold_layers.py", "twofold_later.py"),
    "a package": ("twofolds/mine/declared.py", "twofolds/layers.py", "twofolds/later.py"),
    "a package's head": ("twofolds/__init__.py", "twofolds/mine/layers.py", "twofolds/mine/later.py"),
    "an installed package": ("site-packages/twofolds/declared.py", "site-packages/twofolds/layers.py",
                             "site-packages/twofolds/later.py"),
}  # fmt: skip


def module(path):
    return path.removeprefix("site-packages/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.fixture
def code(tmp_path, monkeypatch, request):
    """A folder on the path with a system in three files, and a stranger beside them."""
    files = LAYOUTS[request.param]
    declared, layers, later = files
    folder = tmp_path / "code"
    root = folder / "site-packages" if "site-packages" in declared else folder
    (folder / declared).parent.mkdir(parents=True)
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / declared).write_text(DECLARATION.replace("LAYERS", module(layers)))
    (folder / layers).write_text(NETWORK.replace("LATER", module(later)))
    (folder / later).write_text("")
    (root / "stranger.py").write_text("")
    monkeypatch.syspath_prepend(str(root))
    before = set(sys.modules)
    yield root, [path.removeprefix("site-packages/") for path in files]
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or root).startswith(str(root)):
            del sys.modules[name]


layouts = pytest.mark.parametrize("code", LAYOUTS, indirect=True)


def recorded(model):
    """What a run keeps: the record made before training, with the files that its forward pass imported."""
    import torch

    net = model.architecture(Task(("road",), (64, 64)))
    before = record(model)
    net(torch.zeros(1, 3, 64, 64))
    return with_files(before, model)


def told(home, model, kept):
    run = Setting("paper").run(model, "deepglobe")
    result = fabricate(run, provenance={**PROVENANCE, SYSTEM: kept})
    Store(home).put(result)
    return changes([ResolvedRun(run, result.identity["data"], (), "bf16-mixed")], Store(home))


@layouts
def test_a_change_of_each_file_is_told(code, tmp_path):
    """Only the declaring file was compared: a changed network in an imported file was passed over in silence."""
    root, files = code
    model = find_model(f"{module(files[0])}:Twofold")
    kept = recorded(model)
    assert set(files) <= set(kept[FILES])
    assert told(tmp_path / "home", model, kept) == []
    for path in files:
        text = (root / path).read_text()
        (root / path).write_text(text + "# another thought\n")
        (note,) = told(tmp_path / "home", model, kept)
        assert note.startswith(f"{path} of the code of {module(files[0])} has changed since ")
        assert "raise its version (now 1)" in note
        (root / path).write_text(text)
    (root / files[1]).unlink()
    (root / files[2]).write_text("1")
    (note,) = told(tmp_path / "home", model, kept)
    assert note.startswith(f"{', '.join(sorted(files[1:]))} of the code of {module(files[0])} have changed since")


@layouts
def test_code_of_others_is_not_looked_at(code):
    root, files = code
    model = find_model(f"{module(files[0])}:Twofold")
    kept = recorded(model)[FILES]
    packages = {"/".join(path.split("/")[:index]) + "/__init__.py" for path in files for index in range(1, 3)}
    assert set(kept) <= set(files) | packages
    importlib.import_module("stranger")
    assert ("stranger.py" in source_files(type(model))) == (root.name != "site-packages")


@layouts
def test_an_older_record_is_compared_as_before(code, tmp_path):
    """It holds the digest of the declaring file alone."""
    root, files = code
    model = find_model(f"{module(files[0])}:Twofold")
    older = {name: value for name, value in recorded(model).items() if name != FILES}
    (root / files[1]).write_text("# all new\n")
    assert told(tmp_path / "home", model, older) == []
    (root / files[0]).write_text(DECLARATION + "# another thought\n")
    (note,) = told(tmp_path / "home", model, older)
    assert note.startswith(f"the file of {module(files[0])} has changed since")


@pytest.mark.parametrize("code", ["a file"], indirect=True)
def test_files_are_no_part_of_the_system(code):
    """Results made with different code are rows of one row, as they were."""
    model = find_model("twofold:Twofold")
    run = Setting("paper").run(model, "deepglobe")
    kept = recorded(model)
    older = {name: value for name, value in kept.items() if name != FILES}
    stands = [stand_in(fabricate(run, provenance={**PROVENANCE, SYSTEM: kept_code})) for kept_code in (kept, older)]
    assert stands[0] is stands[1]


@pytest.mark.parametrize("code", ["a file"], indirect=True)
def test_a_record_from_elsewhere_reads_no_other_file(code, tmp_path):
    root, files = code
    model = find_model("twofold:Twofold")
    (root.parent / "secret").write_text("secret")
    outside = {"../secret": "0", str(root.parent / "secret"): "0", "a\n\x1b[31m": "0"}
    assert changed_files(type(model), outside) == []
    shutil.rmtree(root)
    assert changed_files(type(model), {**outside, files[0]: "0"}) == [files[0]]
