"""Class maps and `dataset.json` of others: deep, aliased, odd. One deep `dataset.json` stopped every command."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.cli.app import app
from data_prep.datasets.folder import Folder, load_folder
from data_prep.datasets.folder_options import BadDeclaration, from_file
from data_prep.errors import DataError

OWN = Folder("own", ("road", "roof"), (1, 2), None, 255, "tile", (512, 512))
BOMB = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("classes: " + "[" * 5000, "nested more than 40 deep"),  # RecursionError
        (BOMB + "\nclasses: *a11", "an alias"),  # its message would have had 10^11 letters
        ("classes: [{name: road, value: " + "9" * 5000 + "}]", "cannot be read as a class map"),  # ValueError
        ("classes: [{name: road, value: 2001-99-99}]", "cannot be read as a class map"),  # ValueError
        ("classes: [{name: road, value: 0x" + "f" * 9000 + "}]", "cannot be read as a class map"),
        ("classes: !!python/object/apply:os.system [touch x]", "cannot be read as a class map"),
        ("x" * 200_000, "more than 131072 bytes"),
    ],
)
def test_a_class_map_that_is_not_read(tmp_path, text, words):
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(BadDeclaration, match=words) as error:
        from_file(tmp_path / "map.yaml")
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("name", ["own"]), ("name", "../own"), ("name", "a\nb"), ("classes", "road"), ("classes", ["a\n| b"]),
        ("classes", ["x" * 101]), ("values", [{}]), ("values", [[1, 2]]), ("image_size", "x"), ("image_size", [0, 5]),
        ("fit", "evil"), ("version", "x"), ("__class__", "x"),
    ],
)  # fmt: skip
def test_an_odd_declaration_is_a_line_and_stops_no_command(tmp_path, part, value):
    folder = tmp_path / "data" / "own"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text(OWN.to_json())
    assert load_folder(folder) == OWN
    (folder / "dataset.json").write_text(json.dumps({**json.loads(OWN.to_json()), part: value}))
    with pytest.raises(DataError, match="is damaged"):
        load_folder(folder)
    (folder / "dataset.json").write_text("[" * 100_000)
    done = CliRunner().invoke(app, ["--home", str(tmp_path), "datasets"])
    assert done.exception is None
    assert "deepglobe" in done.output


SHEET = {
    "name": "far", "title": "Far", "version": 1, "classes": ["road", "roof"], "image_size": [64, 64],
    "average": "classes", "expected_pairs": None, "official_sizes": None, "palette": [[1, 2, 3], [4, 5, 6]],
    "fields": {"bands": [[1, 2], [3]]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"name": "foo"}, "title is missing"),  # KeyError
        (SHEET | {"fields": []}, "fields: expected an object"),  # AttributeError
        (SHEET | {"fields": {"prepare": 1}}, "the name of a field"),
        (SHEET | {"fields": {"__class__": 1}}, "the name of a field"),
        (SHEET | {"fields": {"image_size": [0, 5]}}, "image_size differs between"),
        (SHEET | {"title": "a\nb"}, "title: expected one printable line"),
        (SHEET | {"image_size": [64, 10**9]}, "image_size: expected height and width"),
        (SHEET | {"palette": [[1, 2, 300], [4, 5, 6]]}, "expected a colour"),
        (SHEET | {"palette": [[1, 2, 3]]}, "1 colours of 2 classes"),
        (SHEET | {"version": True}, "version: expected a whole number"),
        (SHEET | {"average": "foreground"}, "expected one class for the average foreground"),
        ([], "expected an object"),
    ],
)
def test_an_odd_sheet_of_another_package_is_a_line_and_stops_no_command(tmp_path, declared, words):
    """The first two ended every command and `verify` with a traceback."""
    folder = tmp_path / "data" / "far"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps({"declared": SHEET}))
    assert load_folder(folder).bands == ((1, 2), (3,))
    (folder / "dataset.json").write_text(json.dumps({"declared": declared}))
    with pytest.raises(DataError, match=f"is damaged .*{words}"):
        load_folder(folder)
    done = CliRunner().invoke(app, ["--home", str(tmp_path), "status"])
    assert done.exception is None
