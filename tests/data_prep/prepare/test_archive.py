from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
import zipfile

import pytest

from data_prep.errors import DataError
from data_prep.prepare import archive
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


def tarball(path, members, mode="w:gz", **options):
    with tarfile.open(path, mode, **options) as opened:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_every_kind_are_unpacked_whatever_their_name(tmp_path, mode, kind):
    content = {f"./{'deep/' * 20}ü {n}.png": os.urandom(n) for n in (0, 1, 511, 512, 513, 70_000)}
    path = tarball(tmp_path / "archive.zip", [(".", b""), *content.items(), ("x.txt", b"1")], mode, format=kind)
    extract(path, tmp_path / "out")
    assert {
        f"./{p.relative_to(tmp_path / 'out')}": p.read_bytes() for p in (tmp_path / "out").rglob("*.png")
    } == content
    assert not list((tmp_path / "out").rglob("*.txt"))


def test_a_tar_of_before_1988(tmp_path):
    path = tarball(tmp_path / "a.tar", [("a.png", b"12")], "w")
    header = bytearray(path.read_bytes())
    header[257:265] = bytes(8)
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:512]))
    path.write_bytes(header)
    extract(path, tmp_path / "out")
    assert (tmp_path / "out" / "a.png").read_bytes() == b"12"


@pytest.mark.parametrize("damage", [lambda whole: whole[:1024], lambda whole: whole[:1030] + b"x" + whole[1031:]])
def test_a_tar_that_ends_between_members_is_refused(tmp_path, damage):
    """tarfile takes a cut, or a damaged header, for the end: the pairs of the rest would silently be missing."""
    path = tarball(tmp_path / "a.tar", [("a.png", b"1"), ("b.png", b"2")], "w")
    path.write_bytes(damage(path.read_bytes()))
    with tarfile.open(path) as opened:
        assert opened.getnames() == ["a.png"]
    with pytest.raises(DataError, match="damaged or incomplete TAR"):
        extract(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_separators_of_windows_are_folders(tmp_path):
    extract(packed(tmp_path / "a.zip", [("x\\y\\a.png", b"1")]), tmp_path / "out")
    assert (tmp_path / "out" / "x" / "y" / "a.png").read_bytes() == b"1"


def test_nothing_stands_under_the_name_before_all_is_unpacked(tmp_path, monkeypatch):
    seen = []
    copy = shutil.copyfileobj

    def watched(*streams):
        seen.append((tmp_path / "out").exists())
        copy(*streams)

    monkeypatch.setattr(shutil, "copyfileobj", watched)
    (tmp_path / "out.unpacking" / "left by a kill").mkdir(parents=True)
    extract(packed(tmp_path / "a.zip", [("a.png", b"1"), ("b.png", b"2")]), tmp_path / "out")
    assert seen == [False, False]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_an_empty_label_is_no_bomb(tmp_path):
    """It shrinks to a thousandth."""
    path = packed(tmp_path / "a.zip", [(f"{n}.png", bytes(3 * 512 * 512)) for n in range(20)], zipfile.ZIP_DEFLATED)
    extract(path, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 20


def test_members_that_share_their_packed_bytes_are_refused(tmp_path):
    """Counted by what each member declares, a bomb of overlapping members would look harmless."""
    content = packed(tmp_path / "a.zip", [("0.png", os.urandom(200_000) + bytes(30 << 20))], zipfile.ZIP_DEFLATED)
    content = content.read_bytes()
    place, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry, tail = content[place:end], bytearray(content[end:])
    entries = b"".join(entry.replace(b"0.png", bytes([n]) + b".png") for n in range(ord("a"), ord("z")))
    tail[8:10] = tail[10:12] = (25).to_bytes(2, "little")
    tail[12:16] = len(entries).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content[:place] + entries + bytes(tail))
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        sizes = [(member.compress_size, member.file_size) for member in opened.infolist()]
    assert all(unpacked < archive.MAX_RATIO * packed for packed, unpacked in sizes)
    with pytest.raises(DataError, match="not safe to unpack: it has"):
        extract(tmp_path / "a.zip", tmp_path / "out")


def test_an_archive_in_a_folder_is_pointed_at(tmp_path, out):
    folder = tmp_path / "downloads"
    folder.mkdir()
    packed(folder / "DeepGlobe.ZIP", [("readme.txt", b"1")])
    with pytest.raises(
        DataError, match=r"found no such pair .* It holds DeepGlobe\.ZIP: give the archive itself, --source"
    ):
        prepare(folder, out)
    packed(tmp_path / "outer.zip", [("inner/train.tar.gz", b"1"), ("inner/b.rar", b"1")])
    with pytest.raises(DataError, match=r"It holds inner/b.rar, inner/train.tar.gz: unpack what is inside and give"):
        prepare(tmp_path / "outer.zip", out)
