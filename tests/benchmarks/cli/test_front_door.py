"""The first commands of a new user, as they are typed, on an empty home; and hints, rows, completion, shadowing."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from baselines.sam_lora import SamLora
from baselines.unet import UNet
from benchmarks.cli import options
from benchmarks.console.tables import RunLine, show_runs
from benchmarks.doctor import examine
from benchmarks.execution.plan import plan
from benchmarks.failures import explain
from benchmarks.protocol.run_names import run_name
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLE5, TABLES
from rssam.config import RSSAM
from rssam.weights.registry import WEIGHTS
from rssam_bench import PACKAGES, shadowed
from tests.benchmarks.prepared import make_session
from tests.conftest import REPOSITORY


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """Type a command with an empty home and an empty working folder: (exit code, lines of output, lines of errors)."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    environment = {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{REPOSITORY}", "COLUMNS": "80"}
    environment["RSSAM_HOME"] = str(tmp_path / "home")

    def call(line):
        code = f"import sys, rssam_bench; sys.argv = {['rssam-bench', *line.split()[1:]]!r}; rssam_bench.main()"
        done = subprocess.run(
            [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, env=environment
        )
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return call


def test_prepare_deepglobe_says_where_it_comes_from(empty, tmp_path):
    """It printed a box: "Invalid value: give one of --source DIR|ARCHIVE and --synthetic N"."""
    code, output, said = empty("rssam-bench prepare deepglobe")
    assert (code, output, "╭" in "".join(said)) == (1, [], False)
    text = " ".join(" ".join(said).split())
    assert f"no deepglobe.zip, deepglobe.tar, deepglobe.tar.gz, deepglobe.tgz in {tmp_path}/home/downloads or" in text
    for fact in ("registration: needed there", "size: about 3 GB", "licence: research and education", "6226"):
        assert fact in text
    assert said[-1] == "    rssam-bench prepare deepglobe --synthetic 24"
    assert "    rssam-bench prepare deepglobe --source FILE_OR_FOLDER" in said
    assert not (tmp_path / "home").exists()


def test_reproduce_table5_says_the_same_of_data_and_weights(empty):
    """It named the data set alone, and the weights only once that was prepared."""
    code, output, said = empty("rssam-bench reproduce table5")
    assert (code, output) == (1, [])
    assert "    rssam-bench prepare deepglobe --synthetic 24" in said
    assert "  size:    375 MB" in [line.rstrip() for line in said]
    assert f"  source:  {WEIGHTS['vit_b'].url}" in [line.rstrip() for line in said]
    assert "    rssam-bench prepare weights vit_b" in said


def test_report_on_nothing_is_one_sentence(empty):
    """It wrote 18 lines and 4 notes, and nothing said what to open or do."""
    code, output, said = empty("rssam-bench report")
    assert (code, said, len(output)) == (0, [], 1)
    assert output[0].startswith("nothing is filled yet, because no run")
    assert output[0].endswith("report/report.html has no number of yours; next: rssam-bench reproduce table5")
    assert Path("report/report.html").is_file()


def test_the_last_line_of_a_report_says_what_is_filled(command, tmp_path):
    from tests.reports.fabricate import fill

    fill(tmp_path / "home", [0.70, 0.75])
    _, output, _ = command("report", "table5", "--format", "md,html", "--out", tmp_path / "out")
    assert re.search(r"^filled: table5 2 of 5 rows; open \S+/out/report.html$", output.splitlines()[-1]), output


@pytest.mark.parametrize("name", ["whu", "whdld"])
def test_the_other_data_sets(command, name):
    code, _, said = command("prepare", name)
    assert code == 1
    assert "licence:" in said
    assert f"prepare {name} --synthetic 24" in said
    assert "registration" not in said  # of which nothing is known


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_checkpoint_says_where_it_comes_from_when_it_cannot_be_fetched(command, name, monkeypatch):
    from rssam.weights.http_download import Fetch

    def offline(self):
        raise OSError("no network")

    monkeypatch.setattr(Fetch, "run", offline)
    code, _, said = command("prepare", "weights", name)
    assert code == 1
    for fact in (f"{WEIGHTS[name].megabytes} MB", WEIGHTS[name].url, WEIGHTS[name].licence, "--source FILE"):
        assert fact in " ".join(said.split())


@pytest.mark.parametrize("folder", ["home/downloads", "here"])
def test_an_archive_that_lies_ready_is_taken(command, tmp_path, monkeypatch, folder):
    """WHDLD.zip beside the user, or in the downloads of the home."""
    from data_prep.registry import find_dataset

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    source, archive = tmp_path / "source", tmp_path / folder / "WHDLD.zip"
    find_dataset("whdld").synthesize(source, 6, 0)
    archive.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "zipfile", "-c", archive, *source.iterdir()], check=True)
    code, _, said = command("prepare", "whdld", "--workers", "1")
    assert f"found {archive}" in said
    assert (code, "whdld --synthetic N" in said) == (1, True)  # stand-ins are never taken for the published set


def test_a_checkpoint_that_lies_ready_is_taken(command, tmp_path):
    """Its digest and kind are looked at as those of a --source."""
    file = tmp_path / "home" / "downloads" / WEIGHTS["resnet18"].published_file
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no checkpoint")
    code, _, said = command("prepare", "weights", "resnet18")
    assert (code, f"found {file}" in said) == (1, True)
    assert "downloading" not in said


def test_hints_repeat_the_home_that_was_given(command, tmp_path, torch_found):
    """They named another home: `rssam-bench prepare deepglobe` would have prepared it in the default one."""
    home = tmp_path / "my home"
    for arguments in (["prepare", "deepglobe"], ["reproduce", "table5"], ["doctor", "table5"], ["status"], ["report"]):
        _, output, said = command(
            *arguments, *(["--out", tmp_path / "r"] if arguments == ["report"] else []), home=home
        )
        hints = re.findall(r"rssam-bench (?!--home)\w+ \w+", output + said)
        assert not hints
        assert f"rssam-bench --home '{home}' " in output + said
    _, output, _ = command("doctor", "table5", "--json", home=home)
    remedies = [check["remedy"] for check in json.loads(output) if check["what"] == "weights vit_b"]
    assert remedies == [f"rssam-bench --home '{home}' prepare weights vit_b"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file or directory", "/x/y.tif"), "/x/y.tif: No such file or directory"),
        (PermissionError(13, "Permission denied", "/x"), "/x cannot be read or written (Permission denied): choose an"),
        (OSError("the reply ended early"), "OSError: the reply ended early"),
        (OSError(28, "No space left on device"), "no space left for HOME"),
    ],
)
def test_an_oserror_says_what_failed(command, tmp_path, monkeypatch, error, words):
    """All ended in "free or choose another disk with --home"."""
    assert explain(error, Path("HOME"))[0].startswith(words)

    def fail(*_, **__):
        raise error

    monkeypatch.setattr("benchmarks.doctor.examine", fail)
    code, _, said = command("doctor")
    assert (code, words.replace("HOME", str(tmp_path / "home")) in said) == (1, True)


def test_doctor_of_a_table_has_only_what_it_needs_here(tmp_path, torch_found):
    """It listed eleven checkpoints and three data sets."""
    setting = Setting("paper")
    checks = examine(tmp_path, plan([TABLE5], setting, [0], 0, None))
    assert [check.what for check in checks if check.state == "missing" and check.what != "GPU"] == [
        "weights vit_b", "data deepglobe",
    ]  # fmt: skip
    (weights,) = [check for check in checks if check.what == "weights vit_b"]
    assert "375 MB" in weights.found
    assert WEIGHTS["vit_b"].url in weights.found
    none = examine(tmp_path, plan([TABLE5], Setting("mini", "vit_t", "scratch"), [0], 0, None))
    assert not [check for check in none if check.what.startswith("weights")]


@pytest.mark.parametrize("name", ["benchmarks", "reports"])
def test_packages_that_stand_before_ours_are_named(tmp_path, name):
    """A folder `benchmarks/` of the user's own ended in a traceback: No module named 'benchmarks.cli'."""
    assert shadowed() == []
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import rssam_bench; rssam_bench.main()"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"{name} is {tmp_path / name}" in done.stderr


def test_doctor_names_them_too(tmp_path, monkeypatch, torch_found):
    monkeypatch.setattr("benchmarks.doctor.shadowed", lambda: [("reports", tmp_path)])
    assert [check.state for check in examine(tmp_path, []) if check.what == "packages"] == ["problem"]
    assert "reports" in PACKAGES


@pytest.mark.parametrize("row", ["3", "Neck + MFF", "multi-scale neck + mff"])
def test_one_row_of_a_table(command, tmp_path, row):
    make_session(tmp_path / "home")
    _, output, _ = command("reproduce", "table5", "--row", row, "--profile", "smoke", "--dry-run", "--json")
    (item,) = json.loads(output)
    options = item["declared"]["model"]["options"]
    assert (options["mff"], options["mhff"]) == (True, False)


def test_a_system_of_this_suite_in_place_of_the_rows(command):
    _, output, _ = command("reproduce", "table1", "--model", "unet", "--dry-run", "--json")
    assert [item["model"] for item in json.loads(output)] == ["unet"]


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("reproduce tab", {*TABLES}),
        ("reproduce table1 --model uneta", set()),
        ("reproduce table1 --model rs", {"rs-sam", "rsam-seg"}),
        ("reproduce table1 --dataset wh", {"whu", "whdld"}),
        ("prepare we", {"weights"}),
        ("prepare weights hrnet_w1", {"hrnet_w18"}),
        ("--home HOME predict --run deepglobe-u", {"deepglobe-unet-0123456789"}),
        ("--home HOME export --run whu", set()),
    ],
)
def test_the_shell_completes(command, tmp_path, monkeypatch, typed, wanted):
    results = tmp_path / "results"
    results.mkdir()
    (results / "deepglobe-unet-0123456789.json").write_text("{}")
    words = typed.replace("HOME", str(tmp_path)).split()
    for name, value in {
        "COMP_WORDS": " ".join(["rssam-bench", *words]), "COMP_CWORD": str(len(words)),
        "_RSSAM_BENCH_COMPLETE": "complete_bash", "_TYPER_COMPLETE_ARGS": " ".join(["rssam-bench", *words]),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.modules["__main__"], "__package__", None)  # or the program is "python -m pytest"
    _, output, errors = command()
    assert set(output.split()) == wanted, errors


LINES = [
    RunLine(
        "finished", run_name(Setting("smoke").run(model, dataset, 1, 2).declared()),
        f"{dataset}-{model.name}-0123456789", "Dice 0.412",
    )
    for model, dataset in ((RSSAM(mhff=False), "deepglobe"), (SamLora(), "deepglobe"), (UNet(), "whdld"))
]  # fmt: skip


@pytest.mark.parametrize(("width", "terminal"), [(80, True), (60, True), (40, True), (80, False)])
def test_nothing_that_is_needed_is_cut(width, terminal):
    """At 80 columns the heads were `sta… … by`, and keys ended in an ellipsis."""
    console = Console(width=width, force_terminal=terminal, no_color=True, highlight=False, record=True, markup=False)
    with console.capture() as captured:
        show_runs(LINES, console)
    text = re.sub(r"\x1b\[[0-9;]*m", "", captured.get())
    assert "…" not in text
    flat = " ".join(text.split())
    for words in (
        "deepglobe-rs-sam-0123456789", "RS-SAM · Neck + MFF · vit_t, scratch", "table5:3", "smoke", "split 2 seed 1",
        "Dice 0.412", "whdld-unet-0123456789", "table1:10 table5:1 table7:1",
    ):  # fmt: skip
        assert words in flat
    if terminal and width >= 60:
        assert max(map(len, text.splitlines())) <= width
    else:
        assert len(text.splitlines()) == len(LINES)


def test_status_names_runs(command, tmp_path):
    from benchmarks.execution.plan import resolve_all
    from benchmarks.execution.runner import execute_all
    from tests.benchmarks.prepared import TINY, tiny_run

    session = make_session(tmp_path / "home")
    run = tiny_run(recipe=dataclasses.replace(TINY, epochs=1))
    (outcome,) = execute_all(resolve_all([run], session), session)
    _, output, _ = command("status", "--json")
    (item,) = json.loads(output)["finished"]
    assert (item["key"], item["system"], item["variant"], item["rows"]) == (outcome.key, "UNet", "4", ["table1:2"])
    assert (item["dataset"], item["recipe"], item["split_seed"], item["seed"]) == ("deepglobe", "tiny", 0, 0)


def test_text_of_others_is_no_command(monkeypatch):
    """Only commands that follow the name are touched."""
    monkeypatch.setattr(options.root, "given_home", Path("h"))
    assert options.root.repeated("rssam-bench 0.1 rssam-bench --home x status") == (
        "rssam-bench 0.1 rssam-bench --home x status"
    )
    assert options.root.repeated("run `rssam-bench report`") == "run `rssam-bench --home h report`"


def test_a_system_without_file_locks_is_told(tmp_path):
    """On Windows the first words were a traceback: ModuleNotFoundError, No module named 'fcntl'."""
    code = "import sys; sys.modules['fcntl'] = None; import rssam_bench; rssam_bench.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: rssam-bench holds its runs with file locks that linux does not have")
    assert "inside WSL 2" in done.stderr
    assert "Traceback" not in done.stderr
