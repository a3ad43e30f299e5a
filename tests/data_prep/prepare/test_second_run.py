"""A second `prepare`: it goes on after an interruption, verifies what is finished, and refuses what was changed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from PIL import Image

from data_prep.datasets.deepglobe import DeepGlobe
from data_prep.errors import DataError
from data_prep.images import encode
from data_prep.images.encode import encode_picture
from data_prep.prepare import pipeline
from rssam.errors import UserError
from tests.data_prep.samples import contents, prepare, squares, write_pair, write_source


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def interrupt_after(count):
    def progress(done, total, what):
        if done == count:
            raise KeyboardInterrupt

    return progress


def test_a_second_run_verifies_and_writes_nothing(shared_source, out):
    first = prepare(shared_source, out)
    before = times(out.parent)
    assert prepare(shared_source, out) == first
    assert {path: stamp for path, stamp in times(out.parent).items() if path.name[0] != "."} == {
        path: stamp for path, stamp in before.items() if path.name[0] != "."
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_is_continued(shared_source, tmp_path, out, workers):
    with pytest.raises(KeyboardInterrupt):
        DeepGlobe().prepare(shared_source, out, origin="source", workers=workers, progress=interrupt_after(2))
    assert not out.exists()
    finished = times(out.parent / ".deepglobe.partial" / "prepared")
    assert len([path for path in finished if path.suffix == ".png"]) >= 4

    prepare(shared_source, out)
    for path, stamp in finished.items():
        moved = out / path.relative_to(out.parent / ".deepglobe.partial" / "prepared")
        if path.suffix == ".png":
            assert moved.stat().st_mtime_ns == stamp
    prepare(shared_source, tmp_path / "straight")
    assert contents(out) == contents(tmp_path / "straight")


def test_finished_work_is_used_only_if_it_is_sound(source, tmp_path, out):
    with pytest.raises(KeyboardInterrupt):
        DeepGlobe().prepare(source, out, origin="source", workers=1, progress=interrupt_after(3))
    partial = out.parent / ".deepglobe.partial"
    (partial / "prepared" / "images" / "100.png").write_bytes(b"half")  # a power cut
    (partial / "records" / "101.json").write_bytes(b'{"rule": ')
    write_pair(source / "train", "102", seed=55)  # mended meanwhile
    (partial / "prepared" / "images" / "999.png").write_bytes(b"of another source")
    prepare(source, out)
    prepare(source, tmp_path / "straight")
    assert contents(out) == contents(tmp_path / "straight")


def test_a_record_of_another_rule_is_not_used(source, tmp_path, out):
    with pytest.raises(KeyboardInterrupt):
        DeepGlobe().prepare(source, out, origin="source", workers=1, progress=interrupt_after(1))
    record = out.parent / ".deepglobe.partial" / "records" / "100.json"
    (fields,) = json.loads(record.read_text())
    record.write_text(json.dumps([{**fields, "rule": "deepglobe 0", "pixel_digest": "wrong"}]))
    prepare(source, out)
    prepare(source, tmp_path / "straight")
    assert contents(out) == contents(tmp_path / "straight")


def by_pillow(image):
    return encode_picture(Image.fromarray(image), "PNG", compress_level=3)


def test_other_bytes_of_the_same_pixels_change_no_digest(shared_source, tmp_path, out, monkeypatch):
    """A folder that an earlier version prepared stays as it is; an interrupted one keeps its finished files."""
    now = prepare(shared_source, tmp_path / "now")
    with monkeypatch.context() as earlier:
        earlier.setattr(encode, "encode_image", by_pillow)
        before = prepare(shared_source, out)
        halfway = tmp_path / "halfway"
        with pytest.raises(KeyboardInterrupt):
            DeepGlobe().prepare(shared_source, halfway, origin="source", workers=1, progress=interrupt_after(2))
    assert {entry.image_sha256 for entry in now.entries}.isdisjoint(entry.image_sha256 for entry in before.entries)
    assert before.digest(0) == now.digest(0)
    written = contents(out)
    assert prepare(shared_source, out) == before
    assert {name: written[name] for name in contents(out) if name in written} == written
    mixed = prepare(shared_source, halfway)
    assert mixed.digest(0) == now.digest(0)
    sources = {entry.image_sha256 for entry in (*now.entries, *before.entries)}
    assert {entry.image_sha256 for entry in mixed.entries} < sources
    assert len({entry.image_sha256 for entry in mixed.entries} - {entry.image_sha256 for entry in now.entries}) == 2


def test_an_edited_or_missing_file_is_named(shared_source, out):
    prepare(shared_source, out)
    with (out / "masks" / "101.png").open("ab") as stream:
        stream.write(b"x")
    (out / "images" / "102.png").unlink()
    with pytest.raises(DataError) as caught:
        prepare(shared_source, out)
    message = str(caught.value)
    assert message.startswith("2 files of ")
    assert "Delete the folder and run prepare again." in message
    assert "masks/101.png: changed since it was prepared" in message
    assert "images/102.png: missing" in message


def test_another_source_is_named(source, out):
    prepare(source, out)
    write_pair(source / "train", "101", seed=70)
    write_pair(source / "train", "400", seed=71)
    for path in (source / "train").glob("102_*"):
        path.unlink()
    with pytest.raises(DataError) as caught:
        prepare(source, out)
    message = str(caught.value)
    assert "was prepared from another source than this one (3 pairs there, 3 here)" in message
    assert "or use another --home" in message
    for line in ("101: its files have another content", "102: only in the prepared", "400: only in the source"):
        assert line in message


def test_another_origin_is_named(source, out):
    prepare(source, out, origin="synthetic")
    with pytest.raises(DataError, match="origin: synthetic there, source here"):
        prepare(source, out)


def test_another_version_is_named(source, out):
    prepare(source, out)
    path = out / "manifest.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 0'))
    with pytest.raises(DataError, match="was prepared as deepglobe 0, expected deepglobe 1"):
        prepare(source, out)


def test_a_source_that_went_bad_is_listed(source, out):
    prepare(source, out)
    (source / "train" / "100_sat.jpg").unlink()
    with pytest.raises(DataError, match=r"there is no image of this ID"):
        prepare(source, out)


def test_a_full_disk_leaves_nothing_under_the_final_name(source, out, monkeypatch):
    calls = iter(range(1000))

    def full_at_the_fifth(descriptor):
        if next(calls) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_at_the_fifth)
    with pytest.raises(UserError, match="no space left"):
        prepare(source, out)
    assert not out.exists()
    assert not list(out.parent.rglob("*.tmp"))
    assert len(prepare(source, out).entries) == 3


@pytest.mark.parametrize("step", ["rename", "unpack"])
def test_a_full_disk_elsewhere_is_told_too(source, tmp_path, out, monkeypatch, step):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "unpack":
        source = shutil.make_archive(str(tmp_path / "packed"), "zip", source)
        monkeypatch.setattr(shutil, "copyfileobj", full)
    else:
        monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="no space left"):
        prepare(Path(source), out)
    assert not out.exists()


def test_two_at_once_do_not_collide(tmp_path, out):
    source, made = write_source(tmp_path / "source", 3, drawn=squares), []
    threads = [threading.Thread(target=lambda: made.append(prepare(source, out))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    assert made[0] == made[1]


def die(job):
    os._exit(1)


def test_a_worker_that_dies_is_told(shared_source, out, monkeypatch):
    monkeypatch.setattr(pipeline, "cut_pair", die)
    with pytest.raises(DataError, match="a worker process ended abruptly"):
        prepare(shared_source, out, workers=2)
