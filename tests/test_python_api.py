"""The names behind the four doors: each has an example that runs, and the page that tells how to use them runs too."""

import ast
import dataclasses
import doctest
import importlib
import inspect
import os
import re
import threading
from functools import partial

import numpy as np
import pytest

from benchmarks import Home, RunFailed, count_masks, fine_tune, load_network, open_home, reproduce, scores
from benchmarks.execution import observer
from benchmarks.execution.plan import plan, resolve_all
from benchmarks.execution.session import Session
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.targets import choose
from benchmarks.results.store import Store
from benchmarks.signals import Stop, handle_signals
from data_prep import DataError, find_dataset, load_manifest, open_prepared, prepare_folders
from data_prep.datasets.folder_options import ClassMap
from data_prep.registry import register_home
from reports import count_interval, read_results, read_table, write_report
from rssam import UserError
from tests.benchmarks.prepared import make_session, write_prepared
from tests.conftest import REPOSITORY
from tests.reports.fabricate import fill

DOORS = ("rssam", "data_prep", "benchmarks", "reports")
NAMES = [f"{door}.{name}" for door in DOORS for name in importlib.import_module(door).__all__]
PAGE = (REPOSITORY / "docs" / "python.md").read_text()


def public(name):
    door, _, attribute = name.partition(".")
    return getattr(importlib.import_module(door), attribute)


DESCRIBED = [name for name in NAMES if inspect.isclass(public(name)) or inspect.isfunction(public(name))]


def failures(text, name):
    """Run the examples of a text and return how many there are, with what those that failed printed."""
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    return result.attempted, "".join(report)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the examples of docs/python.md have run, which later examples go on from.

    Their profile draws 24 crops of each image. Here it draws 4, from which the network learns the bands as well.
    """
    folder, before, demo = tmp_path_factory.mktemp("examples"), os.getcwd(), PROFILES["demo"]
    os.chdir(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "demo", dataclasses.replace(demo, recipe=dataclasses.replace(demo.recipe, crops=4)))
        attempted, report = failures("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), "docs/python.md")
        yield folder, attempted, report
    os.chdir(before)
    register_home(folder / "nowhere")  # forget the data set of the example


def test_the_page_runs(folder):
    _, attempted, report = folder
    assert attempted > 40
    assert not report


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_example_of_every_public_name_runs(folder, name):
    attempted, report = failures(inspect.getdoc(public(name)) or "", name)
    assert attempted, f"{name} has no example"
    assert not report


@pytest.mark.parametrize("name", [name for name in NAMES if dataclasses.is_dataclass(public(name))])
def test_help_says_what_every_field_is(name):
    """Comments behind fields are on the site alone: `help(Outcome)` did not say what `diverged` holds."""
    words = re.findall(r"\w+", inspect.getdoc(public(name)) or "")
    assert not {field.name for field in dataclasses.fields(public(name))} - set(words)


@pytest.mark.parametrize("door", DOORS)
def test_a_door_names_what_it_imports_when_used(door):
    """Its list, what type checkers read and what is imported on demand are the same names from the same modules."""
    tree = ast.parse((REPOSITORY / door / "__init__.py").read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    typed = {alias.name: node.module for node in guarded.body for alias in node.names}
    (call,) = [node for node in ast.walk(guarded) if isinstance(node, ast.Call)]
    on_demand = {name: module for module, names in ast.literal_eval(call.args[1]).items() for name in names}
    eager = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module not in ("typing", "rssam.on_demand")
        for alias in node.names
    }
    package = importlib.import_module(door)
    assert on_demand == typed
    assert set(package.__all__) == typed.keys() | eager
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = package.nonsense


def test_a_data_set_of_a_home_is_known_once_the_home_is_open(folder, tmp_path):
    """`find_dataset("roads")` was unknown outside of the command line."""
    register_home(tmp_path / "nowhere")
    with pytest.raises(DataError, match="unknown data set 'roads'"):
        find_dataset("roads")
    assert open_home("example") == Home((folder[0] / "example").resolve())
    assert find_dataset("roads") == open_prepared("example/data/roads").dataset
    (tmp_path / "data" / "bad").mkdir(parents=True)
    (tmp_path / "data" / "bad" / "dataset.json").write_text("{")
    with pytest.warns(UserWarning, match=r"dataset\.json is damaged"):
        open_home(tmp_path)


def test_a_report_knows_the_data_sets_of_its_home(folder, tmp_path):
    """In a process that had not opened the home, `filled` was () and table5.csv had no result: 0 of 5 rows.

    CSV and LaTeX did not say so, as they do not say what else is left out.
    """
    register_home(tmp_path / "nowhere")
    written = write_report(["table5"], ["csv"], str(tmp_path), "example")
    assert (written.filled[0], written.notes) == ("table5 1 of 5 rows", ())
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "torn.json").write_text("{")
    (note,) = write_report(["table5"], ["tex"], tmp_path, Home(tmp_path)).notes
    assert note.startswith("Left out: torn.json")


@pytest.mark.parametrize("read", [read_results, partial(read_table, "table5")])
def test_what_is_left_out_is_named_by_a_warning(tmp_path, read):
    """`read_table` gave 5 rows "not run" and no warning: of a damaged file, and of one of an earlier protocol."""
    damaged, result = fill(tmp_path, [0.70, 0.75])
    Store(tmp_path).path(damaged.key).write_text("{")
    Store(tmp_path).path(result.key).unlink()
    outdated = dataclasses.replace(result, identity={**result.identity, "protocol": 0})
    Store(tmp_path).put(outdated)
    with pytest.warns(UserWarning, match=f"{damaged.key}|made under protocol 0") as caught:
        read(tmp_path)
    texts = [str(warning.message) for warning in caught]
    assert [text.partition(" ")[0].rstrip(":") for text in texts] == [f"{damaged.key}.json", outdated.key]
    assert "made under protocol 0" in texts[1]
    assert {warning.filename for warning in caught} == {__file__}


def test_a_manifest_of_another_data_set_is_refused(tmp_path):
    """The manifest of DeepGlobe was returned as that of WHU."""
    write_prepared(tmp_path / "whu")
    with pytest.raises(DataError, match=r"expected the data set whu in .*, found deepglobe"):
        load_manifest(tmp_path / "whu", "whu")
    with pytest.raises(DataError, match="found deepglobe"):
        open_prepared(tmp_path / "whu")


def test_two_folders_are_prepared_as_a_source_with_both(folder, tmp_path):
    """So runs have one key, whichever way their data were prepared."""
    command = importlib.import_module("benchmarks.cli.prepare")._own_dataset
    source = folder[0] / "scenes"
    own = command(source, ["road=255"], None, None, ClassMap(name="roads"))
    manifest = own.prepare(source, tmp_path / "roads", origin="source", workers=1, progress=lambda *_: None)
    assert own == open_prepared(folder[0] / "example" / "data" / "roads").dataset
    assert manifest.digest(0) == load_manifest(folder[0] / "example" / "data" / "roads", "roads").digest(0)
    with pytest.raises(DataError, match="expected a folder of masks at nowhere, found none"):
        prepare_folders(source / "images", "nowhere", tmp_path / "x", {"road": 255})
    with pytest.raises(DataError, match="the name whu is taken"):
        prepare_folders(source / "images", source / "masks", tmp_path / "whu", {"road": 255})


def test_a_fine_tuned_system_is_the_row_of_the_command(folder):
    """With the same key: `reproduce table5 --row 5 --dataset roads` finds what `fine_tune` trained."""
    home = open_home("example")
    (run,) = plan(*choose(["table5"], "demo", dataset="roads", rows=["5"]), [0], 0, None)
    (resolved,) = resolve_all([run], Session(home.root, "cpu", observer.Observer()))
    outcome = fine_tune("roads", profile="demo", home=home, progress=False)
    assert (outcome.status, outcome.key) == ("cached", resolved.key)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "zzz"}, "unknown split rule 'zzz': choose from random, blocked"),  # trained on the split of "random"
        ({"init": "zzz", "system": "unet"}, "unknown init 'zzz': choose from sam, scratch"),  # trained from ImageNet's
        ({"device": "gpu"}, "unknown device 'gpu': choose from auto, cpu, cuda"),  # "auto" was taken
        ({"precision": "half"}, "unknown precision 'half': choose from auto, bf16, fp16, fp32"),  # KeyError
        ({"encoder": "vit_b", "system": "unet"}, "unet has no SAM encoder that --encoder vit_b could"),  # trained UNet
    ],
)
def test_an_option_is_never_dropped(folder, options, words):
    """These came back "cached" or were trained, as if the option had not been given."""
    with pytest.raises(UserError, match=words):
        fine_tune("roads", profile="demo", home="example", progress=False, **options)


def test_something_must_be_asked_for(tmp_path):
    """`reproduce()` returned [], as if all was done; the command says that ITEM is missing."""
    with pytest.raises(UserError, match=r"expected an item, found none: choose from table1, .*fig7, claims, .* all"):
        reproduce(home=tmp_path)
    with pytest.raises(UserError, match=r"expected an item, found none: choose from table1, "):
        write_report([], ["md"], tmp_path / "report", tmp_path)  # it wrote a page of nothing
    assert not (tmp_path / "report").exists()
    with pytest.raises(UserError, match="expected a seed, found none"):
        reproduce("table5", seeds=(), home=tmp_path)  # it returned [] too


@pytest.fixture
def quick(monkeypatch):
    """The smoke profile on few small crops."""
    smoke = PROFILES["smoke"]
    recipe = dataclasses.replace(smoke.recipe, crop=64, crops=1, limit=4)
    monkeypatch.setitem(PROFILES, "smoke", dataclasses.replace(smoke, recipe=recipe))


def test_rows_own_systems_and_failures(tmp_path, quick, capsys):
    make_session(tmp_path)
    outcomes = reproduce("table1", rows=["UNet (smp", "FCN"], profile="smoke", home=tmp_path, device="cpu")
    assert [outcome.status for outcome in outcomes] == ["trained", "trained"]
    assert "trained: Dice" in capsys.readouterr().err
    assert sorted(read_results(tmp_path)["system"]) == ["FCN", "UNet (smp)"]
    (frame,) = read_table("table1", tmp_path)
    assert list(frame.rows["state"]).count("not run") == 10
    with pytest.raises(UserError, match="leave one out"):
        reproduce("table1", rows=[1], models=["unet"], profile="smoke", home=tmp_path)
    (tmp_path / "data" / "deepglobe" / "images" / "1000.png").write_bytes(b"")
    with pytest.raises(RunFailed, match=r"deepglobe-unet-\w+: .*not as they were made"):
        fine_tune("deepglobe", system="unet", profile="smoke", home=tmp_path, progress=False)


def test_an_interruption_is_one_of_python(tmp_path, quick, monkeypatch):
    """And the same call goes on: the outcome of a stopped session came back as if the plan had ended."""
    make_session(tmp_path)
    monkeypatch.setattr(Stop, "wanted", property(lambda stop: True))
    with pytest.raises(KeyboardInterrupt, match="the same call goes on"):
        reproduce("table1", rows=["FCN"], profile="smoke", home=tmp_path, progress=False)


def test_signals_are_left_alone_outside_of_the_main_thread():
    """`signal.signal` raised ValueError, as in the worker threads of a notebook or a server."""
    errors = []

    def work():
        try:
            with handle_signals(Stop(), print):
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors


def test_counts_are_those_of_a_loop_over_pixels():
    rng = np.random.default_rng(0)
    truths, predictions = rng.integers(0, 3, (2, 5, 7)), rng.integers(0, 3, (2, 5, 7))
    truths[0, 0] = 255
    counts = count_masks([*truths], [*predictions], classes=3)
    for image in range(2):
        for label in range(3):
            pairs = [(t, p) for t, p in zip(truths[image].flat, predictions[image].flat, strict=True) if t != 255]
            assert counts.tp[image, label] == sum(t == label == p for t, p in pairs)
            assert counts.fp[image, label] == sum(t != label == p for t, p in pairs)
            assert counts.fn[image, label] == sum(t == label != p for t, p in pairs)
    assert scores(count_masks([truths[0] > 1], [truths[0] > 1]), "foreground").dice == 1


@pytest.mark.parametrize(
    ("truth", "prediction", "words"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), "image 0: expected two masks"),
        (np.full((2, 2), 2), np.zeros((2, 2), int), "expected labels 0 to 1, found also 2"),
        (np.zeros((2, 2), int), np.full((2, 2), 255), "found also 255"),
    ],
)
def test_masks_that_cannot_be_counted(truth, prediction, words):
    with pytest.raises(ValueError, match=words):
        count_masks([truth], [prediction])


def test_masks_of_0_and_255_are_no_ignored_foreground():
    """Such truths gave no true positive, 0 of 6: all of the foreground was ignored, without a word."""
    truth = np.array([[0, 255, 255], [0, 0, 255]])
    empty, prediction = np.zeros((2, 3), int), truth // 255
    with pytest.raises(ValueError, match=r"found 255 and no 1: divide them by 255 .* or pass ignore=255"):
        count_masks([truth, empty, truth], [prediction, empty, prediction])
    assert count_masks([truth // 255] * 2, [prediction] * 2).tp.sum() == 6
    # Background and ignored pixels alone: beside an image with the class, or where the caller says so.
    assert count_masks([truth, prediction], [empty, prediction]).tp[:, 0].tolist() == [0, 3]
    counts = count_masks([truth], [np.ones((2, 3), int)], ignore=255)
    assert (counts.tp.sum(), counts.fp.sum(), counts.fn.sum(), counts.tn.sum()) == (0, 3, 0, 0)


def test_another_label_can_be_the_ignored_one():
    truth, prediction = np.array([[0, 1, 9, 9]]), np.array([[1, 1, 1, 0]])
    counts = count_masks([truth], [prediction], ignore=9)
    assert (counts.tp.sum(), counts.fp.sum(), counts.fn.sum(), counts.tn.sum()) == (1, 1, 0, 0)
    with pytest.raises(ValueError, match="image 0: expected labels 0 to 1, found also 255"):
        count_masks([np.where(truth == 9, 255, truth)], [prediction], ignore=9)


def test_scenes_are_the_units_of_an_interval():
    """Tiles of one scene err alike: as images they would give an interval that is too narrow."""
    mask = np.ones((2, 2), int)
    missed = np.array([[1, 1], [1, 0]])
    counts = count_masks([mask] * 60, [missed, mask, mask] * 20)
    alone, scenes = count_interval(counts), count_interval(counts, [str(number // 2) for number in range(60)])
    assert (alone.units, scenes.units) == ("60 test images", "30 test scenes")
    with pytest.raises(ValueError, match="expected the scene of each of 60 images, found 1"):
        count_interval(counts, ["one"])


def test_a_network_is_of_a_run_or_of_an_adapter(tmp_path):
    with pytest.raises(UserError, match="give one of run and adapter"):
        load_network(home=tmp_path)
