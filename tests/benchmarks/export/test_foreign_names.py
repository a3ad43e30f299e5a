"""No file names code: an adapter, a result or a bundle that says `evil:Net` is refused in a sentence.

`load_adapter` once took any `module:Class` of the file, put the working folder on `sys.path`, and imported it.
"""

import dataclasses
import importlib.util
import json
import sys

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from benchmarks.doctor import examine
from benchmarks.export.adapter import ENTRY, load_adapter, load_network, write_adapter
from benchmarks.export.load_run import load_run
from benchmarks.protocol.custom import NotAModel, model_of_result
from benchmarks.protocol.setting import Setting
from benchmarks.results.custom_system import SYSTEM, record
from benchmarks.results.store import Store
from benchmarks.tensors import content_digest
from data_prep.registry import find_dataset
from reports.bundle.verify import check
from reports.select.results import collect
from reports.write import write_report
from rssam.errors import UnknownName, UserError
from tests.benchmarks.export.test_adapter import stirred
from tests.benchmarks.prepared import make_session, tiny_run
from tests.reports.fabricate import PROVENANCE, fabricate

NAMES = (
    "evil:Net",
    "evil",
    "os.path:join",
    "evil:Net\n",
    "",
    "../evil",
    "evil.sub:Net",
    None,
    3,
    ["evil:Net"],
    "x" * 5000,
)
REFUSED = "is not one of fcn|a file may not name code"


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """The working folder holds `evil.py`, which leaves a mark when imported."""
    folder = tmp_path / "work"
    folder.mkdir()
    mark = folder / "imported"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Net: pass\n")
    monkeypatch.chdir(folder)
    before = list(sys.path)
    yield folder
    assert not mark.exists(), "the file's code ran"
    assert "evil" not in sys.modules
    assert sys.path == before


def rename(path, name):
    """An adapter whose system has another name, with a digest that fits."""
    with safe_open(path, framework="pt") as stream:
        tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
        about = json.loads(stream.metadata()[ENTRY])
    about.pop("sha256")
    about["identity"]["model"]["name"] = name
    about["sha256"] = content_digest(tensors, about)
    save_file(tensors, path, metadata={ENTRY: json.dumps(about)})


@pytest.fixture
def adapter(tmp_path):
    session = make_session(tmp_path / "home")
    trained, result = stirred(tiny_run(), session.weights)
    write_adapter(tmp_path / "a.safetensors", trained, result, None)
    return tmp_path / "a.safetensors"


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_an_adapter_names_no_code(evil, adapter, tmp_path, name):
    rename(adapter, name)
    with pytest.raises(UnknownName, match=REFUSED) as caught:
        load_adapter(adapter, make_session(tmp_path / "home").weights)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["predict", "evaluate"])
def test_the_commands_say_so_in_one_sentence(evil, adapter, command, monkeypatch, name):
    """With the working folder on `sys.path`, as it is for a process that `python -m` starts."""
    rename(adapter, "evil:Net")
    (evil / "scene.png").write_bytes(b"")
    rest = ["scene.png", "--out", "map.tif"] if name == "predict" else ["--dataset", "deepglobe"]
    with monkeypatch.context() as patch:
        patch.syspath_prepend(evil)
        assert importlib.util.find_spec("evil") is not None
        code, _, errors = command(name, *rest, "--adapter", adapter)
    assert code == 2
    assert "Traceback" not in errors
    assert "found 'evil:Net': a file may not name code" in " ".join(errors.split())


def evil_result(name, noted):
    """A whole result, key and all, of a system of that name, which notes that class."""
    model = dataclasses.make_dataclass(
        "Evil", [("width", int, 4)], frozen=True,
        namespace={
            "name": name, "title": "Evil", "version": 1, "published": None, "small": {},
            "weights_needed": lambda self: (),
        },
    )()  # fmt: skip
    kept = {**record(model), "class": noted}
    return fabricate(
        Setting("smoke").run(model, "deepglobe"), provenance={**PROVENANCE, SYSTEM: kept}, precision="32-true"
    )


def test_a_result_in_the_home_names_no_code(evil, tmp_path):
    """A bundle's results are put into `results/` by hand: being there does not make them one's own."""
    session = make_session(tmp_path / "home")
    result = evil_result("evil-net", "evil:Net")
    Store(session.home).put(result)
    with pytest.raises(UnknownName, match="name its class with --model evil:Net, which the result notes"):
        load_run(session.home, result.key)
    for name in NAMES[:7]:
        with pytest.raises(UnknownName, match=REFUSED):
            model_of_result(name, noted="evil:Net")


def test_a_report_of_evil_results_imports_nothing(evil, tmp_path):
    home = tmp_path / "home"
    Store(home).put(evil_result("evil-net", "evil:Net"))
    write_report(["table1"], ["md", "csv", "tex", "html"], tmp_path / "out", home)
    assert len(collect(home).stored) == 1


def test_a_bundle_names_no_code(evil, tmp_path):
    bundle = tmp_path / "bundle"
    (bundle / "results").mkdir(parents=True)
    for name in ("evil:Net", "evil-net"):
        result = evil_result(name, "evil:Net")
        (bundle / "results" / f"deepglobe-{len(name)}.json").write_text(json.dumps(result.to_json()))
    assert check(bundle).problems


def test_the_class_that_the_user_names_must_be_that_system(adapter, tmp_path, monkeypatch):
    """--model is the user's word: it is imported, and a class that declares no system is refused."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    session = make_session(tmp_path / "home")
    with pytest.raises(UserError, match="is of the system 'unet', and --model declares 'sam-lora'"):
        load_network(adapter=adapter, model="sam-lora", home=session.home)
    with pytest.raises(NotAModel, match="cannot be imported"):
        load_network(adapter=adapter, model="nowhere_at_all:Net", home=session.home)
    assert load_network(adapter=adapter, model="unet", home=session.home).model.name == "unet"


def test_entry_points_in_the_working_folder_are_not_those_of_a_package(evil, tmp_path, monkeypatch):
    """--model put that folder on the path; a data set's name in a result then imported `evil`, which lay beside."""
    info = evil / "evil-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rssam_bench.datasets]\nevil-data = evil:Net\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(evil)])
    with pytest.raises(UserError, match="unknown data set 'evil-data'"):
        find_dataset("evil-data")
    monkeypatch.undo()


def test_doctor_imports_nothing_of_the_working_folder(evil):
    (evil / "torch.py").write_text((evil / "evil.py").read_text())
    (torch,) = [check for check in examine(evil / "home") if check.what == "torch"]
    assert torch.state == "ok", torch.found
