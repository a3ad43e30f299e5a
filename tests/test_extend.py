"""The examples of docs/extend.md, taken from the page and run: what a reader copies must work."""

import dataclasses
import importlib
import re
import runpy
import sys
import textwrap

import pytest
import torch

from benchmarks.conformance import examine
from benchmarks.execution.plan import plan, resolve_all
from benchmarks.execution.runner import execute_all
from benchmarks.protocol.custom import GROUP as MODELS_GROUP
from benchmarks.protocol.custom import find_model
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.registry import smallest
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from data_prep import registry as catalog
from data_prep.registry import DATASETS
from reports.select.results import collect
from reports.tables.frames import table_frames
from rssam import Task, WeightsFolder
from tests.benchmarks.prepared import make_session, write_prepared
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "extend.md").read_text()
EXAMPLES = dict(re.findall(r"`(\w+\.py)`[^`]*?:\n\n```python\n(.*?)```", PAGE, re.DOTALL))
TABLE1 = TABLES["table1"]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The examples as files where Python finds them; forgotten afterwards."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, code in EXAMPLES.items():
        (folder / name).write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.chdir(folder)
    yield folder
    for name in EXAMPLES:
        sys.modules.pop(name.removesuffix(".py"), None)
    DATASETS.pop("lakes", None)
    catalog._installed.discard("lakes")


@pytest.fixture
def quick(monkeypatch):
    """The smoke profile on fewer and smaller crops."""
    smoke = PROFILES["smoke"]
    recipe = dataclasses.replace(smoke.recipe, crop=64, crops=1, limit=4)
    monkeypatch.setitem(PROFILES, "smoke", dataclasses.replace(smoke, recipe=recipe))


def install(folder, **groups):
    """What installing a package leaves in site-packages: its entry points. Those in the working folder do not count."""
    info = folder.with_name("site") / "mypackage-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mypackage\nVersion: 1.0\n")
    lines = [f"[{group.replace('__', '.')}]\n{entry}\n" for group, entry in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    importlib.invalidate_caches()


def test_the_page_has_an_example_of_each():
    assert set(EXAMPLES) == {"mynet.py", "lakes.py", "ranks.py"}


def test_the_system_conforms_trains_and_stands_in_the_report(written, tmp_path, quick):
    model = find_model("mynet:MyNet")
    assert [fault for _, fault in examine(model) if fault] == []
    session = make_session(tmp_path / "home")
    runs = plan([TABLE1], Setting("smoke"), [0], 0, None, own=[model])
    assert [(run.model.width, run.dataset.name) for run in runs] == [(8, "deepglobe")]
    (outcome,) = execute_all(resolve_all(runs, session), session)
    assert outcome.status == "trained", outcome.reason
    assert set(outcome.result.provenance["system"]["source_files"]) == {"mynet.py"}
    sys.modules.pop("mynet")
    (written / "mynet.py").unlink()  # a report knows it from its result alone
    (frame,) = table_frames(TABLE1, collect(tmp_path / "home"), Setting("smoke"))
    assert frame.rows["Method"].to_list()[-1] == "MyNet (own system)"
    assert frame.rows["keys"].to_list()[-1] == (outcome.key,)


def test_a_system_may_start_from_a_file_of_its_own(written):
    """The page named checkpoints of this suite alone, and said that nothing here needs a change."""
    (snippet,) = re.findall(r"```python\n(small = .*?)```", PAGE, re.DOTALL)
    names = {"MyNet": importlib.import_module("mynet").MyNet, "dataclass": dataclasses.dataclass, "torch": torch}
    exec(f"@dataclass(frozen=True)\nclass Started(MyNet):\n{textwrap.indent(snippet, '    ')}", names)
    model, task = names["Started"](), Task(("road",), (32, 32))
    saved = model.architecture(task).state_dict()
    torch.save(saved, model.start)
    loaded = model.build(task, WeightsFolder(written)).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in saved.items())
    assert smallest(model).start == ""


def test_the_data_set_is_found_prepared_and_trained_on(written, tmp_path, quick):
    install(written, rssam_bench__datasets="lakes = lakes:Lakes")
    lakes = catalog.find_dataset("lakes")
    source, session = tmp_path / "source", make_session(tmp_path / "home")
    lakes.synthesize(source, 12, seed=0)
    manifest = lakes.prepare(
        source, session.data_folder("lakes"), origin="synthetic", workers=1, progress=lambda *_: None
    )
    assert len(manifest.entries) == 12
    runs = plan([TABLE1], Setting("smoke", dataset="lakes"), [0], 0, None, own=[find_model("mynet:MyNet")])
    (outcome,) = execute_all(resolve_all(runs, session), session)
    assert outcome.status == "trained", outcome.reason
    assert outcome.result.classes == ("water",)


def test_the_table_runs_and_is_written(written, tmp_path, quick, monkeypatch, capsys):
    write_prepared(tmp_path / "home" / "data" / "deepglobe")
    monkeypatch.setenv("RSSAM_HOME", str(tmp_path / "home"))
    runpy.run_path("ranks.py", run_name="__main__")
    page = (written / "ranks.md").read_text()
    assert re.search(r"\| 1 \| (0\.\d{3}|collapsed)", page)
    assert "not run" not in page
    assert capsys.readouterr().out.count("trained: Dice") == 2


def test_the_entry_points_of_the_page_are_those_that_are_looked_for():
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert re.findall(r'entry-points\."(.+?)"', block) == [MODELS_GROUP, catalog.GROUP]
