"""The result table of the README, from published results alone; `make readme` renews it."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.protocol.tables import TABLES
from data_prep.registry import dataset as find_dataset
from reports.render.markdown import lines, marked, reading
from reports.select.results import PUBLISHED, collect
from reports.tables.assemble import assemble
from reports.tables.cells import cells
from reports.tables.frames import TableFrame
from rssam.files import write_atomic

BEGIN = "<!-- begin of results: made by `make readme`, not by hand -->"
END = "<!-- end of results -->"
SHOWN = ("table1", "table2", "table3")
"""Tables whose Dice is shown: the systems on each data set."""
NAMED = ("Baseline", "RS-SAM")
"""Rows of the paper that are shown where there is nothing of ours."""
README = Path(__file__).resolve().parents[1] / "README.md"


def result_table(published: Path = PUBLISHED) -> str:
    """Published results beside the paper's numbers, in Markdown; where there is none, the paper's, called so."""
    report = assemble([TABLES[name] for name in SHOWN], collect(published / "no home", published))
    frames = [frame for frame in report.frames if frame.results]
    blocks = [_block(frame) for frame in frames] or [_paper_alone()]
    left_out = [f"Left out: {line}" for line in (*report.damaged, *report.left_out)]
    return "\n\n".join([*blocks, *left_out])


def renewed(text: str, published: Path = PUBLISHED) -> str:
    """The text with the part between the marks made anew. Raises ValueError if it does not have each mark once."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the README needs the lines {BEGIN!r} and {END!r}, once each and in this order")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{result_table(published)}\n\n{END}{rest.split(END)[1]}"


def _block(frame: TableFrame) -> str:
    """Dice of the rows of one table that were run."""
    width = len(frame.table.label_columns)
    heads = [*frame.table.label_columns, "Dice", "paper", "difference", "runs"]
    rows = [
        [*(marked(cell) for cell in line[: width + 3]), line[-1].text]
        for line, state in zip(cells(frame), frame.rows["state"], strict=True)
        if state != "not run"
    ]
    words = [note for note in frame.notes if note.startswith(("Not a reproduction", "Intervals hold", "Collapsed"))]
    title = f"**{_data(frame)}** ({frame.title}). {' '.join([reading(frame), *words])}"
    return f"{title}\n\n{lines(heads, rows, width)}"


def _paper_alone() -> str:
    """What the paper printed, named as that."""
    tables = [TABLES[name] for name in SHOWN]
    printed = [{row.labels[0]: row.paper["dice"] for row in table.rows} for table in tables]
    rows = [[name, *(f"{column[name]:.3f}" for column in printed)] for name in NAMED]
    heads = ["Dice in the paper", *(find_dataset(table.dataset).title for table in tables)]
    return (
        "No result is published with this version yet. These numbers are the paper's own, and none of them is "
        f"reproduced here (Baseline is SAM with LoRA):\n\n{lines(heads, rows, 1)}"
    )


def _data(frame: TableFrame) -> str:
    return find_dataset(frame.setting.dataset or frame.table.dataset).title


def main() -> None:
    """Rewrite the README in place."""
    text = README.read_text()
    fresh = renewed(text)
    if fresh != text:
        write_atomic(README, fresh.encode())
    sys.stdout.write(f"{README.name} is {'current' if fresh == text else 'renewed'}\n")


if __name__ == "__main__":
    main()
