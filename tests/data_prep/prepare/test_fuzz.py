"""Over a hundred damaged inputs: each ends in a sentence that names the file, and nothing prepared stands there."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import socket
import struct
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.datasets.whdld import Whdld
from data_prep.errors import DataError, NotPrepared
from data_prep.manifest_file import load_manifest
from data_prep.registry import find_dataset
from tests.data_prep.samples import road, squares, write_image, write_mask

FILES = {
    "deepglobe": ("a/1_sat.jpg", "a/1_mask.png"),
    "whu": ("train/image/1.tif", "train/label/1.tif"),
    "whdld": ("Images/1.jpg", "ImagesPNG/1.png"),
}
"""Of each data set the image and the mask that are damaged."""

TARGETS = [(name, path) for name, paths in FILES.items() for path in paths]


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    for stem in ("1", "2"):
        write_image(folder / "deepglobe" / "a" / f"{stem}_sat.jpg", squares(int(stem)))
        write_mask(folder / "deepglobe" / "a" / f"{stem}_mask.png", road(int(stem)))
        write_image(folder / "whdld" / "Images" / f"{stem}.jpg", squares(int(stem), 256))
        colours = np.array(Whdld.palette, np.uint8)[road(int(stem), 256) // 255]
        (folder / "whdld" / "ImagesPNG").mkdir(exist_ok=True)
        Image.fromarray(colours).save(folder / "whdld" / "ImagesPNG" / f"{stem}.png")
    for split in ("train", "val", "test"):
        for kind, pixels in (("image", squares(3)), ("label", road(3) > 0)):
            (folder / "whu" / split / kind).mkdir(parents=True)
            compression = "packbits" if kind == "image" else "tiff_ccitt"  # as the published tiles
            Image.fromarray(pixels).save(folder / "whu" / split / kind / "1.tif", compression=compression)
    return folder


@pytest.fixture
def copied(sources, tmp_path):
    def copy(name: str) -> Path:
        return shutil.copytree(sources / name, tmp_path / "source of it")

    return copy


def refused(name: str, source: Path, tmp_path: Path, capfd) -> str:
    """The sentence in which `prepare` ends, after all that must not have happened was looked for."""
    out = tmp_path / "home" / name
    before = set(tmp_path.iterdir())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError) as caught:
            find_dataset(name).prepare(source, out, origin="source", workers=1, progress=lambda *_: None)
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""
    with pytest.raises(NotPrepared):
        load_manifest(out, name)
    assert not out.exists()
    assert set(tmp_path.iterdir()) - before <= {out.parent}
    message = str(caught.value)
    assert "Traceback" not in message
    message.encode()  # a name that cannot be printed would end in a traceback after all
    return message


def encoded(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def kind_of(path: Path) -> str:
    return {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF"}[path.suffix]


def side_of(path: Path) -> int:
    with Image.open(path) as found:
        return found.width


def claiming(path: Path, side: int) -> bytes:
    """A file whose header claims `side` x `side` pixels."""
    content = bytearray(path.read_bytes())
    if path.suffix == ".png":
        content[16:24] = struct.pack(">II", side, side)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif path.suffix == ".jpg":
        start = content.index(b"\xff\xc0") + 5
        content[start : start + 4] = struct.pack(">HH", side, side)
    else:
        (directory,) = struct.unpack_from("<I", content, 4)
        for entry in range(struct.unpack_from("<H", content, directory)[0]):
            place = directory + 2 + 12 * entry
            if struct.unpack_from("<H", content, place)[0] in (256, 257):
                struct.pack_into("<HII", content, place + 2, 4, 1, side)
    return bytes(content)


def sixteen_bits(path: Path) -> bytes:
    return encoded(
        Image.fromarray(np.full((side_of(path),) * 2, 1500, np.uint16)), "PNG" if path.suffix != ".tif" else "TIFF"
    )


def in_mode(mode: str, kind: str):
    return lambda path: encoded(Image.new(mode, (side_of(path),) * 2, 7), kind)


def flipped(path: Path) -> bytes:
    """The start of the pixels is overwritten, or the start of the file where the pixels say nothing of their truth."""
    content = bytearray(path.read_bytes())
    start = 4 if kind_of(path) != "PNG" else 45
    content[start : start + 40] = bytes(range(40))
    return bytes(content)


CONTENTS = {
    "zero bytes": lambda path: b"",
    "one byte": lambda path: path.read_bytes()[:1],
    "cut after the header": lambda path: path.read_bytes()[:60],
    "cut in half": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "cut at the end": lambda path: path.read_bytes()[:-25],
    "padded with zeros": lambda path: path.read_bytes()[: path.stat().st_size // 3].ljust(path.stat().st_size, b"\0"),
    "overwritten": flipped,
    "all zeros": lambda path: bytes(5000),
    "a page of HTML": lambda path: b"<!DOCTYPE html><html>404 Not Found</html>",
    "a pointer of Git LFS": lambda path: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "another format": lambda path: encoded(Image.new("RGB", (side_of(path),) * 2), "BMP"),
    "a GIF": lambda path: encoded(Image.new("L", (side_of(path),) * 2), "GIF"),
    "CMYK": in_mode("CMYK", "TIFF"),
    "CMYK in JPEG": in_mode("CMYK", "JPEG"),
    "transparent": in_mode("RGBA", "PNG"),
    "floats": in_mode("F", "TIFF"),
    "16 bits": sixteen_bits,
    "1x1": lambda path: encoded(Image.new("RGB", (1, 1)), kind_of(path)),
    "another size": lambda path: encoded(Image.new("RGB", (100, 130)), kind_of(path)),
    "claims 40000x40000": lambda path: claiming(path, 40_000),
    "claims 0x0": lambda path: claiming(path, 0),
}


@pytest.mark.parametrize("damage", CONTENTS)
@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_a_damaged_picture(name, target, damage, copied, tmp_path, capfd):
    source = copied(name)
    (source / target).write_bytes(CONTENTS[damage](source / target))
    message = refused(name, source, tmp_path, capfd)
    assert f"{target}: " in message
    assert message.startswith("1 file of the source cannot be used")


def a_folder(path: Path) -> None:
    (path / "inside").mkdir(parents=True)


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket has 108 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    finally:
        os.chdir(here)


def huge(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


THINGS = {
    "a folder": a_folder,
    "a pipe": os.mkfifo,  # reading it would wait for ever
    "a socket": a_socket,
    "a link to nothing": lambda path: path.symlink_to("gone"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a terabyte": huge,
}


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_something_that_is_no_picture(name, target, thing, copied, tmp_path, capfd):
    source = copied(name)
    (source / target).unlink()
    THINGS[thing](source / target)
    message = refused(name, source, tmp_path, capfd)
    assert f"{target}: " in message
    assert message.startswith("1 file of the source cannot be used")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize(("name", "target"), TARGETS)
@pytest.mark.parametrize("whole_folder", [False, True])
def test_no_permission(name, target, whole_folder, copied, tmp_path, capfd):
    source = copied(name)
    locked = (source / target).parent if whole_folder else source / target
    locked.chmod(0)
    try:
        assert f"{locked.relative_to(source)}: cannot be " in refused(name, source, tmp_path, capfd)
    finally:
        locked.chmod(0o755)


NAMES = {
    b"line\nbreak": "line\\nbreak",
    b"\x1b[31mred": "\\x1b[31mred",
    b"\xb5\xc0": "\\udcb5\\udcc0",  # "road" in GBK, as archives from Windows bring it
    b"long" * 55: "long" * 55,
}


@pytest.mark.parametrize("stem", NAMES)
@pytest.mark.parametrize("name", FILES)
def test_a_name_that_cannot_be_used(name, stem, copied, tmp_path, capfd):
    source = copied(name)
    for target in FILES[name]:
        path = source / target
        os.rename(path, bytes(path.parent) + b"/" + stem + path.name[1:].encode())
    message = refused(name, source, tmp_path, capfd)
    for target in FILES[name]:
        assert f"{os.path.dirname(target)}/{NAMES[stem]}{os.path.basename(target)[1:]}: expected a name" in message


@pytest.mark.parametrize("name", FILES)
def test_names_with_spaces_brackets_and_other_letters_are_fine(name, copied, tmp_path):
    source = copied(name)
    stem = "Straße [bold] 道路 %s {0}"
    for target in FILES[name]:
        path = source / target
        path.rename(path.with_name(f"{stem}{path.name[1:]}"))
    manifest = find_dataset(name).prepare(
        source, tmp_path / "out", origin="source", workers=1, progress=lambda *_: None
    )
    assert any(entry.stem.endswith(stem) for entry in manifest.entries)
    assert load_manifest(tmp_path / "out", name) == manifest


def members(folder: Path) -> list[tuple[str, bytes]]:
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in sorted(folder.rglob("*.*"))]


def zipped(folder: Path, *more: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in (*members(folder), *more):
            opened.writestr(name, content)
    return stream.getvalue()


def tarred(folder: Path, *more: tuple[str, dict[str, object], bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as opened:
        for name, fields, content in (*((name, {}, content) for name, content in members(folder)), *more):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for field, value in fields.items():
                setattr(member, field, value)
            opened.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def unix(name: str, mode: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    return member


def encrypted(folder: Path) -> bytes:
    content = bytearray(zipped(folder))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def changed(content: bytes, place: float, width: int = 60) -> bytes:
    start = int(place * len(content))
    return content[:start] + bytes(width) + content[start + width :]


def claims_a_terabyte(folder: Path) -> bytes:
    member = tarfile.TarInfo("a/3_mask.png")
    member.size = 1 << 40
    return tarred(folder)[:-10240] + member.tobuf(tarfile.GNU_FORMAT)


ARCHIVES = {
    "zip: a path upwards": lambda f: zipped(f, ("../evil.png", b"x")),
    "zip: a path upwards in the middle": lambda f: zipped(f, ("a/../../evil.png", b"x")),
    "zip: a path upwards of Windows": lambda f: zipped(f, ("a\\..\\..\\evil.png", b"x")),
    "zip: an absolute path": lambda f: zipped(f, ("/tmp/evil.png", b"x")),
    "zip: a drive": lambda f: zipped(f, ("C:/evil.png", b"x")),
    "zip: a link": lambda f: zipped(f, (unix("a/3_mask.png", 0o120777), b"/etc/passwd")),
    "zip: a device": lambda f: zipped(f, (unix("a/3_mask.png", 0o020666), b"")),
    "zip: a pipe": lambda f: zipped(f, (unix("a/3_mask.png", 0o010666), b"")),
    "zip: a bomb": lambda f: zipped(f, ("a/3_mask.png", bytes(210 << 20))),
    "zip: many small bombs": lambda f: zipped(f, *[(f"a/{n}_mask.png", bytes(6 << 20)) for n in range(36)]),
    "zip: encrypted": encrypted,
    "zip: a name twice": lambda f: zipped(f, ("a/1_mask.png", b"other")),
    "zip: a file that is a folder too": lambda f: zipped(f, ("a/1_mask.png/3_mask.png", b"x")),
    "zip: a name too long": lambda f: zipped(f, (f"a/{300 * 'x'}_mask.png", b"x")),
    "zip: cut": lambda f: zipped(f)[:-300],
    "zip: cut early": lambda f: zipped(f)[:200],
    "zip: changed": lambda f: changed(zipped(f), 0.4),
    "zip: two bytes": lambda f: b"PK",
    "tar: a path upwards": lambda f: tarred(f, ("../evil.png", {}, b"x")),
    "tar: an absolute path": lambda f: tarred(f, ("/tmp/evil.png", {}, b"x")),
    "tar: a link": lambda f: tarred(f, ("a/3_mask.png", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, b"")),
    "tar: a hard link": lambda f: tarred(f, ("a/3_mask.png", {"type": tarfile.LNKTYPE, "linkname": "../x"}, b"")),
    "tar: a linked folder": lambda f: tarred(f, ("b", {"type": tarfile.SYMTYPE, "linkname": "/tmp"}, b"")),
    "tar: a device": lambda f: tarred(f, ("a/3_mask.png", {"type": tarfile.CHRTYPE, "devmajor": 1}, b"")),
    "tar: a block device": lambda f: tarred(f, ("a/3_mask.png", {"type": tarfile.BLKTYPE}, b"")),
    "tar: a pipe": lambda f: tarred(f, ("a/3_mask.png", {"type": tarfile.FIFOTYPE}, b"")),
    "tar: of an unknown kind": lambda f: tarred(f, ("a/3_mask.png", {"type": b"Z"}, b"")),
    "tar: claims a terabyte": claims_a_terabyte,
    "tar: a name twice": lambda f: tarred(f, ("a/1_mask.png", {}, b"other")),
    "tar: a file that is a folder too": lambda f: tarred(f, ("a/1_mask.png/3_mask.png", {}, b"x")),
    "tar: cut within a member": lambda f: tarred(f)[:9000],
    "tar: cut between members": lambda f: tarred(f)[:-10240],
    "tar: a header changed": lambda f: changed(tarred(f), 0.0, 20),
    "tar: a later header changed": lambda f: _with_bad_header(tarred(f)),
    "tar: two in one": lambda f: tarred(f) + tarred(f),
    "tgz: a path upwards": lambda f: gzip.compress(tarred(f, ("../evil.png", {}, b"x"))),
    "tgz: a link": lambda f: gzip.compress(tarred(f, ("b", {"type": tarfile.SYMTYPE, "linkname": "/tmp"}, b""))),
    "tgz: a bomb": lambda f: gzip.compress(tarred(f, ("a/3_mask.png", {}, bytes(210 << 20))), 1),
    "tgz: a bomb nobody wants": lambda f: gzip.compress(tarred(f, ("readme", {}, bytes(210 << 20))), 1),
    "tgz: a bomb behind the end": lambda f: gzip.compress(tarred(f) + bytes(210 << 20), 1),
    "tgz: a bomb in a header": lambda f: gzip.compress(_header_of(1 << 28) + bytes(100 << 20), 1),
    "tgz: cut": lambda f: gzip.compress(tarred(f))[:-200],
    "tgz: cut early": lambda f: gzip.compress(tarred(f))[:30],
    "tgz: changed": lambda f: changed(gzip.compress(tarred(f)), 0.5),
    "tgz: a wrong checksum": lambda f: gzip.compress(tarred(f))[:-8] + bytes(8),
    "tgz: no tar inside": lambda f: gzip.compress(b"hello " * 500),
    "nothing": lambda f: b"",
    "another archive": lambda f: b"Rar!\x1a\x07\x01\x00",
    "a picture": lambda f: (f / "a" / "1_mask.png").read_bytes(),
}


def _with_bad_header(content: bytes) -> bytes:
    place = content.rindex(b"a/2_sat.jpg")
    return content[:place] + b"b" + content[place + 1 :]


def _header_of(size: int) -> bytes:
    """A header of names that is to be read at once."""
    member = tarfile.TarInfo("names")
    member.type, member.size = tarfile.XHDTYPE, size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("damage", ARCHIVES)
def test_a_damaged_archive(damage, sources, tmp_path, capfd):
    path = tmp_path / "the archive.bin"
    path.write_bytes(ARCHIVES[damage](sources / "deepglobe"))
    message = refused("deepglobe", path, tmp_path, capfd)
    assert str(path) in message
    assert not (tmp_path / "home" / ".deepglobe.partial").exists()
    assert not list(tmp_path.rglob("evil*"))


def test_there_are_at_least_a_hundred():
    assert len(TARGETS) * (len(CONTENTS) + len(THINGS)) + len(FILES) * len(NAMES) + len(ARCHIVES) >= 100


@pytest.mark.parametrize("pack", [zipped, tarred, lambda folder: gzip.compress(tarred(folder))])
@pytest.mark.parametrize("name", FILES)
def test_the_same_archives_unspoilt_are_prepared(pack, name, sources, tmp_path):
    (tmp_path / "good").write_bytes(pack(sources / name))
    packed, plain = (
        find_dataset(name).prepare(source, tmp_path / out, origin="source", workers=1, progress=lambda *_: None)
        for source, out in ((tmp_path / "good", "packed"), (sources / name, "plain"))
    )
    assert packed == plain
