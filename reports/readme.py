"""Write the result table of the README from published results alone (`make readme`)."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.protocol.tables import TABLES
from data_prep.registry import find_dataset
from reports.formatting import format_number
from reports.render.markdown import lines, marked, reading
from reports.select.results import PUBLISHED, collect
from reports.tables.assemble import assemble
from reports.tables.cells import cells, parts
from reports.tables.frames import TableFrame
from reports.tables.mixed_software import MIXED
from reports.tables.without_result import LOST
from rssam.escape import markdown, markdown_prose
from rssam.files import write_atomic

BEGIN = "<!-- begin of results: made by `make readme`, not by hand -->"
END = "<!-- end of results -->"
SHOWN = ("table1", "table2", "table3")
"""Tables whose Dice is shown: the systems on each data set."""
NAMED = ("Baseline", "RS-SAM")
"""Rows of the paper that are shown where there is no result of ours."""
NOTES = ("Not a reproduction", "Intervals are", "No interval", "Collapsed", LOST, MIXED)
"""First words of the notes that are shown."""
README = Path(__file__).resolve().parents[1] / "README.md"


def result_table(published: Path = PUBLISHED) -> str:
    """Return published results beside the paper's numbers, in Markdown; without results, the paper's, named as such."""
    report = assemble([TABLES[name] for name in SHOWN], collect(published / "no home", published))
    frames = [frame for frame in report.frames if frame.results or frame.failed]
    blocks = [_block(frame) for frame in frames] or [_paper_alone()]
    left_out = [f"Left out: {markdown(line)}" for line in (*report.damaged, *report.left_out)]
    return "\n\n".join([*blocks, *left_out])


def renewed(text: str, published: Path = PUBLISHED) -> str:
    """Return the text with the part between the marks renewed. Raises ValueError if it does not have each mark once."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the README needs the lines {BEGIN!r} and {END!r}, once each and in this order")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{result_table(published)}\n\n{END}{rest.split(END)[1]}"


def _block(frame: TableFrame) -> str:
    """Return Dice of the rows of a table that were run."""
    width = len(frame.table.label_columns)
    _, *others = parts(frame)
    heads = [*frame.table.label_columns, "Dice", *others, "runs"]
    rows = [
        [*(marked(cell) for cell in row[: width + 1 + len(others)]), markdown(row[-1].text)]
        for row, state in zip(cells(frame), frame.rows["state"], strict=True)
        if state != "not run"
    ]
    notes = [note for note in frame.notes if note.startswith(NOTES)]
    words = markdown_prose(f"({frame.title}). {' '.join([reading(frame), *notes])}")
    title = f"**{markdown(find_dataset(frame.dataset).title)}** {words}"
    return f"{title}\n\n{lines(heads, rows, width)}"


def _paper_alone() -> str:
    tables = [TABLES[name] for name in SHOWN]
    printed = [{row.labels[0]: row.paper["dice"] for row in table.rows} for table in tables]
    rows = [[name, *(format_number(dice[name]) for dice in printed)] for name in NAMED]
    heads = ["Dice in the paper", *(find_dataset(table.dataset).title for table in tables)]
    return (
        "No reproduction is published with this version yet. These numbers are the paper's own, and none of them is "
        f"reproduced here (Baseline is SAM with LoRA):\n\n{lines(heads, rows, 1)}"
    )


def main() -> None:
    """Rewrite the README in place."""
    text = README.read_text()
    fresh = renewed(text)
    if fresh != text:
        write_atomic(README, fresh.encode())
    sys.stdout.write(f"{README.name} is {'current' if fresh == text else 'renewed'}\n")


if __name__ == "__main__":
    main()
