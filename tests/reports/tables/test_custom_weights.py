"""A start that is not the published file has a name wherever its numbers stand."""

from dataclasses import replace

from benchmarks.protocol.setting import Setting
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from reports.select.results import collect
from reports.tables.frames import table_frames
from tests.reports.fabricate import TABLE5, fabricate, row_run

DIGEST = "0123456789abcdef" * 4


def custom(index: int, dice: float) -> Result:
    result = fabricate(row_run(index), dice)
    return replace(result, identity={**result.identity, "weights": [f"custom:{DIGEST}"]})


def test_custom_weights_are_named_in_titles_and_notes_and_reproduce_nothing(tmp_path):
    """A table from anybody's file read "Initialisation: from SAM's checkpoint vit_b", as a reproduction."""
    Store(tmp_path).put(custom(0, 0.7))
    (frame,) = table_frames(TABLE5, collect(tmp_path, None), Setting("paper"))
    assert frame.title.endswith("; custom weights 0123456789ab")
    assert any(
        note.startswith("Not a reproduction: started from custom weights 0123456789ab, not the published file.")
        for note in frame.notes
    )
    start = "Initialisation: from custom weights 0123456789ab, in place of the published file vit_b."
    assert start in frame.notes


def test_they_share_no_column_with_the_published_ones(tmp_path):
    Store(tmp_path).put(custom(0, 0.7))
    Store(tmp_path).put(fabricate(row_run(1), 0.6))
    frames = table_frames(TABLE5, collect(tmp_path, None), Setting("paper"))
    assert [frame.title.count("custom weights") for frame in frames] in ([0, 1], [1, 0])
