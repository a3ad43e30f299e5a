"""One reader for results, submissions and metrics: every unusable file is named, and no other error is swallowed."""

from pathlib import Path

import pytest

from benchmarks.results.json_files import ResultDamaged, decoding, read_record, read_records


def number(raw):
    with decoding():
        if raw["schema"] != 1:
            raise ResultDamaged("another format")
        return raw["number"].real + 1


def test_files_come_in_order_and_damaged_ones_as_their_errors(tmp_path):
    texts = {
        "b": '{"schema": 1, "number": 3}',
        "c": '{"schema": 1, "nu',
        "d": '{"schema": 2}',
        "e": '{"schema": 1}',
        "f": '{"schema": 1, "number": "3"}',
        "g": "[]",
        "h": '{"schema": 1, "number": 7}',
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.json").write_text(text)
    (tmp_path / "a.json").mkdir()
    (tmp_path / "i.json").write_bytes(b"\xff\xfe")
    (tmp_path / ".b.json.1.tmp").write_text("half")
    found = list(read_records(tmp_path, lambda path: read_record(path, number)))
    assert (found[1], found[7]) == (4, 8)
    said = [str(record) for record in found if isinstance(record, ResultDamaged)]
    beginnings = [
        "it cannot be read (Is a directory)",
        "it is cut off, or is not JSON (",
        "another format",
        "a part is missing or malformed (KeyError('number'))",
        "a part is missing or malformed (AttributeError(",
        "a part is missing or malformed (TypeError(",
        "it is cut off, or is not JSON ('utf-8' codec",
    ]
    for text, name, beginning in zip(said, "acdefgi", beginnings, strict=True):
        assert text.startswith(f"{tmp_path}/{name}.json: {beginning}")


def test_a_fault_of_the_program_is_not_called_damage(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{}")

    def wrong(raw):
        with decoding():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read_record(path, wrong)


def test_a_folder_that_is_not_there_holds_none(tmp_path):
    assert list(read_records(tmp_path / "none", Path)) == []
