"""The command line as a user meets it: sentences, exit codes, JSON; and what it does not import."""

import json
import os
import subprocess
import sys

import pytest

from baselines.sam_lora import SamLora
from baselines.unet import UNet
from benchmarks.cli import app as cli
from benchmarks.protocol import recipe as recipes
from benchmarks.protocol.tables import TABLE1
from rssam.errors import UnknownName
from tests.benchmarks.prepared import TINY, make_session
from tests.conftest import REPOSITORY


@pytest.fixture
def tiny_smoke(monkeypatch):
    """The smoke profile in seconds."""
    import dataclasses

    recipe = dataclasses.replace(TINY, name="smoke", epochs=1)
    monkeypatch.setitem(recipes.PROFILES, "smoke", dataclasses.replace(recipes.PROFILES["smoke"], recipe=recipe))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["reproduce", "table9"], 2, "unknown item 'table9': choose from table1, table2"),
        (["report", "table9"], 2, "unknown item 'table9'"),
        (["reproduce", "table5"], 1, "prepare deepglobe --synthetic 24"),
        (["reproduce", "table5", "--profile", "huge"], 2, "smoke"),
        (["reproduce", "table5", "--dataset", "nowhere"], 2, "choose from deepglobe"),
        (["reproduce", "table5", "--encoder", "vit_x"], 2, "vit_b"),
        (["reproduce", "table7", "--encoder", "vit_t"], 2, "table7 compares encoders"),
        (["reproduce", "table5", "--encoder", "vit_t"], 1, "use --init scratch"),
        (["reproduce", "table5", "--device", "cuda"], 1, "no CUDA device"),
        (["reproduce", "table5", "--ray-address", "host:6379"], 1, "--ray-address is for --executor ray"),
        (["reproduce", "table5", "--executor", "ray", "--jobs", "2"], 1, "--jobs is for --executor local"),
        (["reproduce", "table5", "--part", "5/4"], 1, "--part is I/N with 1 <= I <= N"),
        (["prepare", "nowhere", "--source", "x"], 2, "choose from deepglobe"),
        (["prepare", "deepglobe"], 1, "deepglobe --source FILE_OR_FOLDER"),
        (["prepare", "deepglobe", "--source", "/not/there"], 1, "/not/there"),
        (["prepare", "whu", "--source", "x", "--class-order", "a"], 2, "--class-order is for whdld, not for whu"),
        (["prepare", "whdld", "--source", "x", "--class-order", "road,water"], 1, "expected each of building, road"),
        (["prepare", "weights"], 1, "weights vit_b: 375 MB, Apache-2.0, https://dl.fbaipublicfiles.com"),
        (["prepare", "weights", "vit_x"], 2, "choose from vit_b, vit_l, vit_h"),
        (["reproduce", "table5", "--time"], 1, "--time goes with --dry-run"),
        (["reproduce", "table5", "fig7", "--row", "3"], 2, "--row goes with one table, found table5, fig7"),
        (["reproduce", "table5", "--row", "Nek"], 2, 'choose from 1 "Baseline (SAM LoRA)", 2 "Neck", 3 "Neck + MFF"'),
        (["reproduce", "table1", "--row", "3", "--model", "unet"], 1, "leave one out"),
        (["prepare", "weights", "vit_b", "--source", "/not/there.pth"], 1, "/not/there.pth"),
    ],
)
def test_mistakes_end_in_a_sentence(command, tmp_path, arguments, code, words):
    found, output, errors = command(*arguments)
    assert (found, "Traceback" in errors) == (code, False)
    assert words in errors.replace("\n", " ")
    assert output == ""
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []


def test_debug_shows_the_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rssam-bench", "--home", str(tmp_path), "--debug", "reproduce", "table9"])
    with pytest.raises(UnknownName):
        cli.main()


CACHED_WITHOUT_TORCH = """
import sys, dataclasses
from benchmarks.protocol import recipe as recipes
from baselines.sam_lora import SamLora
from baselines.unet import UNet
from benchmarks.cli import app as cli
from tests.benchmarks.prepared import TINY
recipe = dataclasses.replace(TINY, name="smoke", epochs=1)
recipes.PROFILES["smoke"] = dataclasses.replace(recipes.PROFILES["smoke"], recipe=recipe)
sys.argv[:1] = ["rssam-bench", "--home"]
try:
    cli.main()
except SystemExit as stop:
    sys.exit(stop.code)
sys.exit(3 if {"torch", "lightning_fabric", "mlflow"} & set(sys.modules) else 0)
"""


def test_reproduce_status_and_report(command, tmp_path, tiny_smoke):
    """Two rows, U-Net and the Baseline, trained, then cached without importing torch; status and report tell so."""
    make_session(tmp_path / "home")
    rows = len(TABLE1.rows[1::8])
    code, output, _ = command("reproduce", "table1", "--part", "2/8", "--profile", "smoke", "--dry-run", "--json")
    assert (code, {item["state"] for item in json.loads(output)}) == (0, {"missing"})

    code, output, _ = command("reproduce", "table1", "--part", "2/8", "--profile", "smoke", "--json", "--no-track")
    first = json.loads(output)
    assert (code, [item["status"] for item in first]) == (0, ["trained"] * rows)
    code, output, _ = command("reproduce", "table1", "--part", "2/8", "--profile", "smoke")
    assert code == 0
    assert output.count(" cached: ") == rows
    arguments = [
        str(tmp_path / "home"),
        "reproduce",
        "table1",
        "--part",
        "2/8",
        "--profile",
        "smoke",
        "--device",
        "cpu",
    ]
    light = subprocess.run(
        [sys.executable, "-c", CACHED_WITHOUT_TORCH, *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (light.returncode, light.stdout.count(" cached: ")) == (0, rows)

    code, output, _ = command("status", "--json")
    assert {item["key"] for item in json.loads(output)["finished"]} == {item["key"] for item in first}
    code, output, _ = command("report", "--out", str(tmp_path / "report"), "--json")
    assert code == 0
    assert {path.split("/")[-1] for path in json.loads(output)} >= {"report.md", "table1.tex", "table1.csv"}
    assert all(item["key"] in (tmp_path / "report" / "table1.csv").read_text() for item in first)


def test_models_and_datasets_for_programs(command, monkeypatch):
    """Two systems; all of them are counted by the command of the built wheel."""
    monkeypatch.setattr("benchmarks.inventory.variants", lambda: [SamLora(), UNet()])
    code, output, _ = command("models", "--json")
    totals = {(item["name"], item["encoder"]): item["total"] for item in json.loads(output)}
    assert (code, totals.keys()) == (0, {("sam-lora", "vit_b"), ("unet", None)})
    assert totals["sam-lora", "vit_b"] == 91_210_222
    code, output, _ = command("datasets", "--json")
    assert (code, json.loads(output)[0]["state"]) == (0, "not prepared")


def test_doctor_names_what_is_missing_and_the_remedy(command, torch_found):
    code, output, _ = command("doctor", "--json")
    findings = {item["what"]: item for item in json.loads(output)}
    assert findings["weights vit_b"]["remedy"].endswith("prepare weights vit_b")
    assert "prepare deepglobe --source DIR" in findings["data deepglobe"]["remedy"]
    assert code == int(any(item["state"] == "problem" for item in findings.values()))


@pytest.mark.parametrize("arguments", [["datasets"], ["report", "--out", "OUT"]])
def test_light_commands_import_no_torch(tmp_path, arguments):
    arguments = [str(tmp_path / "out") if item == "OUT" else item for item in arguments]
    code = (
        "import sys, benchmarks.cli.app as c; sys.argv = ['rssam-bench', '--home', sys.argv[1], *sys.argv[2:]]\n"
        "try: c.main()\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'lightning_fabric', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), *arguments], cwd=REPOSITORY, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["status", "--help"]])
def test_what_lists_nothing_prepared_is_light(tmp_path, arguments):
    """Each took 0.5 to 0.6 s of processor time: the data sets with all that prepares them, and pydantic for typer."""
    code = (
        "import sys, benchmarks.cli.app as c; sys.argv = ['rssam-bench', '--home', sys.argv[1], *sys.argv[2:]]\n"
        "try: c.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'PIL', 'data_prep.registry', 'data_prep.prepare.pipeline', 'benchmarks.results.result',"
        " 'torch', 'lightning_fabric', 'mlflow'}\n"
        "print(*sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "\n")


@pytest.mark.parametrize(
    ("arguments", "converted", "words"),
    [(["status"], False, "nothing run yet"), (["status", "table5", "--repeats", "0"], True, "repeats")],
)
def test_what_is_typed_alone_is_converted(tmp_path, arguments, converted, words):
    """To convert the defaults of `status` typer imported pydantic: 0.1 s."""
    code = (
        "import sys, benchmarks.cli.app as c; sys.argv = ['rssam-bench', *sys.argv[1:]]\n"
        "try: c.main()\n"
        "except SystemExit: pass\n"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, env={**os.environ, "RSSAM_HOME": str(tmp_path)},
    )  # fmt: skip
    assert words in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] in (str(converted), "False")  # older releases of typer never import it


def test_without_ray_the_extra_is_named(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "benchmarks.execution.ray_cluster", raising=False)
    code, _, said = command("reproduce", "table5", "--executor", "ray")
    assert (code, said.count("\n")) == (1, 1)
    assert 'pip install "ray>=2.40"' in said
