"""Systems and data sets of other packages: found without importing, refused kindly, shown without their code."""

import dataclasses
import importlib
import json
import subprocess
import sys
import textwrap

import pytest

from baselines.unet import UNet
from benchmarks.execution.plan import plan
from benchmarks.export.load_run import declared_model
from benchmarks.protocol.custom import NotAModel, find_model, installed_models, is_own, model_of_result
from benchmarks.protocol.registry import MODELS, smallest
from benchmarks.protocol.run import ResolvedRun
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from benchmarks.protocol.targets import find_items, require_suitable
from benchmarks.results.custom_system import SYSTEM, changes, record, stand_in
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from data_prep import registry as catalog
from data_prep.errors import DataError, UnknownDataset
from data_prep.plugins import Broken, Collision, _declared
from reports.select.results import Collection, StoredResult
from reports.select.settings import settings
from reports.tables.assemble import assemble
from reports.tables.frames import table_frames
from rssam.contract import Model
from rssam.errors import UnknownName, UserError
from tests.conftest import REPOSITORY
from tests.reports.fabricate import PROVENANCE, fabricate

TABLE1 = TABLES["table1"]

SYSTEM_CODE = """
from dataclasses import dataclass
from typing import Any, ClassVar

from rssam.contract import Optimisation


@dataclass(frozen=True)
class Net:
    name: ClassVar[str] = "net"
    title: ClassVar[str] = "Net"
    version: ClassVar[int] = 1
    published: ClassVar[Any] = Optimisation("sgd", 1e-4)
    small: ClassVar[dict] = {}
    cli_options: ClassVar[tuple] = ("encoder", "init")

    encoder: str = "vit_b"
    init: str = "sam"
    taps: tuple = (1, 2)

    def architecture(self, task):
        from torch import nn

        return nn.Conv2d(3, task.channels, 1)

    def build(self, task, weights):
        return self.architecture(task)

    def weights_needed(self):
        return ()


class Wide(Net):
    pass


@dataclass(frozen=True)
class Imposter(Net):
    name: ClassVar[str] = "unet"


@dataclass(frozen=True)
class Vain(Net):
    name: ClassVar[str] = "vain"
    published: ClassVar[Any] = "Adam"
    small: ClassVar[dict] = {"height": 1}


@dataclass(frozen=True)
class Picky(Net):
    name: ClassVar[str] = "picky"

    def __post_init__(self):
        raise ValueError("not so")


@dataclass(frozen=True)
class Pathy(Net):
    name: ClassVar[str] = "pathy"
    file: Any = frozenset({1})


@dataclass(frozen=True)
class Deaf(Net):
    name: ClassVar[str] = "deaf"
    cli_options: ClassVar[tuple] = ("encoder", "start", "taps")


@dataclass(frozen=True)
class Resnet(Net):
    name: ClassVar[str] = "resnet"
    title: ClassVar[str] = "ResNet"
    small: ClassVar[dict] = {"encoder": "resnet18"}
    cli_options: ClassVar[tuple] = ()

    encoder: str = "resnet34"
    init: str = "he"


@dataclass(frozen=True)
class Deep(Net):
    name: ClassVar[str] = "deep"
    small: ClassVar[dict] = {"encoder": "vit_t", "depth": 1}

    depth: int = 12


@dataclass
class Loose:
    name: ClassVar[str] = "Loose Net"
    width: int
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder where Python looks, with the module `somebodys`; what was imported from it is forgotten afterwards."""
    before, data = set(sys.modules), dict(catalog.DATASETS)
    (tmp_path / "somebodys.py").write_text(SYSTEM_CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
    catalog.DATASETS.clear()
    catalog.DATASETS.update(data)
    catalog._installed.clear()


def install(folder, package, group, **entries):
    """What installing a package leaves: its metadata, on the path, with the names it declares."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name.replace('_', '-')} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[rssam_bench.{group}]", *lines]))
    importlib.invalidate_caches()
    _declared.cache_clear()


def test_a_system_by_its_class_and_by_its_name(folder):
    install(folder, "kit", "models", net="somebodys:Net")
    by_class, by_name = find_model("somebodys:Net"), find_model("net")
    assert by_class == by_name
    assert is_own(by_class)
    assert isinstance(by_class, Model)
    assert installed_models() == ([by_class], [])
    assert find_model("unet") == UNet()
    assert not is_own(UNet(4))


def test_a_module_in_the_working_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "nearby.py").write_text(SYSTEM_CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    try:
        assert find_model("nearby:Net").title == "Net"
    finally:
        sys.modules.pop("nearby", None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere_at_all:Net", r"nowhere_at_all:Net cannot be imported \(ModuleNotFoundError: No module"),
        ("somebodys:Nothing", r"cannot be imported \(AttributeError: "),
        (":Net", r"expected module:Class of a system"),
        ("somebodys:SYSTEM", r"cannot be imported|is no frozen dataclass"),
        ("somebodys:Any", r"somebodys:Any is no frozen dataclass"),
        ("somebodys:Imposter", r"its name unet is that of a system of this suite, baselines\.unet:UNet"),
        ("somebodys:Vain", r"small names height, which is not a field of it; published must be an Optimisation"),
        ("somebodys:Deaf", r"cli_options names start, taps: choose from its fields encoder and init"),
        ("somebodys:Picky", r"cannot be made with its defaults, .*\(ValueError: not so\)"),
        ("somebodys:Pathy", r"options that no result can hold \(its defaults.file: expected a line, .*frozenset"),
        ("somebodys:Loose", r"it lacks title; .*build.*; it is not frozen; it has no default for width; its name must"),
    ],
)
def test_what_declares_no_system_is_told_all_that_is_wrong(folder, name, words):
    with pytest.raises(NotAModel, match=words):
        find_model(name)


def test_a_broken_package_is_in_nobodys_way(folder):
    (folder / "broken.py").write_text("import a_package_that_nobody_has")
    (folder / "rude.py").write_text("import sys; sys.exit(3)")
    install(folder, "kit", "models", net="somebodys:Net", bad="broken:Net", rude="rude:Net", other="somebodys:Net")
    models, problems = installed_models()
    assert [model.name for model in models] == ["net"]
    assert [problem.partition(" and is left")[0] for problem in problems] == [
        "the package kit (broken:Net) cannot be imported (ModuleNotFoundError: No module named "
        "'a_package_that_nobody_has')",
        "the package kit (somebodys:Net) has the name net, and is declared as other: left out",
        "the package kit (rude:Net) cannot be imported (SystemExit: 3)",
    ]
    with pytest.raises(Broken, match="a_package_that_nobody_has"):
        find_model("bad")


def test_a_name_declared_twice_is_refused_naming_both(folder):
    install(folder, "kit", "models", net="somebodys:Net", unet="somebodys:Net")
    install(folder, "rival", "models", net="rivals:Net")
    with pytest.raises(
        Collision, match=r"net is declared twice, by the package rival \(riv.* and by the package kit \(some"
    ):
        find_model("net")
    with pytest.raises(Collision, match=r"unet is declared twice, by this suite and by the package kit"):
        find_model("unet")
    with pytest.raises(UnknownName, match=r"choose from fcn, .*encoder-swap, net, or name a class: module:Class"):
        find_model("nett")


def test_a_name_whose_result_could_not_be_read_is_refused(folder):
    """Results refuse names of over 60 characters: such a system was trained, and its result then lost."""
    (folder / "longs.py").write_text(SYSTEM_CODE.replace('= "net"', f'= "{"n" * 61}"'))
    with pytest.raises(NotAModel, match="its name has 61 characters, at most 60"):
        find_model("longs:Net")


def test_data_sets_likewise(folder):
    code = """
    import dataclasses
    from data_prep.datasets.whdld import Whdld
    class Land(Whdld):
        name = "land"
    class Part:
        name = "part"
    """
    (folder / "sets.py").write_text(textwrap.dedent(code))
    install(folder, "kit", "datasets", land="sets:Land", part="sets:Part", whu="sets:Land", gone="nowhere_at_all:X")
    assert catalog.find_dataset("land").title == "WHDLD"
    assert catalog.find_dataset("land") is catalog.find_dataset("land")
    problems = catalog.load_installed()
    assert len(problems) == 3
    assert problems[0].startswith("the package kit (nowhere_at_all:X) cannot be imported (ModuleNotFoundError")
    assert problems[1].startswith("the package kit (sets:Part) is no data set: it lacks title, version, classes")
    assert problems[2].startswith("the name whu is declared twice, by this suite and by the package kit (sets:Land)")
    with pytest.raises(DataError, match="whu is declared twice"):
        catalog.find_dataset("whu")
    with pytest.raises(UnknownDataset, match="choose from deepglobe, whu, whdld, land, "):
        catalog.find_dataset("lands")


@pytest.mark.parametrize("arguments", [["reproduce", "--help"], ["audit", "--json"]])
def test_a_package_that_imports_torch_or_fails_delays_nothing(folder, arguments):
    (folder / "heavy.py").write_text("import torch\nraise RuntimeError('never asked for')")
    install(folder, "kit", "models", heavy="heavy:Net")
    install(folder, "kit2", "datasets", heavy="heavy:Set")
    code = (
        f"import sys; sys.argv = ['rssam-bench', *{arguments!r}]; sys.path.insert(0, {str(folder)!r})\n"
        "from benchmarks.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        "sys.exit(code or ('torch' in sys.modules and 9) or ('heavy' in sys.modules and 8))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def stored(run, dice=0.7, **changes):
    return fabricate(run, dice, provenance={**PROVENANCE, SYSTEM: record(run.model), **changes})


def forget(folder):
    """The machine of a reader who does not have the code."""
    (folder / "somebodys.py").unlink()
    forget_module()


def forget_module():
    sys.modules.pop("somebodys", None)


@pytest.mark.parametrize(
    "setting",
    [
        Setting("paper"), Setting("fair"), Setting("mini", "vit_t", "scratch"), Setting("smoke"),
        Setting("paper", split="blocked"),
    ],
    ids=str,
)  # fmt: skip
def test_a_report_shows_an_own_system_from_its_result_alone(folder, setting):
    """Under the very setting it was run with, beside the paper's rows under that setting, and under no other."""
    run = setting.run(find_model("somebodys:Net"), "deepglobe")
    paper = setting.run(TABLE1.rows[1].model, "deepglobe")
    results = stored(run, 0.81), fabricate(paper, 0.7)
    assert results[0].identity["model"]["options"]["taps"] == [1, 2]
    forget(folder)
    found = Collection(tuple(StoredResult(result, "own") for result in results))
    assert settings(found, TABLE1) == [setting]
    (frame,) = [table_frame for table_frame in table_frames(TABLE1, found, setting) if table_frame.results]
    last = frame.rows.iloc[-1]
    assert (last["Method"], last["keys"]) == ("Net (own system)", (results[0].key,))
    assert last["dice"] == pytest.approx(0.81, abs=1e-3)
    assert any("Net (own system), declared in `somebodys:Net`" in note for note in frame.notes)
    others = assemble([TABLES["table5"], TABLES["table7"]], found).frames
    assert all(
        "Net" not in str(table_frame.rows.to_dict())
        for table_frame in others
        if "Method" not in table_frame.table.label_columns
    )


@pytest.mark.parametrize(
    ("setting", "encoder"),
    [
        (Setting("paper"), "resnet34"),
        (Setting("paper", init="scratch"), "resnet34"),
        (Setting("mini", "vit_b"), "resnet34"),
        (Setting("mini", "vit_t", "scratch"), "resnet18"),
        (Setting("smoke"), "resnet18"),
    ],
    ids=str,
)
def test_a_field_of_its_own_named_encoder_is_left_alone(folder, setting, encoder):
    """It became "vit_t" of `--encoder`, and init "scratch"; smoke left it at its full size."""
    model = find_model("somebodys:Resnet")
    run = setting.run(model, "deepglobe")
    assert (run.model.encoder, run.model.init) == (encoder, "he")
    assert smallest(model).init == "he"
    result = stored(run, 0.81)
    forget(folder)
    assert setting.run(stand_in(result), "deepglobe").declared() == run.declared()
    found = Collection((StoredResult(result, "own"),))
    for shown in settings(found, TABLE1):
        (frame,) = table_frames(TABLE1, found, shown)
        assert frame.rows["keys"].to_list()[-1] == (result.key,)
    assert settings(found, TABLE1) == [Setting(setting.profile, "vit_t" if shown.encoder else None)]


@pytest.mark.parametrize(
    ("setting", "encoder", "depth"),
    [
        (Setting("paper"), "vit_b", 12),
        (Setting("mini"), "vit_b", 12),
        (Setting("mini", "vit_l"), "vit_l", 12),
        (Setting("mini", "vit_s", "scratch"), "vit_s", 1),
        (Setting("smoke"), "vit_t", 1),
        (Setting("smoke", "vit_s"), "vit_s", 1),
    ],
    ids=str,
)
def test_a_system_with_an_encoder_is_small_in_its_other_fields_too(folder, setting, encoder, depth):
    """Smoke gave it the small encoder with all twelve layers of its own: only systems without one took `small`."""
    model = find_model("somebodys:Deep")
    run = setting.run(model, "deepglobe")
    assert (run.model.encoder, run.model.depth) == (encoder, depth)
    result = stored(run, 0.81)
    forget(folder)
    assert setting.run(stand_in(result), "deepglobe").declared() == run.declared()
    found = Collection((StoredResult(result, "own"),))
    assert setting in settings(found, TABLE1)


def test_two_versions_are_two_rows(folder):
    first = Setting("paper").run(find_model("somebodys:Net"), "deepglobe")
    results = [stored(first, 0.6)]
    forget(folder)
    (folder / "somebodys.py").write_text(
        SYSTEM_CODE.replace("version: ClassVar[int] = 1", "version: ClassVar[int] = 22")
    )
    importlib.invalidate_caches()
    second = Setting("paper").run(find_model("somebodys:Net"), "deepglobe")
    results.append(stored(second, 0.7))
    found = Collection(tuple(StoredResult(result, "own") for result in results))
    (frame,) = table_frames(TABLE1, found, Setting("paper"))
    assert frame.rows["Method"].to_list()[-2:] == ["Net (own system, version 1)", "Net (own system, version 22)"]
    assert frame.rows["dice"].to_list()[-2:] == pytest.approx([0.6, 0.7], abs=1e-3)


def test_the_record_gives_the_declaration_back(folder):
    model = find_model("somebodys:Net")
    result = stored(Setting("paper").run(model, "deepglobe"))
    known = stand_in(result)
    assert known is stand_in(result)
    assert (known.title, known.version, known.published) == ("Net", 1, model.published)
    assert dataclasses.asdict(known) == dataclasses.asdict(model)
    assert stand_in(fabricate(Setting("paper").run(UNet(), "deepglobe"))) is None


def test_a_result_finds_its_system_again_if_the_user_names_it(folder):
    identity = Setting("paper").run(find_model("somebodys:Net"), "deepglobe").declared()
    forget_module()
    with pytest.raises(UnknownName, match=r"is not one of fcn, .*name its class with --model somebodys:Net, which the"):
        declared_model(identity, noted="somebodys:Net")
    with pytest.raises(UnknownName, match=r"name its class with --model module:Class \(see"):
        declared_model(identity, noted="os; rm -r /:Net")  # what is no class is not shown either
    assert "somebodys" not in sys.modules  # a result says nothing of what is imported
    net = find_model("somebodys:Net")
    assert declared_model(identity, net) == net
    with pytest.raises(UserError, match="is of the system 'other', and --model declares 'net'"):
        model_of_result("other", net)
    install(folder, "kit", "models", net="somebodys:Net")
    assert declared_model(identity) == find_model("net")


def test_an_own_system_is_run_in_place_of_the_rows(folder):
    model = find_model("somebodys:Net")
    runs = plan(find_items(["table1", "table3", "table4"]), Setting("mini"), [0], 0, 2, own=[model, MODELS["unet"]])
    assert [(run.model.name, run.dataset.name, run.seed) for run in runs] == [
        (name, data, seed) for seed in (0, 1) for data in ("deepglobe", "whdld") for name in ("net", "unet")
    ]
    for item in ("table5", "table6", "fig6", "claims"):
        with pytest.raises(UnknownName, match=f"{item} has no place .*table1, table2, table3, table4, table7"):
            require_suitable(find_items([item]), Setting("mini"), [model])


def test_a_changed_file_is_told(folder, tmp_path):
    """An old score shown as that of the new network would be believed."""
    run = Setting("paper").run(find_model("somebodys:Net"), "deepglobe")
    result = stored(run)
    resolved = ResolvedRun(run, result.identity["data"], (), "bf16-mixed")
    assert resolved.key == result.key
    Store(tmp_path / "home").put(result)
    assert changes([resolved], Store(tmp_path / "home")) == []
    (folder / "somebodys.py").write_text(SYSTEM_CODE + "\n# another thought\n")
    (note,) = changes([resolved], Store(tmp_path / "home"))
    assert "somebodys.py of the code of somebodys has changed" in note
    assert "raise its version (now 1)" in note


def test_a_stand_in_builds_nothing(folder):
    known = stand_in(stored(Setting("paper").run(find_model("somebodys:Net"), "deepglobe")))
    with pytest.raises(UserError, match="known from its results only"):
        known.architecture(None)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("_mode: int = 3", "expected the name of an option, found '_mode'"),
        ("größe: int = 3", "expected the name of an option, found 'gr"),
        ("small: int = 3", "expected the name of an option, found 'small'"),
        ("title: str = 'x'", "expected the name of an option, found 'title'"),
        ("mode: str = 'a\\nb'", "its defaults.mode: expected a line"),
        ("n: int = 10**400", "its defaults.n: expected a line, a number.* too many digits"),
        ("n: int = 10**40", "its defaults.n: expected a line, a number"),
        ("f: float = float('inf')", "its defaults.f: expected a line, a number.* found inf"),
        ("deep: tuple = ((((((1,),),),),),)", "its defaults.deep: expected"),
        ("cli_options: ClassVar[int] = 3", "cli_options must be a tuple of names, found 3"),
    ],
)
def test_what_the_reader_refuses_is_refused_before_training(folder, line, words):
    """Each was trained, and its result or record could then not be read; `small: int` ended in a TypeError."""
    (folder / "odd.py").write_text(f"{SYSTEM_CODE}\n\n@dataclass(frozen=True)\nclass Odd(Net):\n    {line}\n")
    importlib.invalidate_caches()
    sys.modules.pop("odd", None)
    try:
        with pytest.raises(NotAModel, match=words) as caught:
            find_model("odd:Odd")
    finally:
        sys.modules.pop("odd", None)
    assert "\n" not in str(caught.value)


def test_nested_tuples_are_options(folder):
    """The stand-in had a tuple of lists, which has no hash: its result ended every report."""
    (folder / "nested.py").write_text(
        f"{SYSTEM_CODE}\n\n@dataclass(frozen=True)\nclass Nested(Net):\n    scales: tuple = ((1, 2), (3, 4))\n"
    )
    importlib.invalidate_caches()
    try:
        run = Setting("paper").run(find_model("nested:Nested"), "deepglobe")
        result = Result.from_json(json.loads(json.dumps(stored(run, 0.8).to_json())))
    finally:
        sys.modules.pop("nested", None)
    assert stand_in(result).scales == ((1, 2), (3, 4))
    assert settings(Collection((StoredResult(result, "own"),)), TABLE1) == [Setting("paper")]
