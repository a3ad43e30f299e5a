"""Render a table as tidy CSV: one line for each row and score, under every setting. Numbers are not rounded."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from reports.extra_tables.extra_table import ExtraTable
from reports.tables.frames import TableFrame
from rssam.escape import csv_cell


def render(frames: Sequence[TableFrame]) -> str:
    """Return all frames of one table; a missing number is an empty field, the paper has none for the extra scores.

    `low` and `high` are the 95 % interval over test units, `spread` the standard deviation over replicates.
    `p_adjusted` is that of no difference from the reference row (see `TableFrame`). `runs` says in words which
    replicates have no result.
    """
    return _text(pd.DataFrame([line for frame in frames for line in _lines(frame)]))


def extra(table: ExtraTable) -> str:
    """Return a table beyond the paper's: one line for each row and number."""
    return _text(table.tidy)


def _text(table: pd.DataFrame) -> str:
    """Return the CSV of a table, with no cell that a spreadsheet would calculate."""
    return table.rename(columns=csv_cell).map(csv_cell).to_csv(index=False, lineterminator="\n")


def _lines(frame: TableFrame) -> list[dict[str, object]]:
    setting = frame.setting
    first = frame.first
    shared = {
        "table": frame.table.id,
        "profile": setting.profile,
        "encoder": setting.encoder,
        "init": setting.init,
        "dataset": frame.dataset,
        "source": frame.source,
        "data": first.data_description if first else None,
        "precision": first.identity["precision"] if first else None,
    }
    return [
        {
            **shared,
            **{name: row[name] for name in frame.table.label_columns},
            "runs": row["runs"],
            "score": score,
            "ours": row[score],
            **{part: row.get(f"{score}_{part}") for part in ("paper", "difference", "low", "high", "spread")},
            "p_adjusted": row.get(f"{score}_p"),
            "replicates": row["replicates"],
            "keys": " ".join(row["keys"]) or row["scored"],
            "state": row["state"],
        }
        for row in frame.rows.to_dict("records")
        for score in (*frame.table.scores, *frame.extras)
    ]
