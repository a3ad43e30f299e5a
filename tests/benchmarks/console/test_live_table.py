"""The table of runs at work, as a terminal and as a log file show it."""

import io

from rich.console import Console

from benchmarks.console import live_table as board
from benchmarks.console.live_table import LiveTable, in_words
from benchmarks.execution.run_status import Progress, RunStatus

FAR = Progress("training", 3, 200, 12, 40, 0.0128, 7260.0, "cuda", "2026-11-01T10:00:00+00:00")
RUNNING = [
    RunStatus("deepglobe-rs-sam-0123456789", "running", "process 7 on node3", FAR),
    RunStatus("deepglobe-unet-9876543210", "running", "process 8 on node4"),
]


def shown(terminal):
    stream = io.StringIO()
    table = LiveTable(Console(file=stream, force_terminal=terminal, width=140, markup=False, highlight=False))
    with table:
        table.show(RUNNING, {"trained": 2, "failed": 1}, 4)
    return stream.getvalue()


def test_a_terminal_shows_where_each_run_is_and_how_far():
    text = shown(terminal=True)
    for words in (
        "epoch 3 of 200, step 12 of 40, 2 h 1 min left",
        "process 7 on node3",
        "begins",
        "process 8 on node4",
    ):
        assert words in text
    assert "9 runs: 2 running, 4 queued, 2 trained, 1 failed" in text


def test_a_log_file_gets_plain_lines_now_and_then(monkeypatch):
    assert shown(terminal=False) == ""
    monkeypatch.setattr(board, "SECONDS_BETWEEN_LINES", 0.0)
    assert shown(terminal=False).splitlines() == [
        "9 runs: 2 running, 4 queued, 2 trained, 1 failed",
        "  deepglobe-rs-sam-0123456789: process 7 on node3; epoch 3 of 200, step 12 of 40, 2 h 1 min left",
        "  deepglobe-unet-9876543210: process 8 on node4",
    ]


def test_what_is_none_is_not_said():
    assert in_words(0, {"cached": 3}, 0) == "3 runs: 3 cached"
