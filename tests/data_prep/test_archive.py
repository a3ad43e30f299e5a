from __future__ import annotations

import os
import stat
import zipfile

import pytest

from data_prep import archive
from data_prep.base import DataError
from tests.data_prep.samples import prepare


def packed(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return path


def extract(path, out):
    archive.extract(path, out, lambda name: name.endswith(".png"))


def test_only_wanted_members_are_written(tmp_path):
    extract(packed(tmp_path / "a.zip", [("x/a.png", b"1"), ("x/b.txt", b"2")]), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["a.png"]


@pytest.mark.parametrize("name", ["/etc/a.png", "../a.png", "x/../../a.png", "..\\a.png", "C:\\a.png", "../evil.txt"])
def test_paths_outside_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="would be written outside of its folder"):
        extract(packed(tmp_path / "a.zip", [("good.png", b"1"), (name, b"2")]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path, kind):
    member = zipfile.ZipInfo("a.png")
    member.external_attr = (kind | 0o777) << 16
    with pytest.raises(DataError, match="is a link or a device"):
        extract(packed(tmp_path / "a.zip", [(member, b"/etc/passwd")]), tmp_path / "out")


def test_sizes_beyond_belief_are_refused(tmp_path, monkeypatch):
    bomb = packed(tmp_path / "a.zip", [("a.png", bytes(300 << 20))], zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="bytes that would become 314572800"):
        extract(bomb, tmp_path / "out")
    monkeypatch.setattr(archive, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="not safe to unpack"):
        extract(packed(tmp_path / "b.zip", [("a.png", bytes(11))]), tmp_path / "out")


def test_damaged_zips_are_told_and_cleaned_up(tmp_path, out):
    whole = packed(tmp_path / "a.zip", [("1_sat.jpg", os.urandom(9000)), ("1_mask.png", os.urandom(9000))]).read_bytes()
    flipped = bytearray(whole)
    flipped[500] ^= 255
    for content in (whole[:-200], whole[:2000], bytes(flipped), b"PK"):
        (tmp_path / "b.zip").write_bytes(content)
        with pytest.raises(DataError, match="damaged or incomplete ZIP"):
            prepare(tmp_path / "b.zip", out)
        assert not (out.parent / ".deepglobe.partial").exists()


def test_an_encrypted_zip_is_told(tmp_path):
    content = bytearray(packed(tmp_path / "a.zip", [("a.png", b"1")]).read_bytes())
    content[6] |= 1  # the flag in the member's header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be unpacked here .*encrypted.* Unpack it and give the folder"):
        extract(tmp_path / "a.zip", tmp_path / "out")
