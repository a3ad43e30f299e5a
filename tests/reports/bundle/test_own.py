"""What is not of this suite is shown where its code is not: a user's own system, and the data set of a package."""

import dataclasses
import json
import shutil
import zipfile
from typing import ClassVar

import numpy as np
import pytest

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from data_prep import registry
from data_prep.manifest_file import save_manifest
from data_prep.registry import DATASETS
from reports.bundle.publish import publish
from reports.bundle.verify import check
from reports.select.results import collect
from reports.tables.assemble import assemble
from tests.benchmarks.prepared import SIDE, write_prepared
from tests.reports.bundle.forged import Forger
from tests.reports.bundle.genuine import MyNet, put_run


@dataclasses.dataclass(frozen=True)
class Lakes:
    """A data set that another package declares."""

    name: ClassVar[str] = "lakes"
    title: ClassVar[str] = "Lakes"
    version: ClassVar[int] = 3
    classes: ClassVar[tuple[str, ...]] = ("water",)
    image_size: ClassVar[tuple[int, int]] = (SIDE, SIDE)
    average: ClassVar[str] = "foreground"
    expected_pairs: ClassVar[int | None] = 40
    official_sizes: ClassVar[tuple[int, int, int] | None] = None
    palette: ClassVar[tuple[tuple[int, int, int], ...]] = ((0, 114, 178),)

    depth: float = 0.5
    months: tuple[str, ...] = ("May",)


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    """An unpacked bundle of an own system on roads and on the lakes, whose package is not installed here."""
    root = tmp_path_factory.mktemp("own")
    home, rng = root / "home", np.random.default_rng(0)
    DATASETS["lakes"] = Lakes()
    registry._installed.add("lakes")
    write_prepared(home / "data" / "deepglobe")
    roads = write_prepared(home / "data" / "lakes", seed=1)
    lakes = dataclasses.replace(roads, dataset="lakes", version=3, classes=("water",), expected_pairs=40)
    save_manifest(home / "data" / "lakes", lakes)
    for setting in (Setting("smoke"), Setting("smoke", dataset="lakes")):
        put_run(home, setting.run(MyNet(), "deepglobe"), rng)
    found = publish(["table1"], root / "bundle.zip", home)
    assert found.results == 2
    del DATASETS["lakes"]
    registry._installed.discard("lakes")
    with zipfile.ZipFile(root / "bundle.zip") as archive:
        archive.extractall(root / "bundle")
    return root / "bundle"


@pytest.fixture
def bundle(genuine, tmp_path):
    shutil.copytree(genuine, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_rows_of_an_own_system_stand_in_the_bundle_and_in_a_report_on_it(bundle):
    """They were "it stands in no table": two results, no line of any table, and no word of it."""
    assert check(bundle).problems == []
    page = (bundle / "README.md").read_text()
    assert page.count("| MyNet (own system) |") == 2
    assert "Smaller variants than the paper's: MyNet (own system) (width 8)" in page
    assert "declared in `tests.reports.bundle.genuine:MyNet`" in page
    frames = assemble([TABLES["table1"]], collect(bundle, None)).frames
    assert {frame.dataset: frame.rows["Method"].iloc[-1] for frame in frames} == {
        "deepglobe": "MyNet (own system)", "lakes": "MyNet (own system)",
    }  # fmt: skip
    (lakes,) = [frame.results[0] for frame in frames if frame.dataset == "lakes"]
    assert lakes.task.image_size == (128, 128)  # that of the recipe
    assert DATASETS["lakes"].title == "Lakes"


def test_without_the_declaration_they_stand_in_no_table(bundle):
    forger = Forger(bundle)
    for raw in forger.results:
        raw["provenance"].pop("system")
    forger.write()
    assert sum("it stands in no table of the bundle" in line for line in check(bundle).problems) == 2


@pytest.mark.parametrize(
    ("part", "value"),
    [("classes", []), ("average", "best"), ("image_size", [0, 64]), ("version", "3"), ("fields", {"a b": 1})],
)
def test_a_declaration_that_is_none_is_refused(bundle, part, value):
    path = bundle / "data" / "lakes" / "dataset.json"
    forger = Forger(bundle)
    raw = json.loads(path.read_text())
    raw["declared"][part] = value
    path.write_text(json.dumps(raw))
    forger.write()
    assert any(line.startswith("data: data/lakes/dataset.json is damaged") for line in check(bundle).problems)
