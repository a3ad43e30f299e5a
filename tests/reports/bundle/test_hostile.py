"""Bundles made to harm whoever verifies them: pipes, links, archives that grow, files that others may not read."""

import json
import os
import zipfile

import pytest

from reports.bundle.verify import check
from rssam.errors import UserError
from rssam.files import scratch_folder
from tests.reports.bundle.test_publish import bundle_file, home, seal, unpacked  # noqa: F401


def test_a_pipe_is_named_and_not_opened(unpacked):  # noqa: F811
    """`verify DIR` waited for ever."""
    os.mkfifo(unpacked / "results" / "pipe.json")
    assert "results/pipe.json: is a pipe or a device" in check(unpacked).problems


def test_a_link_is_named_and_not_read_through(unpacked, tmp_path):  # noqa: F811
    """Its target was read, and parts of it stood in the message."""
    secret = tmp_path / "secret.json"
    secret.write_text('{"schema": "the secret"}')
    (unpacked / "results" / "link.json").symlink_to(secret)
    (unpacked / "data").symlink_to(tmp_path)
    problems = check(unpacked).problems
    assert {"results/link.json: is a link", "data: is a link"} <= set(problems)
    assert "the secret" not in "\n".join(problems)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("results/a.json", b"[]," * 20_000_000, "more than 33554432 bytes"),  # 214 kB packed took 3.6 GB
        ("results/a.json", b"[" + b"[]," * 3_000_000 + b"[]]", "more than 4000000 values"),
        ("results/a.json", b"[" * 100_000, "nested more than 40 deep"),
        ("bundle.json", b"[" * 100_000, "nested more than 40 deep"),
        ("data/own/dataset.json", b"[" * 100_000, "nested more than 40 deep"),
        ("splits/a.json", b'{"schema": 1, "images": [{}]}', "malformed"),
    ],
)
def test_a_file_beyond_bounds_is_a_problem_in_a_line(unpacked, tmp_path, name, content, words):  # noqa: F811
    (unpacked / name).parent.mkdir(parents=True, exist_ok=True)
    (unpacked / name).write_bytes(content)
    seal(unpacked)
    found = [problem for problem in check(unpacked).problems if words in problem]
    assert found
    assert not any("\n" in problem for problem in found)


def test_what_is_no_file_is_not_called_nothing(tmp_path):
    """`verify` said of a pipe that it found nothing there."""
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(UserError, match="found a device, a pipe or a broken link"):
        check(tmp_path / "pipe.zip")


def test_an_empty_bundle_names_no_scratch_folder(tmp_path):
    """Its fourth problem was "No such file or directory: '/tmp/.rssam-bench-verify.scratch-...'"."""
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    problems = check(tmp_path / "empty.zip").problems
    assert "bundle.json: missing" in problems
    assert not any("scratch" in problem for problem in problems)


def test_an_archive_that_grows_is_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(30):
            archive.writestr(f"results/{number}.json", b" " * 10_000_000)
    assert "not safe to unpack" in check(path).problems[0]
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_001):
            archive.writestr(f"results/{number}.json", b"")
    assert "more than 20000 members" in check(path).problems[0]


def test_a_folder_of_a_killed_command_goes_at_the_next_call(tmp_path):
    """A killed `publish` or `export --onnx` left its folder for ever."""
    (tmp_path / ".net.onnx.scratch-killed").mkdir()
    (tmp_path / ".net.onnx.scratch-killed" / "net.onnx").write_text("half")
    (tmp_path / ".other.scratch-killed").mkdir()
    with scratch_folder(tmp_path, "net.onnx") as outer:
        with scratch_folder(tmp_path, "net.onnx") as inner:
            assert outer.is_dir()  # a living process keeps its own
            assert inner != outer
        assert sorted(os.listdir(tmp_path)) == sorted([outer.name, ".other.scratch-killed"])
    assert os.listdir(tmp_path) == [".other.scratch-killed"]


def test_a_sentence_in_place_of_a_rule_is_a_problem(unpacked):  # noqa: F811
    path = sorted((unpacked / "splits").glob("*.json"))[0]
    raw = json.loads(path.read_text())
    raw["rules"]["split"] = "drawn by hand"
    path.write_text(json.dumps(raw))
    seal(unpacked)
    assert any("rules.split: expected a list, found 'drawn by hand'" in problem for problem in check(unpacked).problems)


def test_names_in_a_result_of_a_bundle_stand_in_one_line(unpacked):  # noqa: F811
    path = sorted((unpacked / "results").glob("*.json"))[0]
    raw = json.loads(path.read_text())
    raw["provenance"]["device"] = "a\n| forged | \x1b[31m"
    path.write_text(json.dumps(raw))
    seal(unpacked)
    problems = check(unpacked).problems
    assert any("provenance.device: expected one printable line" in problem for problem in problems)
    assert all(problem.isprintable() for problem in problems)
