"""Every command of the pages runs: page by page, in the order of the page, on small things in place of a reader's.

`tests/test_pages.py` parses the commands and finds their names. A command without a rule here fails.
"""

import dataclasses
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from typer.testing import CliRunner

from benchmarks.cli.app import app
from benchmarks.doctor import DoctorCheck
from benchmarks.protocol.recipe import PROFILES
from data_prep import registry as catalog
from data_prep.dataset import Dataset
from data_prep.registry import DATASETS, find_dataset
from data_prep.synthetic.marker import MARKER
from data_prep.synthetic.road_scenes import road_scene
from rssam.errors import UserError
from tests.benchmarks.prepared import write_prepared
from tests.conftest import REPOSITORY, take_attempts
from tests.test_docs import PAGES
from tests.test_extend import EXAMPLES, install
from tests.test_pages import UNCHECKED, commands
from tests.test_tutorial import PAGE as TUTORIAL

pytestmark = pytest.mark.slow

FITTED = (
    # A reader's own files, as `given` makes them.
    (r"--source DIR --classes background=0", "--source GIVEN/land --classes background=0"),
    (r"--source DIR --class-map land.yaml", "--source GIVEN/land --class-map GIVEN/land.yaml"),
    (r"--source (DIR|deepglobe-layout-vegas)\b", "--source GIVEN/pairs"),
    (r"--source field", "--source GIVEN/field"),
    (r"--source \S*(deepglobe|lakes).zip\S*", r"--source GIVEN/\1.zip"),
    (r"--predictions \S+", "--predictions GIVEN/masks"),
    (r"--adapter roads.safetensors", "--adapter GIVEN/roads.safetensors"),
    (r"predict '?(scene.tif|new.tif|sheets/\*.tif)'?", r"predict GIVEN/\1"),
    (r"reports/results/vegas-roads", f"{REPOSITORY}/reports/results/vegas-roads"),
    # Names of homes, runs and data sets.
    (r"--home (/shared/rssam|\.demo|\.smoke)", "--home other"),
    (r"^(prepare (deepglobe|whu|whdld) --(source|synthetic))", r"--home other \1"),  # GIVEN/home has another deepglobe
    (r"--run KEY(?= --model)", "--run mynet@deepglobe"),
    (r"--run (KEY|deepglobe-rs-sam-0123456789)", "--run rs-sam@deepglobe"),
    (r"--dataset OTHER", "--dataset my-roads"),
    (r"(still-sam.*) --dataset mine", r"\1 --dataset my-roads"),
    # Seconds in place of hours: one run of a plan, on the smallest networks and crops, in this process.
    (r"--dry-run --time", "--dry-run --time --profile smoke --row 1 --device cpu"),
    (r"\breproduce (?!.*--dry-run)(?!.*--profile)", "reproduce --profile smoke "),
    (r"--profile (paper|mini)(?!.*--dry-run)", "--profile smoke"),
    (r" --part \d+/\d+", ""),
    (r"\breproduce (?!.*--dry-run)(.*)", r"reproduce \1 --part 1/99 --device cpu --no-track"),
    (r" --(jobs|workers) \d+", ""),
    (r"--synthetic 24", "--synthetic 8"),
    (r"(prepare .*--(source|synthetic) .*)", r"\1 --workers 1"),
    (r"speed all", "speed unet sam-lora"),
    (r" --compare transformers-sdpa", ""),  # a package that the suite does not install
    (r"(speed\b.* timm.*)", r"\1 --size 32 --rounds 7 --batch 1 --group 1"),  # timm has no vit_t
    (r"(speed\b(?!.* timm).*)", r"\1 --encoder vit_t --size 64 --rounds 7 --batch 1 --group 1"),
)
"""What in the line of a command is replaced by what, in this order."""

SMALL = {
    "prepare": "--pairs 8 --rounds 1 --workers 1",
    "encode": "--source GIVEN/large --images 1 --rounds 1",
    "attention": "--encoder vit_t --side 64 --rounds 1 --threads 1",
    "loader": "--home HOME --encoder vit_t --side 64 --rounds 1 --workers 1",
    "report": "--seeds 1 --rounds 1 --formats md",
    "seams --samples": "--samples GIVEN/large --tiles 8 --workers 1",
    "seams --block": "--block GIVEN/block",
    "rasters": "--sides 8192 --strips 8192 --workers 1",
    "checkpoint": "--rounds 1 --side 64",
    "object_metrics": "--samples GIVEN/large --images 1 --rounds 1",
    "peers": "--sides 64 --threads 1 --rounds 1 --what forward",
    "chain distance": "distance --seeds 1",
    "chain learn --chain": "learn --chain sam_first --row 2 --out sam_first.jsonl",
    "chain learn": "learn --row 2 --out printed.jsonl",
    "chain table": "table printed.jsonl sam_first.jsonl",
    "norms --rounds 9 --precision": "--rounds 1 --side 64 --precision bf16",
    "norms": "--rounds 1 --side 64",
    "predict memory": "memory --width 512 --heights 256",
    "png": "--home HOME --rounds 1",
    "intervals --unequal": "--unequal --simulations 2",
    "intervals": "--simulations 2 --draws 20 --units 10",
}
"""Arguments in place of those of `python docs/measure/NAME.py`, by the longest beginning of what follows there."""

REFUSED = {
    r"(--home other )?prepare weights vit_b": "could not download https://dl.fbaipublicfiles.com",
    r"prepare weights dinov3_b": "accept its licence at its source first",
    r"prepare folder": "--source",
    r"prepare|predict|export|evaluate": "Missing",
}
"""Commands that end in a sentence here, with words of it: checkpoints are fetched, and prose names a command alone."""

NOT_RUN = {
    r"rssam-bench mlflow": "serves pages until it is stopped: tests/benchmarks/tracking/test_server.py",
    r"rssam-bench .*--executor ray": "tests/benchmarks/execution/test_ray.py",
    r"rssam-bench .*--devices": "smoke takes one device: tests/benchmarks/training/test_device_layout.py",
    r"torchrun": "tests/benchmarks/training/test_device_layout.py",
    r"make (install|lock)|pip |\S*python\S* -m (pip|venv)": "the network",
    r"make (test|check|test-slow|readme)|pytest|\S*python -m pytest": "the tests themselves",
    r"make docs": "tests/test_site.py",
    r"make notebook": "tests/test_notebook.py, tests/test_tutorial.py",
    r"make gpu": "tests/test_gpu_script.py",
    r"python -m tests\.": "writes files of the repository that tests compare, and tests/fuzz/test_slice.py",
    r"python docs/measure/ray.py": "minutes at its smallest",
    r"python sheets.py": "run to make GIVEN/field",
    r"python docs/sample.py": "writes a page of the repository: tests/test_sample.py",
    rf"({'|'.join(UNCHECKED)})\b": "tests/test_pages.py has the reason",
}
"""Commands that do not run here, with the reason or the test that runs them."""


def lines(page: Path) -> list[str]:
    """Return the commands of a page, each a line; in place of `make demo` and `make smoke` those that they give."""
    found = []
    for words in commands(page):
        line = shlex.join(words)
        if line in ("make demo", "make smoke"):
            said = subprocess.run(["make", "-n", words[1]], cwd=REPOSITORY, capture_output=True, text=True, check=True)
            line = said.stdout.replace("$data", "whu")
        found += re.findall(r"rssam-bench .*?(?= \|\||$)", line, re.MULTILINE) if "\n" in line else [line]
    return found


def call(line: str):
    """Run a command line of the suite in this process."""
    words = [name for word in shlex.split(line) for name in (sorted(glob.glob(word)) if "*" in word else [word])]
    return CliRunner().invoke(app, words)


def need(line: str) -> None:
    """Run a command line that must end well."""
    done = call(line)
    assert done.exit_code == 0, (line, done.output, done.exception)


def refused(line: str, words: str) -> None:
    """Run a command line that must end in a sentence with these words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rssam.weights.http_download.time.sleep", lambda seconds: None)  # between its attempts
        done = call(line)
    said = done.output + (str(done.exception) if isinstance(done.exception, UserError) else "")
    assert (done.exit_code, isinstance(done.exception, UserError | SystemExit)) in ((1, True), (2, True)), (line, said)
    assert words in said, (line, said)
    assert "Traceback" not in said
    if "https://" in words:
        take_attempts()  # which were to be made


def measure(line: str, given: Path) -> None:
    """Run a script of docs/measure as small as it goes."""
    asked = line.removeprefix("python docs/measure/").replace(".py", "", 1)
    name = max((name for name in SMALL if asked.startswith(name)), key=len)
    arguments = SMALL[name].replace("GIVEN", str(given)).replace("HOME", str(given / "home")).split()
    script = REPOSITORY / "docs" / "measure" / f"{name.split()[0]}.py"
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{os.environ['PYTHONPATH']}"}
    done = subprocess.run(
        [sys.executable, script, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert done.stdout.strip() or "--out" in arguments


@pytest.fixture(scope="module")
def quick():
    """The profiles smoke and demo on a few crops of 64 pixels."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("smoke", "demo"):
            recipe = dataclasses.replace(PROFILES[name].recipe, crop=64, crops=1, limit=2)
            patch.setitem(PROFILES, name, dataclasses.replace(PROFILES[name], recipe=recipe))
        yield


def write_geotiff(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    place = rasterio.transform.from_origin(500_000, 5_300_000, 0.5, 0.5)
    with rasterio.open(path, "w", "GTiff", 96, 96, 3, dtype="uint8", crs="EPSG:32632", transform=place) as raster:
        raster.write(np.moveaxis(road_scene(96, np.random.default_rng(seed)).image, -1, 0))


def write_zip(data: Dataset, count: int, source: Path, path: Path) -> None:
    """An archive as its publisher gives it: of stand-ins, without the mark of stand-ins."""
    data.synthesize(source, count, seed=0)
    (source / MARKER).unlink()
    shutil.make_archive(str(path.with_suffix("")), "zip", source)


@pytest.fixture(scope="module")
def given(tmp_path_factory, quick):
    """A folder with a reader's files, and a home with data sets and a finished run."""
    folder = tmp_path_factory.mktemp("given")
    for number in range(20):
        scene = road_scene(64, np.random.default_rng(number))
        for name, top in (("pairs", 255), ("land", 1)):
            for kind, pixels in (("images", scene.image), ("masks", np.uint8(top) * (scene.roads > 0))):
                (folder / name / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / name / kind / f"{number}.png")
    Image.fromarray(np.full((64, 64), 2, np.uint8)).save(folder / "land" / "masks" / "0.png")
    classes = "".join(
        f"  - {{name: {name}, value: {value}}}\n" for value, name in enumerate(("background", "road", "roof"))
    )
    (folder / "land.yaml").write_text(f"name: land\nclasses:\n{classes}ignore: 255\n")
    for name in ("scene.tif", "sheets/0.tif", "sheets/1.tif"):
        write_geotiff(folder / name, 30)
    write_zip(find_dataset("deepglobe"), 8, folder / "large" / "deepglobe-layout-vegas", folder / "deepglobe.zip")
    (folder / "block").mkdir()
    whole = Image.open(next((folder / "large").rglob("*_sat.jpg")))
    for row, column in np.ndindex(2, 2):
        part = whole.crop((512 * column, 512 * row, 512 * column + 512, 512 * row + 512))
        part.save(folder / "block" / f"a_{512 * column}_{512 * row}_i.jpg", quality=95)
    home, code = folder / "home", folder / "code"
    write_prepared(home / "data" / "deepglobe")
    code.mkdir()
    for name, text in EXAMPLES.items():
        (code / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSSAM_HOME", str(home))
        patch.chdir(folder)
        for place in (code, folder / "site"):
            place.mkdir(exist_ok=True)
            patch.syspath_prepend(str(place))
        install(code, rssam_bench__datasets="lakes = lakes:Lakes")
        write_zip(find_dataset("lakes"), 12, folder / "lakes", folder / "lakes.zip")
        (snippet,) = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
        exec(compile(snippet, "sheets.py", "exec"), {})
        for name, label in (("my-roads", "road"), ("my-streets", "street")):
            need(f"prepare folder --name {name} --source pairs --classes {label}=255 --workers 1")
        need("reproduce table5 --row 5 --profile smoke --device cpu --no-track")
        need("score --run rs-sam@deepglobe --out masks")
        need("export --run rs-sam@deepglobe --out roads.safetensors")
        yield folder
    for name in EXAMPLES:
        sys.modules.pop(name.removesuffix(".py"), None)
    DATASETS.pop("lakes", None)
    catalog._installed.discard("lakes")


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page, given, tmp_path, monkeypatch):
    shutil.copytree(given / "home", tmp_path / "home")
    monkeypatch.setenv("RSSAM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmarks.doctor._torch", lambda: DoctorCheck("torch", "ok", "2"))  # by a child of seconds
    monkeypatch.setattr("benchmarks.doctor._disk", lambda home, wanted: DoctorCheck("disk", "ok", "enough"))
    for line in lines(page):
        if any(re.match(pattern, line) for pattern in NOT_RUN):
            continue
        if line.startswith("python docs/measure/"):
            measure(line, given)
            continue
        assert line.startswith("rssam-bench "), f"no rule to run {line}"
        line = line.removeprefix("rssam-bench ")
        for pattern, fitting in FITTED:
            line = re.sub(pattern, fitting.replace("GIVEN", str(given)), line)
        words = next((words for pattern, words in REFUSED.items() if re.fullmatch(pattern, line)), None)
        if words is None:
            need(line)
        else:
            refused(line, words)
