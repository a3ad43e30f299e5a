"""JSON of others is bounded before it is parsed: a few bytes took gigabytes, and a deep file ended every command."""

import os

import pytest

from rssam.foreign_json import MOST_VALUES, Unreadable, parse_json, read_json


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 100_000, "nested more than 40 deep"),  # RecursionError
        (b'{"a":' * 41 + b"1" + b"}" * 41, "nested more than 40 deep"),
        (b"[" + b"[]," * (MOST_VALUES // 2) + b"[]]", "more than 4000000 values"),  # 3.6 GB in `verify`
        (b"1" + b"0" * 400, "a number of 32 digits"),  # OverflowError
        (b'{"a": 1, "a": 2}', "'a' comes twice"),  # the last one counted
        (b'["\\ud800"]', "half of a surrogate pair"),  # UnicodeEncodeError when it was written
        (b"[1, 2", "cut off, or is not JSON"),
        (b"\xff\xfe", "cut off, or is not JSON"),
        (b'"' + b'\\"' * 200_000, "cut off, or is not JSON"),  # in time that grows with the length alone
    ],
)
def test_what_is_not_read(content, words):
    with pytest.raises(Unreadable, match=words):
        parse_json(content)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["', "[" * 48),  # brackets in text are no depth
        (b'{"a\\"[": ["\\ud83d\\ude00", "\\\\ud800"]}', {'a"[': ["\U0001f600", "\\ud800"]}),
        (b"[0.00012345678901234567, 1e-320, -12]", [0.00012345678901234567, 1e-320, -12]),
        ("\u00e9".join('""').encode(), "\u00e9"),
    ],
)
def test_what_is_read(content, value):
    assert parse_json(content) == value


def test_only_regular_files_of_bounded_size_are_opened(tmp_path):
    """A pipe in the place of a file made `verify` wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable, match="no regular file"):
        read_json(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"[" + b" " * 100 + b"]")
    with pytest.raises(Unreadable, match="more than 50 bytes"):
        read_json(tmp_path / "large", most_bytes=50)
    (tmp_path / "link").symlink_to(tmp_path / "large")
    assert read_json(tmp_path / "link") == []
    with pytest.raises(OSError, match="symbolic links"):
        read_json(tmp_path / "link", follow_links=False)
