"""The command `predict`: a run of this home on files, its options, and what it refuses before any work."""

import json
import os
import signal
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from typer.testing import CliRunner

from benchmarks.cli.app import app
from benchmarks.execution import hardware
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.run_status import Progress, StatusFiles
from benchmarks.execution.runner import execute_all
from benchmarks.export import predict as prediction
from benchmarks.export.load_run import load_run
from benchmarks.export.predict import network_of, outputs_for
from benchmarks.metrics.confusion import predicted_labels
from benchmarks.results.result import Result
from rssam.errors import UserError
from tests.benchmarks.prepared import LORA, TINY, make_session, tiny_run
from tests.benchmarks.processes import FORKSERVER, command, outcome_of


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    session = make_session(tmp_path_factory.mktemp("home"))
    [outcome] = execute_all(resolve_all([tiny_run()], session), session)
    return session, outcome.key


def call(session, *arguments):
    return CliRunner().invoke(app, ["--home", str(session.home), "predict", *map(str, arguments)])


def picture(path, size=(64, 64), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_a_run_predicts_files_as_it_was_tested(tmp_path, home):
    session, key = home
    pixels = [picture(tmp_path / f"{name}.png", seed=name) for name in (1, 2)]
    images, out = [tmp_path / "1.png", tmp_path / "2.png"], tmp_path / "maps"
    extras = ("--probabilities", "--vectors", out, "--quicklook", out, "--device", "cpu")
    done = call(session, *images, "--run", key, "--out", out, *extras, "--json")
    assert done.exit_code == 0, done.output
    records = json.loads(done.stdout)
    net = load_run(session.home, key).net
    for name, shown, record in zip((1, 2), pixels, records, strict=True):
        with torch.inference_mode():
            logits = net(torch.from_numpy(shown.transpose(2, 0, 1)[None] / np.float32(255)))[0]
        expected = predicted_labels(logits).numpy()
        with rasterio.open(out / f"{name}.tif") as found:
            np.testing.assert_array_equal(found.read(1), expected)
        assert record["pixels"] == {"background": int((expected == 0).sum()), "road": int(expected.sum())}
        made = {f"{name}.tif", f"{name}.probabilities.tif", f"{name}.gpkg", f"{name}.png"}
        assert made <= {path.name for path in out.iterdir()}
    assert "has no coordinate system" in done.stderr
    again = call(session, images[0], "--run", key, "--out", out)
    assert isinstance(again.exception, UserError)
    assert "is there already" in str(again.exception)
    turned = call(session, images[0], "--run", key, "--out", out, "--overwrite", "--tta", "all", "--overlap", 0)
    assert turned.exit_code == 0
    assert "1.png: background" in turned.stdout


def test_a_collapsed_run_is_said(tmp_path, home, monkeypatch):
    """Its map was empty, without a word: "background 100.0%, road 0.0%"."""
    session, key = home
    picture(tmp_path / "scene.png")
    for collapsed in (False, True):
        monkeypatch.setattr(Result, "collapsed", collapsed)
        done = call(session, tmp_path / "scene.png", "--run", key, "--out", tmp_path / f"{collapsed}.tif")
        assert done.exit_code == 0, done.output
        assert (f"note: {key} is collapsed: on its test images its Dice" in done.stderr) == collapsed


def test_bf16_on_a_cpu_is_for_the_asking(tmp_path, home, monkeypatch):
    """It was refused silently: the map was in float32 whatever was wished."""
    session, key = home
    monkeypatch.setattr(hardware, "has_native_bf16", lambda device: True)
    shown, image = picture(tmp_path / "1.png"), tmp_path / "1.png"
    net, found = load_run(session.home, key).net, {}
    for name, half in (("auto", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        out = tmp_path / f"{name}.tif"
        done = call(session, image, "--run", key, "--out", out, "--precision", name, "--probabilities", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)[0]["precision"] == ("fp32" if half is None else name)
        said = {"auto": "", "bf16": "bf16 on this CPU, which multiplies it natively", "fp16": "in software on this CPU"}
        assert said[name] in done.stderr
        assert (half is None) == (" CPU" not in done.stderr)
        with torch.inference_mode(), torch.autocast("cpu", half or torch.bfloat16, enabled=half is not None):
            logits = net(torch.from_numpy(shown.transpose(2, 0, 1)[None] / np.float32(255)))[0].float()
        with rasterio.open(out) as written:
            np.testing.assert_array_equal(written.read(1), predicted_labels(logits).numpy())
            assert written.tags()["PRECISION"] == ("float32" if half is None else str(half).removeprefix("torch."))
        with rasterio.open(out.with_suffix(".probabilities.tif")) as written:
            found[name] = written.read(1)
    assert (found["bf16"] != found["auto"]).any()


def test_of_several_images_the_good_ones_are_predicted(tmp_path, home):
    session, key = home
    picture(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no picture")
    done = call(session, tmp_path / "bad.png", tmp_path / "good.png", "--run", key, "--out", tmp_path / "maps")
    assert done.exit_code == 1
    assert "error: " in done.stderr
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["good.tif"]


def test_what_does_not_fit_is_refused(tmp_path, home):
    session, key = home
    run = tiny_run(LORA, replace(TINY, epochs=1))  # a U-Net takes tiles of any size
    [fixed] = execute_all(resolve_all([run], session), session)
    picture(tmp_path / "a.png")
    image, out = tmp_path / "a.png", tmp_path / "a.tif"
    for options, words in (
        (("--run", key, "--bands", "1,2"), "--bands 1,2: expected 3 whole numbers"),
        (("--run", key, "--scale", "a,2"), "--scale a,2: expected 2 numbers"),
        (("--run", key, "--scale", "1,2,3"), "--scale 1,2,3: expected 2 numbers"),
        (("--run", key, "--scale", "5,5"), "MIN below MAX"),
        (("--run", fixed.key, "--tile", "96"), "--tile 96 does not fit this network, .* 64x64"),
        (("--run", key, "--overlap", "64"), "an overlap of 64 pixels does not fit"),
        (("--run", "none"), "no finished run 'none'"),
    ):
        with pytest.raises(UserError, match=words):
            raise call(session, image, "--out", out, *options).exception
    mask = next(session.home.glob("data/deepglobe/masks/*.png"))
    with pytest.raises(UserError, match=r"expected a place outside of .*data, whose files are the suite's own"):
        raise call(session, image, "--out", out, "--run", key, "--quicklook", mask, "--overwrite").exception
    for options in ((), ("--run", key, "--adapter", "x")):
        done = call(session, image, "--out", out, *options)
        assert (done.exit_code, "give one of --run KEY and --adapter FILE" in done.stderr) == (2, True)
    assert not out.exists()


@pytest.mark.parametrize("text", ["unet@deepglobe", "UNet@deepglobe", "deepglobe-unet"])
def test_a_run_that_is_only_begun_is_said(tmp_path, text):
    """It said "choose from none yet", whatever was begun."""
    session = make_session(tmp_path / "home")
    [item] = resolve_all([tiny_run()], session)
    files = StatusFiles(session.store.work(item.key))
    files.folder.mkdir(parents=True)
    (files.folder / "last.safetensors").touch()
    files.declare(item.identity())
    files.note(Progress("training", 3, 30, 4, 10, 0.1, None, "cpu", "now"))
    picture(tmp_path / "a.png")
    command = f"rssam-bench --home {session.home} status"
    with pytest.raises(UserError) as error:
        raise call(session, tmp_path / "a.png", "--out", tmp_path / "a.tif", "--run", text).exception
    state = f"{item.key} is begun (saved near epoch 3 of 30, step 4 of 10)"
    assert str(error.value) == f"no finished run {text!r} in {session.home}: {state}. All runs: {command}"
    with pytest.raises(UserError, match=r"none is finished there\. All runs: rssam-bench --home"):
        raise call(session, tmp_path / "a.png", "--out", tmp_path / "a.tif", "--run", "rs-sam@mine").exception


def test_names_of_outputs(tmp_path):
    first, second = tmp_path / "a" / "x.tif", tmp_path / "b" / "y.tif"
    options = {"probabilities": False, "overwrite": False}
    found = outputs_for([first, second], tmp_path / "maps", None, None, **options)
    assert [outputs.class_map for outputs in found] == [tmp_path / "maps" / "x.tif", tmp_path / "maps" / "y.tif"]
    for images, out, words in (
        ([first, second], tmp_path / "map.tif", "expected a folder, because there are 2 images"),
        ([first], tmp_path / "map.png", r"expected a name ending in \.tif or \.tiff"),
        ([first, tmp_path / "c" / "x.png"], tmp_path / "maps", "several images are called x"),
        ([first], first, "is an image to be predicted"),
    ):
        with pytest.raises(UserError, match=words):
            outputs_for(images, out, None, None, **options)


def test_on_a_gpu_a_network_predicts_in_the_layout_of_its_test(home):
    """It was tested channels last there, and predicted in the other layout; on the CPU both are as trained."""
    session, key = home
    trained = load_run(session.home, key)
    kernels = [module.weight for module in trained.net.modules() if isinstance(module, torch.nn.Conv2d)]
    wide = [kernel for kernel in kernels if min(kernel.shape[1:]) > 1]
    network_of(trained, "32-true")
    assert wide
    assert all(kernel.is_contiguous() for kernel in wide)
    network_of(trained, "32-true", "cuda")
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in wide)


def test_colours_are_those_of_the_data_set_or_can_be_told_apart(home, monkeypatch):
    session, key = home
    trained = load_run(session.home, key)
    assert network_of(trained, "32-true").palette == ((0, 0, 0), (255, 255, 255))
    monkeypatch.setattr(prediction, "DATASETS", {})
    assert len(set(network_of(trained, "32-true").palette)) == 2


def predict_to_the_end(home, log, *arguments):
    """The command in a process of its own, with its exit code."""
    sys.exit(command(home, log, "predict", *map(str, arguments)))


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_costs_no_finished_row(tmp_path, home, number):
    """The same command goes on behind the rows that were noted, to the bytes of a prediction without an end."""
    session, key = home
    picture(tmp_path / "scene.png", size=(1000, 100))
    arguments = (tmp_path / "scene.png", "--run", key, "--device", "cpu", "--out")
    calm, out, log = tmp_path / "calm.tif", tmp_path / "map.tif", tmp_path / "log"
    assert call(session, *arguments, calm).exit_code == 0
    child = FORKSERVER.Process(target=predict_to_the_end, args=(session.home, log, *arguments, out))
    child.start()
    note, until = tmp_path / ".map.tif.part" / "note.json", time.monotonic() + 60
    while not (note.exists() and json.loads(note.read_text())["rows"] > 0):
        assert child.is_alive(), log.read_text()
        assert time.monotonic() < until
        time.sleep(0.005)
    os.kill(child.pid, number)
    child.join(60)
    rows = json.loads(note.read_text())["rows"]
    assert 0 < rows < 1000
    assert not out.exists()
    if number == signal.SIGKILL:
        assert child.exitcode == -number
    else:
        assert child.exitcode == 1
        assert "its finished rows are kept, run the same command again to go on" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert outcome_of(predict_to_the_end, session.home, log, *arguments, out) == 0
    assert f"goes on after {rows} of 1000 finished rows" in log.read_text()
    assert out.read_bytes() == calm.read_bytes()
    assert not note.parent.exists()
